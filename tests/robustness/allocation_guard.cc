// SPDX-License-Identifier: BSD-3-Clause
#include "allocation_guard.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> largest = 0, held = 0, most_held = 0;

void raise_to(std::atomic<size_t>& maximum, size_t value) {
  size_t seen = maximum.load(std::memory_order_relaxed);
  while (value > seen && !maximum.compare_exchange_weak(seen, value)) {
  }
}

// nullptr above the limit.
void* allocate(size_t bytes) noexcept {
  raise_to(largest, bytes);
  void* place = bytes <= llmcodec::kHardAllocationLimit ? std::malloc(bytes > 0 ? bytes : 1) : nullptr;
  if (place != nullptr) raise_to(most_held, held += ::malloc_usable_size(place));
  return place;
}

void* allocate_or_throw(size_t bytes) {
  void* place = allocate(bytes);
  if (place == nullptr) throw std::bad_alloc();
  return place;
}

void release(void* place) noexcept {
  if (place != nullptr) held -= ::malloc_usable_size(place);
  std::free(place);
}

}  // namespace

void* operator new(size_t bytes) {
  return allocate_or_throw(bytes);
}
void* operator new[](size_t bytes) {
  return allocate_or_throw(bytes);
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes);
}
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes);
}
void operator delete(void* place) noexcept {
  release(place);
}
void operator delete[](void* place) noexcept {
  release(place);
}
void operator delete(void* place, size_t) noexcept {
  release(place);
}
void operator delete[](void* place, size_t) noexcept {
  release(place);
}

namespace llmcodec {

void reset_largest_allocation() {
  largest = 0;
}
size_t largest_allocation() {
  return largest;
}
size_t reset_peak_allocation() {
  most_held = held.load();
  return most_held;
}
size_t peak_allocation() {
  return most_held;
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "allocation_guard.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> largest = 0;
std::atomic<size_t> allocated = 0, peak = 0;  // as malloc rounds it

void raise_to(std::atomic<size_t>& maximum, size_t value) {
  size_t seen = maximum.load(std::memory_order_relaxed);
  while (value > seen && !maximum.compare_exchange_weak(seen, value)) {
  }
}

void* allocate(size_t bytes, size_t alignment = alignof(std::max_align_t)) {
  const size_t whole = (std::max<size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
  void* place = bytes <= llmcodec::kHardAllocationLimit ? std::aligned_alloc(alignment, whole) : nullptr;
  if (place != nullptr) raise_to(peak, allocated += ::malloc_usable_size(place));
  return place;
}

void release(void* place) {
  if (place != nullptr) allocated -= ::malloc_usable_size(place);
  std::free(place);
}

void* counted_allocation(size_t bytes) {
  raise_to(largest, bytes);
  void* place = allocate(bytes);
  if (place == nullptr) throw std::bad_alloc();
  return place;
}

}  // namespace

void* operator new(size_t bytes) {
  return counted_allocation(bytes);
}
void* operator new[](size_t bytes) {
  return counted_allocation(bytes);
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes);
}
void* operator new[](size_t bytes, const std::nothrow_t& tag) noexcept {
  return operator new(bytes, tag);
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  raise_to(largest, bytes);
  void* place = allocate(bytes, static_cast<size_t>(alignment));
  if (place == nullptr) throw std::bad_alloc();
  return place;
}
void operator delete(void* place, std::align_val_t) noexcept {
  release(place);
}
void operator delete(void* place, size_t, std::align_val_t) noexcept {
  release(place);
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

PeakMemory::PeakMemory() : before_(allocated) {
  peak = before_;
}
size_t PeakMemory::bytes() const {
  return peak - before_;
}

}  // namespace llmcodec

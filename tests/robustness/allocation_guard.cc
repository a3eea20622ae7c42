// SPDX-License-Identifier: BSD-3-Clause
#include "allocation_guard.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> largest = 0;

void* counted_allocation(size_t bytes) {
  size_t seen = largest.load(std::memory_order_relaxed);
  while (bytes > seen && !largest.compare_exchange_weak(seen, bytes)) {
  }
  void* place = bytes <= llmcodec::kHardAllocationLimit ? std::malloc(bytes > 0 ? bytes : 1) : nullptr;
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
  return bytes <= llmcodec::kHardAllocationLimit ? std::malloc(bytes > 0 ? bytes : 1) : nullptr;
}
void* operator new[](size_t bytes, const std::nothrow_t& tag) noexcept {
  return operator new(bytes, tag);
}
void operator delete(void* place) noexcept {
  std::free(place);
}
void operator delete[](void* place) noexcept {
  std::free(place);
}
void operator delete(void* place, size_t) noexcept {
  std::free(place);
}
void operator delete[](void* place, size_t) noexcept {
  std::free(place);
}

namespace llmcodec {

void reset_largest_allocation() {
  largest = 0;
}
size_t largest_allocation() {
  return largest;
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// Counts what operator new is asked for in this program, so that a test can bound it: damaged input must not
// make a reader take memory without limit. An allocation above the hard limit throws std::bad_alloc.
#pragma once

#include <cstddef>

namespace llmcodec {

inline constexpr size_t kHardAllocationLimit = size_t{4} << 30;

void reset_largest_allocation();
size_t largest_allocation();  // since the reset, of any thread

// The most that was allocated at one time since this object was made, above what was then.
class PeakMemory {
 public:
  PeakMemory();
  size_t bytes() const;

 private:
  size_t before_;
};

}  // namespace llmcodec

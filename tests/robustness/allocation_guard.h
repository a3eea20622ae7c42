// SPDX-License-Identifier: BSD-3-Clause
// Counts what operator new is asked for in this program, so that a test can bound it: damaged input must not
// make a reader take memory without limit. An allocation above the hard limit throws std::bad_alloc.
#pragma once

#include <cstddef>

namespace llmcodec {

inline constexpr size_t kHardAllocationLimit = size_t{4} << 30;

void reset_largest_allocation();
size_t largest_allocation();  // since the reset, of any thread

// Bytes that are held now, and the most that were held at once since.
size_t reset_peak_allocation();
size_t peak_allocation();

}  // namespace llmcodec

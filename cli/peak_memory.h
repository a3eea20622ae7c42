// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace llmcodec::cli {

// Bytes: the largest resident memory of this process so far, without that of FFmpeg or llama.cpp processes.
uint64_t peak_memory_bytes();

}  // namespace llmcodec::cli

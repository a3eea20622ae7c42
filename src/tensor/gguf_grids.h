// SPDX-License-Identifier: BSD-3-Clause
// The codebooks of ggml's IQ1, IQ2 and IQ3 block types: the points of a lattice that stand for 8 or 4 weights at once.
// An entry holds the index of each weight's level, the first weight in the lowest digit: base 4 and 8 weights in the
// IQ1 and IQ2 grids, base 8 and 4 weights in the IQ3 grids (written in octal there, a digit for a weight).
#pragma once

#include <array>
#include <cstdint>

namespace llmcodec {

extern const std::array<uint16_t, 2048> kIq1Grid;  // of IQ1_S and IQ1_M
extern const std::array<uint16_t, 256> kIq2XxsGrid;
extern const std::array<uint16_t, 512> kIq2XsGrid;
extern const std::array<uint16_t, 1024> kIq2SGrid;
extern const std::array<uint16_t, 256> kIq3XxsGrid;
extern const std::array<uint16_t, 512> kIq3SGrid;

// What the indices mean.
inline constexpr std::array<float, 4> kIq1Levels = {-1, 0, 1, 0};   // no entry uses the last one
inline constexpr std::array<float, 4> kIq2Levels = {8, 25, 43, 0};  // likewise
inline constexpr std::array<float, 8> kIq3XxsLevels = {4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr std::array<float, 8> kIq3SLevels = {1, 3, 5, 7, 9, 11, 13, 15};

}  // namespace llmcodec

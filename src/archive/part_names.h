// SPDX-License-Identifier: BSD-3-Clause
// The parts that a coded tensor NAME can have in the file, as "NAME.part" (docs/format.md, section 1).
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace llmcodec::part_name {

inline constexpr char kBitstream[] = "bitstream";
inline constexpr char kData[] = "data";
inline constexpr char kRowScale[] = "row_scale";
inline constexpr char kColScale[] = "col_scale";
inline constexpr char kGroupScale[] = "group_scale";
inline constexpr char kZero[] = "zero";
inline constexpr char kOutliers[] = "outliers";

inline bool is_known(std::string_view name) {
  constexpr std::array<std::string_view, 7> kAll = {kBitstream,  kData, kRowScale, kColScale,
                                                    kGroupScale, kZero, kOutliers};
  return std::ranges::find(kAll, name) != kAll.end();
}

}  // namespace llmcodec::part_name

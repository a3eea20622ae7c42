// SPDX-License-Identifier: BSD-3-Clause
// The order in which the levels of a transform block are coded (H.266 6.5.2): sub-blocks of 4x4 along
// up-right diagonals, low frequencies first, and the sixteen positions of each sub-block likewise.
//
// Example (const int32_t* block, int32_t* scanned):
//
//   const ScanOrder& scan = scan_order(5, 5);                        // of a 32x32 block
//   for (int n = 0; n < scan.count; ++n) scanned[n] = block[scan[n].raster];
//   const int position = scan_position_of(5, 5, 3, 2);               // of column 3, row 2
#pragma once

#include <algorithm>
#include <cstdint>

namespace llmcodec::vvc {

// Calls visit(x, y) for every place of a grid of width x height, in scan order.
template <class Visit>
constexpr void visit_diagonally(int width, int height, Visit visit) {
  for (int diagonal = 0; diagonal < width + height - 1; ++diagonal)
    for (int y = std::min(diagonal, height - 1); y >= 0 && diagonal - y < width; --y) visit(diagonal - y, y);
}

// The sixteen positions of a sub-block.
struct SubblockScan {
  uint8_t x[16] = {}, y[16] = {};  // by position
  uint8_t at[4][4] = {};           // the position, by [y][x]
  constexpr SubblockScan() {
    uint8_t n = 0;
    visit_diagonally(4, 4, [&](int column, int row) {
      x[n] = static_cast<uint8_t>(column);
      y[n] = static_cast<uint8_t>(row);
      at[row][column] = n++;
    });
  }
};
inline constexpr SubblockScan kSubblockScan;

// Whether position `m` of a sub-block is in the template of its position `n` (level_template.h).
constexpr bool is_in_template(int n, int m) {
  const int right = kSubblockScan.x[m] - kSubblockScan.x[n], down = kSubblockScan.y[m] - kSubblockScan.y[n];
  return right >= 0 && down >= 0 && (right + down == 1 || right + down == 2);
}

// What the diagonal of the block, x + y, adds to ctxInc of sig_coeff_flag: 8, 4 or 0 (multiples of 4).
constexpr int sig_offset_of(int diagonal) {
  return diagonal < 2 ? 8 : diagonal < 5 ? 4 : 0;
}
// The same for par_level_flag and abs_level_gtx_flag: 16, 11, 6 or 1 (multiples of 5, and 1).
constexpr int greater_offset_of(int diagonal) {
  return diagonal == 0 ? 16 : diagonal < 3 ? 11 : diagonal < 10 ? 6 : 1;
}

// Levels of a block in raster order with two spare columns and rows, so that a template
// never has to look for the border.
inline constexpr int kPaddedStride = 34;
inline constexpr int kPaddedSize = kPaddedStride * 34;

// One coefficient's place in the block, with all that the contexts take from the place.
struct ScanEntry {
  uint16_t raster;         // x + y * (width of the block)
  uint16_t padded;         // x + y * kPaddedStride
  uint8_t x, y;            // xC, yC
  uint8_t sig_offset;      // sig_offset_of(x + y)
  uint8_t greater_offset;  // greater_offset_of(x + y)
};

// The scan of a block of 4..64 by 4..64. Only its low 32 columns and rows carry coefficients.
struct ScanOrder {
  const ScanEntry* entries;   // `count` of them
  int count;                  // min(width, 32) * min(height, 32)
  const uint8_t* subblock_x;  // count / 16 elements each: where the sub-blocks stand, in sub-blocks
  const uint8_t* subblock_y;
  const ScanEntry& operator[](int scan_position) const { return entries[scan_position]; }
};

// log2 sizes 2..6. Built at first use, thread-safe, lives for ever.
const ScanOrder& scan_order(int log2_width, int log2_height);

// Scan position of column x, row y (both < 32 and inside the block).
int scan_position_of(int log2_width, int log2_height, int x, int y);

}  // namespace llmcodec::vvc

// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/residual/scan.h"

#include <array>
#include <memory>
#include <vector>

namespace llmcodec::vvc {
namespace {

struct ScanTables {
  std::vector<ScanEntry> entries;
  std::vector<uint8_t> subblock_x, subblock_y;
  std::array<uint16_t, 32 * 32> position_of;  // by x + 32 * y
  ScanOrder order;
};

ScanEntry scan_entry(int x, int y, int log2_width) {
  return {.raster = static_cast<uint16_t>(x + (y << log2_width)),
          .padded = static_cast<uint16_t>(x + y * kPaddedStride),
          .x = static_cast<uint8_t>(x),
          .y = static_cast<uint8_t>(y),
          .sig_offset = static_cast<uint8_t>(sig_offset_of(x + y)),
          .greater_offset = static_cast<uint8_t>(greater_offset_of(x + y))};
}

std::unique_ptr<ScanTables> build_scan(int log2_width, int log2_height) {
  auto tables = std::make_unique<ScanTables>();
  const int width = 1 << std::min(log2_width, 5), height = 1 << std::min(log2_height, 5);
  visit_diagonally(width / 4, height / 4, [&](int subblock_x, int subblock_y) {
    tables->subblock_x.push_back(static_cast<uint8_t>(subblock_x));
    tables->subblock_y.push_back(static_cast<uint8_t>(subblock_y));
    for (int n = 0; n < 16; ++n) {
      const int x = 4 * subblock_x + kSubblockScan.x[n], y = 4 * subblock_y + kSubblockScan.y[n];
      tables->position_of[x + 32 * y] = static_cast<uint16_t>(tables->entries.size());
      tables->entries.push_back(scan_entry(x, y, log2_width));
    }
  });
  tables->order = {tables->entries.data(), static_cast<int>(tables->entries.size()),
                   tables->subblock_x.data(), tables->subblock_y.data()};
  return tables;
}

const ScanTables& scan_tables(int log2_width, int log2_height) {
  static const auto all = [] {
    std::array<std::array<std::unique_ptr<ScanTables>, 5>, 5> tables;
    for (int w = 0; w < 5; ++w)
      for (int h = 0; h < 5; ++h) tables[w][h] = build_scan(w + 2, h + 2);
    return tables;
  }();
  return *all[log2_width - 2][log2_height - 2];
}

}  // namespace

const ScanOrder& scan_order(int log2_width, int log2_height) {
  return scan_tables(log2_width, log2_height).order;
}

int scan_position_of(int log2_width, int log2_height, int x, int y) {
  return scan_tables(log2_width, log2_height).position_of[x + 32 * y];
}

}  // namespace llmcodec::vvc

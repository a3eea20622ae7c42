// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/residual/scan.h"

#include <gtest/gtest.h>

#include <set>

namespace llmcodec::vvc {
namespace {

TEST(Scan, is_a_permutation_of_the_low_32x32) {
  for (int w = 2; w <= 6; ++w)
    for (int h = 2; h <= 6; ++h) {
      const ScanOrder& scan = scan_order(w, h);
      EXPECT_EQ(scan.count, (1 << std::min(w, 5)) * (1 << std::min(h, 5)));
      std::set<int> seen;
      for (int n = 0; n < scan.count; ++n) {
        seen.insert(scan[n].raster);
        EXPECT_EQ(scan_position_of(w, h, scan[n].x, scan[n].y), n);
      }
      EXPECT_EQ(static_cast<int>(seen.size()), scan.count);
    }
  const ScanOrder& scan = scan_order(3, 3);  // first sub-block by hand: down-left to up-right diagonals
  EXPECT_EQ(scan[1].y, 1);
  EXPECT_EQ(scan[2].x, 1);
  EXPECT_EQ(scan[3].y, 2);
  EXPECT_EQ(scan[16].y, 4);
  EXPECT_EQ(scan[16].x, 0);
}

// The five neighbours that H.266 9.3.4.2.7 lists, as far as they are in the sub-block.
TEST(Scan, template_is_two_right_two_below_and_the_diagonal) {
  for (int n = 0; n < 16; ++n)
    for (int m = 0; m < 16; ++m) {
      const int right = kSubblockScan.x[m] - kSubblockScan.x[n],
                down = kSubblockScan.y[m] - kSubblockScan.y[n];
      const std::set<std::pair<int, int>> neighbours = {{1, 0}, {2, 0}, {1, 1}, {0, 1}, {0, 2}};
      EXPECT_EQ(is_in_template(n, m), neighbours.contains({right, down})) << n << ' ' << m;
    }
}

}  // namespace
}  // namespace llmcodec::vvc

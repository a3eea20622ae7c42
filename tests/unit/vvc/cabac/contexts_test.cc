// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/cabac/contexts.h"

#include <gtest/gtest.h>

#include <cstring>

#include "vvc/cabac/context_tables.h"

namespace llmcodec::vvc {
namespace {

TEST(Contexts, rows_cover_every_model_once) {
  int next = 0;
  for (const ContextTableRow& row : context_table()) {
    EXPECT_EQ(row.first, next) << row.name;
    EXPECT_EQ(row.init_value.size(), row.shift_idx.size()) << row.name;
    next += static_cast<int>(row.init_value.size());
  }
  EXPECT_EQ(next, ctx::kCount);
}

TEST(Contexts, table_checksum) {
  uint32_t fnv = 2166136261u;
  for (const ContextTableRow& row : context_table())
    for (size_t i = 0; i < row.init_value.size(); ++i)
      for (uint8_t byte : {row.init_value[i], row.shift_idx[i]}) {
        ASSERT_LT(byte, 64);
        fnv = (fnv ^ byte) * 16777619u;
      }
  EXPECT_EQ(fnv, 3431939757u);
}

TEST(Contexts, initial_state_by_qp) {
  // initValue 25 of intra_luma_ref_idx: slope -1, offset 19; at QP 26: (-10 >> 1) + 19 = 14.
  const ContextModel model = initial_contexts(26)[ctx::kIntraLumaRefIdx];
  EXPECT_EQ(model.p_state_idx0(), 14 << 3);
  EXPECT_EQ(model.p_state_idx1(), 14 << 7);
  EXPECT_EQ(model.shift0, 3);
  EXPECT_EQ(model.shift1, 7);
  EXPECT_EQ(model.probability(), 14 << 8);
}

TEST(Contexts, qp_outside_0_to_63_is_clipped) {
  for (int i = 0; i < ctx::kCount; ++i) {
    EXPECT_EQ(initial_contexts(-12)[i].probability(), initial_contexts(0)[i].probability());
    EXPECT_EQ(initial_contexts(70)[i].probability(), initial_contexts(63)[i].probability());
  }
}

TEST(Contexts, update_saturates_inside_range) {
  for (int bin : {0, 1}) {
    for (ContextModel model : initial_contexts(32)) {
      for (int i = 0; i < 100000; ++i) model.update(bin);
      EXPECT_LE(model.p_state_idx0(), 1023);
      EXPECT_LE(model.p_state_idx1(), 16383);
      EXPECT_EQ(model.probability() >> 14, bin);
    }
  }
}

}  // namespace
}  // namespace llmcodec::vvc

// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/residual/lanes/lane_models.h"

#include <cstddef>

namespace llmcodec::vvc {
namespace {

LaneShifts make_lane_shifts() {
  const ContextSet contexts = initial_contexts(26);  // shifts do not depend on the QP
  const auto shifts = [&](int model) {
    const ContextModel& m = contexts[static_cast<size_t>(model)];
    return uint32_t{m.shift0} << 16 | m.shift1;
  };
  constexpr int kGreater[3] = {ctx::kParLevelFlag, ctx::kAbsLevelGt1Flag, ctx::kAbsLevelGt3Flag};
  LaneShifts table{};
  for (int i = 0; i < 2; ++i) table.sb_coded[i] = shifts(ctx::kSbCodedFlag + i);
  for (int offset = 0; offset < 3; ++offset)
    for (int i = 0; i < 12; ++i)
      table.sig[offset][i] = shifts(ctx::kSigCoeffFlag + 12 * (i / 4) + 4 * offset + i % 4);
  for (int flag = 0; flag < 3; ++flag)
    for (int offset = 0; offset < 4; ++offset)
      for (int i = 0; i < 5; ++i)
        table.greater[flag][offset][i] = shifts(kGreater[flag] + 1 + 5 * offset + i);
  return table;
}

}  // namespace

const LaneShifts& lane_shifts() {
  static const LaneShifts kTable = make_lane_shifts();
  return kTable;
}

}  // namespace llmcodec::vvc

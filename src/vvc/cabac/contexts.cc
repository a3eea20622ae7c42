// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/cabac/contexts.h"

#include <algorithm>

#include "vvc/cabac/context_tables.h"

namespace llmcodec::vvc {
namespace {

// H.266 9.3.2.2 Initialization process for context variables
ContextModel initial_model(int init_value, int shift_idx, int qp) {
  const int slope = (init_value >> 3) - 4;
  const int offset = (init_value & 7) * 18 + 1;
  const int pre_ctx_state = std::clamp(((slope * (qp - 16)) >> 1) + offset, 1, 127);
  ContextModel model;
  model.states = static_cast<uint32_t>(pre_ctx_state) << 19 | static_cast<uint32_t>(pre_ctx_state) << 7;
  model.shift0 = static_cast<uint8_t>((shift_idx >> 2) + 2);
  model.shift1 = static_cast<uint8_t>((shift_idx & 3) + 3 + model.shift0);
  model.rise = 1023u >> model.shift0 << 16 | 16383u >> model.shift1;
  return model;
}

}  // namespace

ContextSet initial_contexts(int slice_qp) {
  const int qp = std::clamp(slice_qp, 0, 63);
  ContextSet contexts{};
  for (const ContextTableRow& row : context_table())
    for (size_t i = 0; i < row.init_value.size(); ++i)
      contexts[row.first + i] = initial_model(row.init_value[i], row.shift_idx[i], qp);
  return contexts;
}

}  // namespace llmcodec::vvc

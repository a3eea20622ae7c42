// SPDX-License-Identifier: BSD-3-Clause
// What a model says of itself in its GGUF header or config.json that its tensors do not show.
#pragma once

#include <string>
#include <vector>

#include "estimate/architecture.h"
#include "tensor/model_source.h"

namespace llmcodec {

struct ModelSettings {
  std::string type;                   // general.architecture or model_type; empty where it is not said
  const Architecture* row = nullptr;  // of the stack that these settings are for
  bool gguf = false;
  // 0: not said
  int64_t heads = 0, kv_heads = 0, head_width = 0, rotated = 0;
  double rotated_share = 0, rotation_base = 0, epsilon = 0, score_factor = 0, embedding_factor = 0,
         residual_factor = 0, logit_factor = 0;
  double local_base = 0;             // of rotation, in local layers
  int64_t local_layers = 0;          // of so many layers all but one are local
  std::vector<bool> layer_is_local;  // or each layer by itself; empty where it is not said
  bool in_turn = false;              // use_parallel_residual is there and false
};

// Of each stack of layers that the table of architectures has a row for; one without a row where it has none.
// Errors: a config.json that cannot be read or is no JSON.
Result<std::vector<ModelSettings>> read_model_settings(const Model& model);

}  // namespace llmcodec

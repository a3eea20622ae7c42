// SPDX-License-Identifier: BSD-3-Clause
// What a model says of itself in its GGUF header or config.json that its tensors do not show.
#pragma once

#include <string>

#include "tensor/model_source.h"

namespace llmcodec {

struct ModelSettings {
  std::string type;  // general.architecture or model_type; empty where it is not said
  bool gguf = false;
  // 0: not said
  int64_t heads = 0, kv_heads = 0, head_width = 0, rotated = 0;
  double rotated_share = 0, rotation_base = 0, epsilon = 0, score_factor = 0, embedding_factor = 0,
         residual_factor = 0;
  bool in_turn = false;  // use_parallel_residual is there and false
};

// Errors: a config.json that cannot be read or is no JSON.
Result<ModelSettings> read_model_settings(const Model& model);

}  // namespace llmcodec

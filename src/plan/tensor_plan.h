// SPDX-License-Identifier: BSD-3-Clause
// The plan: what happens to each tensor. Made from a model and options, or read from a file that the user
// edited. docs/plan.md describes the JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "llmcodec/model.h"
#include "quant/scales.h"
#include "tensor/model_source.h"

namespace llmcodec {

struct TensorPlan {
  std::string name;
  bool code = false;
  std::string reason;        // why it is kept exactly
  uint64_t rows = 0;         // of the tensor's matrices
  bool auto_scales = false;  // scales are still to be chosen
  ScaleSpec scales;
  // Of row and dual scales, docs/plan.md. Row scales go with this power of the rows' RMS; negative: to be
  // chosen.
  double row_exponent = 1;
  double column_exponent = 1;  // dual column scales go with this power of what unit RMS asks for
  double token_rank = 0;  // exponent of token frequencies, guessed from ranks, in an embedding's row scales
  bool asymmetric = false;
  std::string codec = "vvc";
  std::string layout = "spectral";  // or "spatial"
  uint32_t bit_depth = 10;          // spatial
  double step_octaves = 0;   // step of this tensor relative to the others, in octaves: bits it gives up
  bool auto_octaves = true;  // step_octaves is still to be chosen
  // Found by the rate search (or edited):
  double step = 0;                 // u per sample step (spatial) or per index (spectral); 0: not yet known
  double quality = 0;              // of the codec; spectral: the slice QP
  uint32_t outputs_per_block = 0;  // spectral
  uint64_t predicted_bytes = 0;
  double predicted_snr_db = 0;
};

struct Plan {
  Target target;
  std::vector<TensorPlan> tensors;  // in source order
};

// Chooses what to code and how, without steps. Errors: InvalidArgument for a rule that cannot be parsed, that
// matches no tensor, or that asks to code what cannot be coded.
Result<Plan> draft_plan(const Model& model, const CompressOptions& options);

std::string plan_to_text(const Plan& plan);
// Corrupt for text that is no plan; InvalidArgument, with the tensor, for values outside their range or a
// plan whose tensors are not the model's.
Result<Plan> plan_from_text(const std::string& text, const Model& model);

}  // namespace llmcodec

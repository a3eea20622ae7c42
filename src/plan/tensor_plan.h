// SPDX-License-Identifier: BSD-3-Clause
// The plan: what happens to each tensor. It is drafted from options and rules, or read from a file that the
// user edited (both give drafts, in which things may be left open); resolve() decides what is open, once, and
// nothing changes a plan afterwards. Steps are no part of it: they are searched for, or come with the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plane/layout.h"
#include "quant/scales.h"

namespace llmcodec {

// What was asked for. What is absent is for resolve() to decide.
struct TensorDraft {
  std::string name;
  bool code = false;
  std::string reason;       // why it is kept exactly
  bool keep_asked = false;  // by a rule of the user's
  std::optional<ScaleSpec> scales;
  std::optional<double> row_exponent, column_exponent, token_rank;
  bool asymmetric = false;
  std::string codec = "vvc";  // as open_codec() takes it
  std::optional<Layout> layout;
  std::optional<uint32_t> bit_depth;
  std::optional<double> step_octaves;
  bool operator==(const TensorDraft&) const = default;
};

struct TensorPlan {
  std::string name;
  bool code = false;
  std::string reason;  // why it is kept exactly
  ScaleSpec scales;
  // Of row and dual scales (docs/plan.md). Row scales go with this power of the rows' RMS, dual column scales
  // with this power of what unit RMS asks for, an embedding's row scales with this exponent of token
  // frequencies guessed from ranks.
  double row_exponent = 1, column_exponent = 1, token_rank = 0;
  bool asymmetric = false;
  std::string codec = "vvc";
  Layout layout = Layout::kSpectral;
  Lines lines = Lines::kNone;  // that are folded (plane/fold.h)
  uint32_t bit_depth = 10;     // spatial
  // Step of this tensor relative to the others, in octaves: bits it gives up. Absent: by what its errors cost
  // the model (octaves_by_damage), once its scales are fitted.
  std::optional<double> step_octaves;
};

struct Plan {
  std::vector<TensorPlan> tensors;  // in source order
};

// Found by the rate search, or read from a plan file. One per tensor of the source, in its order; those of
// tensors that are kept mean nothing.
struct TensorSettings {
  double octaves = 0;  // as TensorPlan::step_octaves
  PictureSettings pictures;
  uint64_t predicted_bytes = 0;  // 0: not known yet
  double predicted_snr_db = 0;
};

}  // namespace llmcodec

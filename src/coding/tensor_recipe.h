// SPDX-License-Identifier: BSD-3-Clause
// The stages of a coded tensor, typed, and their JSON in the archive (docs/format.md, section 2). What a
// stage does is in quant/, plane/ and codec/; here is only what must be written down so that decoding never
// guesses.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "archive/description.h"
#include "plane/spatial_layout.h"
#include "plane/spectral_layout.h"
#include "quant/affine.h"
#include "quant/scales.h"

namespace llmcodec {

// In which order columns are coded, recomputed from the col_scale codes: as they stand, by code, or by the
// class that the codes carry (closed loop).
enum class ColumnOrder { kNone, kColScale, kColClass };
std::vector<uint32_t> coding_order(ColumnOrder order, std::span<const uint8_t> col_codes);  // empty for kNone

// What all matrices of a tensor share; the codes themselves are parts of the archive. One LogCode per matrix.
struct ScalesStage {
  ScaleSpec spec;
  bool asymmetric = false;
  ColumnOrder order = ColumnOrder::kNone;
  std::vector<float> tensor_scale;                      // kTensor: one per matrix
  std::vector<LogCode> row_code, col_code, group_code;  // as the kind needs them: one per matrix
};

struct SpectralStage {
  SpectralLayout layout;
  float step = 1;  // u = index * step
};

struct SpatialStage {
  SpatialLayout layout;
  AffineParams affine;
};

struct CodecStage {
  std::string name;     // of the codec
  std::string spec;     // with its options, as open_codec() takes it
  std::string version;  // of the library that wrote the bytes
  std::string stream;   // stream format
  double quality = 0;
  uint32_t pictures_per_segment = 1;
  std::vector<uint64_t> segment_bytes;
};

struct CodedTensor {
  ScalesStage scales;
  std::variant<SpatialStage, SpectralStage> layout;
  CodecStage codec;

  bool is_spectral() const { return std::holds_alternative<SpectralStage>(layout); }
  const SpatialStage& spatial() const { return *std::get_if<SpatialStage>(&layout); }
  const SpectralStage& spectral() const { return *std::get_if<SpectralStage>(&layout); }
  uint64_t pictures_per_matrix() const;
};

std::vector<nlohmann::json> stages_to_json(const CodedTensor& tensor);
// Corrupt for a missing or impossible value, Unsupported for a stage, version or kind that is not known.
Result<CodedTensor> stages_from_json(const TensorRecord& record);

// True for a tensor stored exactly as bytes of a dtype that safetensors cannot name.
bool is_verbatim(const TensorRecord& record);
nlohmann::json verbatim_stage();

}  // namespace llmcodec

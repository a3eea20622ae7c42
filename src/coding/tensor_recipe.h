// SPDX-License-Identifier: BSD-3-Clause
// The recipe of a coded tensor: its stages with their numbers, and their JSON in the archive (docs/format.md,
// section 2). What a stage does is in quant/, plane/ and codec/; here is what must be written down so that
// decoding never guesses. One function makes recipes for the encoder, another reads them from an archive.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "archive/description.h"
#include "llmcodec/codec.h"
#include "plane/fold.h"
#include "plane/layout.h"
#include "plane/spatial_layout.h"
#include "plane/spectral_layout.h"
#include "quant/affine.h"
#include "quant/scales.h"
#include "tensor/matrix_shape.h"
#include "tensor/tensor_source.h"

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
  SpectralLayout layout;  // of the folded matrix where there is a fold
  std::optional<Fold> fold = {};
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

struct TensorRecipe {
  ScalesStage scales;
  std::variant<SpatialStage, SpectralStage> layout;
  CodecStage codec;

  bool is_spectral() const { return std::holds_alternative<SpectralStage>(layout); }
  const SpatialStage& spatial() const { return *std::get_if<SpatialStage>(&layout); }
  const SpectralStage& spectral() const { return *std::get_if<SpectralStage>(&layout); }
  uint64_t pictures_per_matrix() const;
  uint64_t segments_per_matrix() const;
  // Rows and coded columns of the matrix (folded: of the folded one) that picture `index` of it holds.
  PictureRect picture(uint64_t index) const;
  // Whether every picture holds whole rows, so that rows can be decoded without the rest of their matrix.
  bool has_whole_rows() const;
  // The least that a segment of so many pictures can take (docs/format.md, section 2.6); UINT64_MAX where that
  // overflows. What is less was not made by any codec, and its pictures' memory must not be taken.
  uint64_t least_segment_bytes(uint64_t pictures) const;
};

// Weights that are coded at once: the pictures of a spatial segment, or spectral pictures side by side. As
// many of the usual size as the narrower vectors have lanes (vvc/residual/lanes/write_32x32_lanes.h); twice
// as many would be a tenth faster and take twice the memory.
inline constexpr uint64_t kWeightsAtOnce = 8 * kDefaultPictureWeights;

// The recipe for matrices of rows x cols weights, segments still without bytes. InvalidArgument for settings
// that the layout cannot follow.
Result<TensorRecipe> make_recipe(uint64_t rows, uint64_t cols, ScalesStage scales,
                                 const PictureSettings& settings, const Codec& codec);

std::vector<nlohmann::json> recipe_to_json(const TensorRecipe& recipe);
// Corrupt for a missing or impossible value (a dtype that holds no weights is one), Unsupported for a stage,
// version or kind that is not known.
Result<TensorRecipe> recipe_from_record(const TensorRecord& record);
// The same of a tensor that is not coded yet: of its segments nothing is said.
Result<TensorRecipe> recipe_before_coding(const TensorRecord& record);

// Limit for a recipe by which more than kMaxBlockWeights weights would be decoded at once. That memory is taken
// before a byte of the stream is looked at, so sizes that no writer makes must fail here.
Status check_block_size(const TensorRecord& record, const TensorRecipe& recipe);

// What the description says of a coded tensor; parts, samples and outliers are still to be filled in.
TensorRecord coded_record(const TensorInfo& info, const MatrixShape& shape, const TensorRecipe& recipe);
// The same of a tensor stored exactly as bytes of a dtype that safetensors cannot name.
TensorRecord verbatim_record(const TensorInfo& info);
bool is_verbatim(const TensorRecord& record);

}  // namespace llmcodec

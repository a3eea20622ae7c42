// SPDX-License-Identifier: BSD-3-Clause
#include "coding/tensor_recipe.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"

namespace llmcodec {
namespace {

using nlohmann::json;

constexpr char kVerbatim[] = "verbatim";  // the stage of a tensor stored exactly as bytes

const std::map<ColumnOrder, std::string> kOrderNames = {{ColumnOrder::kColScale, "col_scale"},
                                                        {ColumnOrder::kColClass, "col_class"}};

// Binary32 as the shortest decimal that reads back to it; nlohmann prints doubles, so the double must be that
// decimal.
double shortest(float value) {
  return std::stod(fmt::format("{}", value));
}

json codes_to_json(const std::vector<LogCode>& codes) {
  json list = json::array();
  for (const LogCode& code : codes) list.push_back({shortest(code.base), code.per_octave});
  return codes.size() == 1 ? list[0] : list;
}

Error bad(const char* stage, const char* field) {
  return error(ErrorKind::kCorrupt, "stage '{}' lacks a valid '{}'", stage, field);
}

Result<double> number(const json& stage, const char* name, const char* field) {
  const auto found = stage.find(field);
  if (found == stage.end() || !found->is_number() || !std::isfinite(found->get<double>()))
    return bad(name, field);
  return found->get<double>();
}

Result<uint32_t> small_integer(const json& stage, const char* name, const char* field, uint32_t max) {
  const auto found = stage.find(field);
  if (found == stage.end() || !found->is_number_unsigned() || found->get<uint64_t>() > max)
    return bad(name, field);
  return found->get<uint32_t>();
}

Result<std::string> text(const json& stage, const char* name, const char* field) {
  const auto found = stage.find(field);
  if (found == stage.end() || !found->is_string()) return bad(name, field);
  return found->get<std::string>();
}

Result<std::pair<uint32_t, uint32_t>> pair(const json& stage, const char* name, const char* field) {
  const auto found = stage.find(field);
  const bool valid = found != stage.end() && found->is_array() && found->size() == 2 &&
                     (*found)[0].is_number_unsigned() && (*found)[1].is_number_unsigned() &&
                     (*found)[0].get<uint64_t>() <= UINT32_MAX && (*found)[1].get<uint64_t>() <= UINT32_MAX;
  if (!valid) return bad(name, field);
  return std::pair{(*found)[0].get<uint32_t>(), (*found)[1].get<uint32_t>()};
}

Result<LogCode> log_code(const json& value, const char* field) {
  if (!value.is_array() || value.size() != 2 || !value[0].is_number() || !value[1].is_number_unsigned() ||
      value[1].get<uint64_t>() > UINT32_MAX)
    return bad("scales", field);
  LogCode code{static_cast<float>(value[0].get<double>()), value[1].get<uint32_t>()};
  if (!code.is_valid()) return bad("scales", field);
  return code;
}

Result<std::vector<LogCode>> log_codes(const json& stage, const char* field, uint64_t matrices) {
  const auto found = stage.find(field);
  if (found == stage.end() || !found->is_array()) return bad("scales", field);
  std::vector<LogCode> codes;
  if (matrices == 1) {
    LLMC_ASSIGN_OR_RETURN(LogCode code, log_code(*found, field));
    codes.push_back(code);
    return codes;
  }
  if (found->size() != matrices) return bad("scales", field);
  for (const json& value : *found) {
    LLMC_ASSIGN_OR_RETURN(LogCode code, log_code(value, field));
    codes.push_back(code);
  }
  return codes;
}

json scales_to_json(const ScalesStage& scales) {
  json stage = {{"stage", "scales"}, {"kind", scale_spec_name(scales.spec)}};
  if (!scales.row_code.empty()) stage["row"] = codes_to_json(scales.row_code);
  if (!scales.col_code.empty()) stage["col"] = codes_to_json(scales.col_code);
  if (!scales.group_code.empty()) stage["codes"] = codes_to_json(scales.group_code);
  for (float scale : scales.tensor_scale) stage["scale"].push_back(shortest(scale));
  if (scales.asymmetric) stage["zero"] = true;
  if (scales.order != ColumnOrder::kNone) stage["order"] = kOrderNames.at(scales.order);
  return stage;
}

Status read_tensor_scales(const json& stage, uint64_t matrices, ScalesStage* scales) {
  const auto found = stage.find("scale");
  if (found == stage.end() || !found->is_array() || found->size() != matrices) return bad("scales", "scale");
  for (const json& value : *found) {
    const double scale = value.is_number() ? value.get<double>() : -1;
    if (!(scale >= 0) || !std::isfinite(static_cast<float>(scale))) return bad("scales", "scale");
    scales->tensor_scale.push_back(static_cast<float>(scale));
  }
  return Status::ok();
}

Result<ScalesStage> scales_from_json(const json& stage, uint64_t matrices) {
  ScalesStage scales;
  LLMC_ASSIGN_OR_RETURN(const std::string kind, text(stage, "scales", "kind"));
  auto spec = parse_scale_spec(kind);
  if (!spec.is_ok()) return error(ErrorKind::kUnsupported, "scales of kind '{}' are not known", kind);
  scales.spec = *spec;
  const ScaleKind k = spec->kind;
  if (k == ScaleKind::kRow || k == ScaleKind::kDual) {
    LLMC_ASSIGN_OR_RETURN(scales.row_code, log_codes(stage, "row", matrices));
  }
  if (k == ScaleKind::kColumn || k == ScaleKind::kDual) {
    LLMC_ASSIGN_OR_RETURN(scales.col_code, log_codes(stage, "col", matrices));
  }
  if (k == ScaleKind::kGroup) {
    LLMC_ASSIGN_OR_RETURN(scales.group_code, log_codes(stage, "codes", matrices));
  }
  if (k == ScaleKind::kTensor) LLMC_RETURN_IF_ERROR(read_tensor_scales(stage, matrices, &scales));
  if (stage.contains("zero") && !stage["zero"].is_boolean()) return bad("scales", "zero");
  scales.asymmetric = stage.contains("zero") && stage["zero"] == true;
  if (stage.contains("order")) {
    for (const auto& [order, name] : kOrderNames) {
      if (stage["order"] == name) scales.order = order;
    }
    if (scales.order == ColumnOrder::kNone || scales.col_code.empty()) return bad("scales", "order");
  }
  return scales;
}

json spatial_to_json(const SpatialLayout& layout) {
  return {{"stage", "layout"},
          {"kind", "spatial"},
          {"picture", {layout.width, layout.height}},
          {"cuts", {layout.row_cuts, layout.col_cuts}}};
}

json spectral_to_json(const SpectralStage& stage) {
  json value = {{"stage", "layout"},
                {"kind", "spectral"},
                {"step", shortest(stage.step)},
                {"coefficients", stage.layout.block_coefficients()},
                {"blocks", {stage.layout.blocks_x, stage.layout.strips}},
                {"cuts", {stage.layout.row_cuts, stage.layout.col_cuts}}};
  if (stage.fold) value["lines"] = lines_name(stage.fold->lines);
  return value;
}

// The fold of a stage that has one; the scales must be such that a line has one scale.
Result<std::optional<Fold>> fold_from_json(const json& stage, const TensorRecord& record,
                                           const ScalesStage& scales) {
  if (!stage.contains("lines")) return std::optional<Fold>();
  LLMC_ASSIGN_OR_RETURN(const std::string name, text(stage, "layout", "lines"));
  const auto lines = lines_from_name(name);
  if (!lines) return error(ErrorKind::kUnsupported, "lines '{}' are not known", name);
  const ScaleKind needed = *lines == Lines::kRows ? ScaleKind::kRow : ScaleKind::kColumn;
  if (scales.order != ColumnOrder::kNone || scales.spec.kind != needed) return bad("layout", "lines");
  const auto [shorter, longer] = std::minmax(record.rows, record.cols);
  if (shorter == 0 || longer > kMaxBlockWeights) return bad("layout", "lines");
  const Fold fold = Fold::make(*lines, record.rows, record.cols);
  if (fold.line_count() > kMaxLines) return bad("layout", "lines");
  return std::optional(fold);
}

// The pictures must cover the matrix and none of them lie outside it.
bool covers(uint64_t total, uint64_t size, uint64_t cuts) {
  return size > 0 && cuts > 0 && size <= kMaxPictureSamples && cuts <= total && (cuts - 1) * size < total &&
         cuts * size >= total;
}

Result<SpatialStage> spatial_from_json(const json& affine, const json& layout, const TensorRecord& record) {
  SpatialStage spatial;
  LLMC_ASSIGN_OR_RETURN(const double step, number(affine, "affine", "step"));
  LLMC_ASSIGN_OR_RETURN(spatial.affine.bit_depth, small_integer(affine, "affine", "bit_depth", 16));
  LLMC_ASSIGN_OR_RETURN(spatial.affine.zero_sample, small_integer(affine, "affine", "zero", 65535));
  spatial.affine.step_lsb = static_cast<float>(step);
  LLMC_RETURN_IF_ERROR(validate(spatial.affine));
  LLMC_ASSIGN_OR_RETURN(const auto picture, pair(layout, "layout", "picture"));
  LLMC_ASSIGN_OR_RETURN(const auto cuts, pair(layout, "layout", "cuts"));
  SpatialLayout& l = spatial.layout;
  l.rows = record.rows;
  l.cols = record.cols;
  l.width = picture.first;
  l.height = picture.second;
  l.row_cuts = cuts.first;
  l.col_cuts = cuts.second;
  if (!covers(l.rows, l.width, l.row_cuts) || !covers(l.cols, l.height, l.col_cuts) ||
      uint64_t{l.width} * l.height > kMaxPictureSamples)
    return bad("layout", "picture");
  return spatial;
}

Result<SpectralStage> spectral_from_json(const json& stage, const TensorRecord& record,
                                         const ScalesStage& scales) {
  SpectralStage spectral;
  LLMC_ASSIGN_OR_RETURN(spectral.fold, fold_from_json(stage, record, scales));
  LLMC_ASSIGN_OR_RETURN(const double step, number(stage, "layout", "step"));
  LLMC_ASSIGN_OR_RETURN(const uint32_t coefficients,
                        small_integer(stage, "layout", "coefficients", kStripInputs * kMaxOutputsPerBlock));
  LLMC_ASSIGN_OR_RETURN(const auto blocks, pair(stage, "layout", "blocks"));
  LLMC_ASSIGN_OR_RETURN(const auto cuts, pair(stage, "layout", "cuts"));
  spectral.step = static_cast<float>(step);
  if (!(spectral.step > 0) || !std::isfinite(spectral.step)) return bad("layout", "step");
  if (coefficients == 0 || coefficients % kStripInputs != 0) return bad("layout", "coefficients");
  SpectralLayout& l = spectral.layout;
  l.rows = spectral.fold ? spectral.fold->pieces() : record.rows;
  l.cols = spectral.fold ? spectral.fold->folded_cols() : record.cols;
  l.outputs_per_block = coefficients / kStripInputs;
  l.blocks_x = blocks.first;
  l.strips = blocks.second;
  l.row_cuts = cuts.first;
  l.col_cuts = cuts.second;
  if (l.blocks_x > kMaxPictureBlocks || l.strips > kMaxPictureBlocks ||
      !covers(l.rows, uint64_t{l.blocks_x} * l.outputs_per_block, l.row_cuts) ||
      !covers(l.cols, uint64_t{l.strips} * kStripInputs, l.col_cuts))
    return bad("layout", "blocks");
  if (spectral.fold && l.col_cuts != 1) return bad("layout", "cuts");  // pieces of lines stand in whole rows
  return spectral;
}

json codec_to_json(const CodecStage& codec) {
  return {{"stage", "codec"},
          {"name", codec.name},
          {"options", codec.spec},
          {"codec_version", codec.version},
          {"stream", codec.stream},
          {"quality", codec.quality},
          {"pictures", codec.pictures_per_segment},
          {"segments", codec.segment_bytes}};
}

// All but the segments.
Result<CodecStage> codec_from_json(const json& stage) {
  CodecStage codec;
  LLMC_ASSIGN_OR_RETURN(codec.name, text(stage, "codec", "name"));
  LLMC_ASSIGN_OR_RETURN(codec.spec, text(stage, "codec", "options"));
  LLMC_ASSIGN_OR_RETURN(codec.version, text(stage, "codec", "codec_version"));
  LLMC_ASSIGN_OR_RETURN(codec.stream, text(stage, "codec", "stream"));
  LLMC_ASSIGN_OR_RETURN(codec.quality, number(stage, "codec", "quality"));
  LLMC_ASSIGN_OR_RETURN(codec.pictures_per_segment, small_integer(stage, "codec", "pictures", UINT32_MAX));
  if (codec.pictures_per_segment == 0) return bad("codec", "segments");
  return codec;
}

Status read_segments(const json& stage, uint64_t segments_in_all, uint64_t stream_bytes, CodecStage* codec) {
  const auto segments = stage.find("segments");
  if (segments == stage.end() || !segments->is_array()) return bad("codec", "segments");
  uint64_t total = 0;
  for (const json& bytes : *segments) {
    if (!bytes.is_number_unsigned() || bytes.get<uint64_t>() > kMaxSegmentBytes)
      return bad("codec", "segments");
    codec->segment_bytes.push_back(bytes.get<uint64_t>());
    total += codec->segment_bytes.back();
  }
  if (total != stream_bytes || codec->segment_bytes.size() != segments_in_all)
    return bad("codec", "segments");
  return Status::ok();
}

// Pictures per segment: few enough for memory, enough that starting an encoder process does not matter. Never
// more than four: FFmpeg 8's libvvenc gives an empty stream, without an error, for 7 to 10 intra pictures (1
// to 6 and 12 are right).
uint32_t segment_pictures(const SpatialLayout& layout) {
  constexpr uint64_t kMaxPictures = 4;
  const uint64_t picture = uint64_t{layout.width} * layout.height;
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(kWeightsAtOnce / picture, 1, std::min(layout.pictures(), kMaxPictures)));
}

// A string member; empty when it is absent or no string (nlohmann's value() would throw).
std::string text_or_empty(const json& stage, const char* field) {
  const auto found = stage.find(field);
  return found != stage.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Status check_known(const json& stage) {
  const auto version = stage.find("version");
  if (version != stage.end() && *version != 1)
    return error(ErrorKind::kUnsupported, "stage '{}' has version {}, this program reads 1",
                 text_or_empty(stage, "stage"), version->dump());
  return Status::ok();
}

}  // namespace

std::vector<uint32_t> coding_order(ColumnOrder order, std::span<const uint8_t> col_codes) {
  switch (order) {
    case ColumnOrder::kColScale:
      return column_order(col_codes);
    case ColumnOrder::kColClass:
      return class_order(col_codes);
    case ColumnOrder::kNone:
      break;
  }
  return {};
}

uint64_t TensorRecipe::pictures_per_matrix() const {
  return is_spectral() ? spectral().layout.pictures() : spatial().layout.pictures();
}

uint64_t TensorRecipe::segments_per_matrix() const {
  return ceil_div(pictures_per_matrix(), codec.pictures_per_segment);
}

PictureRect TensorRecipe::picture(uint64_t index) const {
  return is_spectral() ? spectral().layout.picture(index) : spatial().layout.picture(index);
}

bool TensorRecipe::has_whole_rows() const {
  if (is_spectral() && spectral().fold) return false;
  return (is_spectral() ? spectral().layout.col_cuts : spatial().layout.col_cuts) == 1;
}

uint64_t TensorRecipe::least_segment_bytes(uint64_t pictures) const {
  const uint64_t picture_samples = is_spectral() ? spectral().layout.picture_coefficients()
                                                 : uint64_t{spatial().layout.width} * spatial().layout.height;
  const auto samples = checked_mul(pictures, picture_samples);
  if (!samples) return UINT64_MAX;
  if (codec.stream != "raw") return std::max(pictures, ceil_div(*samples, kMaxSamplesPerStreamByte));
  const auto bits = checked_mul(*samples, spatial().affine.bit_depth);
  return bits ? ceil_div(*bits, 8) : UINT64_MAX;
}

Result<TensorRecipe> make_recipe(uint64_t rows, uint64_t cols, ScalesStage scales,
                                 const PictureSettings& settings, const Codec& codec) {
  const CodecInfo& info = codec.info();
  TensorRecipe recipe;
  recipe.scales = std::move(scales);
  recipe.codec = {info.name, codec.spec(), info.version, info.stream_format, settings.quality, 1, {}};
  const auto step = static_cast<float>(settings.step);
  if (settings.layout == Layout::kSpectral) {
    SpectralStage stage;
    if (settings.lines != Lines::kNone) stage.fold = Fold::make(settings.lines, rows, cols);
    LLMC_ASSIGN_OR_RETURN(stage.layout, SpectralLayout::make(stage.fold ? stage.fold->pieces() : rows,
                                                             stage.fold ? stage.fold->folded_cols() : cols,
                                                             settings.outputs_per_block));
    stage.step = step;
    recipe.layout = stage;
  } else {
    SpatialStage stage;
    LLMC_ASSIGN_OR_RETURN(stage.layout, SpatialLayout::make(rows, cols));
    stage.affine = AffineParams::centred(settings.bit_depth, step);
    recipe.codec.pictures_per_segment = segment_pictures(stage.layout);
    recipe.layout = stage;
  }
  return recipe;
}

std::vector<json> recipe_to_json(const TensorRecipe& tensor) {
  std::vector<json> stages = {scales_to_json(tensor.scales)};
  if (tensor.is_spectral()) {
    stages.push_back(spectral_to_json(tensor.spectral()));
  } else {
    const AffineParams& affine = tensor.spatial().affine;
    stages.push_back({{"stage", "affine"},
                      {"step", shortest(affine.step_lsb)},
                      {"zero", affine.zero_sample},
                      {"bit_depth", affine.bit_depth}});
    stages.push_back(spatial_to_json(tensor.spatial().layout));
  }
  stages.push_back(codec_to_json(tensor.codec));
  return stages;
}

Status check_block_size(const TensorRecord& record, const TensorRecipe& recipe) {
  uint64_t rows = record.rows;
  if (recipe.has_whole_rows()) {
    const uint64_t picture_rows =
        recipe.is_spectral() ? recipe.picture(0).rows : recipe.spatial().layout.width;
    const uint64_t pictures =
        std::min<uint64_t>(recipe.codec.pictures_per_segment, recipe.pictures_per_matrix());
    rows = std::min(rows, checked_mul(picture_rows, pictures).value_or(rows));
  }
  const auto weights = checked_mul(rows, record.cols);
  if (!weights || *weights > kMaxBlockWeights)
    return error(ErrorKind::kLimit, "blocks of {} x {} weights, at most {} are decoded at once", rows,
                 record.cols, kMaxBlockWeights);
  return Status::ok();
}

namespace {

Status check_segment_bytes(const TensorRecipe& tensor) {
  if (tensor.codec.stream == "raw" && tensor.is_spectral()) return bad("codec", "stream");
  if (tensor.codec.pictures_per_segment != 1 && tensor.is_spectral()) return bad("codec", "pictures");
  const uint64_t per_matrix = tensor.segments_per_matrix(), per_segment = tensor.codec.pictures_per_segment;
  for (size_t s = 0; s < tensor.codec.segment_bytes.size(); ++s) {
    const uint64_t first = s % per_matrix * per_segment;
    const uint64_t pictures = std::min(per_segment, tensor.pictures_per_matrix() - first);
    const uint64_t least = tensor.least_segment_bytes(pictures);
    if (tensor.codec.segment_bytes[s] < least)
      return error(ErrorKind::kCorrupt, "segment {} has {} bytes, its {} pictures take {} at least", s,
                   tensor.codec.segment_bytes[s], pictures, least);
  }
  return Status::ok();
}

}  // namespace

Result<TensorRecipe> recipe_before_coding(const TensorRecord& record) {
  const auto dtype = dtype_from_name(record.dtype);
  if (!dtype) return error(ErrorKind::kUnsupported, "dtype '{}' is not known", record.dtype);
  if (!dtype_info(*dtype).floating)
    return error(ErrorKind::kCorrupt, "is coded, but {} is no dtype of weights", record.dtype);
  std::vector<std::string> names;
  for (const json& stage : record.stages) {
    LLMC_RETURN_IF_ERROR(check_known(stage));
    names.push_back(text_or_empty(stage, "stage"));
  }
  using Names = std::vector<std::string>;
  TensorRecipe tensor;
  const bool has_scales = !names.empty() && names[0] == "scales";
  if (has_scales) {
    LLMC_ASSIGN_OR_RETURN(tensor.scales, scales_from_json(record.stages[0], record.matrices));
  }
  if (names == Names{"scales", "affine", "layout", "codec"} &&
      text_or_empty(record.stages[2], "kind") == "spatial") {
    LLMC_ASSIGN_OR_RETURN(tensor.layout, spatial_from_json(record.stages[1], record.stages[2], record));
  } else if (names == Names{"scales", "layout", "codec"} &&
             text_or_empty(record.stages[1], "kind") == "spectral") {
    LLMC_ASSIGN_OR_RETURN(tensor.layout, spectral_from_json(record.stages[1], record, tensor.scales));
  } else {
    return error(ErrorKind::kUnsupported, "the chain of stages '{}' is not known", fmt::join(names, ", "));
  }
  LLMC_ASSIGN_OR_RETURN(tensor.codec, codec_from_json(record.stages.back()));
  return tensor;
}

Result<TensorRecipe> recipe_from_record(const TensorRecord& record) {
  LLMC_ASSIGN_OR_RETURN(TensorRecipe tensor, recipe_before_coding(record));
  const auto stream = record.parts.find("bitstream");
  if (stream == record.parts.end()) return error(ErrorKind::kCorrupt, "part 'bitstream' is absent");
  const auto segments = checked_mul(record.matrices, tensor.segments_per_matrix());
  if (!segments) return bad("codec", "segments");
  LLMC_RETURN_IF_ERROR(read_segments(record.stages.back(), *segments, stream->second.bytes, &tensor.codec));
  LLMC_RETURN_IF_ERROR(check_segment_bytes(tensor));
  return tensor;
}

TensorRecord coded_record(const TensorInfo& info, const MatrixShape& shape, const TensorRecipe& recipe) {
  TensorRecord record;
  record.dtype = dtype_info(info.dtype).name;
  record.shape = info.shape;
  record.matrices = shape.matrices;
  record.rows = shape.rows;
  record.cols = shape.cols;
  record.stages = recipe_to_json(recipe);
  return record;
}

TensorRecord verbatim_record(const TensorInfo& info) {
  TensorRecord record;
  record.dtype = dtype_info(info.dtype).name;
  record.shape = info.shape;
  record.rows = info.elements();
  record.cols = 1;
  record.stages = {{{"stage", kVerbatim}}};
  return record;
}

bool is_verbatim(const TensorRecord& record) {
  return record.stages.size() == 1 && text_or_empty(record.stages[0], "stage") == kVerbatim;
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "plan/plan_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "codec/ffmpeg_option_check.h"
#include "plan/codec_settings.h"
#include "plan/draft.h"
#include "plane/spectral_layout.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

using nlohmann::json;

constexpr double kMaxQuality = 1e6;  // of any codec; each has its own range within

json tensor_to_json(const TensorPlan& tensor, const TensorSettings& settings) {
  if (!tensor.code) return {{"name", tensor.name}, {"keep", tensor.reason}};
  json value = {{"name", tensor.name},
                {"scales", scale_spec_name(tensor.scales)},
                {"codec", tensor.codec},
                {"layout", layout_name(tensor.layout)},
                {"step_octaves", settings.octaves},
                {"step", settings.pictures.step},
                {"quality", settings.pictures.quality},
                {"predicted_bytes", settings.predicted_bytes}};
  // JSON has no infinity, which a tensor of zeros has.
  if (std::isfinite(settings.predicted_snr_db)) value["predicted_snr_db"] = settings.predicted_snr_db;
  if (tensor.asymmetric) value["asymmetric"] = true;
  if (tensor.row_exponent != 1) value["row_exponent"] = tensor.row_exponent;
  if (tensor.column_exponent != 1) value["column_exponent"] = tensor.column_exponent;
  if (tensor.token_rank != 0) value["token_rank"] = tensor.token_rank;
  if (tensor.layout == Layout::kSpectral) {
    value["outputs_per_block"] = settings.pictures.outputs_per_block;
  } else {
    value["bit_depth"] = tensor.bit_depth;
  }
  return value;
}

// Typed access to one tensor's entry; the first failure is kept.
class Fields {
 public:
  explicit Fields(const json& value) : value_(value) {}
  double number(const char* field, double fallback) {
    if (!value_.contains(field)) return fallback;
    if (!value_[field].is_number()) fail(field);
    return value_[field].is_number() ? value_[field].get<double>() : fallback;
  }
  uint64_t count(const char* field, uint64_t max) {
    const double n = number(field, 0);
    const bool valid = n >= 0 && n <= static_cast<double>(max) && n == std::floor(n);
    if (!valid) fail(field);
    return valid ? static_cast<uint64_t>(n) : 0;
  }
  bool flag(const char* field) {
    if (!value_.contains(field)) return false;
    if (!value_[field].is_boolean()) fail(field);
    return value_[field] == true;
  }
  std::string text(const char* field, const std::string& fallback) {
    if (!value_.contains(field)) return fallback;
    if (!value_[field].is_string()) fail(field);
    return value_[field].is_string() ? value_[field].get<std::string>() : fallback;
  }
  void fail(const char* field) {
    if (bad_field_.empty()) bad_field_ = field;
  }
  const std::string& bad_field() const { return bad_field_; }

 private:
  const json& value_;
  std::string bad_field_;
};

bool in_unit_range(double value) {
  return value >= 0 && value <= 1;
}

double unit_number(Fields& fields, const char* field, double fallback) {
  const double value = fields.number(field, fallback);
  if (!in_unit_range(value)) fields.fail(field);
  return value;
}

Status read_coded(const json& value, Fields& fields, TensorDraft* draft, TensorSettings* settings) {
  auto scales = parse_scale_spec(fields.text("scales", "dual"));
  if (!scales.is_ok()) return std::move(scales).error().in_tensor(draft->name);
  draft->scales = *scales;
  draft->row_exponent = unit_number(fields, "row_exponent", 1);
  draft->column_exponent = unit_number(fields, "column_exponent", 1);
  draft->token_rank = unit_number(fields, "token_rank", 0);
  draft->asymmetric = fields.flag("asymmetric");
  draft->codec = fields.text("codec", "vvc");
  Status planned = check_planned_codec(draft->codec);
  if (!planned.is_ok()) return std::move(planned).error().in_tensor(draft->name);
  draft->layout = layout_from_name(fields.text("layout", "spectral"));
  if (!draft->layout) fields.fail("layout");
  if (value.contains("bit_depth")) draft->bit_depth = static_cast<uint32_t>(fields.count("bit_depth", 16));
  draft->step_octaves = fields.number("step_octaves", 0);
  settings->octaves = *draft->step_octaves;
  PictureSettings& pictures = settings->pictures;
  pictures.step = fields.number("step", 0);
  if (!check_step(pictures.step).is_ok()) fields.fail("step");
  pictures.quality = fields.number("quality", std::nan(""));
  if (!(std::abs(pictures.quality) <= kMaxQuality)) fields.fail("quality");
  pictures.outputs_per_block = static_cast<uint32_t>(fields.count("outputs_per_block", kMaxOutputsPerBlock));
  if (draft->layout == Layout::kSpectral && pictures.outputs_per_block == 0) fields.fail("outputs_per_block");
  settings->predicted_bytes = fields.count("predicted_bytes", uint64_t{1} << 50);
  settings->predicted_snr_db = fields.number("predicted_snr_db", 0);
  return Status::ok();
}

// A misspelt key would leave a setting at its default without a word.
Status check_keys(const json& tensor) {
  constexpr auto kKeys = std::to_array<std::string_view>(
      {"name", "keep", "scales", "codec", "layout", "step_octaves", "step", "quality", "predicted_bytes",
       "predicted_snr_db", "asymmetric", "row_exponent", "column_exponent", "token_rank", "outputs_per_block",
       "bit_depth"});
  for (const auto& [key, value] : tensor.items()) {
    if (std::ranges::find(kKeys, key) == kKeys.end())
      return error(ErrorKind::kInvalidArgument, "plan: '{}' is none of the keys of a tensor", key)
          .in_tensor(Fields(tensor).text("name", ""));
  }
  return Status::ok();
}

Status read_tensor(const json& value, PlanFile* file) {
  if (!value.is_object()) return error(ErrorKind::kCorrupt, "plan: a tensor is no JSON object");
  LLMC_RETURN_IF_ERROR(check_keys(value));
  Fields fields(value);
  TensorDraft draft;
  TensorSettings settings;
  draft.name = fields.text("name", "");
  draft.reason = fields.text("keep", "");
  draft.code = !value.contains("keep");
  if (draft.code) LLMC_RETURN_IF_ERROR(read_coded(value, fields, &draft, &settings));
  if (!fields.bad_field().empty())
    return error(ErrorKind::kInvalidArgument, "plan: '{}' is absent or out of range", fields.bad_field())
        .in_tensor(draft.name);
  file->drafts.push_back(std::move(draft));
  file->settings.push_back(settings);
  return Status::ok();
}

Status check_against(const std::vector<TensorInfo>& tensors, const std::vector<TensorDraft>& drafts) {
  if (drafts.size() != tensors.size())
    return error(ErrorKind::kInvalidArgument, "plan has {} tensors, the model {}", drafts.size(),
                 tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (drafts[i].name != tensors[i].name)
      return error(ErrorKind::kInvalidArgument, "plan has '{}' where the model has this one", drafts[i].name)
          .in_tensor(tensors[i].name);
    const std::string obstacle = coding_obstacle(tensors[i]);
    if (drafts[i].code && !obstacle.empty())
      return error(ErrorKind::kInvalidArgument, "plan wants to code what cannot be coded: {}", obstacle)
          .in_tensor(tensors[i].name);
  }
  return Status::ok();
}

}  // namespace

std::string plan_to_text(const Plan& plan, const std::vector<TensorSettings>& settings) {
  json tensors = json::array();
  for (size_t i = 0; i < plan.tensors.size(); ++i)
    tensors.push_back(tensor_to_json(plan.tensors[i], settings[i]));
  const json root = {{"llmcodec_plan", 1}, {"tensors", tensors}};
  return root.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<std::vector<std::string>> plan_tensor_names(const std::string& text) {
  LLMC_ASSIGN_OR_RETURN(const json root, parse_json_value<json>(text));
  std::vector<std::string> names;
  if (!root.is_object() || !root.contains("tensors") || !root["tensors"].is_array()) return names;
  for (const json& value : root["tensors"]) {
    if (value.is_object()) names.push_back(Fields(value).text("name", ""));
  }
  return names;
}

Result<PlanFile> plan_from_text(const std::string& text, const std::vector<TensorInfo>& tensors) {
  LLMC_ASSIGN_OR_RETURN(const json root, parse_json_value<json>(text, RepeatedKeys::kRefuse));
  if (!root.is_object() || !root.contains("llmcodec_plan") || !root.contains("tensors") ||
      !root["tensors"].is_array())
    return error(ErrorKind::kCorrupt, "is not a plan ('llmcodec_plan' and 'tensors' expected)");
  if (root["llmcodec_plan"] != 1)
    return error(ErrorKind::kUnsupported, "plan has version {}, this program reads 1",
                 root["llmcodec_plan"].dump());
  PlanFile file;
  for (const json& value : root["tensors"]) LLMC_RETURN_IF_ERROR(read_tensor(value, &file));
  LLMC_RETURN_IF_ERROR(check_against(tensors, file.drafts));
  return file;
}

}  // namespace llmcodec

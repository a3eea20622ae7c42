// SPDX-License-Identifier: BSD-3-Clause
#include "pipeline/tensor_plan.h"

#include <nlohmann/json.hpp>
#include <set>

#include "codec/ffmpeg_option_check.h"
#include "pipeline/plan_rules.h"
#include "plane/matrix_shape.h"
#include "plane/spectral_layout.h"
#include "quant/tensor_names.h"

namespace llmcodec {
namespace {

using nlohmann::json;

// Why a tensor cannot be coded; empty when it can.
std::string obstacle(const TensorInfo& info) {
  if (!dtype_info(info.dtype).floating) return "not floating point";
  const auto shape = matrix_shape(info.shape);
  if (!shape) return "no matrix";
  if (shape->rows < kMinCodableSide || shape->cols < kMinCodableSide) return "a side is under 8";
  return "";
}

std::string default_reason(const TensorInfo& info) {
  const std::string reason = obstacle(info);
  if (!reason.empty()) return reason;
  return is_codable(info.shape) ? "" : "under 4096 weights";
}

json tensor_to_json(const TensorPlan& tensor) {
  if (!tensor.code) return {{"name", tensor.name}, {"keep", tensor.reason}};
  json value = {{"name", tensor.name},
                {"scales", scale_spec_name(tensor.scales)},
                {"codec", tensor.codec},
                {"layout", tensor.layout},
                {"step_octaves", tensor.step_octaves},
                {"step", tensor.step},
                {"predicted_bytes", tensor.predicted_bytes},
                {"predicted_snr_db", tensor.predicted_snr_db}};
  if (tensor.asymmetric) value["asymmetric"] = true;
  if (tensor.row_exponent != 1) value["row_exponent"] = tensor.row_exponent;
  if (tensor.column_exponent != 1) value["column_exponent"] = tensor.column_exponent;
  if (tensor.token_rank != 0) value["token_rank"] = tensor.token_rank;
  value["quality"] = tensor.quality;
  if (tensor.layout == "spectral") {
    value["outputs_per_block"] = tensor.outputs_per_block;
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
    if (!(n >= 0 && n <= static_cast<double>(max))) fail(field);
    return n >= 0 && n <= static_cast<double>(max) ? static_cast<uint64_t>(n) : 0;
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

Result<TensorPlan> tensor_from_json(const json& value) {
  Fields fields(value);
  TensorPlan tensor;
  tensor.name = fields.text("name", "");
  tensor.reason = fields.text("keep", "");
  tensor.code = !value.contains("keep");
  if (tensor.code) {
    auto scales = parse_scale_spec(fields.text("scales", "dual"));
    if (!scales.is_ok()) return std::move(scales).error().in_tensor(tensor.name);
    tensor.scales = *scales;
    tensor.row_exponent = fields.number("row_exponent", 1);
    tensor.column_exponent = fields.number("column_exponent", 1);
    tensor.token_rank = fields.number("token_rank", 0);
    tensor.asymmetric = value.contains("asymmetric") && value["asymmetric"] == true;
    tensor.codec = fields.text("codec", "vvc");
    Status planned = check_planned_codec(tensor.codec);
    if (!planned.is_ok()) return std::move(planned).error().in_tensor(tensor.name);
    tensor.layout = fields.text("layout", "spectral");
    tensor.bit_depth = static_cast<uint32_t>(fields.count("bit_depth", 16));
    tensor.step_octaves = fields.number("step_octaves", 0);
    tensor.step = fields.number("step", 0);
    tensor.quality = fields.number("quality", 0);
    tensor.outputs_per_block = static_cast<uint32_t>(fields.count("outputs_per_block", kMaxOutputsPerBlock));
    tensor.predicted_bytes = fields.count("predicted_bytes", uint64_t{1} << 50);
    tensor.predicted_snr_db = fields.number("predicted_snr_db", 0);
    if (!(tensor.step > 0)) fields.fail("step");
    if (!in_unit_range(tensor.row_exponent)) fields.fail("row_exponent");
    if (!in_unit_range(tensor.column_exponent)) fields.fail("column_exponent");
    if (!in_unit_range(tensor.token_rank)) fields.fail("token_rank");
    if (tensor.layout != "spectral" && tensor.layout != "spatial") fields.fail("layout");
    if (tensor.layout == "spectral" && tensor.outputs_per_block == 0) fields.fail("outputs_per_block");
  }
  if (!fields.bad_field().empty())
    return error(ErrorKind::kInvalidArgument, "plan: '{}' is absent or out of range", fields.bad_field())
        .in_tensor(tensor.name);
  return tensor;
}

// Scales as we choose them when nobody asks for others; docs/decisions/021-row-scales.md has the
// measurements.
void choose_row_scales(TensorPlan& tensor) {
  tensor.row_exponent = -1;  // once it is known what is known of the inputs
  tensor.column_exponent = 0.8;
  tensor.token_rank = is_vocabulary(tensor.name) ? 0.75 : 0;
}

uint64_t rows_of(const TensorInfo& info) {
  const auto shape = matrix_shape(info.shape);
  return shape ? shape->rows : 0;
}

// Fills in what a plan does not repeat of the model.
Status check_against(const Model& model, Plan& plan) {
  const std::vector<TensorInfo>& tensors = model.source->tensors();
  if (plan.tensors.size() != tensors.size())
    return error(ErrorKind::kInvalidArgument, "plan has {} tensors, the model {}", plan.tensors.size(),
                 tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (plan.tensors[i].name != tensors[i].name)
      return error(ErrorKind::kInvalidArgument, "plan has '{}' where the model has this one",
                   plan.tensors[i].name)
          .in_tensor(tensors[i].name);
    plan.tensors[i].rows = rows_of(tensors[i]);
    const std::string reason = obstacle(tensors[i]);
    if (plan.tensors[i].code && !reason.empty())
      return error(ErrorKind::kInvalidArgument, "plan wants to code what cannot be coded: {}", reason)
          .in_tensor(tensors[i].name);
  }
  return Status::ok();
}

}  // namespace

Result<Plan> draft_plan(const Model& model, const CompressOptions& options) {
  Plan plan;
  plan.target = options.target;
  TensorPlan defaults;
  defaults.auto_scales = options.scales == "auto";
  if (!defaults.auto_scales) {
    LLMC_ASSIGN_OR_RETURN(defaults.scales, parse_scale_spec(options.scales));
  }
  defaults.asymmetric = options.asymmetric;
  defaults.codec = options.codec;
  defaults.layout = options.layout;
  defaults.bit_depth = options.bit_depth;
  LLMC_ASSIGN_OR_RETURN(PlanRules rules, PlanRules::parse(options.set, options.keep));
  for (const TensorInfo& info : model.source->tensors()) {
    TensorPlan tensor = defaults;
    tensor.name = info.name;
    if (tensor.auto_scales) choose_row_scales(tensor);
    tensor.reason = default_reason(info);
    tensor.code = tensor.reason.empty();
    tensor.rows = rows_of(info);
    LLMC_ASSIGN_OR_RETURN(const bool forced, rules.apply(&tensor));
    if (forced && !obstacle(info).empty())
      return error(ErrorKind::kInvalidArgument, "--set asks to code what cannot be coded: {}", obstacle(info))
          .in_tensor(info.name);
    plan.tensors.push_back(std::move(tensor));
  }
  LLMC_RETURN_IF_ERROR(rules.check_all_matched());
  return plan;
}

std::string plan_to_text(const Plan& plan) {
  json tensors = json::array();
  for (const TensorPlan& tensor : plan.tensors) tensors.push_back(tensor_to_json(tensor));
  json root = {{"llmcodec_plan", 1}, {"tensors", tensors}};
  return root.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Plan> plan_from_text(const std::string& text, const Model& model) {
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object() || !root.contains("llmcodec_plan") || !root.contains("tensors") ||
      !root["tensors"].is_array())
    return error(ErrorKind::kCorrupt, "is not a plan ('llmcodec_plan' and 'tensors' expected)");
  if (root["llmcodec_plan"] != 1)
    return error(ErrorKind::kUnsupported, "plan has version {}, this program reads 1",
                 root["llmcodec_plan"].dump());
  Plan plan;
  for (const json& value : root["tensors"]) {
    if (!value.is_object()) return error(ErrorKind::kCorrupt, "plan: a tensor is no JSON object");
    LLMC_ASSIGN_OR_RETURN(TensorPlan tensor, tensor_from_json(value));
    plan.tensors.push_back(std::move(tensor));
  }
  LLMC_RETURN_IF_ERROR(check_against(model, plan));
  return plan;
}

}  // namespace llmcodec

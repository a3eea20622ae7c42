// SPDX-License-Identifier: BSD-3-Clause
#include "plan/plan_rules.h"

#include <charconv>
#include <map>

#include "base/error.h"
#include "plan/tensor_plan.h"

namespace llmcodec {
namespace {

Status bad_value(const std::string& key, const std::string& value, const char* expected) {
  return error(ErrorKind::kInvalidArgument, "--set {}:{}: expected {}", key, value, expected);
}

Result<double> parse_number(const std::string& key, const std::string& value) {
  double number = 0;
  const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (code != std::errc() || end != value.data() + value.size() || !(number > -1e6 && number < 1e6))
    return error(ErrorKind::kInvalidArgument, "--set {}:{}: expected a number", key, value);
  return number;
}

using Setter = Status (*)(const std::string& value, TensorDraft* tensor);

Status set_action(const std::string& value, TensorDraft* tensor) {
  if (value != "code" && value != "keep") return bad_value("action", value, "code or keep");
  tensor->code = value == "code";
  tensor->keep_asked = !tensor->code;
  tensor->reason = tensor->code ? "" : "asked for";
  return Status::ok();
}

Status set_scales(const std::string& value, TensorDraft* tensor) {
  if (value != "auto") return ask_for_scales(value, tensor);
  tensor->scales.reset();
  return Status::ok();
}

Status set_unit_number(const std::string& key, const std::string& value, std::optional<double>* number) {
  LLMC_ASSIGN_OR_RETURN(*number, parse_number(key, value));
  if (!(**number >= 0 && **number <= 1)) return bad_value(key, value, "0 to 1");
  return Status::ok();
}
Status set_row_exponent(const std::string& value, TensorDraft* tensor) {
  return set_unit_number("row_exponent", value, &tensor->row_exponent);
}
Status set_column_exponent(const std::string& value, TensorDraft* tensor) {
  return set_unit_number("column_exponent", value, &tensor->column_exponent);
}
Status set_token_rank(const std::string& value, TensorDraft* tensor) {
  return set_unit_number("token_rank", value, &tensor->token_rank);
}

Status set_symmetry(const std::string& value, TensorDraft* tensor) {
  if (value != "true" && value != "false") return bad_value("asymmetric", value, "true or false");
  tensor->asymmetric = value == "true";
  return Status::ok();
}

Status set_codec(const std::string& value, TensorDraft* tensor) {
  tensor->codec = value;
  return Status::ok();
}

Status set_layout(const std::string& value, TensorDraft* tensor) {
  tensor->layout = layout_from_name(value);
  if (!tensor->layout && value != "auto") return bad_value("layout", value, "auto, spatial or spectral");
  return Status::ok();
}

Status set_bit_depth(const std::string& value, TensorDraft* tensor) {
  LLMC_ASSIGN_OR_RETURN(const double depth, parse_number("bit_depth", value));
  if (depth < 8 || depth > 16 || depth != static_cast<int>(depth))
    return bad_value("bit_depth", value, "8 to 16");
  tensor->bit_depth = static_cast<uint32_t>(depth);
  return Status::ok();
}

Status set_step_octaves(const std::string& value, TensorDraft* tensor) {
  LLMC_ASSIGN_OR_RETURN(tensor->step_octaves, parse_number("step_octaves", value));
  return Status::ok();
}

const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> kSetters = {{"action", set_action},
                                                         {"scales", set_scales},
                                                         {"row_exponent", set_row_exponent},
                                                         {"column_exponent", set_column_exponent},
                                                         {"token_rank", set_token_rank},
                                                         {"asymmetric", set_symmetry},
                                                         {"codec", set_codec},
                                                         {"layout", set_layout},
                                                         {"bit_depth", set_bit_depth},
                                                         {"step_octaves", set_step_octaves}};
  return kSetters;
}

}  // namespace

Status ask_for_scales(const std::string& spec, TensorDraft* tensor) {
  LLMC_ASSIGN_OR_RETURN(tensor->scales, parse_scale_spec(spec));
  tensor->row_exponent = 1;
  tensor->column_exponent = 1;
  tensor->token_rank = 0;
  return Status::ok();
}

Result<std::unique_ptr<const RE2>> compile_pattern(const std::string& pattern) {
  auto compiled = std::make_unique<const RE2>(pattern, RE2::Quiet);
  if (!compiled->ok())
    return error(
        ErrorKind::kInvalidArgument,
        "'{}' is not a regular expression of RE2, which has no look-around and no back-references: {}",
        pattern, compiled->error());
  return compiled;
}

Result<PlanRules::Rule> PlanRules::parse_rule(const std::string& text, const std::string& pattern) {
  Rule rule;
  rule.text = text;
  LLMC_ASSIGN_OR_RETURN(rule.pattern, compile_pattern(pattern));
  return rule;
}

Status PlanRules::add_actions(const char* option, const char* action,
                              const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    LLMC_ASSIGN_OR_RETURN(Rule rule, parse_rule(fmt::format("{} {}", option, pattern), pattern));
    rule.key = "action";
    rule.value = action;
    rules_.push_back(std::move(rule));
  }
  return Status::ok();
}

Result<PlanRules> PlanRules::parse(const CompressOptions& options) {
  PlanRules rules;
  for (const std::string& text : options.set) {
    // The key holds neither '=' nor ':', so the first "=key:" splits the rule; values may hold both.
    static const RE2 kForm("(.*?)=([a-z_]+):(.*)");
    std::string pattern, key, value;
    if (!RE2::FullMatch(text, kForm, &pattern, &key, &value))
      return error(ErrorKind::kInvalidArgument, "--set '{}': expected 'REGEX=key:value'", text);
    LLMC_ASSIGN_OR_RETURN(Rule rule, parse_rule("--set " + text, pattern));
    rule.key = std::move(key);
    rule.value = std::move(value);
    if (!setters().contains(rule.key))
      return error(ErrorKind::kInvalidArgument, "--set '{}': no key '{}'", text, rule.key);
    rules.rules_.push_back(std::move(rule));
  }
  LLMC_RETURN_IF_ERROR(rules.add_actions("--code", "code", options.code));
  LLMC_RETURN_IF_ERROR(rules.add_actions("--keep", "keep", options.keep));
  return rules;
}

Result<bool> PlanRules::apply(TensorDraft* tensor) {
  bool forced = false;
  for (Rule& rule : rules_) {
    if (!RE2::PartialMatch(tensor->name, *rule.pattern)) continue;
    rule.matched = true;
    LLMC_RETURN_IF_ERROR(setters().at(rule.key)(rule.value, tensor));
    if (rule.key == "action") forced = rule.value == "code";
  }
  return forced;
}

Status PlanRules::check_all_matched() const {
  for (const Rule& rule : rules_) {
    if (!rule.matched) return error(ErrorKind::kInvalidArgument, "{}: matches no tensor", rule.text);
  }
  return Status::ok();
}

}  // namespace llmcodec

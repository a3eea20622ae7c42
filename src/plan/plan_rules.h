// SPDX-License-Identifier: BSD-3-Clause
// --set 'REGEX=key:value' and --keep REGEX: rules that change the draft of the tensors whose name the
// (ECMAScript) expression matches anywhere in. Later rules win; a rule that matched nothing is an error.
#pragma once

#include <regex>
#include <string>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec {

struct TensorDraft;

// The scales asked for, of the plain kind: without the exponents that we choose beside our own.
// InvalidArgument for a spec that cannot be parsed.
Status ask_for_scales(const std::string& spec, TensorDraft* tensor);

class PlanRules {
 public:
  // InvalidArgument for a broken expression, an unknown key, or a value that the key does not take.
  static Result<PlanRules> parse(const std::vector<std::string>& set, const std::vector<std::string>& keep);
  // Applies all rules to `tensor`; true when one asks to code it.
  Result<bool> apply(TensorDraft* tensor);
  Status check_all_matched() const;

 private:
  struct Rule {
    std::string text;  // as given, for messages
    std::regex pattern;
    std::string key, value;
    bool matched = false;
  };
  static Result<Rule> parse_rule(const std::string& text, const std::string& pattern);
  std::vector<Rule> rules_;
};

}  // namespace llmcodec

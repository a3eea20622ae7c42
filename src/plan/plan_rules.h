// SPDX-License-Identifier: BSD-3-Clause
// --set 'REGEX=key:value', --code REGEX and --keep REGEX: rules that change the draft of the tensors in whose name the
// expression (RE2 syntax) matches anywhere. Later rules win; a rule that matched nothing is an error.
// Names and expressions may come from strangers: RE2 takes linear time and bounded memory, whatever they are.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <vector>

#include "llmcodec/model.h"
#include "llmcodec/status.h"

namespace llmcodec {

struct TensorDraft;

// The scales asked for, of the plain kind: without the exponents that we choose beside our own.
// InvalidArgument for a spec that cannot be parsed.
Status ask_for_scales(const std::string& spec, TensorDraft* tensor);

// InvalidArgument for what is no regular expression of RE2.
Result<std::unique_ptr<const RE2>> compile_pattern(const std::string& pattern);

class PlanRules {
 public:
  // InvalidArgument for a broken expression, an unknown key, or a value that the key does not take.
  static Result<PlanRules> parse(const CompressOptions& options);  // its set, then code, then keep
  // Applies all rules to `tensor`; true when one asks to code it.
  Result<bool> apply(TensorDraft* tensor);
  Status check_all_matched() const;

 private:
  struct Rule {
    std::string text;  // as given, for messages
    std::unique_ptr<const RE2> pattern;
    std::string key, value;
    bool matched = false;
  };
  static Result<Rule> parse_rule(const std::string& text, const std::string& pattern);
  Status add_actions(const char* option, const char* action, const std::vector<std::string>& patterns);
  std::vector<Rule> rules_;
};

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// What the JSON files beside a checkpoint say of how it is quantised: quantization_config (or compression_config) in
// config.json, or in one of its sections; `quantization` there, of MLX; hf_quant_config.json of ModelOpt; quantize_config.json of GPTQ and
// quant_config.json of AWQ, as they were in 2023.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "llmcodec/status.h"
#include "tensor/model_source.h"

namespace llmcodec {

struct DeclaredScheme {
  std::string method;             // "gptq", "fp8", ...; empty: nothing is declared
  std::string file;               // that declares it
  nlohmann::json config;          // what it says there
  nlohmann::ordered_json parent;  // all of config.json, where that declares it

  // A field of the config; `fallback` where it is absent or of another type.
  std::string text(const char* field, const std::string& fallback = "") const;
  // A count in the config, or in what it says of one module (MLX); 0 where it is absent, of another type or above 2^20.
  uint64_t count(const char* field, const std::string& module = "") const;
  // MLX's kind of codes of a module: "affine", "mxfp4", ...
  std::string mode(const std::string& module) const;
};

// Of a folder, or of the folder in which a given file or index lies. Corrupt for a file that is no JSON object.
Result<DeclaredScheme> declared_scheme(const Model& model);

// Why the weights of this scheme cannot be computed here; empty where they can, as far as the declaration tells.
std::string obstacle_of(const DeclaredScheme& scheme);

// Names of the files that hold a scheme and nothing else.
bool is_scheme_file(const std::string& name);

// The text of config.json without the scheme.
std::string config_without_scheme(const DeclaredScheme& scheme);
// The text of config.json in which `modules` are said not to be quantised. Unsupported for a scheme that has no list of
// them.
Result<std::string> config_with_exceptions(const DeclaredScheme& scheme,
                                           const std::vector<std::string>& modules);

}  // namespace llmcodec

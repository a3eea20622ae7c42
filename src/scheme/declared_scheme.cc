// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/declared_scheme.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr char kConfigName[] = "config.json";
constexpr auto kSchemeKeys = std::to_array<const char*>({"quantization_config", "compression_config"});
constexpr char kMlxKey[] = "quantization", kMlx[] = "mlx";

struct SchemeFile {
  const char* name;
  const char* method;
};
constexpr auto kSchemeFiles = std::to_array<SchemeFile>(
    {{"hf_quant_config.json", "modelopt"}, {"quantize_config.json", "gptq"}, {"quant_config.json", "awq"}});

// The list of modules that a scheme leaves alone.
struct ExceptionList {
  const char* method;
  const char* key;
};
constexpr auto kExceptionLists = std::to_array<ExceptionList>({{"fp8", "modules_to_not_convert"},
                                                               {"fbgemm_fp8", "modules_to_not_convert"},
                                                               {"mxfp4", "modules_to_not_convert"},
                                                               {"awq", "modules_to_not_convert"},
                                                               {"compressed-tensors", "ignore"},
                                                               {"modelopt", "ignore"},
                                                               {"bitsandbytes", "llm_int8_skip_modules"}});

std::string small_letters(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

// The object that declares the scheme: in the config itself, or in one of its sections (text_config).
ordered_json* scheme_in(ordered_json& config, bool* in_section = nullptr) {
  for (const char* key : kSchemeKeys) {
    if (config.contains(key) && config[key].is_object()) return &config[key];
  }
  for (auto& [name, section] : config.items()) {
    if (!section.is_object()) continue;
    for (const char* key : kSchemeKeys) {
      if (!section.contains(key) || !section[key].is_object()) continue;
      if (in_section != nullptr) *in_section = true;
      return &section[key];
    }
  }
  return nullptr;
}

// MLX's {"group_size": 64, "bits": 4, "mode": "affine", MODULE: {"bits": 8, ...} or false, ...}. mlx-lm writes the same a
// second time as quantization_config, in which no method is named.
bool declares_mlx(const ordered_json& config) {
  const auto found = config.find(kMlxKey);
  if (found == config.end() || !found->is_object() || !found->contains("bits")) return false;
  const auto other = config.find(kSchemeKeys[0]);
  return other == config.end() || !other->is_object() || !other->contains("quant_method");
}

std::string config_text(const ordered_json& config) {
  return config.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Result<ordered_json> read_object(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxJsonBytes));
  auto parsed = parse_json_value<ordered_json>(text);
  if (!parsed.is_ok()) return std::move(parsed).error().in_file(path);
  if (!parsed->is_object()) return error(ErrorKind::kCorrupt, "is no JSON object").in_file(path);
  return parsed;
}

std::string method_of(const json& config, const std::string& otherwise) {
  const auto found = config.find("quant_method");
  std::string method = found != config.end() && found->is_string() ? small_letters(*found) : otherwise;
  if (method.starts_with("modelopt")) return "modelopt";
  if (method == "compressed_tensors") return "compressed-tensors";
  if (method == "finegrained_fp8") return "fp8";
  return method.empty() ? "unnamed" : method;
}

// AMD Quark's config lists dtypes of weights, for all layers and for some. Only FP8 is laid out as other programs do it.
std::string quark_obstacle(const DeclaredScheme& scheme) {
  const auto overall = scheme.config.find("global_quant_config");
  const json* weight = nullptr;
  if (overall != scheme.config.end() && overall->is_object() && overall->contains("weight"))
    weight = &(*overall)["weight"];
  const bool fp8 = weight != nullptr && weight->is_object() && weight->value("dtype", json()) == "fp8_e4m3";
  for (const char* exceptions : {"layer_quant_config", "layer_type_quant_config"}) {
    const auto found = scheme.config.find(exceptions);
    if (found != scheme.config.end() && found->is_object() && !found->empty())
      return "'quark' with layers of several kinds";
  }
  if (fp8) return "";
  const bool named = weight != nullptr && weight->is_object() && weight->value("dtype", json()).is_string();
  return named ? fmt::format("'quark' with '{}'", (*weight)["dtype"].get<std::string>()) : "'quark'";
}

std::string mlx_obstacle(const DeclaredScheme& scheme) {
  constexpr auto kKnown = std::to_array<std::string_view>({"affine", "mxfp4", "mxfp8", "nvfp4"});
  const auto unknown = [&](const std::string& mode) {
    return std::ranges::find(kKnown, mode) == kKnown.end() ? fmt::format("MLX's '{}'", mode) : "";
  };
  std::string obstacle = unknown(scheme.mode(""));
  for (const auto& [module, value] : scheme.config.items()) {
    if (obstacle.empty() && value.is_object()) obstacle = unknown(scheme.mode(module));
  }
  return obstacle;
}

std::string modelopt_obstacle(const DeclaredScheme& scheme) {
  std::string algorithm = scheme.text("quant_algo");
  if (const auto inner = scheme.config.find("quantization");
      inner != scheme.config.end() && inner->is_object())
    algorithm = inner->value("quant_algo", json()).is_string() ? (*inner)["quant_algo"] : json("");
  constexpr auto kKnown =
      std::to_array<std::string_view>({"", "FP8", "NVFP4", "MXFP8", "W4A16_NVFP4", "MIXED_PRECISION",
                                       "FP8_PB_WO", "FP8_PER_CHANNEL_PER_TOKEN"});
  return std::ranges::find(kKnown, algorithm) != kKnown.end() ? ""
                                                              : fmt::format("ModelOpt's '{}'", algorithm);
}

std::string compressed_tensors_obstacle(const DeclaredScheme& scheme) {
  const auto filled = [&](const char* field) {
    const auto found = scheme.config.find(field);
    return found != scheme.config.end() && found->is_object() && !found->empty();
  };
  const std::string format = scheme.text("format");
  if (format.find("sparse") != std::string::npos || format.find("marlin") != std::string::npos)
    return fmt::format("compressed-tensors' '{}'", format);
  if (filled("sparsity_config")) {
    const auto& sparsity = scheme.config["sparsity_config"];
    if (sparsity.value("format", json("")) != "dense") return "compressed-tensors with sparse weights";
  }
  return filled("transform_config") ? "compressed-tensors with rotated weights (transform_config)" : "";
}

// MLX says it of each module by its name.
std::string mlx_config_with_exceptions(ordered_json config, const std::vector<std::string>& modules) {
  for (const char* key : {kMlxKey, kSchemeKeys[0]}) {
    if (!config.contains(key) || !config[key].is_object()) continue;
    for (const std::string& module : modules) config[key][module] = false;
  }
  return config_text(config);
}

}  // namespace

std::string DeclaredScheme::text(const char* field, const std::string& fallback) const {
  const auto found = config.find(field);
  return found != config.end() && found->is_string() ? found->get<std::string>() : fallback;
}

uint64_t DeclaredScheme::count(const char* field, const std::string& module) const {
  constexpr uint64_t kMost = 1 << 20;
  const auto of = [&](const nlohmann::json& object) -> uint64_t {
    const auto found = object.find(field);
    const bool known = found != object.end() && found->is_number_unsigned();
    return known && *found <= kMost ? found->get<uint64_t>() : 0;
  };
  const auto own = module.empty() ? config.end() : config.find(module);
  if (own != config.end() && own->is_object() && own->contains(field)) return of(*own);
  return config.is_object() ? of(config) : 0;
}

std::string DeclaredScheme::mode(const std::string& module) const {
  const auto own = module.empty() ? config.end() : config.find(module);
  if (own != config.end() && own->is_object() && own->contains("mode"))
    return (*own)["mode"].is_string() ? (*own)["mode"].get<std::string>() : "unnamed";
  return text("mode", "affine");
}

bool is_scheme_file(const std::string& name) {
  return std::ranges::any_of(kSchemeFiles, [&](const SchemeFile& file) { return name == file.name; });
}

Result<DeclaredScheme> declared_scheme(const Model& model) {
  DeclaredScheme scheme;
  const bool folder = model.kind == ModelKind::kFolder;
  const fs::path place = folder ? fs::path(model.path) : fs::path(model.path).parent_path();
  std::error_code code;
  if (model.kind == ModelKind::kGguf || model.path.empty()) return scheme;
  if (fs::is_regular_file(place / kConfigName, code)) {
    const std::string path = (place / kConfigName).string();
    LLMC_ASSIGN_OR_RETURN(ordered_json config, read_object(path));
    if (declares_mlx(config)) {
      scheme.config = json(config[kMlxKey]);
      scheme.method = kMlx;
      scheme.file = path;
      scheme.parent = std::move(config);
      return scheme;
    }
    if (const ordered_json* found = scheme_in(config)) {
      scheme.config = json(*found);
      scheme.method = method_of(scheme.config, "");
      scheme.file = path;
      scheme.parent = std::move(config);
      return scheme;
    }
  }
  for (const SchemeFile& file : kSchemeFiles) {
    const std::string path = (place / file.name).string();
    if (!fs::is_regular_file(path, code)) continue;
    LLMC_ASSIGN_OR_RETURN(const ordered_json config, read_object(path));
    scheme.config = json(config);
    scheme.method = method_of(scheme.config, file.method);
    scheme.file = path;
    return scheme;
  }
  return scheme;
}

std::string obstacle_of(const DeclaredScheme& scheme) {
  const std::string& method = scheme.method;
  constexpr auto kPlain =
      std::to_array<std::string_view>({"", "fp8", "fbgemm_fp8", "mxfp4", "bitsandbytes", "llmcodec"});
  if (std::ranges::find(kPlain, method) != kPlain.end()) return "";
  if (method == "compressed-tensors") return compressed_tensors_obstacle(scheme);
  if (method == "modelopt") return modelopt_obstacle(scheme);
  if (method == "quark") return quark_obstacle(scheme);
  if (method == kMlx) return mlx_obstacle(scheme);
  if (method == "gptq") {
    const std::string format = scheme.text("checkpoint_format", "gptq");
    return format == "gptq" || format == "gptq_v2" ? "" : fmt::format("GPTQ in the format '{}'", format);
  }
  if (method == "awq") {
    const std::string version = small_letters(scheme.text("version", "gemm"));
    const bool known = version == "gemm" || version == "exllama" || version == "ipex";
    return known ? "" : fmt::format("AWQ in the version '{}'", version);
  }
  if (method == "auto-round" || method == "intel/auto-round") {
    const std::string format = scheme.text("packing_format");
    const bool known = format == "auto_round:auto_gptq" || format == "auto_round:auto_awq";
    return known ? "" : fmt::format("AutoRound in the format '{}'", format);
  }
  return fmt::format("'{}'", method);
}

std::string config_without_scheme(const DeclaredScheme& scheme) {
  ordered_json config = scheme.parent;
  if (scheme.method == kMlx) config.erase(kMlxKey);
  for (const char* key : kSchemeKeys) config.erase(key);
  for (auto& [name, section] : config.items()) {
    if (!section.is_object()) continue;
    for (const char* key : kSchemeKeys) section.erase(key);
  }
  return config_text(config);
}

Result<std::string> config_with_exceptions(const DeclaredScheme& scheme,
                                           const std::vector<std::string>& modules) {
  if (scheme.method == kMlx) return mlx_config_with_exceptions(scheme.parent, modules);
  const auto known = std::ranges::find(kExceptionLists, scheme.method, &ExceptionList::method);
  if (scheme.parent.empty() || known == kExceptionLists.end())
    return error(ErrorKind::kUnsupported,
                 "{} has no list of layers that are not quantised, so that a model cannot be quantised in "
                 "part: "
                 "keep all of its quantised tensors (--keep .) or none",
                 scheme.method)
        .in_file(scheme.file);
  ordered_json config = scheme.parent;
  ordered_json& list = (*scheme_in(config))[known->key];
  if (!list.is_array()) list = ordered_json::array();
  for (const std::string& module : modules) {
    if (std::ranges::find(list, ordered_json(module)) == list.end()) list.push_back(module);
  }
  return config_text(config);
}

}  // namespace llmcodec

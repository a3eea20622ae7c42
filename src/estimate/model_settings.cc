// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/model_settings.h"

#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

ModelSettings settings_of(const GgufHeader& header) {
  ModelSettings found;
  found.gguf = true;
  found.type = header.find_string("general.architecture").value_or("");
  const auto integer = [&](const char* key) {
    return header.find_int(fmt::format("{}.{}", found.type, key)).value_or(0);
  };
  const auto number = [&](const char* key) {
    return header.find_number(fmt::format("{}.{}", found.type, key)).value_or(0);
  };
  found.heads = integer("attention.head_count");
  found.kv_heads = header.find_int(found.type + ".attention.head_count_kv").value_or(found.heads);
  found.head_width = integer("attention.value_length");
  found.rotated = integer("rope.dimension_count");
  found.rotation_base = number("rope.freq_base");
  found.epsilon = number("attention.layer_norm_rms_epsilon");
  if (found.epsilon == 0) found.epsilon = number("attention.layer_norm_epsilon");
  found.score_factor = number("attention.scale");
  found.embedding_factor = number("embedding_scale");
  found.residual_factor = number("residual_scale");
  const auto parallel = header.find_flag(found.type + ".use_parallel_residual");
  found.in_turn = parallel && !*parallel;
  return found;
}

// The first of these keys that is a number; 0 where none is.
double number_of(const nlohmann::json& config, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const auto at = config.find(key);
    if (at != config.end() && at->is_number() && std::isfinite(at->get<double>())) return at->get<double>();
  }
  return 0;
}

int64_t integer_of(const nlohmann::json& config, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const auto at = config.find(key);
    if (at != config.end() && at->is_number_integer()) return at->get<int64_t>();
  }
  return 0;
}

std::optional<bool> flag_of(const nlohmann::json& config, const char* key) {
  const auto at = config.find(key);
  return at != config.end() && at->is_boolean() ? std::optional(at->get<bool>()) : std::nullopt;
}

// Falcon's three generations: a head of keys for each head, one for all, or as many as it says.
int64_t key_heads_of(const nlohmann::json& config, int64_t heads) {
  const auto shared = flag_of(config, "multi_query");
  if (shared && !flag_of(config, "new_decoder_architecture").value_or(false)) return *shared ? 1 : heads;
  const int64_t said = integer_of(config, {"num_key_value_heads", "num_kv_heads"});
  return said != 0 ? said : heads;
}

void read_rotation(const nlohmann::json& config, ModelSettings* found) {
  found->rotation_base = number_of(config, {"rope_theta", "rotary_emb_base"});
  found->rotated_share = number_of(config, {"partial_rotary_factor", "rotary_pct"});
  auto rope = config.find("rope_parameters");
  if (rope == config.end() || !rope->is_object()) return;
  // Of models whose layers differ, those that see everything.
  if (const auto full = rope->find("full_attention"); full != rope->end() && full->is_object()) rope = full;
  if (found->rotation_base == 0) found->rotation_base = number_of(*rope, {"rope_theta"});
  if (found->rotated_share == 0) found->rotated_share = number_of(*rope, {"partial_rotary_factor"});
}

ModelSettings settings_of(const nlohmann::json& config) {
  ModelSettings found;
  if (const auto type = config.find("model_type"); type != config.end() && type->is_string())
    found.type = type->get<std::string>();
  found.heads = integer_of(config, {"num_attention_heads", "n_head"});
  found.kv_heads = key_heads_of(config, found.heads);
  found.head_width = integer_of(config, {"head_dim"});
  found.epsilon = number_of(config, {"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"});
  const double width = number_of(config, {"query_pre_attn_scalar"});
  found.score_factor = width > 0 ? 1 / std::sqrt(width) : number_of(config, {"attention_multiplier"});
  found.embedding_factor = number_of(config, {"embedding_multiplier"});
  found.residual_factor = number_of(config, {"residual_multiplier"});
  const auto parallel = flag_of(config, "use_parallel_residual");
  const auto falcon = flag_of(config, "parallel_attn");
  found.in_turn = (parallel && !*parallel) || (falcon && !*falcon);
  read_rotation(config, &found);
  return found;
}

Result<ModelSettings> settings_of_file(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxJsonBytes));
  auto parsed = parse_json_value<nlohmann::json>(text);
  if (!parsed.is_ok()) return std::move(parsed).error().in_file(path);
  if (!parsed->is_object()) return error(ErrorKind::kCorrupt, "not a JSON object").in_file(path);
  // Models that see or hear too keep their language model's settings in an object of their own.
  const auto inner = parsed->find("text_config");
  return settings_of(inner != parsed->end() && inner->is_object() ? *inner : *parsed);
}

}  // namespace

Result<ModelSettings> read_model_settings(const Model& model) {
  if (model.gguf != nullptr) return settings_of(*model.gguf);
  const auto config = std::filesystem::path(model.path) / "config.json";
  std::error_code code;  // set where it is there but cannot be looked at: reading it says why
  if (model.kind != ModelKind::kFolder || (!std::filesystem::exists(config, code) && !code))
    return ModelSettings{};
  return settings_of_file(config.string());
}

}  // namespace llmcodec

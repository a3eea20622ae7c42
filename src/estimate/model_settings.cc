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

// Granite's outputs are divided by what Cohere's are multiplied by.
double logit_factor(std::string_view type, double said) {
  return said > 0 && type.starts_with("granite") ? 1 / said : said;
}

ModelSettings settings_of(const GgufHeader& header) {
  ModelSettings found;
  found.gguf = true;
  found.type = header.find_string("general.architecture").value_or("");
  const auto rows = find_architectures(found.type, true);
  if (!rows.empty()) found.row = rows.front();
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
  found.local_base = number("rope.freq_base_swa");
  found.local_layers = integer("attention.sliding_window_pattern");
  found.epsilon = number("attention.layer_norm_rms_epsilon");
  if (found.epsilon == 0) found.epsilon = number("attention.layer_norm_epsilon");
  found.score_factor = number("attention.scale");
  found.embedding_factor = number("embedding_scale");
  found.residual_factor = number("residual_scale");
  found.logit_factor = logit_factor(found.type, number("logit_scale"));
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
  found->rotation_base = number_of(config, {"rope_theta", "rotary_emb_base", "global_rope_theta"});
  found->local_base = number_of(config, {"rope_local_base_freq", "local_rope_theta"});
  found->rotated_share = number_of(config, {"partial_rotary_factor", "rotary_pct"});
  auto rope = config.find("rope_parameters");
  if (rope == config.end() || !rope->is_object()) return;
  const auto local = rope->find("sliding_attention");
  if (found->local_base == 0 && local != rope->end() && local->is_object())
    found->local_base = number_of(*local, {"rope_theta"});
  // Of models whose layers differ, those that see everything.
  if (const auto full = rope->find("full_attention"); full != rope->end() && full->is_object()) rope = full;
  if (found->rotation_base == 0) found->rotation_base = number_of(*rope, {"rope_theta"});
  if (found->rotated_share == 0) found->rotated_share = number_of(*rope, {"partial_rotary_factor"});
}

void read_local_layers(const nlohmann::json& config, ModelSettings* found) {
  found->local_layers = integer_of(config, {"sliding_window_pattern", "global_attn_every_n_layers"});
  const auto kinds = config.find("layer_types");
  if (kinds == config.end() || !kinds->is_array()) return;
  for (const auto& kind : *kinds) found->layer_is_local.push_back(kind == "sliding_attention");
}

std::string type_of(const nlohmann::json& config) {
  const auto type = config.find("model_type");
  return type != config.end() && type->is_string() ? type->get<std::string>() : std::string();
}

ModelSettings settings_of(const nlohmann::json& config, const Architecture* row) {
  ModelSettings found;
  found.type = type_of(config);
  found.row = row;
  found.heads = integer_of(config, {"num_attention_heads", "n_head"});
  if (row != nullptr && !row->settings.empty()) {
    const std::string own = std::string(row->settings) + "attention_heads";
    if (const int64_t heads = integer_of(config, {own.c_str()}); heads != 0) found.heads = heads;
  }
  if (row != nullptr && found.heads == 0) found.heads = row->heads;
  found.kv_heads = key_heads_of(config, found.heads);
  found.head_width = integer_of(config, {"head_dim"});
  found.epsilon =
      number_of(config, {"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"});
  const double width = number_of(config, {"query_pre_attn_scalar"});
  found.score_factor = width > 0 ? 1 / std::sqrt(width) : number_of(config, {"attention_multiplier"});
  found.embedding_factor = number_of(config, {"embedding_multiplier"});
  found.residual_factor = number_of(config, {"residual_multiplier"});
  found.logit_factor = logit_factor(found.type, number_of(config, {"logit_scale", "logits_scaling"}));
  const auto parallel = flag_of(config, "use_parallel_residual");
  const auto falcon = flag_of(config, "parallel_attn");
  found.in_turn = (parallel && !*parallel) || (falcon && !*falcon);
  read_rotation(config, &found);
  read_local_layers(config, &found);
  return found;
}

// An object within another; that other where it has none of this name.
const nlohmann::json& inside(const nlohmann::json& config, std::string_view name) {
  const auto inner = config.find(name);
  return !name.empty() && inner != config.end() && inner->is_object() ? *inner : config;
}

std::vector<ModelSettings> settings_of_stacks(const nlohmann::json& config) {
  // Models that see or hear too keep their language model's settings in an object of their own.
  const nlohmann::json& text = inside(config, "text_config");
  std::vector<const Architecture*> rows = find_architectures(type_of(config), false);
  const bool has_stacks = !rows.empty() && !rows.front()->stack.empty();
  if (!has_stacks) rows = find_architectures(type_of(text), false);
  if (rows.empty()) return {settings_of(text, nullptr)};
  std::vector<ModelSettings> all;
  for (const Architecture* row : rows)
    all.push_back(settings_of(has_stacks ? inside(config, row->settings) : text, row));
  return all;
}

Result<std::vector<ModelSettings>> settings_of_file(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxJsonBytes));
  auto parsed = parse_json_value<nlohmann::json>(text);
  if (!parsed.is_ok()) return std::move(parsed).error().in_file(path);
  if (!parsed->is_object()) return error(ErrorKind::kCorrupt, "not a JSON object").in_file(path);
  return settings_of_stacks(*parsed);
}

}  // namespace

Result<std::vector<ModelSettings>> read_model_settings(const Model& model) {
  if (model.gguf != nullptr) return std::vector{settings_of(*model.gguf)};
  const auto config = std::filesystem::path(model.path) / "config.json";
  std::error_code code;  // set where it is there but cannot be looked at: reading it says why
  if (model.kind != ModelKind::kFolder || (!std::filesystem::exists(config, code) && !code))
    return std::vector<ModelSettings>(1);
  return settings_of_file(config.string());
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// Names of files that are parts of one model, as Hugging Face's tools and llama-gguf-split give them:
// "model-00002-of-00003.safetensors", "SmolLM2-00001-of-00002.gguf".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmcodec {

// Of safetensors files, and of the index beside several that are one model.
inline constexpr char kFileSuffix[] = ".safetensors";
inline constexpr char kIndexSuffix[] = ".safetensors.index.json";

// Whether a file of this name, without its folder, is such an index: "model.safetensors.index.json", or that of a variant of
// the model as transformers and diffusers call it, "model.safetensors.index.fp16.json".
bool is_index_name(std::string_view name);
bool is_variant_index_name(std::string_view name);

struct ShardName {
  std::string stem;  // "model"
  uint32_t number = 1, count = 1;
};
// Of a file's name without its folder; nullopt when it is no such name.
std::optional<ShardName> parse_shard_name(std::string_view name, std::string_view suffix);
std::string shard_file_name(const ShardName& shard, std::string_view suffix);

}  // namespace llmcodec

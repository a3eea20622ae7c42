// SPDX-License-Identifier: BSD-3-Clause
// A file of second moments (docs/importance.md): opened, and every group read.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "fuzz_target.h"
#include "quant/moment_file.h"

namespace llmcodec {
namespace {

uint64_t run(std::string_view input) {
  const auto moments = MomentFile::open(fuzz_file("moments.safetensors", input));
  if (!fuzz_accepts(moments)) return 0;
  uint64_t declared = 0;
  for (const std::string& name : (*moments)->names()) {
    const auto group = (*moments)->find(name);
    fuzz_check(group.has_value(), "a weight that is listed has a group");
    const auto values = (*moments)->read(*group);
    if (fuzz_accepts(values)) declared = std::max(declared, values->size() * sizeof(float));
  }
  return declared;
}

std::vector<std::string> seeds() {
  const FuzzTensor groups[] = {{"layers.0.attention", {8, 8}}, {"layers.0.down", {4, 4}}};
  const nlohmann::json description = {
      {"format_version", 1},
      {"members",
       {{"layers.0.attention", {"model.layers.0.self_attn.q_proj.weight", "blk.0.attn_k.weight"}},
        {"layers.0.down", {"model.layers.0.mlp.down_proj.weight"}}}}};
  const nlohmann::json metadata = {{"format", "llmcodec-moments"}, {"llmcodec_moments", description.dump()}};
  return {fuzz_safetensors(groups, metadata.dump())};
}

// Half of the time the description inside the metadata.
std::string mutate(const std::string& input, uint32_t seed) {
  auto file = split_safetensors(input);
  if (seed % 2 == 0 || !file) return mutate_safetensors(input, seed / 2);
  const nlohmann::ordered_json::json_pointer place("/__metadata__/llmcodec_moments");
  if (!file->header.contains(place) || !file->header[place].is_string())
    return mutate_safetensors(input, seed / 2);
  file->header[place] = mutate_json_text(file->header[place].get<std::string>(), seed / 2);
  return file->joined();
}

}  // namespace

const FuzzTarget kMomentsTarget = {"moments", run, seeds, mutate};

}  // namespace llmcodec

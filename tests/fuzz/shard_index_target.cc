// SPDX-License-Identifier: BSD-3-Clause
// model.safetensors.index.json beside two shards, which are sound.
#include "fuzz_target.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

const FuzzTensor kFirst[] = {{"a.weight", {6, 8}}, {"norm", {8}}};
const FuzzTensor kSecond[] = {{"b.weight", {4, 8}}};

uint64_t run(std::string_view input) {
  [[maybe_unused]] static const std::string first =
      fuzz_file("model-00001-of-00002.safetensors", fuzz_safetensors(kFirst));
  [[maybe_unused]] static const std::string second =
      fuzz_file("model-00002-of-00002.safetensors", fuzz_safetensors(kSecond));
  const auto source = ShardedSource::open(fuzz_file(kIndexFileName, input));
  if (!fuzz_accepts(source)) return 0;
  for (size_t i = 0; i < (*source)->tensors().size(); ++i) {
    std::vector<std::byte> bytes((*source)->byte_size(i));
    fuzz_check((*source)->read(i, 0, bytes).is_ok(), "a tensor of accepted shards can be read");
  }
  return 0;
}

std::vector<std::string> seeds() {
  return {R"({"metadata":{"total_size":352},"weight_map":{"a.weight":"model-00001-of-00002.safetensors",)"
          R"("b.weight":"model-00002-of-00002.safetensors","norm":"model-00001-of-00002.safetensors"}})"};
}

}  // namespace

const FuzzTarget kShardIndexTarget = {"shard_index", run, seeds, mutate_json_text};

}  // namespace llmcodec

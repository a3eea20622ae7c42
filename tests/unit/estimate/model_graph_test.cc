// SPDX-License-Identifier: BSD-3-Clause
// Models with several stacks, and with layers that differ from each other; what is left out of each, and what is said.
#include "estimate/model_graph.h"

#include <algorithm>

#include "architecture_examples.h"
#include "estimate/moment_estimate.h"

namespace llmcodec {
namespace {

// The first example of a type.
Example example_of(const std::string& type) {
  for (const Example& example : read_examples()) {
    if (example.config.find("\"model_type\": \"" + type + "\"") == 1) return example;
  }
  ADD_FAILURE() << type;
  return {};
}

GraphSearch search(const Example& example) {
  const TempFolder folder;
  EXPECT_TRUE(write_folder(folder.path(), example).is_ok());
  const auto model = open_model(folder.path());
  EXPECT_TRUE(model.is_ok());
  auto found = find_model_graph(*model);
  EXPECT_TRUE(found.is_ok());
  return std::move(found).value();
}

void drop(Example* example, const std::string& part) {
  std::erase_if(example->tensors,
                [&](const TensorInfo& info) { return info.name.find(part) != std::string::npos; });
}

// With six layers more, copies of the second.
Example with_eight_layers(Example example) {
  std::vector<TensorInfo> more;
  for (const TensorInfo& info : example.tensors) {
    const size_t at = info.name.find("layers.1.");
    for (char n = '2'; n < '8' && at != std::string::npos; ++n) {
      more.push_back(info);
      more.back().name[at + 7] = n;
    }
  }
  example.tensors.insert(example.tensors.end(), more.begin(), more.end());
  return example;
}

std::vector<double> bases(const ModelGraph& graph) {
  std::vector<double> found;
  for (const GraphLayer& layer : graph.layers) found.push_back(layer.attention->rotation_base);
  return found;
}

using Bases = std::vector<double>;
constexpr double kLocal = 10000, kGlobal = 160000;

TEST(ModelGraph, every_third_layer_of_modernbert_sees_far_from_the_first_on) {
  Example example = with_eight_layers(example_of("modernbert"));
  const GraphSearch found = search(example);
  ASSERT_EQ(found.stacks.size(), 1u) << found.note;
  EXPECT_EQ(bases(found.stacks[0]),
            (Bases{kGlobal, kLocal, kLocal, kGlobal, kLocal, kLocal, kGlobal, kLocal}));
  EXPECT_FALSE(found.stacks[0].layers[0].before_attention);
  EXPECT_TRUE(found.stacks[0].layers[1].before_attention);
}

TEST(ModelGraph, what_the_configuration_says_of_local_layers_counts) {
  Example example = with_eight_layers(example_of("modernbert"));
  example.config =
      R"({"model_type": "modernbert", "num_attention_heads": 4, "global_attn_every_n_layers": 4,
          "global_rope_theta": 8e4, "local_rope_theta": 2e4})";
  EXPECT_EQ(bases(search(example).stacks.at(0)), (Bases{8e4, 2e4, 2e4, 2e4, 8e4, 2e4, 2e4, 2e4}));
  example.config =
      R"({"model_type": "modernbert", "num_attention_heads": 4, "global_rope_theta": 8e4,
          "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]})";
  EXPECT_EQ(bases(search(example).stacks.at(0)), (Bases{1e4, 8e4, 1e4, 8e4, 1e4, 1e4, 8e4, 1e4}));
}

TEST(ModelGraph, only_the_first_layer_may_lack_its_norm) {
  Example example = example_of("modernbert");
  drop(&example, "attn_norm");
  const GraphSearch found = search(example);
  EXPECT_EQ(found.note, "attention of layer 1 is not built as known of ModernBERT");
  EXPECT_TRUE(found.stacks.at(0).layers[0].attention);
  EXPECT_FALSE(found.stacks.at(0).layers[1].attention);
  EXPECT_TRUE(found.stacks.at(0).layers[1].feed_forward);
}

TEST(ModelGraph, each_tower_has_its_own_heads_and_start) {
  const GraphSearch found = search(example_of("siglip"));
  ASSERT_EQ(found.stacks.size(), 3u) << found.note;
  EXPECT_EQ(found.note, "");
  EXPECT_EQ(found.stacks[0].heads, 2u);
  EXPECT_EQ(found.stacks[0].signal->side, 4u);
  EXPECT_FALSE(found.stacks[0].embedding);
  EXPECT_EQ(found.stacks[1].reads, 0u);  // the head that pools
  EXPECT_TRUE(found.stacks[1].query);
  EXPECT_EQ(found.stacks[2].heads, 4u);
  EXPECT_TRUE(found.stacks[2].embedding);
  EXPECT_TRUE(found.stacks[2].pooler);
  EXPECT_FALSE(found.stacks[2].head);  // nothing reads the embedding as a head
}

TEST(ModelGraph, a_strange_head_that_pools_leaves_the_tower) {
  Example example = example_of("siglip");
  drop(&example, "head.mlp.fc2.weight");
  const GraphSearch found = search(example);
  EXPECT_EQ(found.note, "the head is not built as known of SigLIP's pictures");
  EXPECT_EQ(found.stacks.size(), 2u);
}

TEST(ModelGraph, a_tower_that_says_no_heads_has_those_of_the_family) {
  Example example = example_of("siglip_vision_model");
  example.config = R"({"model_type": "siglip_vision_model"})";
  EXPECT_EQ(search(example).note,
            "attention of layers 0 to 1 are not built as known of SigLIP's pictures");  // 16 / 12
  example.config = R"({"model_type": "siglip_vision_model", "num_attention_heads": 4})";
  EXPECT_EQ(search(example).note, "");
}

TEST(ModelGraph, a_tower_that_is_missing_is_no_fault) {
  Example example = example_of("siglip");
  drop(&example, "vision_model.");
  const GraphSearch found = search(example);
  EXPECT_EQ(found.note, "");
  ASSERT_EQ(found.stacks.size(), 1u);
  EXPECT_EQ(found.stacks[0].stack, "t.");
  drop(&example, "text_model.");
  example.tensors.push_back({"x.weight", Dtype::kF32, {4, 4}});
  EXPECT_TRUE(search(example).stacks.empty());
  EXPECT_EQ(search(example).note, "no layers");
}

TEST(ModelGraph, a_decoder_reads_its_encoder) {
  const GraphSearch found = search(example_of("whisper"));
  ASSERT_EQ(found.stacks.size(), 2u) << found.note;
  EXPECT_FALSE(found.stacks[0].reads);
  EXPECT_FALSE(found.stacks[0].layers[0].cross);
  EXPECT_EQ(found.stacks[1].reads, 0u);
  EXPECT_EQ(found.stacks[1].layers[1].cross->reading_other, 2u);
  EXPECT_EQ(found.stacks[1].head, found.stacks[1].embedding);
}

TEST(ModelGraph, a_decoder_without_its_encoder_keeps_the_rest) {
  Example example = example_of("whisper");
  drop(&example, "conv2");
  const GraphSearch found = search(example);
  EXPECT_EQ(found.note,
            "Whisper's encoder: no convolutions that it begins with; attention to the other stack of layers "
            "0 to 1 are "
            "not built as known of Whisper's decoder");
  ASSERT_EQ(found.stacks.size(), 1u);
  EXPECT_TRUE(found.stacks[0].layers[0].attention);
  EXPECT_FALSE(found.stacks[0].layers[0].cross);
  EXPECT_TRUE(found.stacks[0].layers[0].feed_forward);
}

TEST(ModelGraph, a_cross_part_that_is_strange_leaves_the_layers_other_parts) {
  Example example = example_of("whisper");
  example.tensors.push_back({"model.decoder.layers.1.encoder_attn.extra.weight", Dtype::kF32, {16, 16}});
  const GraphSearch found = search(example);
  EXPECT_EQ(found.note, "attention to the other stack of layer 1 is not built as known of Whisper's decoder");
  EXPECT_TRUE(found.stacks.at(1).layers[1].attention);
  EXPECT_TRUE(found.stacks.at(1).layers[0].cross);
}

TEST(ModelGraph, an_encoder_alone_is_followed_too) {
  Example example = example_of("whisper");
  drop(&example, "decoder.");
  for (TensorInfo& info : example.tensors) info.name.erase(0, std::string_view("model.").size());
  const GraphSearch found = search(example);
  EXPECT_EQ(found.note, "");
  ASSERT_EQ(found.stacks.size(), 1u);
  EXPECT_EQ(found.stacks[0].layers.size(), 2u);
}

TEST(ModelGraph, matrices_outside_the_layers_are_named_unless_they_read_the_output) {
  Example example = example_of("modernbert");
  example.tensors.push_back({"head.dense.weight", Dtype::kF32, {16, 16}});
  EXPECT_EQ(search(example).note, "");
  EXPECT_TRUE(search(example).stacks.at(0).pooler);
  example.tensors.push_back({"classifier.weight", Dtype::kF32, {16, 16}});
  EXPECT_EQ(search(example).note, "classifier.weight");
  example.tensors.push_back({"other.weight", Dtype::kF32, {16, 16}});
  EXPECT_EQ(search(example).note, "classifier.weight and 1 more outside the layers");
}

TEST(ModelGraph, strange_patches_and_sounds_are_refused) {
  for (const std::vector<uint64_t>& shape : {std::vector<uint64_t>{16, 48}, {16, 3, 4, 2}, {16, 1 << 20}}) {
    Example example = example_of("siglip_vision_model");
    for (TensorInfo& info : example.tensors) {
      if (info.name.find("patch_embedding.weight") != std::string::npos) info.shape = shape;
    }
    EXPECT_EQ(search(example).note, "no embedding of patches");
  }
  Example example = example_of("whisper");
  for (TensorInfo& info : example.tensors) {
    if (info.name.find("conv1.weight") != std::string::npos) info.shape = {16, 4, 2};
  }
  EXPECT_TRUE(search(example).note.starts_with("Whisper's encoder: no convolutions that it begins with"));
}

}  // namespace
}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/adapter_pairs.h"

#include <gtest/gtest.h>

namespace llmcodec {
namespace {

using Names = std::vector<std::pair<std::string, std::string>>;

// Names of the pairs of these tensors.
Names pairs_of(const std::vector<TensorInfo>& tensors) {
  Names names;
  for (const AdapterPair& pair : adapter_pairs(tensors))
    names.push_back({tensors[pair.down].name, tensors[pair.up].name});
  return names;
}

TEST(AdapterPairs, are_found_by_every_spelling) {
  const Names spellings = {
      {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
       "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"},
      {"model.layers.0.mlp.up_proj.lora_A.default.weight",
       "model.layers.0.mlp.up_proj.lora_B.default.weight"},
      {"embed_tokens.lora_embedding_A", "embed_tokens.lora_embedding_B"},
      {"blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"},
      {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight",
       "lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight"},
      {"unet.down_blocks.0.attn1.to_q.lora.down.weight", "unet.down_blocks.0.attn1.to_q.lora.up.weight"},
      {"down_blocks.0.attn1.processor.to_q_lora.down.weight",
       "down_blocks.0.attn1.processor.to_q_lora.up.weight"},
      {"text_encoder.self_attn.q_proj.lora_linear_layer.down.weight",
       "text_encoder.self_attn.q_proj.lora_linear_layer.up.weight"}};
  for (const auto& [down, up] : spellings) {
    EXPECT_EQ(pairs_of({{up, Dtype::kF16, {320, 8}}, {down, Dtype::kF16, {8, 640}}}), Names({{down, up}}));
  }
}

TEST(AdapterPairs, may_be_convolutions) {
  EXPECT_EQ(pairs_of({{"c.lora_down.weight", Dtype::kF32, {8, 64, 3, 3}},
                      {"c.lora_up.weight", Dtype::kF32, {96, 8, 1, 1}}})
                .size(),
            1u);
}

TEST(AdapterPairs, need_a_partner_that_fits) {
  EXPECT_TRUE(pairs_of({{"q.lora_A.weight", Dtype::kF32, {8, 640}}}).empty());
  EXPECT_TRUE(
      pairs_of({{"q.lora_A.weight", Dtype::kF32, {8, 640}}, {"q.lora_B.weight", Dtype::kF32, {640, 4}}})
          .empty());
  EXPECT_TRUE(
      pairs_of({{"q.lora_A.weight", Dtype::kI32, {8, 640}}, {"q.lora_B.weight", Dtype::kF32, {640, 8}}})
          .empty());
  EXPECT_TRUE(pairs_of({{"q.lora_Ax", Dtype::kF32, {8, 640}}, {"q.lora_Bx", Dtype::kF32, {640, 8}}}).empty());
  EXPECT_TRUE(
      pairs_of({{"q.down.weight", Dtype::kF32, {8, 640}}, {"q.up.weight", Dtype::kF32, {640, 8}}}).empty());
}

}  // namespace
}  // namespace llmcodec

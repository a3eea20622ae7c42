// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/tensor_role.h"

#include <gtest/gtest.h>

#include <set>

namespace llmcodec {
namespace {

struct Case {
  const char* name;
  std::vector<uint64_t> shape;
  const char* role;
  Dtype dtype = Dtype::kBF16;
};

void expect_roles(const std::vector<Case>& cases) {
  for (const Case& one : cases)
    EXPECT_STREQ(role_name(tensor_role({one.name, one.dtype, one.shape})), one.role) << one.name;
}

TEST(TensorRole, language_models) {
  expect_roles({{"model.embed_tokens.weight", {32000, 576}, "embedding"},
                {"token_embd.weight", {32000, 576}, "embedding"},
                {"transformer.wte.weight", {50257, 768}, "embedding"},
                {"gpt_neox.embed_in.weight", {50304, 512}, "embedding"},
                {"lm_head.weight", {32000, 576}, "head"},
                {"output.weight", {32000, 576}, "head"},
                {"model.layers.0.self_attn.q_proj.weight", {576, 576}, "matrix"},
                {"blk.0.ffn_down.weight", {576, 1536}, "matrix"},
                {"model.layers.0.mlp.gate_proj.weight", {1536, 576}, "matrix"},
                {"h.0.attn.c_attn.weight", {256, 768}, "matrix"},
                {"model.layers.0.input_layernorm.weight", {576}, "norm"},
                {"blk.0.attn_norm.weight", {576}, "norm"},
                {"model.layers.0.self_attn.q_norm.weight", {16, 64}, "norm"},
                {"model.layers.0.self_attn.q_proj.bias", {576}, "bias"},
                {"wpe.weight", {1024, 768}, "position"},
                {"embeddings.token_type_embeddings.weight", {2, 384}, "position"},
                {"whatever", {64}, "vector"},
                {"whatever", {64, 64, 64}, "other"}});
}

TEST(TensorRole, experts_and_their_routers) {
  expect_roles({{"blk.0.ffn_up_exps.weight", {64, 1408, 2048}, "expert"},
                {"model.layers.0.mlp.experts.3.up_proj.weight", {1408, 2048}, "expert"},
                {"model.layers.0.mlp.experts.gate_up_proj", {32, 2880, 5760}, "expert"},
                {"model.layers.0.mlp.experts.gate_up_proj_bias", {32, 5760}, "bias"},
                {"model.layers.0.mlp.gate.weight", {256, 7168}, "router"},
                {"model.layers.0.block_sparse_moe.gate.weight", {8, 4096}, "router"},
                {"model.layers.0.mlp.router.weight", {32, 2880}, "router"},
                {"blk.0.ffn_gate_inp.weight", {64, 2048}, "router"},
                {"model.layers.0.mlp.shared_expert_gate.weight", {1, 2048}, "router"},
                {"vision.blocks.0.mlp.gate.weight", {4096, 1024}, "matrix"}});
}

TEST(TensorRole, recurrences) {
  expect_roles(
      {{"blk.0.ssm_a", {512, 16}, "state"},
       {"blk.0.ssm_conv1d.weight", {512, 4}, "state"},
       {"blk.0.ssm_dt.weight", {512, 16}, "state"},
       {"blk.0.ssm_in.weight", {1024, 256}, "matrix"},
       {"blk.0.ssm_out.weight", {256, 512}, "matrix"},
       {"blk.0.ssm_x.weight", {48, 512}, "matrix"},
       {"backbone.layers.0.mixer.A_log", {512, 16}, "state"},
       {"backbone.layers.0.mixer.dt_proj.weight", {512, 16}, "state"},
       {"backbone.layers.0.mixer.in_proj.weight", {1024, 256}, "matrix"},
       {"rwkv.blocks.0.attention.time_decay", {64, 64}, "state"},
       {"blk.0.time_mix_first.weight", {32, 64}, "state"},
       {"blk.0.time_mix_key.weight", {2048, 2048}, "matrix"},
       {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", {32, 128}, "state"}});
}

TEST(TensorRole, buffers) {
  expect_roles({{"h.0.attn.bias", {1, 1, 1024, 1024}, "buffer", Dtype::kF32},
                {"h.0.attn.bias", {1, 1, 1024, 1024}, "buffer", Dtype::kBool},
                {"h.0.attn.masked_bias", {}, "buffer", Dtype::kF32},
                {"rope_freqs.weight", {64}, "buffer", Dtype::kF32},
                {"freqs_cis", {4096, 64, 2}, "buffer", Dtype::kF32},
                {"model.layers.0.self_attn.rotary_emb.inv_freq", {64}, "buffer", Dtype::kF32},
                {"embeddings.position_ids", {1, 512}, "index", Dtype::kI64}});
}

TEST(TensorRole, quantised_checkpoints) {
  expect_roles({{"l.q_proj.weight_scale_inv", {64, 64}, "scale", Dtype::kF32},
                {"l.q_proj.scales", {128, 4096}, "scale", Dtype::kF16},
                {"l.q_proj.qzeros", {128, 512}, "scale", Dtype::kI32},
                {"l.q_proj.qweight", {512, 4096}, "codes", Dtype::kI32},
                {"l.q_proj.weight_packed", {4096, 512}, "codes", Dtype::kI32},
                {"l.experts.gate_up_proj_blocks", {32, 5760, 90, 16}, "codes", Dtype::kU8},
                {"l.experts.gate_up_proj_scales", {32, 5760, 90}, "scale", Dtype::kU8},
                {"l.q_proj.weight", {4096, 2048}, "codes", Dtype::kU8},
                {"l.q_proj.weight.absmax", {131072}, "scale", Dtype::kF32},
                {"l.q_proj.g_idx", {4096}, "index", Dtype::kI32}});
}

TEST(TensorRole, adapters_and_convolutions) {
  expect_roles({{"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", {4, 512}, "adapter"},
                {"blk.0.attn_q.weight.lora_b", {512, 4}, "adapter"},
                {"lora_unet_down_blocks_0.lora_down.weight", {4, 320, 1, 1}, "adapter"},
                {"down_blocks.0.attn1.processor.to_q_lora.down.weight", {4, 320}, "adapter"},
                {"v.patch_embd.weight", {1152, 3, 14, 14}, "convolution"},
                {"vision_model.embeddings.patch_embedding.weight", {1152, 3, 14, 14}, "convolution"},
                {"features.0.weight", {64, 3, 7, 7}, "convolution"},
                {"model.encoder.conv1.weight", {384, 80, 3}, "convolution"},
                {"feature_extractor.conv_layers.1.conv.weight", {512, 512, 10}, "convolution"},
                {"h.0.conv1d.weight", {256, 768}, "matrix"}});
}

TEST(TensorRole, a_convolution_is_one_matrix_and_experts_are_many) {
  EXPECT_EQ(tensor_matrices({"conv.weight", Dtype::kF32, {512, 512, 10}}), (MatrixShape{1, 512, 5120}));
  EXPECT_EQ(tensor_matrices({"x.weight", Dtype::kF32, {512, 512, 10}}), (MatrixShape{512, 512, 10}));
  EXPECT_EQ(tensor_matrices({"x_exps.weight", Dtype::kF32, {4, 64, 32}}), (MatrixShape{4, 64, 32}));
}

TEST(TensorRole, every_role_has_a_name_of_its_own) {
  std::set<std::string> names;
  for (int i = 0; i < kTensorRoles; ++i) names.insert(role_name(static_cast<TensorRole>(i)));
  EXPECT_EQ(names.size(), static_cast<size_t>(kTensorRoles));
}

TEST(TensorRole, vocabulary_has_one_row_per_token) {
  for (const char* name : {"token_embd.weight", "output.weight", "model.embed_tokens.weight",
                           "lm_head.weight", "transformer.wte.weight"})
    EXPECT_TRUE(is_vocabulary(name)) << name;
  for (const char* name :
       {"blk.0.attn_output.weight", "output_norm.weight", "model.layers.0.self_attn.o_proj.weight"})
    EXPECT_FALSE(is_vocabulary(name)) << name;
}

}  // namespace
}  // namespace llmcodec

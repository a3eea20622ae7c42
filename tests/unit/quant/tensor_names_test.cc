// SPDX-License-Identifier: BSD-3-Clause
#include "quant/tensor_names.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace llmcodec {
namespace {

TEST(TensorNames, both_spellings_of_every_kind) {
  const std::vector<std::pair<const char*, const char*>> pairs = {
      {"token_embd.weight", "model.embed_tokens.weight"},
      {"output.weight", "lm_head.weight"},
      {"output_norm.weight", "model.norm.weight"},
      {"blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight"},
      {"blk.12.attn_k.bias", "model.layers.12.self_attn.k_proj.bias"},
      {"blk.3.attn_output.weight", "model.layers.3.self_attn.o_proj.weight"},
      {"blk.3.attn_norm.weight", "model.layers.3.input_layernorm.weight"},
      {"blk.3.ffn_norm.weight", "model.layers.3.post_attention_layernorm.weight"},
      {"blk.31.ffn_gate.weight", "model.layers.31.mlp.gate_proj.weight"},
      {"blk.31.ffn_up.weight", "model.layers.31.mlp.up_proj.weight"},
      {"blk.31.ffn_down.weight", "model.layers.31.mlp.down_proj.weight"},
      {"blk.2.ffn_gate_inp.weight", "model.layers.2.mlp.gate.weight"},
      {"blk.7.attn_q.weight", "model.language_model.layers.7.self_attn.q_proj.weight"},
      {"blk.7.ffn_up.weight", "model.layers.7.mlp.c_fc.weight"},
      {"blk.7.attn_qkv.weight", "transformer.h.7.self_attention.query_key_value.weight"},
      {"blk.7.attn_output.bias", "gpt_neox.layers.7.attention.dense.bias"},
      {"blk.7.attn_k.weight", "roberta.encoder.layer.7.attention.self.key.weight"},
      {"blk.7.ffn_down.weight", "encoder.layer.7.output.dense.weight"},
      {"token_embd.weight", "bert.embeddings.word_embeddings.weight"},
      {"output.weight", "embed_out.weight"},
      {"blk.7.attn_qkv.weight", "layers.7.attn.Wqkv.weight"},
      {"blk.7.ffn_up.weight", "model.layers.7.mlp.Wi.weight"},
      {"cls.weight", "head.dense.weight"},
      {"blk.7.attn_v.bias", "vit.encoder.layer.7.attention.attention.value.bias"},
      {"patch_embd.weight", "vit.embeddings.patch_embeddings.projection.weight"},
      {"position_embd.weight", "vit.embeddings.position_embeddings"},
      {"class_embd.weight", "embeddings.cls_token"},
      {"v.blk.7.attn_output.weight", "vision_model.encoder.layers.7.self_attn.out_proj.weight"},
      {"t.blk.7.attn_output.weight", "text_model.encoder.layers.7.self_attn.out_proj.weight"},
      {"blk.7.attn_output.weight", "encoder.layers.7.self_attn.out_proj.weight"},
      {"v.patch_embd.bias", "vision_model.embeddings.patch_embedding.bias"},
      {"t.cls.weight", "text_model.head.weight"},
      {"v.pool.attn_qkv.bias", "vision_model.head.attention.in_proj_bias"},
      {"pool.ffn_up.weight", "head.mlp.fc1.weight"},
      {"enc.blk.7.ffn_down.weight", "model.encoder.layers.7.fc2.weight"},
      {"dec.blk.7.cross_attn_k.weight", "model.decoder.layers.7.encoder_attn.k_proj.weight"},
      {"dec.token_embd.weight", "model.decoder.embed_tokens.weight"},
      {"token_embd.weight", "embed_tokens.weight"},
      {"output_norm.weight", "norm.weight"},
      {"enc.conv2.weight", "model.encoder.conv2.weight"},
  };
  for (const auto& [gguf, hf] : pairs) {
    ASSERT_TRUE(gguf_name(hf)) << hf;
    EXPECT_EQ(gguf_name(hf)->name, gguf);
    EXPECT_FALSE(gguf_name(hf)->expert);
    EXPECT_EQ(gguf_name(gguf)->name, gguf);
  }
}

TEST(TensorNames, experts_carry_their_index) {
  for (const char* hf : {"model.layers.5.mlp.experts.17.up_proj.weight",
                         "model.layers.5.block_sparse_moe.experts.17.w3.weight"}) {
    const auto name = gguf_name(hf);
    ASSERT_TRUE(name) << hf;
    EXPECT_EQ(name->name, "blk.5.ffn_up_exps.weight");
    EXPECT_EQ(name->expert, 17u);
  }
}

TEST(TensorNames, of_a_part_keep_its_folder_in_front) {
  EXPECT_EQ(gguf_name_in_folder("a/b/model.layers.3.mlp.up_proj.weight")->name, "a/b/blk.3.ffn_up.weight");
  EXPECT_EQ(gguf_name_in_folder("blk.3.ffn_up.weight")->name, "blk.3.ffn_up.weight");
  EXPECT_FALSE(gguf_name_in_folder("a/b/conv_in.weight"));
}

TEST(TensorNames, what_is_stored_the_other_way_round_has_a_name_of_its_own) {
  for (const char* name : {"transformer.h.4.mlp.c_proj.weight", "h.4.mlp.c_proj.weight"}) {
    EXPECT_EQ(transposed_name(name), "blk.4.ffn_down.weight");
    EXPECT_FALSE(gguf_name(name)) << name;
  }
  EXPECT_EQ(transposed_name("model.layers.4.mlp.experts.gate_up_proj"), "blk.4.ffn_up_exps.weight");
  EXPECT_EQ(transposed_name("model.layers.4.mlp.experts.down_proj_bias"), "blk.4.ffn_down_exps.bias");
  EXPECT_FALSE(transposed_name("model.layers.4.mlp.c_proj.weight"));  // StarCoder 2's is a plain matrix
  EXPECT_FALSE(transposed_name("blk.4.ffn_down.weight"));
}

TEST(TensorNames, layers_are_told_from_what_is_in_them) {
  EXPECT_EQ(layer_name("model.layers.3.input_layernorm.weight")->layer, 3u);
  EXPECT_EQ(layer_name("model.layers.3.input_layernorm.weight")->rest, "input_layernorm.weight");
  EXPECT_EQ(layer_name("blk.12.ssm_in.weight")->rest, "ssm_in.weight");
  EXPECT_EQ(layer_name("blk.12.ssm_in.weight")->stack, "");
  for (const char* name : {"model.decoder.layers.3.fc1.weight", "dec.blk.3.fc1.weight"}) {
    EXPECT_EQ(layer_name(name)->stack, "dec.") << name;
    EXPECT_EQ(layer_name(name)->layer, 3u) << name;
    EXPECT_EQ(layer_name(name)->rest, "fc1.weight") << name;
  }
  EXPECT_FALSE(layer_name("model.norm.weight"));
  EXPECT_FALSE(layer_name("model.layers.x.input_layernorm.weight"));
}

TEST(TensorNames, odd_names_are_unknown_not_wrong) {
  for (const char* name :
       {"", ".weight", "weight", "model.layers.weight", "model.layers..self_attn.q_proj.weight",
        "model.layers.x.self_attn.q_proj.weight", "model.layers.01.self_attn.q_proj.weight",
        "model.layers.99999999999.self_attn.q_proj.weight", "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.experts.x.up_proj.weight", "blk..attn_q.weight", "blk.1.attn_q",
        "encoder.conv.weight", "x.embed_tokens.weight", "x.blk.1.attn_q.weight", "layers.weight"}) {
    EXPECT_FALSE(gguf_name(name)) << name;
  }
  EXPECT_EQ(gguf_name("blk.1.ssm_in.weight")->name, "blk.1.ssm_in.weight");
}

}  // namespace
}  // namespace llmcodec

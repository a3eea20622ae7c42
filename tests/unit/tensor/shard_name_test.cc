// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/shard_name.h"

#include <gtest/gtest.h>

namespace llmcodec {
namespace {

TEST(ShardName, of_both_tools) {
  const auto shard = parse_shard_name("my-model-00002-of-00013.safetensors", ".safetensors");
  ASSERT_TRUE(shard);
  EXPECT_EQ(shard->stem, "my-model");
  EXPECT_EQ(shard->number, 2u);
  EXPECT_EQ(shard->count, 13u);
  EXPECT_EQ(shard_file_name(*shard, ".gguf"), "my-model-00002-of-00013.gguf");
}

TEST(ShardName, of_nothing_else) {
  for (const char* name :
       {"", ".gguf", "model.gguf", "-00001-of-00002.gguf", "m-0001-of-00002.gguf", "m-00001-of-0002.gguf",
        "m-00001-of-00002.safetensors", "m_00001-of-00002.gguf", "m-00001-in-00002.gguf",
        "m-+0001-of-00002.gguf", "m--0001-of-00002.gguf", "m-00001-of-00002.gguf.part"})
    EXPECT_FALSE(parse_shard_name(name, ".gguf")) << name;
}

TEST(IndexName, of_a_model_and_of_a_variant) {
  for (const char* name : {"model.safetensors.index.json", "u.safetensors.index.json"}) {
    EXPECT_TRUE(is_index_name(name)) << name;
    EXPECT_FALSE(is_variant_index_name(name)) << name;
  }
  for (const char* name : {"model.safetensors.index.fp16.json", "u.safetensors.index.a.b.json"})
    EXPECT_TRUE(is_index_name(name) && is_variant_index_name(name)) << name;
  for (const char* name : {"model.safetensors", "index.json", ".safetensors.index.fp16.json",
                           "m.safetensors.index..json.txt", "m.safetensors.index.a/b.json"})
    EXPECT_FALSE(is_index_name(name)) << name;
}

}  // namespace
}  // namespace llmcodec

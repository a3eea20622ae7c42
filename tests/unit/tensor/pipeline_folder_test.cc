// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/pipeline_folder.h"

#include <algorithm>

#include "tensor/model_folder.h"
#include "tensor_test_files.h"

namespace llmcodec {
namespace {

using Names = std::vector<std::string>;

// What is made of a folder with files of these names.
Result<PipelineFiles> found(Names names) {
  std::ranges::sort(names);
  return find_pipeline("P", {std::move(names), {}, {}});
}

Names parts_of(const Result<PipelineFiles>& pipeline) {
  Names names;
  for (const PartWeights& part : pipeline->parts) names.push_back(part.folder + ": " + part.weights);
  return names;
}

TEST(PipelineFolder, parts_are_the_folders_with_weights) {
  const auto pipeline = found({"model_index.json", "unet/diffusion_pytorch_model.safetensors.index.json",
                               "unet/diffusion_pytorch_model-00001-of-00001.safetensors",
                               "vae/diffusion_pytorch_model.fp16.safetensors", "a/b/model.safetensors",
                               "scheduler/config.json", "onnx/model.safetensors", "x/only.safetensors"});
  ASSERT_OK(pipeline);
  EXPECT_EQ(parts_of(pipeline),
            (Names{"a/b: model.safetensors", "unet: diffusion_pytorch_model.safetensors.index.json",
                   "vae: diffusion_pytorch_model.fp16.safetensors", "x: only.safetensors"}));
}

TEST(PipelineFolder, a_variant_in_shards_is_the_part_where_there_is_nothing_else) {
  Names files = {"model_index.json", "unet/diffusion_pytorch_model.safetensors.index.fp16.json",
                 "unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
                 "unet/diffusion_pytorch_model.fp16-00002-of-00002.safetensors"};
  EXPECT_EQ(parts_of(found(files)), Names{"unet: diffusion_pytorch_model.safetensors.index.fp16.json"});
  files.push_back("unet/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(parts_of(found(files)), Names{"unet: diffusion_pytorch_model.safetensors"});
  for (size_t i = 1; i < 4; ++i) EXPECT_TRUE(is_left_out(files[i], *found(files))) << files[i];
}

TEST(PipelineFolder, is_none_without_a_file_that_says_so_and_without_folders_of_weights) {
  for (const Names& names : {Names{"model.safetensors", "2_Dense/model.safetensors"},
                             Names{"modules.json", "model.safetensors", "1_Pooling/config.json"},
                             Names{"modules.json", "model.safetensors", "2_Dense/pytorch_model.bin"},
                             Names{"model_index.json", "x.safetensors", "onnx/model.onnx"}}) {
    const auto pipeline = found(names);
    ASSERT_OK(pipeline);
    EXPECT_TRUE(pipeline->parts.empty());
  }
}

TEST(PipelineFolder, the_root_is_a_part_of_sentence_transformers_and_a_copy_of_diffusers) {
  const Names files = {"2_Dense/model.safetensors", "any.safetensors"};
  Names st = files, diffusers = files;
  st.push_back("modules.json");
  diffusers.push_back("model_index.json");
  EXPECT_EQ(parts_of(found(st)), (Names{": any.safetensors", "2_Dense: model.safetensors"}));
  EXPECT_EQ(parts_of(found(diffusers)), Names{"2_Dense: model.safetensors"});
  EXPECT_TRUE(is_left_out("any.safetensors", *found(diffusers)));
  EXPECT_TRUE(is_left_out("any.ckpt", *found(diffusers)));
  EXPECT_FALSE(is_left_out("any.json", *found(diffusers)));
  diffusers.push_back("model.safetensors");
  EXPECT_EQ(parts_of(found(diffusers)), (Names{": model.safetensors", "2_Dense: model.safetensors"}));
}

TEST(PipelineFolder, what_is_left_out_is_so_in_each_part) {
  const auto pipeline =
      found({"model_index.json", "unet/diffusion_pytorch_model.safetensors", "text/model.safetensors"});
  ASSERT_OK(pipeline);
  for (const char* name :
       {"unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.safetensors.index.fp16.json",
        "unet/diffusion_pytorch_model.non_ema.safetensors", "text/pytorch_model.bin",
        "text/flax_model.msgpack", "text/model.onnx", "unet/optimizer.pt", "original/x.json"})
    EXPECT_TRUE(is_left_out(name, *pipeline)) << name;
  for (const char* name : {"unet/config.json", "tokenizer/merges.txt", "loras/a.safetensors",
                           "2_Dense/pytorch_model.bin", "model_index.json"})
    EXPECT_FALSE(is_left_out(name, *pipeline)) << name;
}

TEST(PipelineFolder, a_part_that_cannot_be_read_is_an_error_or_named_for_later) {
  expect_error(found({"model_index.json", "unet/model-00001-of-00002.safetensors"}),
               ErrorKind::kInvalidArgument, "part 'unet' of the pipeline: 1 of 2 shards");
  expect_error(found({"model_index.json", "unet/diffusion_pytorch_model.bin"}), ErrorKind::kUnsupported,
               "part 'unet' of the pipeline");
  expect_error(found({"modules.json", "pytorch_model.bin", "2_Dense/model.safetensors"}),
               ErrorKind::kUnsupported, "the root of the pipeline: has its weights as PyTorch pickles only");
  expect_error(found({"model_index.json", "unet/model.fp16-00001-of-00002.safetensors",
                      "unet/model.fp16-00002-of-00002.safetensors"}),
               ErrorKind::kInvalidArgument, "get model.safetensors.index.fp16.json too");
  expect_error(found({"model_index.json", "unet/model.safetensors.index.fp16.json",
                      "unet/model.safetensors.index.bf16.json"}),
               ErrorKind::kInvalidArgument, "part 'unet' of the pipeline: several sets of weights");
  const auto pipeline = found({"model_index.json", "unet/model.bin", "vae/model.safetensors"});
  ASSERT_OK(pipeline);
  ASSERT_EQ(pipeline->unread.size(), 1u);
  EXPECT_EQ(pipeline->unread[0].files, Names{"unet/model.bin"});
  EXPECT_TRUE(is_left_out("unet/model.bin", *pipeline));
}

TEST(PipelineFolder, a_pickle_is_the_part_and_not_what_lies_beside_it) {
  const auto pipeline = found({"model_index.json", "unet/model.safetensors",
                               "vae/diffusion_pytorch_model.bin", "vae/lora.safetensors"});
  ASSERT_OK(pipeline);
  EXPECT_EQ(parts_of(pipeline), Names{"unet: model.safetensors"});
  ASSERT_EQ(pipeline->unread.size(), 1u);
  EXPECT_EQ(pipeline->unread[0].files, Names{"vae/diffusion_pytorch_model.bin"});
  EXPECT_NE(pipeline->unread[0].why.message.find("PyTorch pickles only"), std::string::npos);
  EXPECT_FALSE(is_left_out("vae/lora.safetensors", *pipeline));
}

TEST(PipelineFolder, a_part_in_a_format_that_is_not_read_is_named) {
  for (const char* name : {"v.a'e/x.gguf", "v.a'e/v.pth", "v.a'e/flax_model.msgpack"}) {
    const auto pipeline = found({"model_index.json", "unet/model.safetensors", name});
    ASSERT_OK(pipeline);
    ASSERT_EQ(pipeline->unread.size(), 1u) << name;
    EXPECT_EQ(pipeline->unread[0].files, Names{name});
    EXPECT_NE(pipeline->unread[0].why.message.find(R"(--carry '^v\.a'\''e/')"), std::string::npos);
  }
  EXPECT_TRUE(found({"modules.json", "2_Dense/model.safetensors", "x/model.gguf"})->unread.empty());
  EXPECT_TRUE(found({"model_index.json", "unet/model.safetensors", "unet/model.gguf"})->unread.empty());
  EXPECT_TRUE(
      found({"model_index.json", "unet/model.safetensors", "vae_decoder/model.onnx"})->unread.empty());
}

TEST(PipelineFolder, several_files_of_nobodys_names_are_no_part) {
  const auto pipeline =
      found({"model_index.json", "loras/a.safetensors", "loras/b.safetensors", "unet/model.safetensors"});
  ASSERT_OK(pipeline);
  EXPECT_EQ(parts_of(pipeline), Names{"unet: model.safetensors"});
}

}  // namespace
}  // namespace llmcodec

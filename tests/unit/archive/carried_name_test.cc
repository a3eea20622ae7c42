// SPDX-License-Identifier: BSD-3-Clause
#include "archive/carried_name.h"

#include "../tensor/tensor_test_files.h"

namespace llmcodec {
namespace {

TEST(CarriedName, plain_names_inside_the_folder) {
  for (const char* name : {"config.json", "sub/folder/notes.json", "a b.txt", "..hidden", "w\xc3\xb6rter.txt",
                           "adapter_model.safetensors", "sub/model.safetensors", "model.json"})
    ASSERT_OK(CarriedNames().check(name));
}

TEST(CarriedName, what_leads_elsewhere_or_reads_otherwise_elsewhere) {
  for (const std::string name :
       {"", "/etc/passwd", "..", "../x", "a/../../x", "a/..", ".", "./a", "a//b", "a/", "a\\b", "..\\x",
        "a\nb", "a\x1b[2Jb", "a\x7f", "latin\xe9", "\xc0\xaf"})
    expect_error(CarriedNames().check(name), ErrorKind::kInvalidArgument, "no plain name");
  expect_error(CarriedNames().check(std::string("a\0b", 3)), ErrorKind::kInvalidArgument, "no plain name");
}

TEST(CarriedName, names_of_weights_and_of_our_own_files_are_taken) {
  for (const char* name : {"model.safetensors", "model-00001-of-00002.safetensors",
                           "model.safetensors.index.json", ".llmcodec-lock", "sub/.llmcodec-journal",
                           ".llmcodec-replaced/x", "sub/.llmcodec-new/x/y", "model.safetensors/x"})
    expect_error(CarriedNames().check(name), ErrorKind::kInvalidArgument, "the name is taken");
}

TEST(CarriedName, names_of_the_restored_weights_are_taken) {
  const CarriedNames of_adapter(ModelParts{{"", "adapter_model"}});
  for (const char* name : {"adapter_model.safetensors", "adapter_model-00001-of-00002.safetensors",
                           "adapter_model.safetensors.index.json", "model.safetensors"})
    expect_error(of_adapter.check(name), ErrorKind::kInvalidArgument, "the name is taken");
  ASSERT_OK(of_adapter.check("adapter_config.json"));
  const std::string of_variant = "diffusion_pytorch_model.safetensors.index.fp16.json";
  expect_error(CarriedNames(ModelParts{{"", "diffusion_pytorch_model.fp16"}}).check(of_variant),
               ErrorKind::kInvalidArgument, "the name is taken");
  ASSERT_OK(of_adapter.check(of_variant));
  ASSERT_OK(of_adapter.check("sub/adapter_model.safetensors"));
}

TEST(CarriedName, names_of_the_parts_of_a_pipeline_are_taken) {
  const CarriedNames of_pipeline(ModelParts{{"", "model"}, {"a/b", "u"}, {"a", "w"}});
  for (const char* name : {"a", "a/b", "a/b/u.safetensors", "a/b/u-1.safetensors/x", "a/w.safetensors",
                           "model.safetensors", "model-x/b.safetensors"})
    expect_error(of_pipeline.check(name), ErrorKind::kInvalidArgument, "the name is taken");
  for (const char* name : {"a/c", "a/b/c", "a/bc", "b", "a/u.safetensors", "a/b/w.safetensors"})
    ASSERT_OK(of_pipeline.check(name));
}

TEST(CarriedName, a_name_of_very_many_levels_costs_little) {
  std::string name = "a";
  while (name.size() < 8'000'000) name += "/" + name;
  ASSERT_OK(CarriedNames(ModelParts{{"a/a", "u"}}).check(name));
}

TEST(StemOfWeights, is_what_the_names_have_in_common) {
  EXPECT_EQ(stem_of_weights({"adapter_model.safetensors"}), "adapter_model");
  EXPECT_EQ(stem_of_weights({"model-00001-of-00001.safetensors"}), "model");
  EXPECT_EQ(stem_of_weights({"u-00001-of-00002.safetensors", "u-00002-of-00002.safetensors"}), "u");
}

TEST(StemOfWeights, is_the_standard_one_for_what_is_no_name_everywhere) {
  for (const std::string name :
       {"../x.safetensors", "a/b.safetensors", "/etc/x.safetensors", "a\b.safetensors", "..safetensors",
        ".safetensors", "a\nb.safetensors", ".llmcodec-x.safetensors", "model.gguf", ""})
    EXPECT_EQ(stem_of_weights({name}), "model") << name;
  EXPECT_EQ(stem_of_weights({"a.safetensors", "b.safetensors"}), "model");
  EXPECT_EQ(stem_of_weights({}), "model");
}

TEST(CarriedName, an_error_has_nothing_that_a_terminal_obeys) {
  const Status status = CarriedNames().check("\x1b]0;x\x07");
  EXPECT_NE(status.error().to_string().find("'\\x1b]0;x\\x07'"), std::string::npos);
}

}  // namespace
}  // namespace llmcodec

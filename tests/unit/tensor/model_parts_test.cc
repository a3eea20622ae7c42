// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/model_parts.h"

#include "base/limits.h"
#include "tensor/pipeline_source.h"
#include "tensor/safetensors.h"
#include "tensor/tensor_role.h"
#include "tensor_test_files.h"

namespace llmcodec {
namespace {

TEST(PartFolders, the_longest_folder_has_the_name) {
  const PartFolders folders({"unet", "a/b", "a"});
  EXPECT_EQ(folders.prefix_bytes("unet/x/y"), 5u);
  EXPECT_EQ(folders.prefix_bytes("a/x"), 2u);
  EXPECT_EQ(folders.prefix_bytes("a/b/x"), 4u);
  EXPECT_EQ(folders.prefix_bytes("a/bc"), 2u);
  for (const char* name : {"unet", "unetx/y", "x", "/x", ""})
    EXPECT_FALSE(folders.prefix_bytes(name)) << name;
  EXPECT_EQ(PartFolders({"", "unet"}).prefix_bytes("x/y"), 0u);
}

TEST(PartFolders, of_a_model_that_is_no_pipeline_nothing_is_a_folder) {
  for (const char* name : {"a", "unet/x", "/", ""}) EXPECT_EQ(PartFolders().prefix_bytes(name), 0u);
}

TEST(PartFolders, a_name_of_very_many_slashes_costs_little) {
  EXPECT_EQ(PartFolders({"", "a"}).prefix_bytes(std::string(10'000'000, '/')), 0u);
}

TEST(PartFolder, leads_nowhere_else_and_takes_no_name) {
  for (const char* folder : {"", "unet", "a/b", "text encoder", "..a"}) ASSERT_OK(check_part_folder(folder));
  for (const char* folder :
       {"/a", "..", "a/../b", "a/", "a//b", "a\\b", "a\nb", "a.safetensors", "a.safetensors.index.json/b",
        "a.safetensors.index.x.json", ".llmcodec-new", "a/.llmcodec-x", "llmcodec.x"})
    EXPECT_FALSE(check_part_folder(folder).is_ok()) << folder;
}

class Pipeline : public testing::Test {
 protected:
  PipelineSource::Part part(const std::string& folder, const std::string& tensor) {
    const std::string path = folder_.file(std::to_string(files_++));
    write_bytes(path, safetensors_with(
                          tensor.empty()
                              ? "{}"
                              : R"({")" + tensor + R"(":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                          tensor.empty() ? 0 : 8));
    auto file = SafetensorsFile::open(path);
    EXPECT_EQ(message_of(file), "");
    return {folder, std::move(*file)};
  }
  auto join(PipelineSource::Part a, PipelineSource::Part b) {
    std::vector<PipelineSource::Part> parts;
    parts.push_back(std::move(a));
    parts.push_back(std::move(b));
    return PipelineSource::join(std::move(parts));
  }
  TempFolder folder_;
  int files_ = 0;
};

TEST_F(Pipeline, names_have_their_folder_and_parts_lose_it) {
  const auto joined = join(part("", "x"), part("conv/norm", "x"));
  ASSERT_OK(joined);
  const std::vector<TensorInfo>& tensors = (*joined)->tensors();
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "x");
  EXPECT_EQ(tensors[1].name, "conv/norm/x");
  EXPECT_EQ(tensors[1].local_name(), "x");
  const PartView view(**joined, "conv/norm");
  ASSERT_EQ(view.tensors().size(), 1u);
  EXPECT_EQ(view.tensors()[0].name, "x");
  EXPECT_EQ(tensor_bytes(view, 0), std::string(8, '\0'));
}

TEST_F(Pipeline, a_name_that_would_be_of_another_part_is_refused) {
  expect_error(join(part("a", "b/x"), part("a/b", "x")), ErrorKind::kInvalidArgument, "tensor 'a/b/x'");
  expect_error(join(part("", "a/x"), part("a", "y")), ErrorKind::kInvalidArgument, "tensor 'a/x'");
  ASSERT_OK(join(part("", "b/x"), part("a", "b/x")));
}

TEST_F(Pipeline, a_tensor_without_a_name_is_refused) {
  const std::string path = folder_.file("nameless");
  write_bytes(path, safetensors_with(R"({"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8));
  auto file = SafetensorsFile::open(path);
  ASSERT_OK(file);
  expect_error(join({"a", std::move(*file)}, part("b", "x")), ErrorKind::kInvalidArgument,
               "part 'a' of the pipeline has a tensor without a name");
}

TEST_F(Pipeline, a_part_without_tensors_is_refused) {
  expect_error(join(part("a", "x"), part("b", "")), ErrorKind::kInvalidArgument,
               "part 'b' of the pipeline has no tensors");
}

TEST(RoleInPart, is_that_of_the_name_without_the_folder) {
  const TensorInfo plain{"layer_norm/proj.weight", Dtype::kF32, {64, 64}};
  TensorInfo in_part = plain;
  in_part.folder_bytes = std::string_view("layer_norm/").size();
  EXPECT_EQ(tensor_role(plain), TensorRole::kNorm);
  EXPECT_EQ(tensor_role(in_part), TensorRole::kMatrix);
  EXPECT_EQ(tensor_role({"lm/output.weight", Dtype::kF32, {64, 64}, 3}), TensorRole::kHead);
}

}  // namespace
}  // namespace llmcodec

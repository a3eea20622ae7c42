// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/model_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "tensor/shards.h"
#include "tensor_test_files.h"

namespace llmcodec {
namespace {

using Names = std::vector<std::string>;

// A Hugging Face folder with the small files that such folders have.
class FolderOfModel : public testing::Test {
 protected:
  FolderOfModel() {
    for (const char* name : {"config.json", "tokenizer.json", "sub/deeper/extra.txt", ".gitattributes",
                             ".git/HEAD", ".cache/huggingface/x"})
      write_bytes(folder_.file(name), "{}");
  }
  void add_weights(const std::string& name) {
    write_bytes(folder_.file(name), read_bytes(test_data("tiny.safetensors")));
  }
  void add_shards() {
    const std::vector<TensorInfo> infos = {{"a", Dtype::kU8, {2}}, {"b", Dtype::kU8, {2}}};
    auto output = ModelFolder::open(folder_.path());
    ASSERT_OK(output);
    auto sink = create_sharded_safetensors(*output, infos, {{"", kModelStem, {{"format", "pt"}}}}, 2);
    ASSERT_OK(sink);
    for (size_t i = 0; i < 2; ++i) ASSERT_OK((*sink)->write(i, as_bytes("xy")));
    ASSERT_OK((*sink)->finish());
  }
  const Names kOthers = {".gitattributes", "config.json", "sub/deeper/extra.txt", "tokenizer.json"};
  TempFolder folder_;
};

TEST_F(FolderOfModel, names_of_weights_that_a_pipeline_cannot_have_are_refused) {
  write_bytes(folder_.file("model_index.json"), "{}");
  for (const char* name : {"unet/a\\b.safetensors", "unet/a\nb.safetensors"}) {
    add_weights(name);
    expect_error(open_model(folder_.path()), ErrorKind::kInvalidArgument, "rename the file");
    std::filesystem::remove(folder_.file(name));
  }
}

TEST_F(FolderOfModel, links_to_folders_matter_in_a_pipeline_where_a_part_could_be) {
  write_bytes(folder_.file("model_index.json"), "{}");
  add_weights("unet/model.safetensors");
  std::filesystem::create_directory(folder_.file("wandb"));
  for (const char* name : {"onnx", "wandb/latest-run", "sub/.git", "unet/.cache"})
    std::filesystem::create_directory_symlink("/", folder_.file(name));
  ASSERT_OK(open_model(folder_.path()));
  std::filesystem::create_directory_symlink("unet", folder_.file("more"));
  expect_error(open_model(folder_.path()), ErrorKind::kInvalidArgument, "is a link to a folder");
}

TEST_F(FolderOfModel, a_run_that_was_stopped_in_a_part_is_named) {
  write_bytes(folder_.file("model_index.json"), "{}");
  add_weights("unet/model.safetensors");
  add_weights("vae/.llmcodec-replaced/model.safetensors");
  expect_error(open_model(folder_.path()), ErrorKind::kCorrupt, "vae: a run was stopped");
}

TEST_F(FolderOfModel, with_one_file) {
  add_weights("model.safetensors");
  const Result<Model> model = open_model(folder_.path());
  ASSERT_OK(model);
  EXPECT_EQ(model->kind, ModelKind::kFolder);
  EXPECT_EQ(model->source->tensors().size(), 8u);
  EXPECT_EQ(model->weight_files, Names{folder_.file("model.safetensors")});
  EXPECT_EQ(model->other_files, kOthers);
  EXPECT_TRUE(model->skipped_files.empty());
  EXPECT_EQ(model->metadata.at("format"), "pt");
  EXPECT_EQ(model->gguf, nullptr);
}

TEST_F(FolderOfModel, with_shards) {
  add_shards();
  const Result<Model> model = open_model(folder_.path());
  ASSERT_OK(model);
  EXPECT_EQ(model->kind, ModelKind::kFolder);
  EXPECT_EQ(model->source->tensors().size(), 2u);
  EXPECT_EQ(model->weight_files.size(), 2u);
  EXPECT_EQ(model->other_files, kOthers);
  EXPECT_EQ(model->metadata.at("format"), "pt");
}

TEST_F(FolderOfModel, the_same_weights_in_other_formats_are_left_out) {
  add_shards();
  add_weights("model.safetensors");  // beside an index: a leftover
  const Names skipped = {"adapter_model.safetensors",
                         "checkpoint-500/model.safetensors",
                         "consolidated.safetensors",
                         "model.fp16.safetensors",
                         "model.q4.gguf",
                         "model.safetensors",
                         "onnx/model.onnx",
                         "onnx/model.onnx_data",
                         "optimizer.pt",
                         "original/consolidated.00.pth",
                         "original/params.json",
                         "pytorch_model.bin",
                         "pytorch_model.bin.index.json",
                         "rng_state_0.pth",
                         "runs/today/events.out.tfevents.1",
                         "training_args.bin"};
  for (const std::string& name : skipped) {
    if (name != "model.safetensors") write_bytes(folder_.file(name), "x");
  }
  // The second dense layer exists as a pickle only; nobody knows what the others are.
  const Names kept = {"1_Dense/model.safetensors",
                      "2_Dense/pytorch_model.bin",
                      "checkpoint-best/notes.txt",
                      "model.bin.notes",
                      "modeling.py",
                      "voices/a.pt"};
  for (const std::string& name : kept) write_bytes(folder_.file(name), "x");
  const Result<Model> model = open_model(folder_.path());
  ASSERT_OK(model);
  EXPECT_EQ(model->source->tensors().size(), 2u);
  EXPECT_EQ(model->skipped_files, skipped);
  Names others = kOthers;
  others.insert(others.end(), kept.begin(), kept.end());
  std::sort(others.begin(), others.end());
  EXPECT_EQ(model->other_files, others);
}

TEST_F(FolderOfModel, with_weights_under_another_name) {
  add_weights("adapter_model.safetensors");
  const Result<Model> model = open_model(folder_.path());
  ASSERT_OK(model);
  EXPECT_EQ(model->weight_files, Names{folder_.file("adapter_model.safetensors")});
  EXPECT_EQ(model->other_files, kOthers);
}

TEST_F(FolderOfModel, with_several_sets_of_weights) {
  add_weights("one.safetensors");
  add_weights("two.safetensors");
  expect_error(open_model(folder_.path()), ErrorKind::kInvalidArgument, "one.safetensors, two.safetensors");
}

TEST_F(FolderOfModel, without_weights) {
  const Result<Model> model = open_model(folder_.path());
  expect_error(model, ErrorKind::kInvalidArgument,
               "no weights in this folder; looked for model.safetensors.index.json");
  EXPECT_EQ(model.error().file, folder_.path());
}

TEST_F(FolderOfModel, with_a_missing_shard) {
  add_shards();
  std::filesystem::remove(folder_.file("model-00002-of-00002.safetensors"));
  expect_error(open_model(folder_.path()), ErrorKind::kIo,
               "model-00002-of-00002.safetensors: the shard is missing");
}

TEST_F(FolderOfModel, of_links_as_in_a_hub_cache) {
  add_weights("blobs/abc");
  const std::string snapshot = folder_.file("snapshot");
  std::filesystem::create_directories(snapshot);
  std::filesystem::create_symlink("../blobs/abc", snapshot + "/model.safetensors");
  std::filesystem::create_symlink("../config.json", snapshot + "/config.json");
  std::filesystem::create_symlink("../nowhere", snapshot + "/optimizer.pt");  // nobody would have used it
  std::filesystem::create_directory_symlink("..", snapshot + "/loop");
  const Result<Model> model = open_model(snapshot);
  ASSERT_OK(model);
  EXPECT_EQ(model->source->tensors().size(), 8u);
  EXPECT_EQ(model->other_files, Names{"config.json"});
  EXPECT_EQ(model->notes, Names{"not followed: loop, a link to a folder"});
}

TEST_F(FolderOfModel, a_link_that_leads_nowhere_is_named) {
  add_weights("model.safetensors");
  std::filesystem::create_symlink("../nowhere", folder_.file("vocab.json"));
  const Result<Model> model = open_model(folder_.path());
  expect_error(model, ErrorKind::kIo, "is a link to ../nowhere, which is not there");
  EXPECT_EQ(model.error().file, folder_.file("vocab.json"));
}

TEST(ModelFile, safetensors) {
  const Result<Model> model = open_model(test_data("tiny.safetensors"));
  ASSERT_OK(model);
  EXPECT_EQ(model->kind, ModelKind::kSafetensors);
  EXPECT_EQ(model->metadata.at("format"), "pt");
  EXPECT_TRUE(model->other_files.empty());
}

TEST(ModelFile, gguf_under_any_name) {
  TempFolder folder;
  write_bytes(folder.file("weights.dat"), read_bytes(test_data("tiny.gguf")));
  const Result<Model> model = open_model(folder.file("weights.dat"));
  ASSERT_OK(model);
  EXPECT_EQ(model->kind, ModelKind::kGguf);
  ASSERT_NE(model->gguf, nullptr);
  EXPECT_EQ(model->gguf->find_string("general.architecture"), "llama");
  EXPECT_EQ(model->weight_files, Names{folder.file("weights.dat")});
}

TEST(ModelFile, index) {
  TempFolder folder;
  write_bytes(folder.file("x.safetensors.index.json"), R"({"weight_map":{"a":"1.safetensors"}})");
  write_bytes(folder.file("1.safetensors"),
              safetensors_with(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1));
  const Result<Model> model = open_model(folder.file("x.safetensors.index.json"));
  ASSERT_OK(model);
  EXPECT_EQ(model->kind, ModelKind::kShardedSafetensors);
}

TEST(ModelFile, of_another_kind) {
  TempFolder folder;
  const auto open = [&](const std::string& name, std::string_view bytes) {
    write_bytes(folder.file(name), bytes);
    return open_model(folder.file(name));
  };
  expect_error(open("model.pt", std::string_view("PK\x03\x04....", 8)), ErrorKind::kUnsupported, "pickle");
  expect_error(open("model.pth", "\x80\x02...."), ErrorKind::kUnsupported, "pickle");
  expect_error(open("notes.txt", "hello, world"), ErrorKind::kUnsupported, "neither GGUF nor safetensors");
  expect_error(open("empty", ""), ErrorKind::kUnsupported, "neither GGUF nor safetensors");
  expect_error(open("empty.safetensors", ""), ErrorKind::kCorrupt, "too short");
  expect_error(open("broken.gguf", "GGXF"), ErrorKind::kCorrupt, "not a GGUF file");
  expect_error(open_model(folder.file("absent")), ErrorKind::kIo, "absent");
}

// Threads read rows of one large file, each the next that nobody has.
TEST(ModelReading, from_many_threads) {
  constexpr uint64_t kRows = 200, kCols = 33'333;  // rows that share pages with their neighbours
  TempFolder folder;
  const auto sink =
      create_safetensors(folder.file("w.safetensors"), {{"w", Dtype::kF64, {kRows, kCols}}}, {});
  ASSERT_OK(sink);
  for (uint64_t r = 0; r < kRows; ++r) {
    const std::vector<double> row(kCols, static_cast<double>(r));
    ASSERT_OK((*sink)->write(0, std::as_bytes(std::span(row))));
  }
  ASSERT_OK((*sink)->finish());
  const Result<Model> model = open_model(folder.file("w.safetensors"));
  ASSERT_OK(model);
  std::atomic<uint64_t> next = 0, wrong = 0;
  const auto read_rows = [&] {
    std::vector<float> row(kCols);
    for (uint64_t r; (r = next++) < kRows;) {
      const bool read = model->source->read_f32(0, r * kCols, row).is_ok();
      const auto expected = static_cast<float>(r);
      wrong += !read || std::ranges::count(row, expected) != static_cast<ptrdiff_t>(kCols);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(read_rows);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0u);
}

TEST(ModelReading, a_file_that_became_shorter_is_an_error_with_its_place) {
  TempFolder folder;
  const std::string path = folder.file("w.safetensors");
  write_bytes(path,
              safetensors_with(R"({"w":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}})", 4000));
  const Result<Model> model = open_model(path);
  ASSERT_OK(model);
  std::filesystem::resize_file(path, 2000);
  std::vector<float> values(1000);
  const Status status = model->source->read_f32(0, 0, values);
  expect_error(status, ErrorKind::kIo, "became shorter");
  EXPECT_EQ(status.error().file, path);
  EXPECT_EQ(status.error().tensor, "w");
  EXPECT_EQ(status.error().offset, 2000u);
}

}  // namespace
}  // namespace llmcodec

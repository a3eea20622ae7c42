// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/model_folder.h"

#include <map>

#include "tensor_test_files.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

class ModelFolderTest : public testing::Test {
 protected:
  Files files() const {
    Files found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      if (entry.is_regular_file())
        found[entry.path().lexically_relative(folder_.path()).string()] = read_bytes(entry.path().string());
    }
    return found;
  }
  void put(const Files& files) {
    for (const auto& [name, text] : files) write_bytes(folder_.file(name), text);
  }
  Status write(const Files& files) {
    LLMC_ASSIGN_OR_RETURN(ModelFolder folder, ModelFolder::open(folder_.path()));
    for (const auto& [name, text] : files) LLMC_RETURN_IF_ERROR(folder.write_text(name, text));
    return folder.commit();
  }
  const Files kOld = {{"model.safetensors.index.json", "old"},
                      {"model-00001-of-00002.safetensors", "old"},
                      {"model-00002-of-00002.safetensors", "old"},
                      {"config.json", "old"},
                      {"sub/a", "old"}};
  const Files kNew = {{"model.safetensors", "new"}, {"config.json", "new"}, {"sub/b", "new"}};
  // kNew over kOld: what is nobody's stays.
  const Files kAfter = {
      {"model.safetensors", "new"}, {"config.json", "new"}, {"sub/a", "old"}, {"sub/b", "new"}};
  TempFolder folder_;
};

TEST_F(ModelFolderTest, what_is_replaced_goes_and_all_else_stays) {
  put(kOld);
  put({{"notes.txt", "mine"}, {"model-1-of-2.safetensors.txt", "mine"}});
  ASSERT_OK(write(kNew));
  Files expected = kAfter;
  expected.insert({{"notes.txt", "mine"}, {"model-1-of-2.safetensors.txt", "mine"}});
  EXPECT_EQ(files(), expected);
}

TEST_F(ModelFolderTest, nothing_changes_before_commit) {
  put(kOld);
  {
    auto folder = ModelFolder::open(folder_.path());
    ASSERT_OK(folder);
    ASSERT_OK(folder->write_text("config.json", "new"));
    EXPECT_EQ(read_bytes(folder_.file("config.json")), "old");
  }
  EXPECT_EQ(files(), kOld);
}

TEST_F(ModelFolderTest, other_weights_are_refused) {
  for (const char* name :
       {"pytorch_model.bin", "x.gguf", "consolidated.00.pth", "model-extra.safetensors",
        "diffusion_pytorch_model.fp16.safetensors", "adapter_model.safetensors", "adapter_model.bin"}) {
    put({{name, "weights"}});
    expect_error(write(kNew), ErrorKind::kInvalidArgument, name);
    EXPECT_EQ(files(), (Files{{name, "weights"}}));
    fs::remove(folder_.file(name));
  }
}

class PipelineFolderTest : public ModelFolderTest {
 protected:
  Status write_parts(const Files& files) {
    LLMC_ASSIGN_OR_RETURN(ModelFolder folder, ModelFolder::open(folder_.path(), {kParts}));
    for (const auto& [name, text] : files) LLMC_RETURN_IF_ERROR(folder.write_text(name, text));
    return folder.commit();
  }
  const ModelParts kParts = {{"a/b", "model"}, {"unet", "u"}};
  const Files kNewParts = {
      {"unet/u.safetensors", "new"}, {"a/b/model.safetensors", "new"}, {"model_index.json", "new"}};
};

TEST_F(PipelineFolderTest, weights_are_replaced_in_the_folder_of_each_part) {
  put({{"unet/u.safetensors.index.json", "old"},
       {"unet/u-00001-of-00002.safetensors", "old"},
       {"a/b/model-00001-of-00001.safetensors", "old"},
       {"model.safetensors", "old"},
       {"unet/notes.txt", "mine"},
       {"a/model.safetensors", "mine"}});
  ASSERT_OK(write_parts(kNewParts));
  Files expected = kNewParts;
  expected.insert({{"unet/notes.txt", "mine"}, {"a/model.safetensors", "mine"}});
  EXPECT_EQ(files(), expected);
}

TEST_F(PipelineFolderTest, other_weights_in_the_folder_of_a_part_are_refused) {
  for (const char* name :
       {"unet/x.gguf", "a/b/pytorch_model.bin", "unet/model.safetensors", "pytorch_model.bin"}) {
    put({{name, "weights"}});
    expect_error(write_parts(kNewParts), ErrorKind::kInvalidArgument, "the folder holds other weights");
    fs::remove(folder_.file(name));
  }
  put({{"unet", "a file"}});
  expect_error(write_parts(kNewParts), ErrorKind::kInvalidArgument, "is no folder");
}

TEST_F(ModelFolderTest, a_file_in_the_place_of_a_folder_is_refused_and_nothing_moves) {
  Files old = kOld;
  old["tok"] = "a file";
  put(old);
  for (const char* name : {"tok/t.json", "tok/deep/t.json"}) {
    const Files files_of_new = {{"model.safetensors", "new"}, {name, "new"}};
    expect_error(write(files_of_new), ErrorKind::kInvalidArgument, "is no folder");
    EXPECT_EQ(files(), old);
    expect_error(check_ways(folder_.path(), {"config.json", name}), ErrorKind::kInvalidArgument, "tok");
  }
  ASSERT_OK(check_ways(folder_.path(), {"sub/c", "none/d"}));
}

// Stopped by a program that did not look first: the swap can be taken back all the same.
TEST_F(ModelFolderTest, a_stopped_swap_with_a_file_in_the_place_of_a_folder_is_taken_back) {
  put({{"tok", "a file"}, {".llmcodec-replaced/model.safetensors", "old"}});
  write_bytes(folder_.file(".llmcodec-replaced/.llmcodec-names"), std::string("tok/t.json\0", 11));
  ASSERT_OK(ModelFolder::open(folder_.path()));
  EXPECT_EQ(files(), (Files{{"tok", "a file"}, {"model.safetensors", "old"}}));
}

TEST_F(PipelineFolderTest, a_file_above_the_folder_of_a_part_is_refused) {
  put({{"a", "a file"}});
  expect_error(write_parts(kNewParts), ErrorKind::kInvalidArgument, "is no folder");
  EXPECT_EQ(files(), (Files{{"a", "a file"}}));
}

TEST_F(PipelineFolderTest, a_swap_that_was_stopped_in_the_folder_of_a_part_is_taken_back) {
  for (const char* name :
       {"unet/.llmcodec-replaced/u.safetensors", "a/.llmcodec-replaced/b/model.safetensors"}) {
    put({{name, "old"}});
    ASSERT_OK(ModelFolder::open(folder_.path(), {kParts}));
    std::string back = name;
    back.erase(back.find(".llmcodec-replaced/"), std::string(".llmcodec-replaced/").size());
    EXPECT_EQ(files(), (Files{{back, "old"}}));
    ASSERT_OK(write_parts(kNewParts));
    EXPECT_EQ(files(), kNewParts);
    for (const auto& [file, text] : kNewParts) fs::remove(folder_.file(file));
  }
  put({{"unet/.llmcodec-replaced/pytorch_model.bin", "old"}});
  expect_error(write_parts(kNewParts), ErrorKind::kInvalidArgument, "the folder holds other weights");
}

// Whoever writes the folder of a part, or one above it, writes the pipeline.
TEST_F(PipelineFolderTest, has_one_writer_in_all_of_its_folders) {
  for (const char* below : {"unet", "a", "a/b"}) {
    {
      const auto pipeline = ModelFolder::open(folder_.path(), {kParts});
      ASSERT_OK(pipeline);
      expect_error(ModelFolder::open(folder_.file(below)), ErrorKind::kInvalidArgument, "another llmcodec");
    }
    {
      const auto part = ModelFolder::open(folder_.file(below));
      ASSERT_OK(part);
      expect_error(write_parts(kNewParts), ErrorKind::kInvalidArgument, "another llmcodec");
    }
  }
  ASSERT_OK(write_parts(kNewParts));
  EXPECT_EQ(files(), kNewParts);
}

TEST_F(PipelineFolderTest, folders_that_were_made_for_nothing_go_again) {
  const std::string path = folder_.file("new/deep");
  {
    auto folder = ModelFolder::open(path, {kParts});
    ASSERT_OK(folder);
    ASSERT_OK(folder->write_text("unet/u.safetensors", "new"));
    EXPECT_TRUE(fs::is_directory(path + "/a/b"));
  }
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  put({{"new/pytorch_model.bin", "mine"}});
  expect_error(ModelFolder::open(folder_.file("new"), {kParts}), ErrorKind::kInvalidArgument,
               "other weights");
  EXPECT_EQ(files(), (Files{{"new/pytorch_model.bin", "mine"}}));
  fs::create_directories(folder_.file("mine"));
  ASSERT_OK(ModelFolder::open(folder_.file("mine")));
  EXPECT_TRUE(fs::is_empty(folder_.file("mine")));  // and is there
}

TEST_F(PipelineFolderTest, what_the_new_model_brings_is_replaced_whatever_its_name) {
  const FilesOfModel files_of_new = {kParts, {"adapter_model.bin", "unet/pytorch_model.bin"}};
  put({{"adapter_model.bin", "old"}, {"unet/pytorch_model.bin", "old"}});
  ASSERT_OK(ModelFolder::open(folder_.path(), files_of_new));
  put({{"unet/adapter_model.bin", "mine"}});
  expect_error(ModelFolder::open(folder_.path(), files_of_new), ErrorKind::kInvalidArgument, "unet");
}

TEST_F(PipelineFolderTest, other_precisions_in_the_folder_of_a_part_are_refused) {
  for (const char* name : {"unet/diffusion_pytorch_model.fp16.safetensors", "unet/adapter_model.safetensors",
                           "a/b/diffusion_pytorch_model.safetensors.index.json"}) {
    put({{name, "weights"}});
    expect_error(write_parts(kNewParts), ErrorKind::kInvalidArgument, "the folder holds other weights");
    fs::remove(folder_.file(name));
  }
}

TEST_F(PipelineFolderTest, links_in_the_place_of_parts_are_refused) {
  const TempFolder elsewhere;
  for (const char* link : {"unet", "a"}) {
    fs::create_directory_symlink(elsewhere.path(), folder_.file(link));
    expect_error(write_parts(kNewParts), ErrorKind::kUnsupported, "is a link");
    fs::remove(folder_.file(link));
  }
  EXPECT_TRUE(fs::is_empty(elsewhere.path()));
}

// Whatever of the swap was done: the files by which others are found are taken away first.
TEST_F(PipelineFolderTest, a_stopped_swap_is_taken_back) {
  const Files old = {{"unet/u.safetensors", "old"}, {"model_index.json", "old"}};
  put(old);
  fs::create_directories(folder_.file(".llmcodec-replaced/unet"));
  for (const char* name : {"model_index.json", "unet/u.safetensors"})
    fs::rename(folder_.file(name), folder_.file(std::string(".llmcodec-replaced/") + name));
  write_bytes(folder_.file(".llmcodec-replaced/.llmcodec-names"),
              std::string("a/b/model.safetensors\0unet/u.safetensors\0model_index.json\0", 58));
  put({{"a/b/model.safetensors", "new"}, {"unet/u.safetensors", "new"}});
  ASSERT_OK(ModelFolder::open(folder_.path(), {kParts}));
  EXPECT_EQ(files(), old);
}

TEST_F(ModelFolderTest, names_that_lead_elsewhere_are_refused) {
  for (const char* name : {"/tmp/x", "../x", "sub/../../x", ".llmcodec-replaced/x", "./.llmcodec-lock"})
    EXPECT_FALSE(write({{name, "x"}}).is_ok()) << name;
  EXPECT_EQ(files(), Files());
}

TEST_F(ModelFolderTest, names_that_only_look_like_the_folder_above_are_taken) {
  const Files dots = {{"...", "x"}, {"..a/b", "x"}};
  ASSERT_OK(write(dots));
  EXPECT_EQ(files(), dots);
}

// A swap that was stopped before any new file had its name, and one stopped later: readers are kept away, and the next
// writer begins with the old model.
TEST_F(ModelFolderTest, a_stopped_swap_is_taken_back) {
  for (const bool begun : {false, true}) {
    put(kOld);
    fs::create_directories(folder_.file(".llmcodec-replaced/sub"));
    fs::rename(folder_.file("model.safetensors.index.json"),
               folder_.file(".llmcodec-replaced/model.safetensors.index.json"));
    fs::rename(folder_.file("sub/a"), folder_.file(".llmcodec-replaced/sub/a"));
    if (begun) {
      write_bytes(folder_.file(".llmcodec-replaced/.llmcodec-names"),
                  std::string("sub/a\0extra\0absent\0", 19));
      put({{"sub/a", "new"}, {"extra", "new"}});
    }
    expect_error(check_folder_is_whole(folder_.path()), ErrorKind::kCorrupt, "run its command again");
    ASSERT_OK(ModelFolder::open(folder_.path()));
    EXPECT_EQ(files(), kOld) << begun;
    ASSERT_OK(check_folder_is_whole(folder_.path()));
  }
}

TEST_F(ModelFolderTest, a_swap_that_was_done_stays_done) {
  put(kAfter);
  put({{".llmcodec-removed/config.json", "old"}, {".llmcodec-new/x", "left"}});
  ASSERT_OK(check_folder_is_whole(folder_.path()));
  ASSERT_OK(ModelFolder::open(folder_.path()));
  EXPECT_EQ(files(), kAfter);
}

// A folder from somebody else, with what a stopped swap would have left: nothing outside it is lost or moved.
TEST_F(ModelFolderTest, a_forged_stopped_swap_reaches_nothing_outside) {
  const TempFolder outside;
  write_bytes(outside.file("precious"), "mine");
  const std::string up = "../" + fs::path(outside.path()).filename().string() + "/precious";
  fs::create_directory_symlink(outside.path(), folder_.file("linked"));
  for (const std::string& name :
       {outside.path(), outside.file("precious"), up, std::string("linked/precious"),
        std::string("sub/../../x"), std::string(".."), std::string("a\nb")}) {
    fs::create_directories(folder_.file(".llmcodec-replaced"));
    write_bytes(folder_.file(".llmcodec-replaced/.llmcodec-names"), name + '\0');
    expect_error(ModelFolder::open(folder_.path()), ErrorKind::kCorrupt, "leads out of this folder");
    EXPECT_EQ(read_bytes(outside.file("precious")), "mine") << name;
    fs::remove_all(folder_.file(".llmcodec-replaced"));
  }
  fs::create_directories(folder_.file(".llmcodec-replaced/linked"));
  write_bytes(folder_.file(".llmcodec-replaced/linked/precious"), "theirs");
  expect_error(ModelFolder::open(folder_.path()), ErrorKind::kCorrupt, "leads out of this folder");
  EXPECT_EQ(read_bytes(outside.file("precious")), "mine");
  fs::remove_all(folder_.file(".llmcodec-replaced"));
  fs::create_directory_symlink(outside.path(), folder_.file(".llmcodec-replaced"));
  expect_error(ModelFolder::open(folder_.path()), ErrorKind::kCorrupt, "leads out of this folder");
  EXPECT_EQ(read_bytes(outside.file("precious")), "mine");
}

TEST_F(ModelFolderTest, a_forged_stopped_swap_removes_no_folder) {
  put({{"sub/a", "mine"}});
  fs::create_directories(folder_.file(".llmcodec-replaced"));
  write_bytes(folder_.file(".llmcodec-replaced/.llmcodec-names"), std::string("sub\0", 4));
  expect_error(ModelFolder::open(folder_.path()), ErrorKind::kIo, "cannot remove");
  EXPECT_EQ(read_bytes(folder_.file("sub/a")), "mine");
}

}  // namespace
}  // namespace llmcodec

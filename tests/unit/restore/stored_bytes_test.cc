// SPDX-License-Identifier: BSD-3-Clause
// What is to be fetched for a tensor or for rows is what decoding reads, and what is stored can be checked without decoding.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>

#include "base/error.h"
#include "llmcodec/archive.h"
#include "small_archive.h"

namespace llmcodec {
namespace {

// Files in memory, of which only the bytes that are allowed can be read.
struct Fetched {
  std::map<std::string, std::string> files;
  std::map<std::string, std::vector<bool>> there;
  std::mutex mutex;
  bool all = true;

  Result<Archive> open() {
    std::vector<Archive::Source> sources;
    for (const auto& [name, bytes] : files)
      sources.push_back(
          {name, bytes.size(), [this, file = name](uint64_t offset, std::span<std::byte> out) -> Status {
             const std::lock_guard lock(mutex);
             for (size_t i = 0; i < out.size(); ++i)
               if (!all && !there[file][offset + i]) return error(ErrorKind::kIo, "was not fetched");
             std::ranges::copy(as_bytes(files[file]).subspan(offset, out.size()), out.begin());
             return Status::ok();
           }});
    return Archive::open_sources(std::move(sources));
  }
  void only(const Archive& archive, const std::vector<StoredBytes>& ranges) {
    all = false;
    for (const auto& [name, bytes] : files) there[name].assign(bytes.size(), false);
    for (const StoredBytes& range : ranges)
      std::fill_n(there[archive.files()[range.file]].begin() + static_cast<ptrdiff_t>(range.offset),
                  range.bytes, true);
  }
  size_t count() const {
    size_t count = 0;
    for (const auto& [name, bytes] : there) count += static_cast<size_t>(std::ranges::count(bytes, true));
    return count;
  }
};

class StoredBytesTest : public SmallArchive {
 protected:
  void sharded(Fetched* fetched) {
    CompressOptions options = SmallArchive::options();
    options.output = folder_.file("sharded");
    std::filesystem::create_directory(folder_.file("model"));
    std::filesystem::copy_file(options.input, folder_.file("model/model.safetensors"));
    write_bytes(folder_.file("model/config.json"), "{}");
    options.input = folder_.file("model");
    options.shard_bytes = 200'000;
    ASSERT_OK(compress(options));
    for (const auto& entry : std::filesystem::directory_iterator(options.output))
      if (entry.path().extension() == ".safetensors")
        fetched->files[entry.path().string()] = read_bytes(entry.path().string());
  }
};

TEST_F(StoredBytesTest, are_what_decoding_reads) {
  Fetched fetched;
  sharded(&fetched);
  ASSERT_GT(fetched.files.size(), 1u);
  const auto archive = fetched.open();
  ASSERT_OK(archive);
  for (size_t i = 0; i < archive->tensors().size(); ++i) {
    const ArchivedTensor& tensor = archive->tensors()[i];
    const auto all = archive->stored(i);
    ASSERT_OK(all);
    fetched.only(*archive, *all);
    EXPECT_EQ(fetched.count(), tensor.stored_bytes) << tensor.name;
    std::string out(archive->byte_size(i).value(), '?');
    ASSERT_OK(archive->decode(i, std::as_writable_bytes(std::span(out))));
    EXPECT_TRUE(out == restored(tensor.name)) << tensor.name;
    if (tensor.rows == 0) continue;
    for (const RowRange rows :
         {RowRange{0, 1}, {tensor.rows / 3, tensor.rows / 2}, {tensor.rows - 1, tensor.rows}}) {
      const auto some = archive->stored(i, rows);
      ASSERT_OK(some);
      fetched.only(*archive, *some);
      std::string part(out.size() / tensor.rows * (rows.last - rows.first), '?');
      ASSERT_OK(archive->decode_rows(i, rows, std::as_writable_bytes(std::span(part))));
      EXPECT_TRUE(part == out.substr(out.size() / tensor.rows * rows.first, part.size())) << tensor.name;
      if (tensor.name == "coded" && rows.first == 0) {
        EXPECT_LT(fetched.count(), tensor.stored_bytes * 2 / 3);  // one picture of two
      }
    }
  }
  expect_error(archive->stored(99), ErrorKind::kInvalidArgument, "tensor 99 of 5");
  expect_error(archive->stored(0, RowRange{5, 2401}), ErrorKind::kInvalidArgument, "rows 5:2401");
}

TEST_F(StoredBytesTest, are_checked_without_decoding) {
  Fetched fetched;
  sharded(&fetched);
  const auto archive = fetched.open();
  ASSERT_OK(archive);
  ASSERT_OK(archive->check_stored({}));
  for (size_t i = 0; i < archive->tensors().size(); ++i) {
    ASSERT_OK(archive->check_stored(i));
    const auto ranges = archive->stored(i);
    ASSERT_OK(ranges);
    char& byte = fetched.files[archive->files()[(*ranges)[0].file]][(*ranges)[0].offset];
    byte = static_cast<char>(byte ^ 1);
    expect_error(archive->check_stored(i), ErrorKind::kCorrupt, archive->tensors()[i].name);
    byte = static_cast<char>(byte ^ 1);
  }
  expect_error(archive->check_stored(99), ErrorKind::kInvalidArgument, "tensor 99 of 5");
}

TEST_F(StoredBytesTest, of_files_beside_the_archive) {
  Fetched fetched;
  sharded(&fetched);
  const auto archive = fetched.open();
  ASSERT_OK(archive);
  const std::vector<FileBeside> files = archive->files_beside();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].name, "config.json");
  std::string text = read_bytes(folder_.file("sharded/config.json"));
  EXPECT_EQ(files[0].bytes, text.size());
  const Archive::ReadAt read = [&](uint64_t offset, std::span<std::byte> out) {
    std::ranges::copy(as_bytes(text).subspan(offset, out.size()), out.begin());
    return Status::ok();
  };
  ASSERT_OK(archive->check_beside("config.json", read));
  text[3] ^= 1;
  expect_error(archive->check_beside("config.json", read), ErrorKind::kCorrupt,
               "config.json: fails its checksum");
  expect_error(archive->check_beside("other", read), ErrorKind::kInvalidArgument, "no file of this archive");
}

TEST_F(StoredBytesTest, need_files_of_different_names) {
  expect_error(Archive::open_sources({}), ErrorKind::kInvalidArgument, "at least one file");
  const Archive::ReadAt none = [](uint64_t, std::span<std::byte>) { return Status::ok(); };
  expect_error(Archive::open_sources({{"a", 1, none}, {"a", 1, none}}), ErrorKind::kInvalidArgument,
               "given twice");
}

}  // namespace
}  // namespace llmcodec

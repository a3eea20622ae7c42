// SPDX-License-Identifier: BSD-3-Clause
#include <sys/wait.h>
#include <unistd.h>

#include "c_test_util.h"

namespace llmcodec {
namespace {

class CArchive : public SmallArchive {};

int read_text(void* user, uint64_t offset, void* out, size_t size) {
  const std::string& bytes = *static_cast<const std::string*>(user);
  if (bytes.empty()) return 5;
  std::memcpy(out, bytes.data() + offset, size);
  return 0;
}

TEST_F(CArchive, from_path_memory_and_reader_alike) {
  std::string bytes = read_bytes(archive_);
  ErrorOut error;
  llmcodec_archive *memory = nullptr, *reader = nullptr;
  ASSERT_EQ(llmcodec_archive_open_memory(bytes.data(), bytes.size(), nullptr, &memory, error), LLMCODEC_OK);
  ASSERT_EQ(llmcodec_archive_open_reader(read_text, &bytes, bytes.size(), nullptr, &reader, error),
            LLMCODEC_OK);
  const ArchiveHandle handles[] = {open_handle(archive_), ArchiveHandle(memory), ArchiveHandle(reader)};
  for (const ArchiveHandle& archive : handles) {
    ASSERT_EQ(llmcodec_archive_tensor_count(archive.get()), small_model().size());
    for (const TensorInfo& info : small_model())
      EXPECT_TRUE(decoded(archive.get(), info.name) == restored(info.name));
  }
  bytes.clear();
  EXPECT_EQ(decoded(reader, "norm").substr(0, 8), "reader: ");
  EXPECT_NE(decoded(reader, "norm").find("the caller's read function returned 5"), std::string::npos);
}

TEST_F(CArchive, says_what_a_tensor_is) {
  const ArchiveHandle archive = open_handle(archive_);
  auto info = sized<llmcodec_tensor_info>();
  ASSERT_EQ(llmcodec_archive_tensor(archive.get(), 1, &info, nullptr), LLMCODEC_OK);
  EXPECT_STREQ(info.name, "experts");
  EXPECT_STREQ(info.dtype, "BF16");
  EXPECT_STREQ(info.decoded_dtype, "BF16");
  EXPECT_EQ(std::vector<uint64_t>(info.shape, info.shape + info.dimensions),
            (std::vector<uint64_t>{3, 64, 96}));
  EXPECT_EQ(info.elements, 3 * 64 * 96u);
  EXPECT_EQ(info.rows, 3 * 64u);
  EXPECT_EQ(info.cols, 96u);
  EXPECT_EQ(info.coded, 1);
}

TEST_F(CArchive, rows_in_another_dtype) {
  const ArchiveHandle archive = open_handle(archive_);
  size_t tensor = 0;
  ASSERT_EQ(llmcodec_archive_find(archive.get(), "coded", &tensor, nullptr), LLMCODEC_OK);
  auto options = sized<llmcodec_decode_options>();
  options.dtype = "F64";
  std::vector<double> rows(2 * 512);
  ASSERT_EQ(llmcodec_archive_decode_rows(archive.get(), tensor, 600, 602, &options, rows.data(),
                                         rows.size() * 8, nullptr),
            LLMCODEC_OK);
  const std::string whole = restored("coded");
  std::vector<float> expected(rows.size());
  std::memcpy(expected.data(), whole.data() + 600 * 2048, expected.size() * 4);
  EXPECT_TRUE(std::ranges::equal(rows, expected));
}

TEST_F(CArchive, errors_have_their_parts) {
  ErrorOut error;
  llmcodec_archive* none = nullptr;
  const std::string absent = folder_.file("absent");
  EXPECT_EQ(llmcodec_archive_open(absent.c_str(), nullptr, &none, error), LLMCODEC_IO);
  EXPECT_EQ(none, nullptr);
  ASSERT_NE(error.get(), nullptr);
  EXPECT_EQ(llmcodec_error_kind(error.get()), LLMCODEC_IO);
  EXPECT_EQ(llmcodec_error_file(error.get()), absent);
  EXPECT_STREQ(llmcodec_error_tensor(error.get()), "");
  EXPECT_EQ(llmcodec_error_offset(error.get()), -1);
  EXPECT_EQ(error.text(), absent + ": " + llmcodec_error_message(error.get()));

  std::string bytes = read_bytes(archive_);
  bytes[bytes.size() / 2] ^= 1;  // in the bitstream of "coded"
  ASSERT_EQ(llmcodec_archive_open_memory(bytes.data(), bytes.size(), nullptr, &none, error), LLMCODEC_OK);
  const ArchiveHandle damaged(none);
  std::string out(restored("coded").size(), '\0');
  EXPECT_EQ(llmcodec_archive_decode(damaged.get(), 0, nullptr, out.data(), out.size(), error),
            LLMCODEC_CORRUPT);
  EXPECT_STREQ(llmcodec_error_tensor(error.get()), "coded");
  EXPECT_STREQ(llmcodec_error_file(error.get()), "memory");
  EXPECT_EQ(llmcodec_archive_decode(damaged.get(), 0, nullptr, out.data(), out.size(), nullptr),
            LLMCODEC_CORRUPT);
}

TEST_F(CArchive, missing_arguments_are_errors) {
  ErrorOut error;
  llmcodec_archive* opened = nullptr;
  EXPECT_EQ(llmcodec_archive_open(nullptr, nullptr, &opened, error), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(error.text(), "path is NULL");
  EXPECT_EQ(llmcodec_archive_open("x", nullptr, nullptr, error), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(llmcodec_archive_open_memory(nullptr, 0, nullptr, &opened, error), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(llmcodec_archive_open_reader(nullptr, nullptr, 0, nullptr, &opened, error),
            LLMCODEC_INVALID_ARGUMENT);
  const ArchiveHandle archive = open_handle(archive_);
  EXPECT_EQ(llmcodec_archive_find(archive.get(), nullptr, nullptr, error), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(llmcodec_archive_decode(archive.get(), 0, nullptr, nullptr, 8, error), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(llmcodec_archive_decode(nullptr, 0, nullptr, nullptr, 0, error), LLMCODEC_INVALID_ARGUMENT);
  llmcodec_archive_close(nullptr);
  llmcodec_error_free(nullptr);
  llmcodec_string_free(nullptr);
}

// Structs of an earlier version are shorter, those of a later one longer.
TEST_F(CArchive, structs_of_other_versions) {
  const ArchiveHandle archive = open_handle(archive_);
  ErrorOut error;
  llmcodec_tensor_info info{};
  EXPECT_EQ(llmcodec_archive_tensor(archive.get(), 0, &info, error), LLMCODEC_INVALID_ARGUMENT);
  info.struct_size = offsetof(llmcodec_tensor_info, shape);
  info.dimensions = 77;
  ASSERT_EQ(llmcodec_archive_tensor(archive.get(), 0, &info, error), LLMCODEC_OK);
  EXPECT_STREQ(info.name, "coded");
  EXPECT_EQ(info.dimensions, 77u);  // not there for that caller

  struct Later {
    llmcodec_decode_options options{};
    size_t more = 0;
  } later;
  std::string out(restored("norm").size(), '\0');
  size_t norm = 0;
  ASSERT_EQ(llmcodec_archive_find(archive.get(), "norm", &norm, nullptr), LLMCODEC_OK);
  const auto decode = [&] {
    return llmcodec_archive_decode(archive.get(), norm, &later.options, out.data(), out.size(), error);
  };
  EXPECT_EQ(decode(), LLMCODEC_INVALID_ARGUMENT) << "struct_size is 0";
  later.options.struct_size = sizeof(later);
  EXPECT_EQ(decode(), LLMCODEC_OK);
  later.more = 1;
  EXPECT_EQ(decode(), LLMCODEC_UNSUPPORTED);
  later.options.struct_size = sizeof(size_t);  // options without any option
  later.options.dtype = "nonsense";
  EXPECT_EQ(decode(), LLMCODEC_OK);
}

TEST_F(CArchive, a_call_can_be_cancelled) {
  const ArchiveHandle archive = open_handle(archive_);
  auto options = sized<llmcodec_decode_options>();
  int asked = 0;
  options.cancelled = [](void* user) { return ++*static_cast<int*>(user); };
  options.user = &asked;
  EXPECT_EQ(decoded(archive.get(), "coded", &options), archive_ + ": tensor 'coded': interrupted");
  EXPECT_EQ(asked, 1);
}

TEST_F(CArchive, a_child_process_goes_on_with_one_thread) {
  const ArchiveHandle archive = open_handle(archive_);
  auto options = sized<llmcodec_decode_options>();
  options.threads = 2;
  EXPECT_TRUE(decoded(archive.get(), "coded", &options) == restored("coded"));  // there are threads now
  options.threads = 1;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(decoded(archive.get(), "coded", &options) == restored("coded") ? 0 : 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace llmcodec

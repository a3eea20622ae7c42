// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <fstream>
#include <map>

#include "c_test_util.h"

namespace llmcodec {
namespace {

struct CloseWriter {
  void operator()(llmcodec_writer* writer) const { llmcodec_writer_close(writer); }
};
using WriterHandle = std::unique_ptr<llmcodec_writer, CloseWriter>;

// The tensors of small_model(), given by a function.
struct Tensors {
  std::vector<std::string> bytes;
  std::atomic<uint64_t> read = 0;
  std::atomic<int> fails = 0;  // what is returned

  Tensors() {
    for (size_t i = 0; i < small_model().size(); ++i) bytes.push_back(small_model_bytes(i));
  }
  static int give(void* user, size_t tensor, uint64_t offset, void* out, size_t size) {
    auto& own = *static_cast<Tensors*>(user);
    std::memcpy(out, own.bytes.at(tensor).data() + offset, size);
    own.read += size;
    return own.fails;
  }
};

class CWriter : public SmallArchive {
 protected:
  WriterHandle opened(const llmcodec_control* control = nullptr) {
    auto options = sized<llmcodec_compress_options>();
    options.target = LLMCODEC_TARGET_STEP;
    options.target_value = 0.5;
    options.control = control;
    llmcodec_writer* writer = nullptr;
    EXPECT_EQ(llmcodec_writer_open(output_.c_str(), &options, &writer, nullptr), LLMCODEC_OK);
    for (const TensorInfo& info : small_model())
      EXPECT_EQ(llmcodec_writer_add(writer, info.name.c_str(), dtype_info(info.dtype).name, info.shape.data(),
                                    info.shape.size(), nullptr),
                LLMCODEC_OK);
    return WriterHandle(writer);
  }
  void expect_nothing_left() {
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      EXPECT_NE(entry.path().filename().string().substr(0, 6), "writer") << entry.path();
  }
  std::string output_ = folder_.file("writer.safetensors");
  Tensors tensors_;
  ErrorOut error_;
};

TEST_F(CWriter, writes_what_compress_makes_of_a_file_with_the_same_tensors) {
  const WriterHandle writer = opened();
  char* report = nullptr;
  ASSERT_EQ(llmcodec_writer_finish(writer.get(), Tensors::give, &tensors_, &report, error_), LLMCODEC_OK)
      << error_.text();
  EXPECT_NE(take(report).find("\"snr_db\""), std::string::npos);
  const ArchiveHandle archive = open_handle(output_);
  for (const TensorInfo& info : small_model())
    EXPECT_TRUE(decoded(archive.get(), info.name) == restored(info.name));
  EXPECT_GT(tensors_.read, 2 * tensors_.bytes[0].size()) << "repeatedly: for scales, and to be coded";
  // It is an archive like any other.
  EXPECT_EQ(llmcodec_verify(output_.c_str(), nullptr, nullptr, error_), LLMCODEC_OK) << error_.text();
  const std::string back = folder_.file("back.safetensors");
  EXPECT_EQ(llmcodec_decompress(output_.c_str(), back.c_str(), nullptr, nullptr, error_), LLMCODEC_OK)
      << error_.text();
  EXPECT_EQ(llmcodec_writer_finish(writer.get(), Tensors::give, &tensors_, nullptr, error_),
            LLMCODEC_INVALID_ARGUMENT);
}

TEST_F(CWriter, reading_that_fails_is_an_error_and_leaves_nothing) {
  tensors_.fails = 42;
  const WriterHandle writer = opened();
  EXPECT_EQ(llmcodec_writer_finish(writer.get(), Tensors::give, &tensors_, nullptr, error_), LLMCODEC_IO);
  EXPECT_NE(error_.text().find("the caller's read function returned 42"), std::string::npos) << error_.text();
  EXPECT_STRNE(llmcodec_error_tensor(error_.get()), "");
  expect_nothing_left();
}

TEST_F(CWriter, cancelling_leaves_nothing_to_go_on_with) {
  struct State {
    Tensors* tensors;
    std::string partial;
  } state{&tensors_, output_};
  auto control = sized<llmcodec_control>();
  control.cancelled = [](void* user) {  // once something is there
    const auto folder = std::filesystem::path(static_cast<State*>(user)->partial).parent_path();
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.path().filename().string().starts_with("writer")) return 1;
    return 0;
  };
  control.user = &state;
  const WriterHandle writer = opened(&control);
  EXPECT_EQ(llmcodec_writer_finish(writer.get(), Tensors::give, &tensors_, nullptr, error_),
            LLMCODEC_INTERRUPTED);
  expect_nothing_left();
}

TEST_F(CWriter, wrong_tensors_are_refused_at_once) {
  const WriterHandle writer = opened();
  const uint64_t shape[] = {2, 3}, huge[] = {1ull << 40, 1ull << 40};
  const auto add = [&](const char* name, const char* dtype, const uint64_t* sides) {
    return llmcodec_writer_add(writer.get(), name, dtype, sides, 2, error_);
  };
  EXPECT_EQ(add("coded", "F32", shape), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(error_.text(), "tensor 'coded': was added before");
  EXPECT_EQ(add("new", "F31", shape), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(add("new", "Q4_K", shape), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(add("new", "F32", huge), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(add("new", "F32", nullptr), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(add("\xff", "F32", shape), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(add(nullptr, "F32", shape), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_EQ(add("new", "F32", shape), LLMCODEC_OK);
  EXPECT_EQ(llmcodec_writer_add(writer.get(), "scalar", "F32", nullptr, 0, error_), LLMCODEC_OK);
  EXPECT_EQ(llmcodec_writer_finish(writer.get(), nullptr, nullptr, nullptr, error_),
            LLMCODEC_INVALID_ARGUMENT);
}

// What the file at `path` holds.
std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(CWriter, pushed_tensors_decode_to_what_read_ones_do) {
  const WriterHandle writer = opened();
  for (size_t i = 0; i < tensors_.bytes.size(); ++i) {
    const std::string& bytes = tensors_.bytes[i];
    for (size_t at = 0; at < bytes.size(); at += 777) {
      const size_t size = std::min<size_t>(777, bytes.size() - at);
      ASSERT_EQ(llmcodec_writer_push(writer.get(), i, bytes.data() + at, size, error_), LLMCODEC_OK)
          << error_.text();
    }
  }
  EXPECT_EQ(llmcodec_writer_add_metadata(writer.get(), "late", "pt", error_), LLMCODEC_INVALID_ARGUMENT);
  char* report = nullptr;
  ASSERT_EQ(llmcodec_writer_finish(writer.get(), nullptr, nullptr, &report, error_), LLMCODEC_OK)
      << error_.text();
  EXPECT_NE(take(report).find("inputs not estimated: the tensors are pushed"), std::string::npos);
  EXPECT_EQ(tensors_.read, 0u);
  const ArchiveHandle archive = open_handle(output_);
  for (const TensorInfo& info : small_model())
    EXPECT_TRUE(decoded(archive.get(), info.name) == restored(info.name)) << info.name;
  EXPECT_EQ(llmcodec_verify(output_.c_str(), nullptr, nullptr, error_), LLMCODEC_OK) << error_.text();
  EXPECT_EQ(llmcodec_writer_push(writer.get(), 0, "x", 1, error_), LLMCODEC_INVALID_ARGUMENT);
}

TEST_F(CWriter, layers_of_several_tensors_cannot_be_pushed) {
  const WriterHandle writer = opened();
  const uint64_t weights[] = {64, 64}, scales[] = {64, 1};
  ASSERT_EQ(llmcodec_writer_add(writer.get(), "fp8.weight", "F8_E4M3", weights, 2, error_), LLMCODEC_OK);
  ASSERT_EQ(llmcodec_writer_add(writer.get(), "fp8.weight_scale", "F32", scales, 2, error_), LLMCODEC_OK);
  EXPECT_EQ(llmcodec_writer_push(writer.get(), 0, tensors_.bytes[0].data(), 8, error_), LLMCODEC_UNSUPPORTED);
  EXPECT_NE(error_.text().find("quantised model"), std::string::npos) << error_.text();
  expect_nothing_left();
}

TEST_F(CWriter, metadata_comes_back_whether_tensors_are_read_or_pushed) {
  for (const bool push : {false, true}) {
    const WriterHandle writer = opened();
    ASSERT_EQ(llmcodec_writer_add_metadata(writer.get(), "format", "pt", error_), LLMCODEC_OK)
        << error_.text();
    EXPECT_EQ(llmcodec_writer_add_metadata(writer.get(), "format", "np", error_), LLMCODEC_INVALID_ARGUMENT);
    EXPECT_EQ(llmcodec_writer_add_metadata(writer.get(), "\xff", "", error_), LLMCODEC_INVALID_ARGUMENT);
    for (size_t i = 0; push && i < tensors_.bytes.size(); ++i)
      ASSERT_EQ(
          llmcodec_writer_push(writer.get(), i, tensors_.bytes[i].data(), tensors_.bytes[i].size(), error_),
          LLMCODEC_OK);
    ASSERT_EQ(
        llmcodec_writer_finish(writer.get(), push ? nullptr : Tensors::give, &tensors_, nullptr, error_),
        LLMCODEC_OK)
        << error_.text();
    const std::string back = folder_.file("back.safetensors");
    ASSERT_EQ(llmcodec_decompress(output_.c_str(), back.c_str(), nullptr, nullptr, error_), LLMCODEC_OK)
        << error_.text();
    const auto file = SafetensorsFile::open(back);
    ASSERT_OK(file);
    EXPECT_EQ((*file)->metadata(), (SafetensorsMetadata{{"format", "pt"}}));
  }
}

TEST_F(CWriter, pieces_of_another_size_give_the_same_file) {
  std::vector<std::string> files;
  for (const size_t piece : {100, 1 << 20}) {
    const WriterHandle writer = opened();
    for (size_t i = 0; i < tensors_.bytes.size(); ++i) {
      std::string_view left = tensors_.bytes[i];
      for (; !left.empty(); left.remove_prefix(std::min(piece, left.size())))
        ASSERT_EQ(llmcodec_writer_push(writer.get(), i, left.data(), std::min(piece, left.size()), error_),
                  LLMCODEC_OK)
            << error_.text();
    }
    ASSERT_EQ(llmcodec_writer_finish(writer.get(), nullptr, nullptr, nullptr, error_), LLMCODEC_OK)
        << error_.text();
    files.push_back(content_of(output_));
  }
  EXPECT_FALSE(files[0].empty());
  EXPECT_TRUE(files[0] == files[1]);
}

TEST_F(CWriter, pushed_tensors_of_odd_sizes_stand_at_the_end_and_come_back) {
  auto options = sized<llmcodec_compress_options>();
  options.target = LLMCODEC_TARGET_STEP;
  options.target_value = 0.5;
  llmcodec_writer* raw = nullptr;
  ASSERT_EQ(llmcodec_writer_open(output_.c_str(), &options, &raw, nullptr), LLMCODEC_OK);
  const WriterHandle writer(raw);
  const std::map<std::string, std::string> contents = {
      {"three", "abc"}, {"half", "fivehalves"}, {"wide", "sixteen bytes..."}, {"empty", ""}};
  const auto add = [&](const char* name, const char* dtype, uint64_t size) {
    ASSERT_EQ(llmcodec_writer_add(raw, name, dtype, &size, 1, error_), LLMCODEC_OK) << error_.text();
  };
  const std::vector<std::string> order = {"three", "empty", "half", "wide"};
  add("three", "U8", 3);
  add("empty", "F32", 0);
  add("half", "F16", 5);
  add("wide", "F64", 2);
  for (size_t i = 0; i < order.size(); ++i) {
    const std::string& bytes = contents.at(order[i]);
    ASSERT_EQ(llmcodec_writer_push(raw, i, bytes.data(), bytes.size(), error_), LLMCODEC_OK) << error_.text();
  }
  ASSERT_EQ(llmcodec_writer_finish(raw, nullptr, nullptr, nullptr, error_), LLMCODEC_OK) << error_.text();
  const auto file = SafetensorsFile::open(output_);
  ASSERT_OK(file);
  for (size_t i = 0; i < (*file)->tensors().size(); ++i) {
    const TensorInfo& info = (*file)->tensors()[i];
    EXPECT_EQ((*file)->offset(i) % dtype_info(info.dtype).block_bytes, 0u) << info.name;
    const auto content = contents.find(info.name);
    if (content == contents.end()) continue;
    std::string bytes((*file)->byte_size(i), '\0');
    ASSERT_OK((*file)->read(i, 0, std::as_writable_bytes(std::span(bytes))));
    EXPECT_EQ(bytes, content->second) << info.name;
  }
  EXPECT_EQ(llmcodec_verify(output_.c_str(), nullptr, nullptr, error_), LLMCODEC_OK) << error_.text();
}

TEST_F(CWriter, pushing_needs_steps) {
  auto options = sized<llmcodec_compress_options>();
  options.target = LLMCODEC_TARGET_BPW;
  options.target_value = 3;
  llmcodec_writer* raw = nullptr;
  ASSERT_EQ(llmcodec_writer_open(output_.c_str(), &options, &raw, nullptr), LLMCODEC_OK);
  const WriterHandle writer(raw);
  const uint64_t shape[] = {64, 64};
  ASSERT_EQ(llmcodec_writer_add(raw, "a", "F32", shape, 2, error_), LLMCODEC_OK);
  EXPECT_EQ(llmcodec_writer_push(raw, 0, "abcd", 4, error_), LLMCODEC_INVALID_ARGUMENT);
  EXPECT_NE(error_.text().find("steps must be given"), std::string::npos) << error_.text();
  expect_nothing_left();
}

TEST_F(CWriter, pushes_that_do_not_add_up_are_refused_and_leave_nothing) {
  const std::string& first = tensors_.bytes[0];
  {
    const WriterHandle writer = opened();
    EXPECT_EQ(llmcodec_writer_push(writer.get(), 1, "x", 1, error_), LLMCODEC_INVALID_ARGUMENT)
        << "out of order";
    expect_nothing_left();
  }
  {
    const WriterHandle writer = opened();
    const std::string longer = first + "x";
    EXPECT_EQ(llmcodec_writer_push(writer.get(), 0, longer.data(), longer.size(), error_),
              LLMCODEC_INVALID_ARGUMENT);
    expect_nothing_left();
  }
  {
    const WriterHandle writer = opened();
    ASSERT_EQ(llmcodec_writer_push(writer.get(), 0, first.data(), first.size(), error_), LLMCODEC_OK);
    const uint64_t shape[] = {2};
    EXPECT_EQ(llmcodec_writer_add(writer.get(), "late", "F32", shape, 1, error_), LLMCODEC_INVALID_ARGUMENT);
    EXPECT_EQ(llmcodec_writer_finish(writer.get(), nullptr, nullptr, nullptr, error_),
              LLMCODEC_INVALID_ARGUMENT);
    EXPECT_NE(error_.text().find("bytes are missing"), std::string::npos) << error_.text();
    expect_nothing_left();
  }
}

TEST_F(CWriter, a_writer_closed_before_the_end_leaves_nothing) {
  {
    const WriterHandle writer = opened();
    ASSERT_EQ(
        llmcodec_writer_push(writer.get(), 0, tensors_.bytes[0].data(), tensors_.bytes[0].size(), error_),
        LLMCODEC_OK);
  }
  expect_nothing_left();
}

}  // namespace
}  // namespace llmcodec

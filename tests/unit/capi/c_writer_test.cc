// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>

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

}  // namespace
}  // namespace llmcodec

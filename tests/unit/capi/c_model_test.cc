// SPDX-License-Identifier: BSD-3-Clause
#include "c_test_util.h"

namespace llmcodec {
namespace {

class CModel : public SmallArchive {};

TEST(CVersion, is_that_of_the_header) {
  EXPECT_STREQ(llmcodec_version(), LLMCODEC_VERSION);
}

TEST_F(CModel, compresses_as_the_library_does) {
  const std::string output = folder_.file("c.safetensors");
  auto control = sized<llmcodec_control>();
  uint64_t calls = 0;
  control.progress = [](void* user, const char* phase, uint64_t done, uint64_t total, const char*) {
    EXPECT_STRNE(phase, "");
    EXPECT_LE(done, total);
    ++*static_cast<uint64_t*>(user);
  };
  control.user = &calls;
  auto options = sized<llmcodec_compress_options>();
  options.target = LLMCODEC_TARGET_STEP;
  options.target_value = 0.5;
  options.command = "test";
  options.control = &control;
  char* report = nullptr;
  ErrorOut error;
  ASSERT_EQ(llmcodec_compress(source_.c_str(), output.c_str(), &options, &report, error), LLMCODEC_OK)
      << error.text();
  EXPECT_TRUE(read_bytes(output) == read_bytes(archive_));
  EXPECT_GT(calls, 0u);
  EXPECT_NE(take(report).find("\"parameters\": " + std::to_string(2400 * 512 + 3 * 64 * 96 + 32 + 128 + 384)),
            std::string::npos);
}

TEST_F(CModel, rules_reach_the_plan) {
  const std::string output = folder_.file("c.safetensors");
  const char* keep[] = {"experts"};
  auto options = sized<llmcodec_compress_options>();
  options.codec = "raw";
  options.keep = keep;
  options.keep_count = 1;
  ErrorOut error;
  ASSERT_EQ(llmcodec_compress(source_.c_str(), output.c_str(), &options, nullptr, error), LLMCODEC_OK)
      << error.text();
  const ArchiveHandle archive = open_handle(output);
  EXPECT_TRUE(decoded(archive.get(), "experts") == small_model_bytes(1));
  keep[0] = nullptr;
  EXPECT_EQ(llmcodec_compress(source_.c_str(), output.c_str(), &options, nullptr, error),
            LLMCODEC_INVALID_ARGUMENT);
}

TEST_F(CModel, decompresses_and_verifies) {
  const std::string output = folder_.file("restored2.safetensors");
  char* report = nullptr;
  ErrorOut error;
  ASSERT_EQ(llmcodec_decompress(archive_.c_str(), output.c_str(), nullptr, &report, error), LLMCODEC_OK)
      << error.text();
  EXPECT_TRUE(read_bytes(output) == read_bytes(SmallArchiveFiles::get().restored));
  EXPECT_NE(take(report).find("\"bytes\""), std::string::npos);
  auto options = sized<llmcodec_verify_options>();
  options.against = source_.c_str();
  ASSERT_EQ(llmcodec_verify(archive_.c_str(), &options, &report, error), LLMCODEC_OK) << error.text();
  EXPECT_NE(take(report).find("\"snr_db\""), std::string::npos);
  options.against = archive_.c_str();
  EXPECT_NE(llmcodec_verify(archive_.c_str(), &options, &report, error), LLMCODEC_OK);
  EXPECT_EQ(report, nullptr);
}

// One layer in FP8: 96 x 64 codes of the value 1 and their scale.
class CQuantisedModel : public CModel {
 protected:
  void SetUp() override {
    const std::string codes(96 * 64, '\x38'), scale("\0\0\0\x40", 4);
    const std::vector<TensorInfo> tensors = {{"a.weight", Dtype::kF8E4M3, {96, 64}},
                                             {"a.weight_scale", Dtype::kF32, {1}}};
    auto sink = create_safetensors(fp8_, tensors, {});
    ASSERT_OK(sink);
    ASSERT_OK((*sink)->write(0, as_bytes(codes)));
    ASSERT_OK((*sink)->write(1, as_bytes(scale)));
    ASSERT_OK((*sink)->finish());
    auto options = sized<llmcodec_compress_options>();
    options.target = LLMCODEC_TARGET_STEP;
    options.target_value = 0.1;
    ErrorOut error;
    ASSERT_EQ(llmcodec_compress(fp8_.c_str(), packed_.c_str(), &options, nullptr, error), LLMCODEC_OK)
        << error.text();
  }
  std::string fp8_ = folder_.file("fp8.safetensors"), packed_ = folder_.file("fp8.packed.safetensors");
};

TEST_F(CQuantisedModel, comes_back_as_bf16_or_as_its_source) {
  const std::string output = folder_.file("back.safetensors");
  auto options = sized<llmcodec_decompress_options>();
  for (const bool as_source : {false, true}) {
    options.as_source = as_source;
    ErrorOut error;
    ASSERT_EQ(llmcodec_decompress(packed_.c_str(), output.c_str(), &options, nullptr, error), LLMCODEC_OK)
        << error.text();
    const auto restored = SafetensorsFile::open(output);
    ASSERT_OK(restored);
    EXPECT_EQ((*restored)->tensors().size(), as_source ? 2u : 1u);
    EXPECT_EQ((*restored)->tensors()[(*restored)->find("a.weight").value()].dtype,
              as_source ? Dtype::kF8E4M3 : Dtype::kBF16);
  }
  ErrorOut error;
  options.dtype = "f16";
  EXPECT_EQ(llmcodec_decompress(packed_.c_str(), output.c_str(), &options, nullptr, error),
            LLMCODEC_INVALID_ARGUMENT);
  options.dtype = nullptr;
  EXPECT_EQ(llmcodec_decompress(archive_.c_str(), output.c_str(), &options, nullptr, error),
            LLMCODEC_INVALID_ARGUMENT);
}

TEST_F(CModel, a_cancelled_call_leaves_no_output) {
  auto control = sized<llmcodec_control>();
  control.cancelled = [](void*) { return 1; };
  auto options = sized<llmcodec_decompress_options>();
  options.control = &control;
  const std::string output = folder_.file("none.safetensors");
  ErrorOut error;
  EXPECT_EQ(llmcodec_decompress(archive_.c_str(), output.c_str(), &options, nullptr, error),
            LLMCODEC_INTERRUPTED);
  EXPECT_FALSE(std::filesystem::exists(output));
}

}  // namespace
}  // namespace llmcodec

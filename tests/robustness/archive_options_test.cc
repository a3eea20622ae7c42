// SPDX-License-Identifier: BSD-3-Clause
// An archive whose codec options would make FFmpeg write files, its checksums right: whatever reads it takes
// the name of the codec alone.
#include "archive_cases.h"
#include "archive_text.h"
#include "llmcodec/model.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

class ArchiveOptions : public testing::Test {
 protected:
  void SetUp() override {
    if (!open_codec("libx264", {}).is_ok()) GTEST_SKIP() << "no FFmpeg with libx264";
    std::vector<float> weights(64 * 96);
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i * 7919 % 101) / 50 - 1;
    std::string file =
        safetensors_with(R"({"w":{"dtype":"F32","shape":[64,96],"data_offsets":[0,24576]}})", 24576);
    std::memcpy(file.data() + file.size() - 24576, weights.data(), 24576);
    write_bytes(folder_.file("model.safetensors"), file);
    CompressOptions options;
    options.input = folder_.file("model.safetensors");
    options.output = archive_;
    options.codec = "libx264:preset=ultrafast";
    options.target = {TargetKind::kStep, 0.1};
    ASSERT_OK(compress(options));
    ASSERT_OK(restore("sound.safetensors"));
  }
  Result<DecompressReport> restore(const std::string& name) {
    DecompressOptions options;
    options.input = archive_;
    options.output = folder_.file(name);
    return decompress(options);
  }
  void inject(const std::string& options) {
    ArchiveText text = ArchiveText::parse(read_bytes(archive_));
    auto& codec = text.description["tensors"]["w"]["stages"].back();
    codec["options"] = codec["options"].get<std::string>() + options;
    write_bytes(archive_, text.with_description_checksum());
  }
  FastFolder folder_;
  std::string archive_ = folder_.file("archive.safetensors");
  std::string target_ = folder_.file("target");
};

TEST_F(ArchiveOptions, never_write_a_file) {
  const std::string sound = read_bytes(folder_.file("sound.safetensors"));
  inject(",y=" + target_ + ".nut,stats=" + target_);
  ASSERT_OK(restore("restored.safetensors"));
  EXPECT_EQ(read_bytes(folder_.file("restored.safetensors")), sound);
  VerifyOptions verification;
  verification.input = archive_;
  ASSERT_OK(verify(verification));
  ASSERT_OK(inspect(archive_));
  ASSERT_OK(read_rows(archive_, "w", {0, 3}));
  ExtractOptions extraction;
  extraction.input = archive_;
  extraction.tensor = "w";
  extraction.output = folder_.file("extracted");
  ASSERT_OK(extract(extraction));
  extraction.samples = true;
  ASSERT_OK(extract(extraction));
  extraction.samples = false;
  extraction.rows = RowRange{0, 3};
  ASSERT_OK(extract(extraction));
  EXPECT_FALSE(fs::exists(target_));
  EXPECT_FALSE(fs::exists(target_ + ".nut"));
}

}  // namespace
}  // namespace llmcodec

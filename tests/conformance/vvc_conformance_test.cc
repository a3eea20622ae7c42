// SPDX-License-Identifier: BSD-3-Clause
// Streams of a foreign encoder (VVenC; tests/data/vvc/README.md) must decode to the samples that VVenC, VVdeC
// and FFmpeg agree on.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "../unit/vvc/decoded_video.h"
#include "../unit/vvc/stream_files.h"
#include "base/error.h"
#include "vvc/stream/hash.h"

namespace llmcodec::vvc {
namespace {

const std::filesystem::path kFolder = LLMCODEC_TEST_DATA "/vvc";

struct Stream {
  std::string file;
  std::string md5_samples;
  uint32_t width, height, bit_depth, pictures;
};

std::vector<Stream> streams() {
  std::ifstream file(kFolder / "streams.json");
  const nlohmann::json list = nlohmann::json::parse(file);
  std::vector<Stream> out;
  for (const auto& item : list)
    out.push_back({item["file"], item["md5_samples"], item["width"], item["height"], item["bit_depth"],
                   item["pictures"]});
  return out;
}

std::string md5_of(const DecodedVideo& video) {
  Md5 hash;
  for (const Plane& picture : video.pictures) {
    const PlaneView view = picture.view();
    for (size_t y = 0; y < view.rows; ++y) {
      std::vector<std::byte> bytes;
      for (uint16_t sample : view.row(y)) {
        bytes.push_back(static_cast<std::byte>(sample & 0xFF));
        if (video.format.bit_depth > 8) bytes.push_back(static_cast<std::byte>(sample >> 8));
      }
      hash.update(bytes);
    }
  }
  std::string text;
  for (std::byte byte : hash.finish()) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

class ForeignStream : public testing::TestWithParam<Stream> {};

TEST_P(ForeignStream, decodes_to_agreed_samples) {
  const Stream& stream = GetParam();
  auto video = decode_video(load_stream(stream.file));
  ASSERT_TRUE(video.is_ok()) << video.error().to_string();
  EXPECT_EQ(video->format.width, stream.width);
  EXPECT_EQ(video->format.height, stream.height);
  EXPECT_EQ(video->format.bit_depth, stream.bit_depth);
  EXPECT_EQ(video->pictures.size(), stream.pictures);
  EXPECT_EQ(md5_of(*video), stream.md5_samples);
  EXPECT_EQ(video->hashes_checked, stream.pictures);
}

std::string test_name(const testing::TestParamInfo<Stream>& stream) {
  return stream.param.file.substr(0, stream.param.file.find('.'));
}

INSTANTIATE_TEST_SUITE_P(Vvenc, ForeignStream, testing::ValuesIn(streams()), test_name);

}  // namespace
}  // namespace llmcodec::vvc

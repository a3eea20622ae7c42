// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "codec_test_util.h"
#include "llmcodec/codec.h"

namespace llmcodec {
namespace {

std::unique_ptr<Codec> raw() {
  return std::move(open_codec("raw", {})).value();
}

TEST(RawCodec, every_depth_and_odd_sizes_round_trip) {
  for (uint32_t depth = 1; depth <= 16; ++depth) {
    for (const auto& [width, height] : {std::pair{1u, 1u}, {7u, 3u}, {64u, 33u}}) {
      const PictureFormat format{width, height, depth};
      const std::vector<Plane> planes = noise_planes(format, 3);
      const auto stream = raw()->encode(views(planes), format, 0);
      ASSERT_TRUE(stream.is_ok()) << stream.error().to_string();
      EXPECT_EQ(stream->size(), (uint64_t{3} * width * height * depth + 7) / 8);
      const auto decoded = decode(*raw(), *stream, format, 3);
      ASSERT_TRUE(decoded.is_ok()) << decoded.error().to_string();
      EXPECT_EQ(samples(*decoded), samples(planes));
    }
  }
}

TEST(RawCodec, bits_are_packed_least_significant_first) {
  const PictureFormat format{3, 1, 10};
  Plane plane(3, 1);
  plane.view().at(0, 0) = 0x3ff;
  plane.view().at(0, 1) = 0x001;
  plane.view().at(0, 2) = 0x200;
  const PlaneView view = std::as_const(plane).view();
  const auto stream = raw()->encode({&view, 1}, format, 0);
  ASSERT_TRUE(stream.is_ok());
  const std::vector<std::byte> expected = {std::byte{0xff}, std::byte{0x07}, std::byte{0x00},
                                           std::byte{0x20}};
  EXPECT_EQ(*stream, expected);
}

TEST(RawCodec, truncation_and_surplus_are_corrupt) {
  const PictureFormat format{5, 3, 9};
  const auto stream = raw()->encode(views(noise_planes(format, 2)), format, 0);
  ASSERT_TRUE(stream.is_ok());
  std::vector<std::byte> longer = *stream;
  longer.push_back(std::byte{0});
  for (size_t size = 0; size <= longer.size(); ++size) {
    const auto decoded = decode(*raw(), std::span(longer).first(size), format, 2);
    EXPECT_EQ(decoded.is_ok(), size == stream->size()) << size;
    if (decoded.is_ok()) continue;
    EXPECT_EQ(decoded.error().kind, ErrorKind::kCorrupt);
  }
}

TEST(RawCodec, set_bits_after_the_last_sample_are_corrupt) {
  const PictureFormat format{1, 1, 9};
  std::vector<std::byte> stream = {std::byte{0xff}, std::byte{0x03}};
  const auto decoded = decode(*raw(), stream, format, 1);
  ASSERT_FALSE(decoded.is_ok());
  EXPECT_EQ(decoded.error().kind, ErrorKind::kCorrupt);
}

TEST(RawCodec, wrong_requests) {
  const PictureFormat format{4, 4, 8};
  const std::vector<Plane> planes = noise_planes(format, 1);
  const auto kind_of = [&](const PictureFormat& asked, std::span<const PlaneView> pictures) {
    const auto result = raw()->encode(pictures, asked, 0);
    return result.is_ok() ? std::string("ok") : error_kind_name(result.error().kind);
  };
  EXPECT_EQ(kind_of(format, views(planes)), "ok");
  EXPECT_EQ(kind_of(format, {}), "invalid_argument");
  EXPECT_EQ(kind_of({5, 4, 8}, views(planes)), "invalid_argument");
  EXPECT_EQ(kind_of({4, 4, 17}, views(planes)), "invalid_argument");
  EXPECT_EQ(kind_of({4, 4, 0}, views(planes)), "invalid_argument");
  EXPECT_EQ(kind_of({0, 4, 8}, views(planes)), "invalid_argument");
  std::vector<Plane> large = noise_planes(format, 1);
  large[0].view().at(3, 3) = 256;
  EXPECT_EQ(kind_of(format, views(large)), "invalid_argument");
}

TEST(RawCodec, takes_no_options) {
  const auto codec = open_codec("raw:level=3", {});
  ASSERT_FALSE(codec.is_ok());
  EXPECT_EQ(codec.error().kind, ErrorKind::kInvalidArgument);
}

}  // namespace
}  // namespace llmcodec

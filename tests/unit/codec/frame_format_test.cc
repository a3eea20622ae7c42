// SPDX-License-Identifier: BSD-3-Clause
#include "codec/frame_format.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "codec_test_util.h"

namespace llmcodec {
namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

FrameLayout layout_of(const char* name, uint32_t width, uint32_t height) {
  return {*find_pixel_format(name), width, height};
}

TEST(FrameFormat, edges_are_repeated_and_chroma_is_mid_grey) {
  Plane plane(3, 1);
  for (uint16_t x = 0; x < 3; ++x) plane.view().at(0, x) = static_cast<uint16_t>(10 + x);
  std::vector<std::byte> frame;
  append_frame(plane.view(), 8, layout_of("yuv420p", 4, 2), &frame);
  const std::string expected = "\x0a\x0b\x0c\x0c\x0a\x0b\x0c\x0c\x80\x80\x80\x80";
  EXPECT_EQ(frame, bytes_of(expected));
}

TEST(FrameFormat, shift_into_a_deeper_format_little_endian) {
  Plane plane(2, 1);
  plane.view().at(0, 0) = 0x3ff;
  plane.view().at(0, 1) = 1;
  std::vector<std::byte> frame;
  append_frame(plane.view(), 10, layout_of("gray16le", 2, 1), &frame);
  EXPECT_EQ(frame, bytes_of(std::string("\xc0\xff\x40\x00", 4)));
}

TEST(FrameFormat, every_pixel_format_round_trips_every_depth) {
  for (const char* name : {"gray", "gray9le", "gray10le", "gray12le", "gray14le", "gray16le", "yuv420p",
                           "yuv420p9le", "yuv420p10le", "yuv420p12le", "yuv420p14le", "yuv420p16le"}) {
    const FrameLayout layout = layout_of(name, 34, 18);
    for (uint32_t depth = 8; depth <= layout.pixel_format.depth; ++depth) {
      const PictureFormat format{33, 17, depth};
      const std::vector<Plane> planes = noise_planes(format, 1);
      std::vector<std::byte> frame;
      append_frame(planes[0].view(), depth, layout, &frame);
      ASSERT_EQ(frame.size(), layout.bytes());
      std::vector<Plane> back(1, Plane(33, 17));
      ASSERT_TRUE(extract_picture(frame, layout, depth, back[0].view()).is_ok());
      EXPECT_EQ(samples(back), samples(planes)) << name << " at " << depth;
    }
  }
}

TEST(FrameFormat, rounding_after_a_shift_stays_in_range) {
  const FrameLayout layout = layout_of("gray10le", 3, 1);
  const std::vector<std::byte> frame = bytes_of(std::string("\xff\x03\x05\x00\x06\x00", 6));  // 1023, 5, 6
  Plane plane(3, 1);
  ASSERT_TRUE(extract_picture(frame, layout, 8, plane.view()).is_ok());
  EXPECT_EQ(plane.view().at(0, 0), 255);  // 255.75 does not become 256
  EXPECT_EQ(plane.view().at(0, 1), 1);
  EXPECT_EQ(plane.view().at(0, 2), 2);  // halves go up
}

TEST(FrameFormat, picture_larger_or_deeper_than_the_frame_is_corrupt) {
  const FrameLayout layout = layout_of("gray", 4, 4);
  const std::vector<std::byte> frame(16);
  for (const auto& [width, height, depth] : {std::tuple{5u, 4u, 8u}, {4u, 5u, 8u}, {4u, 4u, 9u}}) {
    Plane plane(width, height);
    const Status status = extract_picture(frame, layout, depth, plane.view());
    ASSERT_FALSE(status.is_ok());
    EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt);
  }
}

TEST(Y4m, header_words_and_frames) {
  const auto stream =
      bytes_of("YUV4MPEG2 W4 H2 F25:1 Ip A0:0 Cmono XYSCSS=400\nFRAME\nabcdefghFRAME Ip\nijklmnop");
  const auto video = parse_y4m(stream);
  ASSERT_TRUE(video.is_ok()) << video.error().to_string();
  EXPECT_EQ(video->layout.width, 4u);
  EXPECT_EQ(video->layout.height, 2u);
  EXPECT_FALSE(video->layout.pixel_format.chroma_420);
  ASSERT_EQ(video->frames.size(), 2u);
  EXPECT_EQ(std::to_integer<char>(video->frames[1][0]), 'i');
}

TEST(Y4m, depths_and_chroma) {
  for (const auto& [word, depth, chroma] : {std::tuple{"C420jpeg", 8u, true},
                                            {"C420p10", 10u, true},
                                            {"C420mpeg2", 8u, true},
                                            {"Cmono", 8u, false},
                                            {"Cmono16", 16u, false}}) {
    const auto video = parse_y4m(bytes_of(fmt::format("YUV4MPEG2 W2 H2 {}\n", word)));
    ASSERT_TRUE(video.is_ok()) << word;
    EXPECT_EQ(video->layout.pixel_format.depth, depth);
    EXPECT_EQ(video->layout.pixel_format.chroma_420, chroma);
    EXPECT_TRUE(video->frames.empty());
  }
}

TEST(Y4m, broken_streams_are_corrupt) {
  const std::string good = "YUV4MPEG2 W4 H2 Cmono\nFRAME\nabcdefgh";
  ASSERT_TRUE(parse_y4m(bytes_of(good)).is_ok());
  for (size_t size = 0; size < good.size(); ++size) {
    if (size == good.find("FRAME")) continue;  // no frame at all is whole
    EXPECT_FALSE(parse_y4m(bytes_of(good.substr(0, size))).is_ok()) << size;
  }
  for (const char* header : {"YUV4MPEG2 W0 H2 Cmono\n", "YUV4MPEG2 H2 Cmono\n", "YUV4MPEG2 W4 H2 C444\n",
                             "YUV4MPEG2 W4 H2 Cmono99\n", "YUV4MPEG2 W99999999999 H2 Cmono\n",
                             "YUV4MPEG2 W4000000000 H4000000000 Cmono\n", "RIFF"}) {
    const auto video = parse_y4m(bytes_of(header));
    ASSERT_FALSE(video.is_ok()) << header;
    EXPECT_EQ(video.error().kind, ErrorKind::kCorrupt);
  }
}

}  // namespace
}  // namespace llmcodec

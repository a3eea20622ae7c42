// SPDX-License-Identifier: BSD-3-Clause
// Keys of ours in an encoder's specification: frames, and a quality that counts down.
#include <gtest/gtest.h>

#include "codec_test_util.h"

namespace llmcodec {
namespace {

// The stream is of the wanted frames; a decoder knows the encoder's name alone.
TEST(FfmpegOptions, other_frames_than_the_tables) {
  const auto codec = open_codec("libx264:pixel_formats=yuv420p yuv420p10le", {});
  if (!codec.is_ok() && codec.error().kind == ErrorKind::kUnsupported)
    GTEST_SKIP() << codec.error().to_string();
  ASSERT_TRUE(codec.is_ok()) << codec.error().to_string();
  EXPECT_TRUE((*codec)->info().chroma_420);
  const PictureFormat format{70, 50, 10};
  EXPECT_EQ((*codec)->layout(format)->pixel_format, "yuv420p10le");
  const std::vector<Plane> planes = smooth_planes(format, 2);
  const auto stream = (*codec)->encode(views(planes), format, 1);
  ASSERT_TRUE(stream.is_ok()) << stream.error().to_string();
  CodecEnvironment to_read;
  to_read.decode_only = true;
  const auto reader = open_codec((*codec)->spec(), to_read);
  ASSERT_TRUE(reader.is_ok());
  const auto decoded = decode(**reader, *stream, format, planes.size());
  ASSERT_TRUE(decoded.is_ok()) << decoded.error().to_string();
  EXPECT_LE(rms_difference(planes, *decoded), 4.0);
  for (const char* wrong : {"libx264:pixel_formats=rgb24", "ffv1:pixel_formats=yuv420p"})
    EXPECT_EQ(open_codec(wrong, {}).error().kind, ErrorKind::kInvalidArgument) << wrong;
}

// An encoder whose larger values are the finer ones.
TEST(FfmpegOptions, quality_that_counts_down) {
  const auto codec = open_codec(
      "libwebp:quality_option=quality,quality_from=100,quality_min=0,quality_max=100,pixel_formats=yuv420p,"
      "muxer=image2pipe,demuxer=webp_pipe",
      {});
  if (!codec.is_ok() && codec.error().kind == ErrorKind::kUnsupported)
    GTEST_SKIP() << codec.error().to_string();
  ASSERT_TRUE(codec.is_ok()) << codec.error().to_string();
  const PictureFormat format{64, 64, 8};
  const std::vector<Plane> planes = noise_planes(format, 1);
  const auto fine = (*codec)->encode(views(planes), format, 2),
             coarse = (*codec)->encode(views(planes), format, 90);
  ASSERT_TRUE(fine.is_ok() && coarse.is_ok());
  EXPECT_GT(fine->size(), 2 * coarse->size());
}

}  // namespace
}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "codec/ffmpeg_option_check.h"

#include <gtest/gtest.h>

#include "codec/codec_spec.h"
#include "codec/ffmpeg_encoders.h"

namespace llmcodec {
namespace {

const std::set<std::string> kProgramOptions = {"y", "f", "map", "stats", "b", "q", "profile", "c"};

Status check(const std::string& key, const std::string& value) {
  const std::vector<std::string> arguments = {"-g", "1", "-" + key, value};
  return check_encoder_arguments("x", arguments, kProgramOptions);
}

void refused(const Status& status, const std::string& what) {
  ASSERT_FALSE(status.is_ok()) << what;
  EXPECT_EQ(status.error().kind, ErrorKind::kInvalidArgument) << what;
  EXPECT_NE(status.error().message.find(what.substr(0, what.find('='))), std::string::npos)
      << status.error().message;
}

TEST(EncoderArguments, names_of_encoder_options_are_taken_with_any_value) {
  for (const char* key : {"preset", "x265-params", "q:v", "b:v", "profile:v:0", "qp", "nf", "notable"})
    for (const char* value : {"slow", "-1", "-y", "/a/b", ""})
      EXPECT_TRUE(check(key, value).is_ok()) << key << " " << value;
}

TEST(EncoderArguments, options_of_the_program_are_refused) {
  for (const char* key : {"y", "i", "f", "map", "stats", "nostats", "noy", "y:v", "i:v", "c:v", "map:0"})
    refused(check(key, "1"), key);
}

TEST(EncoderArguments, what_is_no_name_is_refused) {
  for (const char* key : {"", "-y", "/filter", "a b", "a/b", "1", "q:v;", "q=1", "a\nb"})
    refused(check(key, "1"), key);
}

TEST(PlannedCodec, everything_that_our_table_sets_is_taken) {
  for (const EncoderRule& rule : encoder_rules()) {
    EXPECT_TRUE(check_planned_codec(rule.name).is_ok()) << rule.name;
    for (const std::string& options :
         {rule.defaults, rule.tuned, rule.intra, rule.low_delay, rule.random_access}) {
      if (options.empty() || options == "-") continue;
      const Status status = check_planned_codec(rule.name + ":profile=intra," + options);
      EXPECT_TRUE(status.is_ok()) << status.error().to_string();
    }
  }
}

TEST(PlannedCodec, a_few_more_are_taken) {
  for (const char* spec :
       {"raw", "vvc", "vvc:lambda=0.4", "libx265:preset=slow,x265-params=rd=4:rskip=0", "libx264:tune=psnr",
        "libvvenc:preset=medium", "mpeg2video:quality_option=q:v,pixel_formats=yuv420p",
        "jpeg2000:quality_option=q:v,quality_max=100,pixel_formats=gray "
        "gray10le,muxer=image2pipe,demuxer=j2k_pipe",
        R"(libkvazaar:kvazaar-params=preset=slow\,rdoq=0)"}) {
    const Status status = check_planned_codec(spec);
    EXPECT_TRUE(status.is_ok()) << status.error().to_string();
  }
}

TEST(PlannedCodec, other_options_and_paths_are_refused) {
  for (const char* option : {"y=x.nut", "i=data:audio/wav", "map=1:0", "stats=x", "passlogfile=x",
                             "x264-params=stats=x", "x264opts=a=1", "x264-params=keyint=1:dump-yuv=x",
                             "x264-params=keyint=/etc/passwd", "preset=/etc/passwd", "threads=a b"})
    refused(check_planned_codec(std::string("libx264:") + option), "may not set");
  refused(check_planned_codec("libx265:x265-params=csv=x"), "may not set");
  for (const char* option :
       {"quality_option=y", "quality_option=i", "y=x", "muxer=a/b", "pixel_formats=rgb24"})
    refused(check_planned_codec(std::string("mpeg2video:") + option), "may not set");
  refused(check_planned_codec(""), "");
}

TEST(Container, only_those_that_open_nothing_else) {
  for (const EncoderRule& rule : encoder_rules())
    EXPECT_TRUE(is_container(rule.muxer) && is_container(rule.demuxer)) << rule.name;
  for (const char* name : {"concat", "hls", "segment", "tee", "lavfi", "image2", "sdp", ""})
    EXPECT_FALSE(is_container(name)) << name;
}

}  // namespace
}  // namespace llmcodec

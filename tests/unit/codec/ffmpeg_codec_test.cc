// SPDX-License-Identifier: BSD-3-Clause
// Against the real FFmpeg ($LLMCODEC_FFMPEG or PATH); skipped, with the reason, where it or
// an encoder is absent.
#include "codec/ffmpeg_codec.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/descriptor.h"
#include "base/subprocess.h"
#include "codec/ffmpeg_encoders.h"
#include "codec/ffmpeg_probe.h"
#include "codec_test_util.h"

namespace llmcodec {
namespace {

// The quality that is `share` of the way from the finest to the coarsest, on the grid.
double quality_at(const QualityRange& range, double share) {
  return range.min + range.step * std::floor((range.max - range.min) / range.step * share);
}

class EncoderTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Codec>> opened = open_codec(GetParam(), {});
    if (!opened.is_ok() && opened.error().kind == ErrorKind::kUnsupported)
      GTEST_SKIP() << opened.error().to_string();
    ASSERT_TRUE(opened.is_ok()) << opened.error().to_string();
    codec_ = std::move(opened).value();
  }

  Result<std::vector<Plane>> round_trip(const std::vector<Plane>& planes, const PictureFormat& format,
                                        double quality) {
    LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> stream,
                          codec_->encode(views(planes), format, quality));
    return decode(*codec_, stream, format, planes.size());
  }

  std::unique_ptr<Codec> codec_;
};

std::vector<std::string> all_encoders() {
  std::vector<std::string> names;
  for (const EncoderRule& rule : encoder_rules()) names.push_back(rule.name);
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Ffmpeg, EncoderTest, testing::ValuesIn(all_encoders()), test_name);

// A hidden conversion (range, depth, chroma) would shift or scale samples by far more than these bounds.
TEST_P(EncoderTest, finest_quality_keeps_smooth_pictures_at_every_depth) {
  for (const uint32_t depth : codec_->info().bit_depths) {
    const PictureFormat format{96, 80, depth};
    const std::vector<Plane> planes = smooth_planes(format, 2);
    const auto decoded = round_trip(planes, format, codec_->info().quality.min);
    ASSERT_TRUE(decoded.is_ok()) << decoded.error().to_string();
    const double bound = codec_->info().lossless ? 0.0 : 0.004 * ((1u << depth) - 1);
    EXPECT_LE(rms_difference(planes, *decoded), bound) << depth << " bits";
  }
}

TEST_P(EncoderTest, extreme_samples_survive) {
  for (const uint32_t depth : codec_->info().bit_depths) {
    const PictureFormat format{64, 64, depth};
    std::vector<Plane> planes = smooth_planes(format, 1);
    const MutablePlaneView view = planes[0].view();
    for (size_t y = 0; y < view.rows; ++y) {
      for (size_t x = 0; x < view.cols; ++x)
        view.at(y, x) = y < 32 ? 0 : static_cast<uint16_t>((1u << depth) - 1);
    }
    const auto decoded = round_trip(planes, format, codec_->info().quality.min);
    ASSERT_TRUE(decoded.is_ok()) << decoded.error().to_string();
    const double bound = codec_->info().lossless ? 0.0 : 0.01 * ((1u << depth) - 1);
    EXPECT_LE(rms_difference(planes, *decoded), bound) << depth << " bits";
  }
}

TEST_P(EncoderTest, odd_and_tiny_sizes_and_several_pictures) {
  const uint32_t depth = codec_->info().bit_depths.front();
  for (const auto& [width, height] : {std::pair{1u, 1u}, {8u, 8u}, {17u, 5u}, {5u, 131u}, {257u, 33u}}) {
    const PictureFormat format{width, height, depth};
    const std::vector<Plane> planes = smooth_planes(format, 3);
    const auto decoded = round_trip(planes, format, codec_->info().quality.min);
    ASSERT_TRUE(decoded.is_ok()) << width << "x" << height << ": " << decoded.error().to_string();
    EXPECT_LE(rms_difference(planes, *decoded), codec_->info().lossless ? 0.0 : 4.0)
        << width << "x" << height;
  }
}

TEST_P(EncoderTest, same_bytes_twice) {
  const PictureFormat format{128, 128, codec_->info().bit_depths.back()};
  const std::vector<Plane> planes = noise_planes(format, 2);
  const double quality = quality_at(codec_->info().quality, 0.5);
  const auto first = codec_->encode(views(planes), format, quality);
  const auto second = codec_->encode(views(planes), format, quality);
  ASSERT_TRUE(first.is_ok() && second.is_ok());
  EXPECT_EQ(*first, *second);
}

TEST_P(EncoderTest, coarser_quality_takes_fewer_bytes) {
  if (codec_->info().lossless) GTEST_SKIP() << "lossless";
  const PictureFormat format{256, 256, codec_->info().bit_depths.front()};
  const std::vector<Plane> planes = bell_planes(format, 1);
  const QualityRange& range = codec_->info().quality;
  size_t previous = SIZE_MAX;
  for (const double share : {0.4, 0.7, 1.0}) {
    const double quality = quality_at(range, share);
    const auto stream = codec_->encode(views(planes), format, quality);
    ASSERT_TRUE(stream.is_ok()) << stream.error().to_string();
    EXPECT_LT(stream->size(), previous) << quality;
    previous = stream->size();
  }
}

TEST_P(EncoderTest, every_profile_it_offers) {
  const PictureFormat format{96, 80, codec_->info().bit_depths.front()};
  const std::vector<Plane> planes = smooth_planes(format, 6);
  const EncoderRule& rule = *find_encoder_rule(GetParam());
  for (const auto& [profile, options] : {std::pair{"intra", rule.intra},
                                         {"low_delay", rule.low_delay},
                                         {"random_access", rule.random_access}}) {
    const auto codec = open_codec(GetParam() + ":profile=" + profile, {});
    ASSERT_EQ(codec.is_ok(), options != "-") << profile;
    if (!codec.is_ok()) continue;
    const auto stream = codec.value()->encode(views(planes), format, codec_->info().quality.min);
    ASSERT_TRUE(stream.is_ok()) << profile << ": " << stream.error().to_string();
    const auto decoded = decode(*codec.value(), *stream, format, planes.size());
    ASSERT_TRUE(decoded.is_ok()) << profile << ": " << decoded.error().to_string();
    EXPECT_LE(rms_difference(planes, *decoded), codec_->info().lossless ? 0.0 : 4.0) << profile;
  }
}

// Six times the same noise: intra pays for it six times, the others do not.
TEST_P(EncoderTest, inter_profiles_predict) {
  const PictureFormat format{128, 128, codec_->info().bit_depths.front()};
  const std::vector<Plane> noise = bell_planes(format, 1);
  const std::vector<Plane> planes(6, noise[0]);
  const double quality = quality_at(codec_->info().quality, 0.5);
  const auto intra = codec_->encode(views(planes), format, quality);
  ASSERT_TRUE(intra.is_ok()) << intra.error().to_string();
  for (const char* profile : {"low_delay", "random_access"}) {
    const auto codec = open_codec(GetParam() + ":profile=" + profile, {});
    if (!codec.is_ok()) continue;
    const auto stream = codec.value()->encode(views(planes), format, quality);
    ASSERT_TRUE(stream.is_ok()) << profile << ": " << stream.error().to_string();
    EXPECT_LT(stream->size(), intra->size() * 2 / 3) << profile;
  }
}

// A folder for a program that stands in for FFmpeg.
class FfmpegScript : public testing::Test {
 protected:
  void SetUp() override {
    const auto real = find_ffmpeg({});
    if (!real.is_ok() || !open_codec("libx264", {}).is_ok()) GTEST_SKIP() << "no FFmpeg with libx264";
    real_ = (*real)->path;
    std::string pattern = (std::filesystem::path(testing::TempDir()) / "llmcodec-script-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    // The sandbox lets the script run what lies in these folders.
    if (const char* path = std::getenv("LD_LIBRARY_PATH")) library_path_ = path;
    const std::string real_folder = std::filesystem::path(real_).parent_path().string();
    ::setenv("LD_LIBRARY_PATH", (folder_.string() + ":" + real_folder).c_str(), 1);
  }
  void TearDown() override {
    if (real_.empty()) return;
    std::filesystem::remove_all(folder_);
    library_path_ ? ::setenv("LD_LIBRARY_PATH", library_path_->c_str(), 1) : ::unsetenv("LD_LIBRARY_PATH");
  }
  // The path of a script that does `before` and then what FFmpeg does.
  std::string script(const std::string& before, const std::string& name = "ffmpeg") const {
    const std::filesystem::path program = folder_ / name;
    std::ofstream(program) << "#!/bin/sh\n" << before << "\nexec '" << real_ << "' \"$@\"\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    return program.string();
  }
  std::filesystem::path folder_;
  std::string real_;
  std::optional<std::string> library_path_;
};

TEST_F(FfmpegScript, probe_and_trial_end_at_the_time_limit) {
  const std::string answers =
      "case \"$*\" in *-version*|*-encoders*|*-codecs*|*-h*long*) exec '" + real_ + "' \"$@\";; esac\n";
  CodecEnvironment environment;
  environment.timeout_seconds = 2;
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& before : {std::string("exec sleep 300"), answers + "exec sleep 300"}) {
    environment.ffmpeg = script(before, "ffmpeg" + std::to_string(before.size()));
    const auto codec = open_codec("libx265", environment);
    ASSERT_FALSE(codec.is_ok());
    EXPECT_EQ(codec.error().kind, ErrorKind::kLimit) << codec.error().to_string();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

// As libvvenc does now and then: ends well, gives nothing. The sandbox lets the script write nothing, so what its
// next runs do stands in a named pipe, a line for each.
TEST_F(FfmpegScript, a_run_without_output_is_run_again) {
  const std::string plan = (folder_ / "plan").string();
  ASSERT_EQ(::mkfifo(plan.c_str(), 0600), 0);
  const Descriptor pipe(::open(plan.c_str(), O_RDWR | O_CLOEXEC));
  const auto next_runs = [&](const std::string& runs) {
    return ::write(pipe.get(), runs.data(), runs.size()) == static_cast<ssize_t>(runs.size());
  };
  const std::string program = script("case \"$*\" in *pipe:0*) read -r run < '" + plan +
                                     "'\n[ $run = empty ] && exec cat >&2 ;; esac");
  ASSERT_TRUE(next_runs("full\nfull\n"));  // the trial, and the first
  const auto codec = open_codec("libx264", {.ffmpeg = program});
  ASSERT_TRUE(codec.is_ok()) << codec.error().to_string();
  const PictureFormat format{64, 64, 8};
  const std::vector<Plane> planes = smooth_planes(format, 2);
  const auto wanted = codec.value()->encode(views(planes), format, 20);
  ASSERT_TRUE(wanted.is_ok()) << wanted.error().to_string();
  ASSERT_TRUE(next_runs("empty\nempty\nfull\n"));
  const auto again = codec.value()->encode(views(planes), format, 20);
  ASSERT_TRUE(again.is_ok()) << again.error().to_string();
  EXPECT_EQ(*again, *wanted);
  ASSERT_TRUE(next_runs("empty\nempty\nempty\n"));
  const auto never = codec.value()->encode(views(planes), format, 20);
  ASSERT_FALSE(never.is_ok());
  EXPECT_EQ(never.error().kind, ErrorKind::kUnsupported);
}

// What an archive says of its codec: the name counts, the options must not even be seen by FFmpeg.
TEST_F(FfmpegScript, options_are_not_given_to_the_decoder) {
  // The script tells its arguments by its error text.
  const CodecEnvironment environment = {
      .ffmpeg = script("case \"$*\" in *pipe:0*) echo \"$*\" >&2; exit 1 ;; esac"), .decode_only = true};
  const PictureFormat format{64, 64, 8};
  const std::vector<std::byte> stream(100);
  for (const char* options : {":y=evil", ":i=evil,map=1:0", ":profile=evil", ":evil", ":evil\\"}) {
    const auto codec = open_codec(std::string("libx264") + options, environment);
    ASSERT_TRUE(codec.is_ok()) << codec.error().to_string();
    EXPECT_EQ(codec.value()->spec(), "libx264");
    const auto decoded = decode(*codec.value(), stream, format, 2);
    ASSERT_FALSE(decoded.is_ok());
    const std::string& arguments = decoded.error().message;
    EXPECT_EQ(arguments.find("evil"), std::string::npos) << arguments;
    EXPECT_NE(arguments.find(" -f h264 -i pipe:0 "), std::string::npos) << arguments;
    EXPECT_LT(arguments.find(" -protocol_whitelist pipe "), arguments.find(" -i pipe:0 ")) << arguments;
    EXPECT_FALSE(codec.value()->encode(views(smooth_planes(format, 2)), format, 20).is_ok());
  }
}

// Of probing, trying, encoding and decoding, each in its turn.
TEST_F(FfmpegScript, every_process_is_confined) {
  if (sandbox_state() != "landlock+seccomp") GTEST_SKIP() << "no sandbox here: " << sandbox_state();
  const std::string touched = (folder_ / "touched").string();
  const std::string secret = (std::filesystem::path(testing::TempDir()) / "llmcodec-secret").string();
  std::ofstream(secret) << "secret";
  // A shell without a sandbox would write the one and read the other.
  const std::string program = script("[ -z \"$HOME\" ] || exit 5\necho > '" + touched +
                                     "' && exit 6\nread -r line < '" + secret + "' && exit 7");
  const auto codec = open_codec("libx264", {.ffmpeg = program});
  ASSERT_TRUE(codec.is_ok()) << codec.error().to_string();
  const PictureFormat format{64, 64, 8};
  const std::vector<Plane> planes = smooth_planes(format, 2);
  const auto stream = codec.value()->encode(views(planes), format, 20);
  ASSERT_TRUE(stream.is_ok()) << stream.error().to_string();
  const auto decoded = decode(*codec.value(), *stream, format, 2);
  EXPECT_TRUE(decoded.is_ok()) << decoded.error().to_string();
  EXPECT_FALSE(std::filesystem::exists(touched));
  std::filesystem::remove(secret);
}

TEST_F(FfmpegScript, no_option_becomes_another_output) {
  const std::string target = (folder_ / "target").string();
  for (const char* key : {"y", "stats", "nostats", "shortest:v", "map", "i"}) {
    const std::string option = std::string(key) + "=" + target;
    const auto codec = open_codec("libx264:" + option, {});
    ASSERT_FALSE(codec.is_ok()) << option;
    EXPECT_EQ(codec.error().kind, ErrorKind::kInvalidArgument) << codec.error().to_string();
  }
  EXPECT_FALSE(std::filesystem::exists(target));
}

// Even where nothing else would stop it.
TEST_F(FfmpegScript, the_protocol_list_keeps_an_input_from_files) {
  const std::string secret = (folder_ / "secret.h264").string();
  std::ofstream(secret) << "secret";
  ProcessOptions options;
  const std::string list = "ffconcat version 1.0\nfile 'file:" + secret + "'\n";
  options.arguments = {
      real_, "-protocol_whitelist", "pipe", "-f", "concat", "-safe", "0", "-i", "pipe:0", "-f", "null", "-"};
  options.input = std::as_bytes(std::span(list));
  const auto result = run_process(options);
  ASSERT_TRUE(result.is_ok()) << result.error().to_string();
  EXPECT_NE(result->exit_code, 0);
  EXPECT_NE(result->error_text.find("not on whitelist"), std::string::npos) << result->error_text;
}

TEST_P(EncoderTest, full_spec_opens_to_itself) {
  const auto again = open_codec(codec_->spec(), {});
  ASSERT_TRUE(again.is_ok()) << again.error().to_string();
  EXPECT_EQ(again.value()->spec(), codec_->spec());
}

TEST_P(EncoderTest, damaged_or_foreign_streams_are_errors) {
  const PictureFormat format{64, 64, codec_->info().bit_depths.front()};
  const auto stream =
      codec_->encode(views(noise_planes(format, 2)), format, quality_at(codec_->info().quality, 0.4));
  ASSERT_TRUE(stream.is_ok()) << stream.error().to_string();
  const std::vector<std::byte> garbage(500, std::byte{0x5a});
  EXPECT_FALSE(decode(*codec_, garbage, format, 2).is_ok());
  EXPECT_FALSE(decode(*codec_, {}, format, 2).is_ok());
  EXPECT_FALSE(decode(*codec_, std::span(*stream).first(stream->size() / 3), format, 2).is_ok());
  EXPECT_FALSE(decode(*codec_, *stream, {128, 128, format.bit_depth}, 2).is_ok());  // other size
  EXPECT_FALSE(decode(*codec_, *stream, format, 1).is_ok());
  EXPECT_FALSE(decode(*codec_, *stream, format, 3).is_ok());
}

class FfmpegTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto program = find_ffmpeg({});
    if (!program.is_ok()) GTEST_SKIP() << program.error().to_string();
    program_ = program.value();
    if (!program_->encoders.contains("libx265")) GTEST_SKIP() << "FFmpeg without libx265";
  }
  const FfmpegProgram* program_ = nullptr;
};

// The flag that the adapter relies on: without a matching format FFmpeg must fail, not convert.
TEST_F(FfmpegTest, a_needed_conversion_is_an_error) {
  const std::vector<std::byte> frame(64 * 64 * 2);
  for (const char* wanted : {"gray", "gray12le", "yuv420p10le"}) {
    ProcessOptions options;
    options.arguments = {program_->path, "-hide_banner", "-nostdin",
                         "-loglevel",    "error",        "-noauto_conversion_filters",
                         "-f",           "rawvideo",     "-pixel_format",
                         "gray10le",     "-video_size",  "64x64",
                         "-i",           "pipe:0",       "-f",
                         "rawvideo",     "-pix_fmt",     wanted,
                         "pipe:1"};
    options.input = frame;
    const auto result = run_process(options);
    ASSERT_TRUE(result.is_ok()) << result.error().to_string();
    EXPECT_NE(result->exit_code, 0) << wanted;
    EXPECT_TRUE(result->output.empty());
  }
}

TEST_F(FfmpegTest, unknown_options_and_values_are_invalid_arguments) {
  for (const char* spec :
       {"libx265:no-such-option=1", "libx265:preset=warp", "libx265:x265-params=nonsense=1",
        "libx265:profile=sideways", "libx265:qp=30", "libx265:crf_max=3"}) {
    const auto codec = open_codec(spec, {});
    ASSERT_FALSE(codec.is_ok()) << spec;
    EXPECT_EQ(codec.error().kind, ErrorKind::kInvalidArgument) << spec << ": " << codec.error().to_string();
  }
}

TEST_F(FfmpegTest, user_options_win_over_defaults) {
  const auto codec = open_codec("libx265:x265-params=min-cu-size=8", {});
  ASSERT_TRUE(codec.is_ok()) << codec.error().to_string();
  const std::string& spec = codec.value()->spec();
  EXPECT_NE(spec.find("preset=medium"), std::string::npos) << spec;
  EXPECT_NE(spec.find(":min-cu-size=8"), std::string::npos) << spec;
  EXPECT_NE(spec.find("aq-mode=0"), std::string::npos) << spec;
  EXPECT_EQ(spec.find("min-cu-size=32"), std::string::npos) << spec;
}

TEST_F(FfmpegTest, a_preset_of_the_users_is_the_encoders_own) {
  const auto codec = open_codec("libx265:preset=ultrafast", {});
  ASSERT_TRUE(codec.is_ok()) << codec.error().to_string();
  const std::string& spec = codec.value()->spec();
  EXPECT_NE(spec.find("preset=ultrafast"), std::string::npos) << spec;
  EXPECT_NE(spec.find("aq-mode=0"), std::string::npos) << spec;
  EXPECT_EQ(spec.find("min-cu-size"), std::string::npos) << spec;
}

TEST_F(FfmpegTest, quality_outside_its_range_or_grid) {
  const auto codec = open_codec("libx265", {});
  ASSERT_TRUE(codec.is_ok());
  const PictureFormat format{64, 64, 8};
  for (const double quality : {-1.0, 52.0, 20.5, std::nan("")}) {
    const auto stream = codec.value()->encode(views(noise_planes(format, 1)), format, quality);
    ASSERT_FALSE(stream.is_ok()) << quality;
    EXPECT_EQ(stream.error().kind, ErrorKind::kInvalidArgument);
  }
}

TEST_F(FfmpegTest, encoder_of_an_unknown_name_with_stated_options) {
  if (!program_->encoders.contains("mpeg2video")) GTEST_SKIP() << "FFmpeg without mpeg2video";
  const auto incomplete = open_codec("mpeg2video", {});
  ASSERT_FALSE(incomplete.is_ok());
  EXPECT_EQ(incomplete.error().kind, ErrorKind::kInvalidArgument);
  const auto codec = open_codec("mpeg2video:quality_option=q:v,pixel_formats=yuv420p", {});
  ASSERT_TRUE(codec.is_ok()) << codec.error().to_string();
  const PictureFormat format{100, 70, 8};
  const std::vector<Plane> planes = smooth_planes(format, 2);
  const auto stream = codec.value()->encode(views(planes), format, 2);
  ASSERT_TRUE(stream.is_ok()) << stream.error().to_string();
  const auto decoded = decode(*codec.value(), *stream, format, 2);
  ASSERT_TRUE(decoded.is_ok()) << decoded.error().to_string();
  EXPECT_LE(rms_difference(planes, *decoded), 2.0);
}

TEST_F(FfmpegTest, time_limit) {
  ASSERT_TRUE(open_codec("libx265", {}).is_ok()) << "tried once: the limit below is for what comes after";
  CodecEnvironment environment;
  environment.timeout_seconds = 1e-3;
  const auto codec = open_codec("libx265", environment);
  ASSERT_TRUE(codec.is_ok()) << codec.error().to_string();
  const PictureFormat format{512, 512, 8};
  const auto stream = codec.value()->encode(views(noise_planes(format, 1)), format, 10);
  ASSERT_FALSE(stream.is_ok());
  EXPECT_EQ(stream.error().kind, ErrorKind::kLimit);
}

TEST_F(FfmpegTest, decoding_needs_no_encoder_and_no_trial) {
  CodecEnvironment environment;
  environment.decode_only = true;
  EXPECT_TRUE(open_codec("libx265:preset=no-such-preset", environment).is_ok());
}

TEST_F(FfmpegTest, of_an_encoder_that_is_not_in_our_table_the_container_must_be_known) {
  CodecEnvironment environment;
  environment.decode_only = true;
  const std::string spec = "mpeg2video:quality_option=q:v,pixel_formats=yuv420p";
  for (const char* good : {"", ",muxer=matroska", ",demuxer=mpegvideo", ",y=evil"})
    EXPECT_TRUE(open_codec(spec + good, environment).is_ok()) << good;
  for (const char* bad : {",demuxer=concat", ",demuxer=lavfi", ",muxer=tee", ",muxer=hls,demuxer=nut"}) {
    for (const bool decode_only : {false, true}) {
      environment.decode_only = decode_only;
      const auto codec = open_codec(spec + bad, environment);
      ASSERT_FALSE(codec.is_ok()) << bad;
      EXPECT_EQ(codec.error().kind, ErrorKind::kInvalidArgument) << codec.error().to_string();
    }
  }
}

TEST(FfmpegMissing, no_program_or_not_ffmpeg_is_unsupported_with_a_remedy) {
  for (const char* path : {"/no/such/ffmpeg", "/bin/true"}) {
    CodecEnvironment environment;
    environment.ffmpeg = path;
    const auto codec = open_codec("libx265", environment);
    ASSERT_FALSE(codec.is_ok()) << path;
    EXPECT_EQ(codec.error().kind, ErrorKind::kUnsupported);
    EXPECT_NE(codec.error().message.find(path), std::string::npos);
    for (const CodecStatus& status : list_codecs(environment)) {
      EXPECT_EQ(status.can_encode, status.missing_reason.empty()) << status.info.name;
    }
  }
}

TEST(FfmpegErrors, causes_come_first_addresses_and_noise_go) {
  const std::string text =
      "x265 [info]: chatter\n[libx265 @ 0x55d] Bad thing\n\n[vf#0 @ 0x1] Task finished with error code: -22\n"
      "[vost#0:0/x @ 0x12] [enc:x @ 0x34] Second\n";
  EXPECT_EQ(summarise_ffmpeg_errors(text), "[libx265] Bad thing; [vost#0:0/x] [enc:x] Second");
  EXPECT_EQ(summarise_ffmpeg_errors(""), "no error text");
}

}  // namespace
}  // namespace llmcodec

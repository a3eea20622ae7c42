// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spatial/stream_decoder.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "decoded_video.h"
#include "memory_trace.h"
#include "mutation.h"
#include "stream_files.h"
#include "vvc/spatial/spatial_encoder.h"
#include "vvc/stream/nal.h"

namespace llmcodec::vvc {
namespace {

TEST(StreamDecoder, empty_stream_has_no_pictures) {
  auto video = decode_video({});
  ASSERT_TRUE(video.is_ok());
  EXPECT_TRUE(video->pictures.empty());
}

TEST(StreamDecoder, every_truncation_is_an_error_or_fewer_pictures) {
  const auto stream = load_stream("spikes_10b_q37_ctu32.266");  // one picture
  const size_t full = decode_video(stream)->pictures.size();
  for (size_t size = 0; size < stream.size(); ++size) {
    auto video = decode_video(std::span(stream).first(size));
    if (!video.is_ok()) {
      EXPECT_TRUE(video.error().kind == ErrorKind::kCorrupt) << size << ": " << video.error().to_string();
    } else {
      // Without its hash the picture may still be whole.
      EXPECT_TRUE(video->pictures.size() < full || video->hashes_checked == 0) << size;
    }
  }
}

TEST(StreamDecoder, wrong_hash_is_corrupt_unless_not_asked_for) {
  auto stream = load_stream("gauss_8b_q0_ctu32.266");
  auto units = split_annexb(stream).value();
  ASSERT_EQ(units.back().type, NalType::kSuffixSei);
  stream[units.back().offset + 2 + 6] ^= std::byte{16};
  auto video = decode_video(stream);
  ASSERT_FALSE(video.is_ok());
  EXPECT_EQ(video.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(video.error().message.find("hash"), std::string::npos);
  EXPECT_EQ(*video.error().offset, units.back().offset);
  EXPECT_TRUE(decode_video(stream, {.limits = {}, .check_hash = false}).is_ok());
}

TEST(StreamDecoder, limits_act_before_memory_is_taken) {
  const auto stream = load_stream("gauss_8b_q22_ctu128.266");  // two pictures of 256x96
  auto video = decode_video(stream, {.limits = {.max_picture_samples = 256 * 96 - 1}});
  ASSERT_FALSE(video.is_ok());
  EXPECT_EQ(video.error().kind, ErrorKind::kLimit);
  EXPECT_EQ(decode_video(stream, {.limits = {.max_pictures = 1}}).error().kind, ErrorKind::kLimit);
  EXPECT_TRUE(decode_video(stream, {.limits = {.max_picture_samples = 256 * 96, .max_pictures = 2}}).is_ok());
}

TEST(StreamDecoder, inter_pictures_are_unsupported) {
  auto stream = load_stream("flat_8b_q22_ctu64.266");
  const std::vector<NalUnit> units = split_annexb(stream).value();
  for (const NalUnit& unit : units)
    if (is_slice(unit.type)) stream[unit.offset + 1] = std::byte{0x01};  // TRAIL_NUT
  auto video = decode_video(stream);
  ASSERT_FALSE(video.is_ok());
  EXPECT_EQ(video.error().kind, ErrorKind::kUnsupported);
}

TEST(StreamDecoder, slice_without_parameter_sets_is_corrupt) {
  const auto stream = load_stream("flat_8b_q22_ctu64.266");
  for (NalType missing : {NalType::kSps, NalType::kPps}) {
    std::vector<std::byte> rest;
    const std::vector<NalUnit> units = split_annexb(stream).value();
    for (const NalUnit& unit : units)
      if (unit.type != missing) append_nal(rest, unit.type, unescape(unit.payload), StartCode::kLong);
    EXPECT_EQ(decode_video(rest).error().kind, ErrorKind::kCorrupt);
  }
}

TEST(StreamDecoder, trace_names_elements_and_changes_nothing) {
  const auto stream = load_stream("spikes_8b_q22_ctu32.266");
  MemoryTrace trace;
  auto traced = decode_video(stream, {.limits = {}, .check_hash = true, .trace = &trace});
  ASSERT_TRUE(traced.is_ok()) << traced.error().to_string();
  EXPECT_EQ(traced->hashes_checked, 2u);
  const auto count = [&trace](const std::string& name) {
    return std::count_if(trace.lines().begin(), trace.lines().end(),
                         [&](const auto& line) { return line.name == name; });
  };
  EXPECT_EQ(count("sps_mrl_enabled_flag"), 2);  // VVenC repeats it for each picture
  EXPECT_EQ(count("sh_qp_delta"), 2);
  EXPECT_GT(count("split_cu_flag"), 0);
  EXPECT_GT(count("mtt_split_cu_vertical_flag"), 0);
  EXPECT_GT(count("intra_luma_ref_idx"), 0);
  EXPECT_GT(count("TransCoeffLevel"), count("tu_y_coded_flag"));
}

TEST(StreamDecoder, mutated_streams_give_errors_of_the_right_kind) {
  std::vector<std::vector<std::byte>> seeds;
  for (const std::string& name : stream_names()) {
    auto stream = load_stream(name);
    if (stream.size() < 8000) seeds.push_back(std::move(stream));
  }
  ASSERT_GE(seeds.size(), 10u);
  const uint32_t rounds = mutation_rounds(600);
  uint32_t decoded = 0, corrupt = 0;
  for (uint32_t seed = 0; seed < rounds; ++seed) {
    const auto stream = mutate(seeds[seed % seeds.size()], seed);
    const DecodeOptions options{.limits = {.max_picture_samples = 1u << 18}, .check_hash = seed % 2 == 0};
    auto video = decode_video(stream, options);
    if (video.is_ok()) {
      ++decoded;
      continue;
    }
    const ErrorKind kind = video.error().kind;
    corrupt += kind == ErrorKind::kCorrupt;
    ASSERT_TRUE(kind == ErrorKind::kCorrupt || kind == ErrorKind::kUnsupported || kind == ErrorKind::kLimit)
        << seed << ": " << video.error().to_string();
  }
  // Both outcomes must occur, or the damage is of no use.
  EXPECT_GT(decoded, rounds / 100);
  EXPECT_GT(corrupt, rounds / 4);
}

std::vector<std::byte> stream_of_noise(size_t pictures, int slice_ctu_rows) {
  std::mt19937 random(7);
  std::vector<Plane> planes(pictures, Plane(96, 256));
  std::vector<PlaneView> views;
  for (Plane& plane : planes) {
    for (uint16_t& sample : std::span(plane.view().data, 96 * 256)) sample = random() % 1024;
    views.push_back(std::as_const(plane).view());
  }
  SpatialFormat format{.width = 96, .height = 256, .bit_depth = 10, .qp = 34};
  format.pictures = static_cast<uint32_t>(pictures);
  format.slice_ctu_rows = static_cast<uint32_t>(slice_ctu_rows);
  SpatialOptions options;
  options.picture_hash = true;
  return *encode_spatial(views, format, options);
}

// Pictures handed over, and how it ended.
struct Outcome {
  std::vector<std::vector<uint16_t>> pictures;
  std::string end;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(std::span<const std::byte> stream, TraceSink* trace, size_t stop_after) {
  Outcome out;
  const Status status = decode_each(
      stream, {.limits = {.max_picture_samples = 1 << 16, .max_pictures = 30}, .trace = trace},
      [&](const DecodedPicture& picture) -> Status {
        std::vector<uint16_t>& samples = out.pictures.emplace_back();
        for (size_t y = 0; y < picture.format.height; ++y)
          samples.insert(samples.end(), picture.samples.row(y).begin(), picture.samples.row(y).end());
        if (out.pictures.size() <= stop_after) return Status::ok();
        return error(ErrorKind::kLimit, "the caller has enough");
      });
  out.end = status.is_ok() ? "" : status.error().to_string();
  return out;
}

class NoTrace final : public TraceSink {
  void element(const char*, int64_t) override {}
};

// With a trace pictures are decoded one by one: what is decoded side by side must end the same way, with the
// same pictures before it.
TEST(StreamDecoder, pictures_side_by_side_end_as_one_by_one) {
  NoTrace trace;
  size_t whole = 0, broken = 0;
  for (const int slice_ctu_rows : {0, 1}) {
    const auto intact = stream_of_noise(20, slice_ctu_rows);
    const uint32_t rounds = mutation_rounds(150);
    for (uint32_t seed = 0; seed < rounds; ++seed) {
      SCOPED_TRACE(seed);
      const auto stream = seed == 0 ? intact : mutate(intact, seed);
      const size_t stop_after = seed % 5 == 1 ? seed % 24 : 100;
      const Outcome alone = outcome_of(stream, &trace, stop_after);
      if (seed == 0) {
        EXPECT_EQ(alone.pictures.size(), 20u) << alone.end;
      }
      ASSERT_EQ(alone, outcome_of(stream, nullptr, stop_after));
      ++(alone.end.empty() ? whole : broken);
    }
  }
  EXPECT_GT(whole, 0u);
  EXPECT_GT(broken, 100u);
}

// Streams of 20, 3 and 1 pictures and of none, whole and damaged, in groups that fill up anywhere.
TEST(StreamDecoder, streams_side_by_side_end_as_alone) {
  const std::vector<std::vector<std::byte>> seeds = {
      stream_of_noise(3, 0), stream_of_noise(1, 1), stream_of_noise(20, 0), {}};
  for (uint32_t round = 0; round < mutation_rounds(20); ++round) {
    SCOPED_TRACE(round);
    std::mt19937 random(round);
    std::vector<std::vector<std::byte>> streams(1 + random() % 24);
    for (auto& stream : streams) {
      stream = seeds[random() % 8 == 0 ? 2 + random() % 2 : random() % 2];
      if (random() % 3 == 0) stream = mutate(stream, random());
    }
    std::vector<std::vector<uint16_t>> samples(streams.size());
    std::vector<StreamDecoding> together;
    for (size_t i = 0; i < streams.size(); ++i)
      together.push_back({streams[i], {}, [&samples, i](const DecodedPicture& picture) {
                            for (size_t y = 0; y < picture.format.height; ++y)
                              samples[i].insert(samples[i].end(), picture.samples.row(y).begin(),
                                                picture.samples.row(y).end());
                            return Status::ok();
                          }});
    decode_streams(together);
    for (size_t i = 0; i < streams.size(); ++i) {
      std::vector<uint16_t> alone;
      const Status status = decode_each(streams[i], {}, [&alone](const DecodedPicture& picture) {
        for (size_t y = 0; y < picture.format.height; ++y)
          alone.insert(alone.end(), picture.samples.row(y).begin(), picture.samples.row(y).end());
        return Status::ok();
      });
      ASSERT_EQ(status.is_ok() ? "" : status.error().to_string(),
                together[i].status.is_ok() ? "" : together[i].status.error().to_string());
      ASSERT_EQ(alone, samples[i]) << i;
    }
  }
}

}  // namespace
}  // namespace llmcodec::vvc

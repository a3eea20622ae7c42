// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spectral/spectral_decoder.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "mutation.h"
#include "one_strip.h"
#include "vvc/stream/nal.h"

namespace llmcodec::vvc {
namespace {

struct Coded {
  SpectralFormat format;
  std::vector<int32_t> indices;
  std::vector<std::byte> stream;
};

Coded encode(const SpectralFormat& format, float magnitude, uint32_t seed) {
  std::mt19937 random(seed);
  auto encoder = SpectralEncoder::create(format, {});
  EXPECT_TRUE(encoder.is_ok());
  const size_t size = format.strip_coefficients();
  Coded coded{format, std::vector<int32_t>(size * format.blocks_y), {}};
  std::vector<float> u(size);
  for (uint32_t strip = 0; strip < format.blocks_y; ++strip) {
    for (float& value : u) {
      const auto uniform = static_cast<float>(static_cast<int32_t>(random()) * 0x1p-31);
      value = magnitude * uniform * uniform * uniform * 3;
    }
    const auto out = std::span(coded.indices).subspan(strip * size, size);
    const Status status = encode_strip(*encoder, u, out);
    EXPECT_TRUE(status.is_ok());
  }
  auto stream = encoder->finish();
  EXPECT_TRUE(stream.is_ok());
  coded.stream = std::move(*stream);
  return coded;
}

// Damaged headers may ask for more than a test should take.
bool is_large(const SpectralFormat& format) {
  return format.strip_coefficients() * format.blocks_y > 1u << 22;
}

Result<std::vector<int32_t>> decode_all(std::span<const std::byte> stream, uint32_t coefficients) {
  LLMC_ASSIGN_OR_RETURN(SpectralDecoder decoder, SpectralDecoder::open(stream, coefficients));
  std::vector<int32_t> indices(decoder.format().strip_coefficients() * decoder.format().blocks_y);
  SpectralPicture picture{.decoder = &decoder, .indices = indices};
  SpectralDecoder::decode_pictures({&picture, 1});
  LLMC_RETURN_IF_ERROR(std::move(picture.status));
  return indices;
}

TEST(SpectralDecoder, gives_the_encoders_indices) {
  uint32_t seed = 0;
  for (uint32_t coefficients : {1u, 31u, 512u, 736u, 992u, 1023u}) {
    for (float magnitude : {0.0f, 0.7f, 3.0f, 30.0f}) {
      const Coded coded =
          encode({.blocks_x = 3, .blocks_y = 2, .coefficients = coefficients}, magnitude, ++seed);
      auto indices = decode_all(coded.stream, coefficients);
      ASSERT_TRUE(indices.is_ok()) << indices.error().to_string();
      EXPECT_EQ(*indices, coded.indices) << coefficients << ' ' << magnitude;
    }
  }
}

TEST(SpectralDecoder, format_comes_from_the_stream) {
  const Coded coded =
      encode({.blocks_x = 2, .blocks_y = 3, .coefficients = 64, .bit_depth = 8, .qp = 30}, 2, 1);
  auto decoder = SpectralDecoder::open(coded.stream, 64);
  ASSERT_TRUE(decoder.is_ok()) << decoder.error().to_string();
  EXPECT_EQ(decoder->format().blocks_x, 2u);
  EXPECT_EQ(decoder->format().blocks_y, 3u);
  EXPECT_EQ(decoder->format().bit_depth, 8);
  EXPECT_EQ(decoder->format().qp, 30);
}

TEST(SpectralDecoder, wrong_use_is_named) {
  const Coded coded = encode({.blocks_x = 2, .blocks_y = 1, .coefficients = 64}, 2, 2);
  EXPECT_EQ(SpectralDecoder::open(coded.stream, 0).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(SpectralDecoder::open(coded.stream, 1024).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(decode_all(coded.stream, 20).error().kind, ErrorKind::kCorrupt);  // weights behind K
}

// Streams of any number and size side by side, some of them damaged:
// each must fare as alone, message included.
void expect_pictures_as_alone(const std::vector<std::vector<std::byte>>& streams, uint32_t coefficients) {
  std::vector<SpectralDecoder> decoders;
  std::vector<std::vector<int32_t>> indices;
  std::vector<Result<std::vector<int32_t>>> alone;
  for (const auto& stream : streams) {
    auto decoder = SpectralDecoder::open(stream, coefficients);
    if (!decoder.is_ok() || is_large(decoder->format())) continue;
    indices.emplace_back(decoder->format().strip_coefficients() * decoder->format().blocks_y);
    decoders.push_back(std::move(*decoder));
    alone.push_back(decode_all(stream, coefficients));
  }
  std::vector<SpectralPicture> pictures;
  for (size_t i = 0; i < decoders.size(); ++i)
    pictures.push_back({.decoder = &decoders[i], .indices = indices[i]});
  SpectralDecoder::decode_pictures(pictures);
  for (size_t i = 0; i < pictures.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(pictures[i].status.is_ok(), alone[i].is_ok());
    if (alone[i].is_ok()) {
      EXPECT_EQ(indices[i], *alone[i]);
    } else {
      EXPECT_EQ(pictures[i].status.error().kind, alone[i].error().kind);
      EXPECT_EQ(pictures[i].status.error().to_string(), alone[i].error().to_string());
    }
  }
}

TEST(SpectralDecoder, pictures_side_by_side_are_as_alone) {
  for (uint32_t count : {0u, 1u, 3u, 4u, 16u, 17u, 40u}) {
    SCOPED_TRACE(count);
    std::vector<std::vector<std::byte>> streams;
    for (uint32_t i = 0; i < count; ++i) {
      const SpectralFormat format{.blocks_x = 1 + i % 5, .blocks_y = 1 + i % 3, .coefficients = 448};
      streams.push_back(encode(format, i % 7 == 0 ? 0.0f : 0.2f * static_cast<float>(i), i).stream);
    }
    expect_pictures_as_alone(streams, 448);
  }
}

TEST(SpectralDecoder, damaged_pictures_do_not_disturb_the_others) {
  const Coded coded = encode({.blocks_x = 3, .blocks_y = 3, .coefficients = 320}, 5, 4);
  for (uint32_t round = 0; round < mutation_rounds(40); ++round) {
    SCOPED_TRACE(round);
    std::vector<std::vector<std::byte>> streams;
    for (uint32_t i = 0; i < 20; ++i)
      streams.push_back(i % 4 == 0 ? coded.stream : mutate(coded.stream, 100 * round + i));
    expect_pictures_as_alone(streams, 320);
  }
}

TEST(SpectralDecoder, pictures_used_wrongly_are_named) {
  const Coded coded = encode({.blocks_x = 2, .blocks_y = 2, .coefficients = 64}, 2, 2);
  auto used = SpectralDecoder::open(coded.stream, 64), fresh = SpectralDecoder::open(coded.stream, 64);
  std::vector<int32_t> indices(4 * 64), others(4 * 64);
  SpectralPicture first{.decoder = &*used, .indices = indices};
  SpectralDecoder::decode_pictures({&first, 1});
  ASSERT_TRUE(first.status.is_ok());
  SpectralPicture pictures[] = {{.decoder = &*used, .indices = indices},
                                {.decoder = &*fresh, .indices = std::span(others).first(64)}};
  SpectralDecoder::decode_pictures(pictures);
  EXPECT_EQ(pictures[0].status.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(pictures[1].status.error().kind, ErrorKind::kInvalidArgument);
}

TEST(SpectralDecoder, every_truncation_is_corrupt) {
  const Coded coded = encode({.blocks_x = 1, .blocks_y = 2, .coefficients = 96}, 2, 3);
  // Behind the slice stands only a message to foreign readers.
  const auto units = split_annexb(coded.stream);
  ASSERT_TRUE(units.is_ok());
  size_t end = coded.stream.size();
  for (const NalUnit& unit : *units)
    if (unit.type == NalType::kSuffixSei) end = unit.offset - 3;  // its start code
  for (size_t size = 0; size < end; ++size) {
    auto indices = decode_all(std::span(coded.stream).first(size), 96);
    ASSERT_FALSE(indices.is_ok()) << size << " of " << end;
    EXPECT_EQ(indices.error().kind, ErrorKind::kCorrupt) << size << ": " << indices.error().to_string();
  }
}

TEST(SpectralDecoder, mutated_streams_never_crash) {
  const Coded coded = encode({.blocks_x = 2, .blocks_y = 2, .coefficients = 320}, 5, 4);
  const uint32_t rounds = mutation_rounds(600);
  uint32_t failed = 0;
  for (uint32_t seed = 0; seed < rounds; ++seed) {
    const auto stream = mutate(coded.stream, seed);
    auto decoder = SpectralDecoder::open(stream, 320);
    if (!decoder.is_ok() || is_large(decoder->format())) {
      ++failed;
      continue;
    }
    failed += !decode_all(stream, 320).is_ok();
  }
  EXPECT_GT(failed, rounds / 4);
  EXPECT_LT(failed, rounds);
}

}  // namespace
}  // namespace llmcodec::vvc

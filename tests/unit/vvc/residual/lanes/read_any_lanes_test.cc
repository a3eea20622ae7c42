// SPDX-License-Identifier: BSD-3-Clause
// Streams read side by side must give what each gives alone: levels, models and the decoder's state.
#include "vvc/residual/lanes/read_any_lanes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "every_instruction_set.h"
#include "residual_noise.h"
#include "vvc/cabac/cabac_encoder.h"
#include "vvc/residual/residual_decoder.h"

namespace llmcodec::vvc {
namespace {

using Bytes = std::vector<uint8_t>;

struct Shape {
  int log2_width, log2_height;
};

// Blocks of the given shapes with some bins between them; all that was read.
class Script final : public ResidualSource {
 public:
  Script(const Bytes& bytes, std::vector<Shape> shapes, int qp)
      : bins_(bytes, initial_contexts(qp)), shapes_(std::move(shapes)) {}

  CabacDecoder& bins() override { return bins_; }
  TransformBlock block() const override {
    return {shapes_[at_].log2_width, shapes_[at_].log2_height, true, const_cast<int32_t*>(levels_)};
  }
  bool next(const ResidualInfo& info) override {
    found.insert(found.end(), levels_, levels_ + 64 * 32);
    std::fill_n(levels_, 64 * 32, 0);
    found.push_back(info.last_scan_position);
    found.push_back(info.level_in_range);
    for (size_t i = 0; i < at_ % 3; ++i) {
      found.push_back(static_cast<int32_t>(bins_.bypass(0, 3)));
      found.push_back(bins_.bin(0, ctx::kTuYCodedFlag));
    }
    return ++at_ < shapes_.size();
  }

  std::vector<int32_t> found;

 private:
  CabacDecoder bins_;
  std::vector<Shape> shapes_;
  size_t at_ = 0;
  int32_t levels_[64 * 32] = {};
};

struct StreamOfBlocks {
  Bytes bytes;
  std::vector<Shape> shapes;
};

void expect_same(const std::vector<StreamOfBlocks>& streams) {
  std::vector<std::unique_ptr<Script>> plain, lanes;
  std::vector<ResidualSource*> sources;
  for (const StreamOfBlocks& stream : streams) {
    const int qp = static_cast<int>(plain.size() % 64);
    plain.push_back(std::make_unique<Script>(stream.bytes, stream.shapes, qp));
    lanes.push_back(std::make_unique<Script>(stream.bytes, stream.shapes, qp));
    sources.push_back(lanes.back().get());
    Script& script = *plain.back();
    while (script.next(decode_residual(script.bins(), script.block()))) {
    }
  }
  decode_all_residuals(sources);
  for (size_t i = 0; i < streams.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(plain[i]->found, lanes[i]->found);
    ASSERT_NO_FATAL_FAILURE(expect_same_state(plain[i]->bins(), lanes[i]->bins()));
  }
}

Shape random_shape(std::mt19937& random) {
  return {2 + static_cast<int>(random() % 5), 2 + static_cast<int>(random() % 5)};
}

// Random bytes are random bins: long escapes, exhausted budgets, levels out of range, streams that end in the
// middle or hold nothing.
TEST(ReadAnyLanes, equal_the_plain_decoder_on_random_bytes) {
  on_every_instruction_set([] {
    for (uint32_t seed = 0; seed < 60; ++seed) {
      SCOPED_TRACE(seed);
      std::mt19937 random(seed);
      std::vector<StreamOfBlocks> streams(1 + random() % 40);
      for (StreamOfBlocks& stream : streams) {
        stream.bytes.resize(random() % 2000);
        const unsigned ones = random() % 8;
        for (uint8_t& byte : stream.bytes) byte = static_cast<uint8_t>(random() % 8 < ones ? 255 : random());
        for (size_t blocks = 1 + random() % 12; blocks > 0; --blocks)
          stream.shapes.push_back(random_shape(random));
      }
      ASSERT_NO_FATAL_FAILURE(expect_same(streams));
    }
  });
}

StreamOfBlocks noise_stream(uint32_t seed, unsigned rate, int blocks, int qp) {
  std::mt19937 random(seed);
  CabacEncoder encoder(initial_contexts(qp));
  StreamOfBlocks stream;
  for (int block = 0; block < blocks; ++block) {
    const Shape shape = random_shape(random);
    const ScanOrder& scan = scan_order(shape.log2_width, shape.log2_height);
    const int last = static_cast<int>(random() % static_cast<unsigned>(scan.count));
    const bool is_sparse = random() % 4 == 0;
    std::vector<int32_t> levels = noise_levels(scan, last, {rate, is_sparse}, random);
    residual_coding(encoder, TransformBlock{shape.log2_width, shape.log2_height, true, levels.data()}, last);
    for (int i = 0; i < block % 3; ++i) {
      encoder.bypass(random() % 8, 3);
      encoder.bin(static_cast<int>(random() % 2), ctx::kTuYCodedFlag);
    }
    stream.shapes.push_back(shape);
  }
  encoder.terminate(1);
  stream.bytes = encoder.finish();
  return stream;
}

TEST(ReadAnyLanes, equal_the_plain_decoder_on_noise_at_all_rates) {
  on_every_instruction_set([] {
    for (uint32_t rate = 0; rate < 40; ++rate) {
      SCOPED_TRACE(rate);
      std::vector<StreamOfBlocks> streams;
      for (uint32_t i = 0; i < 20; ++i)
        streams.push_back(
            noise_stream(100 * rate + i, rate + i % 3, 10 + static_cast<int>(i), static_cast<int>(i)));
      ASSERT_NO_FATAL_FAILURE(expect_same(streams));
    }
  });
}

TEST(ReadAnyLanes, any_number_of_streams) {
  on_every_instruction_set([] {
    for (uint32_t count = 0; count <= 35; ++count) {
      SCOPED_TRACE(count);
      std::vector<StreamOfBlocks> streams;
      for (uint32_t i = 0; i < count; ++i)
        streams.push_back(noise_stream(i, 3, 1 + static_cast<int>(i % 5), static_cast<int>(i)));
      ASSERT_NO_FATAL_FAILURE(expect_same(streams));
    }
  });
}

}  // namespace
}  // namespace llmcodec::vvc

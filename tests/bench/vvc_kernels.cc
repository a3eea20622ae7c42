// SPDX-License-Identifier: BSD-3-Clause
// Kernels of the VVC codec, one thread, in nanoseconds per weight and items (weights) per second:
//   vvc_kernels [--benchmark_filter=...]
// LLMC_STEP, 0.42 by default, is the steps per deviation: about 2.3 bits.
// The argument of each benchmark is K, the coefficients of a 32x32 block. LLMC_NO_AVX512=1: as
// on a machine without.
#include <benchmark/benchmark.h>

#include <hwy/targets.h>

#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

#include "vvc/picture/residual_32x32.h"
#include "vvc/picture/transform.h"
#include "vvc/residual/lanes/read_32x32_lanes.h"
#include "vvc/residual/lanes/write_32x32_lanes.h"
#include "vvc/residual/residual_decoder.h"
#include "vvc/residual/residual_encoder.h"
#include "vvc/trellis/trellis_batch.h"

namespace {

using namespace llmcodec::vvc;

constexpr int kBlocks = BatchTrellis::kMaxBlocks;

// Gaussian blocks and their levels, found with prices that fit them.
struct Blocks {
  explicit Blocks(int count_in) : count(count_in), contexts(initial_contexts(25)) {
    const char* step = std::getenv("LLMC_STEP");
    std::mt19937 random(1);
    std::normal_distribution<double> normal(0, (1 << kCoefficientFraction) / (step ? std::atof(step) : 0.42));
    coefficients.resize(static_cast<size_t>(kBlocks) * static_cast<size_t>(count));
    for (int32_t& c : coefficients) c = static_cast<int32_t>(std::lrint(normal(random)));
    levels.resize(coefficients.size());
    for (int round = 0; round < 3; ++round) {
      BatchTrellis trellis(5, 5, {});
      trellis.set_rates(contexts);
      trellis.quantize(coefficients, count, levels, results);
      CabacEncoder encoder(contexts);
      write(encoder);
      contexts = encoder.contexts();
    }
  }
  const int32_t* block(int b) const { return levels.data() + static_cast<ptrdiff_t>(b) * count; }
  // All blocks, beginning with `first`.
  void write(CabacEncoder& encoder, int first = 0) const {
    for (int i = 0; i < kBlocks; ++i) {
      const int b = (first + i) % kBlocks;
      encode_residual_in_scan_order(encoder, 5, 5, block(b), results[b].last);
    }
  }
  std::vector<uint8_t> stream(int first = 0) const {
    CabacEncoder encoder(contexts);
    write(encoder, first);
    encoder.terminate(1);
    return encoder.finish();
  }

  int count;
  ContextSet contexts;
  std::vector<int32_t> coefficients, levels;
  TrellisResult results[kBlocks];
};

void report(benchmark::State& state, const Blocks& blocks) {
  state.SetItemsProcessed(state.iterations() * kBlocks * blocks.count);
}

void one_by_one(benchmark::State& state) {
  Blocks blocks(static_cast<int>(state.range(0)));
  Trellis trellis(5, 5, {});
  trellis.set_rates(blocks.contexts);
  const auto size = static_cast<size_t>(blocks.count);
  for (auto _ : state)
    for (size_t b = 0; b < kBlocks; ++b)
      benchmark::DoNotOptimize(trellis.quantize(std::span(blocks.coefficients).subspan(b * size, size),
                                                std::span(blocks.levels).subspan(b * size, size)));
  report(state, blocks);
}
BENCHMARK(one_by_one)->Name("Trellis")->Arg(736)->Arg(448);

void in_lanes(benchmark::State& state) {
  Blocks blocks(static_cast<int>(state.range(0)));
  BatchTrellis trellis(5, 5, {});
  trellis.set_rates(blocks.contexts);
  for (auto _ : state) {
    trellis.quantize(blocks.coefficients, blocks.count, blocks.levels, blocks.results);
    benchmark::DoNotOptimize(blocks.levels.data());
  }
  report(state, blocks);
}
BENCHMARK(in_lanes)->Name("BatchTrellis")->Arg(736)->Arg(448);

void writing(benchmark::State& state) {
  const Blocks blocks(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    CabacEncoder encoder(blocks.contexts);
    blocks.write(encoder);
    benchmark::DoNotOptimize(encoder.finish());
  }
  report(state, blocks);
}
BENCHMARK(writing)->Name("encode_residual")->Arg(736)->Arg(448);

// The second argument: streams side by side.
void writing_lanes(benchmark::State& state) {
  const Blocks blocks(static_cast<int>(state.range(0)));
  const int streams = static_cast<int>(state.range(1));
  for (auto _ : state) {
    std::vector<CabacEncoder> encoders(static_cast<size_t>(streams), CabacEncoder(blocks.contexts));
    std::vector<LaneOutput> lanes(encoders.size());
    for (int i = 0; i < kBlocks; ++i) {
      for (int lane = 0; lane < streams; ++lane) {
        const int b = (i + lane) % kBlocks;
        lanes[static_cast<size_t>(lane)] = {&encoders[static_cast<size_t>(lane)], blocks.block(b),
                                            blocks.results[b].last};
      }
      encode_residuals_in_scan_order(lanes);
    }
    benchmark::DoNotOptimize(encoders[0].finish());
  }
  state.SetItemsProcessed(state.iterations() * kBlocks * blocks.count * streams);
}
BENCHMARK(writing_lanes)->Name("encode_residuals")->ArgsProduct({{736, 448}, {1, 2, 3, 4, 8, 16, 32}});

void reading(benchmark::State& state) {
  const Blocks blocks(static_cast<int>(state.range(0)));
  const std::vector<uint8_t> bytes = blocks.stream();
  std::vector<int32_t> levels(1024);
  for (auto _ : state) {
    CabacDecoder decoder(bytes, blocks.contexts);
    for (int b = 0; b < kBlocks; ++b) {
      const auto info = decode_residual_in_scan_order(decoder, 5, 5, levels.data());
      std::fill_n(levels.begin(), info.last_scan_position + 1, 0);
    }
    benchmark::DoNotOptimize(decoder.overrun());
  }
  report(state, blocks);
}
BENCHMARK(reading)->Name("decode_residual")->Arg(736)->Arg(448);

// The second argument: streams side by side.
void reading_lanes(benchmark::State& state) {
  const Blocks blocks(static_cast<int>(state.range(0)));
  const auto streams = static_cast<size_t>(state.range(1));
  std::vector<std::vector<uint8_t>> bytes;
  for (size_t i = 0; i < streams; ++i) bytes.push_back(blocks.stream(static_cast<int>(i)));
  std::vector<int32_t> levels(1024 * streams);
  for (auto _ : state) {
    std::vector<CabacDecoder> decoders;
    for (const auto& stream : bytes) decoders.emplace_back(stream, blocks.contexts);
    std::vector<LaneBlock> lanes(streams);
    for (size_t i = 0; i < streams; ++i) lanes[i] = {&decoders[i], &levels[1024 * i], {}};
    for (int b = 0; b < kBlocks; ++b) {
      decode_residuals_in_scan_order(lanes);
      std::fill(levels.begin(), levels.end(), 0);
    }
    benchmark::DoNotOptimize(decoders[0].overrun());
  }
  state.SetItemsProcessed(state.iterations() * kBlocks * blocks.count * state.range(1));
}
BENCHMARK(reading_lanes)->Name("decode_residuals")->ArgsProduct({{736, 448}, {1, 2, 3, 4, 8, 16, 32}});

void reconstructing(benchmark::State& state) {
  const Blocks blocks(static_cast<int>(state.range(0)));
  const Residual32x32 residual_of(Scaler(37, 10, 5, 5), 10);
  alignas(64) int16_t residual[1024];
  for (auto _ : state)
    for (int b = 0; b < kBlocks; ++b) {
      residual_of(blocks.block(b), blocks.results[b].last, residual);
      benchmark::DoNotOptimize(residual);
    }
  report(state, blocks);
}
BENCHMARK(reconstructing)->Name("Residual32x32")->Arg(736)->Arg(448);

void transforming(benchmark::State& state) {
  std::vector<int32_t> coefficients(1024, 300);
  alignas(64) int16_t residual[1024];
  for (auto _ : state) {
    inverse_dct(coefficients.data(), {}, 10, residual);
    benchmark::DoNotOptimize(residual);
  }
  state.SetItemsProcessed(state.iterations() * 1024);
}
BENCHMARK(transforming)->Name("inverse_dct");

}  // namespace

int main(int argc, char** argv) {
  if (std::getenv("LLMC_NO_AVX512") != nullptr) hwy::DisableTargets(HWY_AVX2 - 1);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}

// SPDX-License-Identifier: BSD-3-Clause
// Weights of a dtype into floats, block types of GGUF above all: the first byte chooses the dtype, the rest is its
// elements. What comes out and is finite can be quantised to Q8_0, and that read again.
#include <cmath>

#include "fuzz_target.h"
#include "tensor/dtype.h"

namespace llmcodec {
namespace {

constexpr Dtype kDtypes[] = {Dtype::kQ4_0, Dtype::kQ4_1, Dtype::kQ5_0,   Dtype::kQ5_1,  Dtype::kQ8_0,
                             Dtype::kQ4_K, Dtype::kQ5_K, Dtype::kQ6_K,   Dtype::kF16,   Dtype::kBF16,
                             Dtype::kF32,  Dtype::kF64,  Dtype::kF8E4M3, Dtype::kF8E5M2};
constexpr size_t kLargest = 4096;  // elements

void quantise(std::vector<float> values) {
  constexpr float kMost = 127.0f * 65000.0f;  // of Q8_0
  for (float& value : values) value = std::isfinite(value) ? std::min(std::max(value, -kMost), kMost) : 0;
  values.resize((values.size() + 31) / 32 * 32);
  std::vector<std::byte> blocks(*dtype_bytes(Dtype::kQ8_0, values.size()));
  fuzz_check(from_f32(Dtype::kQ8_0, values, blocks).is_ok(), "finite weights have a Q8_0");
  fuzz_check(to_f32(Dtype::kQ8_0, blocks, values).is_ok(), "which can be read");
  for (const float value : values) fuzz_check(std::isfinite(value), "and is finite");
}

uint64_t run(std::string_view input) {
  if (input.empty()) return 0;
  const Dtype dtype = kDtypes[static_cast<uint8_t>(input[0]) % std::size(kDtypes)];
  size_t count = 0;
  for (size_t more = 256; more <= kLargest && *dtype_bytes(dtype, more) <= input.size() - 1; more += 256)
    count = more;
  const std::vector<std::byte> bytes = exact_copy(input.substr(1, *dtype_bytes(dtype, count)));
  std::vector<float> values(count);
  fuzz_check(to_f32(dtype, bytes, values).is_ok(), "whole blocks of any bytes are weights");
  quantise(std::move(values));
  return 0;
}

std::vector<std::string> seeds() {
  std::vector<std::string> seeds;
  for (size_t i = 0; i < std::size(kDtypes); ++i) {
    std::string seed(1 + *dtype_bytes(kDtypes[i], 256), '\0');
    for (size_t k = 1; k < seed.size(); ++k) seed[k] = static_cast<char>(k * 37 % 251);
    seed[0] = static_cast<char>(i);
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

}  // namespace

const FuzzTarget kGgufBlocksTarget = {"gguf_blocks", run, seeds, nullptr};

}  // namespace llmcodec

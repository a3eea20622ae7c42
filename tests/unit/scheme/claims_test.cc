// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/claims.h"

#include <gtest/gtest.h>

#include "scheme_test_files.h"

namespace llmcodec {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<uint8_t>;
using Words = std::vector<uint32_t>;

constexpr uint8_t kOne = 0x38, kTwo = 0x40, kMinusFour = 0xc8;  // E4M3

Floats values_of(const MemorySource& source, const DeclaredScheme& declared = {}) {
  const auto values = dequantised(source, declared);
  EXPECT_TRUE(values.is_ok()) << (values.is_ok() ? "" : values.error().to_string());
  return values.is_ok() ? *values : Floats();
}

Error refusal_of(const MemorySource& source) {
  const auto claims = find_claims(source, {});
  EXPECT_FALSE(claims.is_ok());
  return claims.is_ok() ? Error{} : claims.error();
}

void add_gptq(uint32_t zeros, MemorySource* source) {
  source->add("a.qweight", Dtype::kI32, {1, 8}, bytes_of(Words(8, 0x76543210)));
  source->add("a.qzeros", Dtype::kI32, {1, 1}, bytes_of(Words{zeros}));
  source->add("a.scales", Dtype::kF32, {1, 8}, bytes_of(Floats{1, 2, 3, 4, 5, 6, 7, 8}));
}

Floats gptq_values(uint32_t zeros, const DeclaredScheme& declared = {}) {
  MemorySource source;
  add_gptq(zeros, &source);
  return values_of(source, declared);
}

TEST(Claims, OneScaleForAllOrForEachRow) {
  MemorySource all, rows;
  all.add("a.weight", Dtype::kF8E4M3, {2, 2}, bytes_of(Bytes{kOne, kTwo, kMinusFour, kOne}));
  all.add("a.weight_scale", Dtype::kF32, {}, bytes_of(Floats{0.5f}));
  EXPECT_EQ(values_of(all), (Floats{0.5f, 1, -2, 0.5f}));
  rows.add("a.weight", Dtype::kF8E4M3, {2, 2}, bytes_of(Bytes{kOne, kTwo, kMinusFour, kOne}));
  rows.add("a.weight_scale", Dtype::kF32, {2, 1}, bytes_of(Floats{0.5f, 2}));
  EXPECT_EQ(values_of(rows), (Floats{0.5f, 1, -8, 2}));
}

TEST(Claims, BlocksAreOfTheSizeThatTheShapesTell) {
  MemorySource source;  // 3 x 4 in blocks of 2 x 2, of which the lower ones are cut off
  source.add("a.weight", Dtype::kF8E4M3, {3, 4}, bytes_of(Bytes(12, kOne)));
  source.add("a.weight_scale_inv", Dtype::kF32, {2, 2}, bytes_of(Floats{1, 2, 3, 4}));
  EXPECT_EQ(values_of(source), (Floats{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4}));
}

TEST(Claims, ScalesOfEightBitsAreExponents) {
  MemorySource source;
  source.add("a.weight", Dtype::kF8E4M3, {1, 2}, bytes_of(Bytes{kOne, kTwo}));
  source.add("a.scale", Dtype::kF8E8M0, {1, 1}, bytes_of(Bytes{129}));
  EXPECT_EQ(values_of(source), (Floats{4, 8}));
}

TEST(Claims, TheLowerHalfOfAByteComesFirst) {
  MemorySource source;
  Bytes codes(8, 0x00);
  codes[0] = 0x21;  // 0.5, then 1
  codes[7] = 0xf9;  // -0.5, then -6
  source.add("a.weight", Dtype::kU8, {1, 8}, bytes_of(codes));
  source.add("a.weight_scale", Dtype::kF8E4M3, {1, 1}, bytes_of(Bytes{kTwo}));
  source.add("a.weight_scale_2", Dtype::kF32, {}, bytes_of(Floats{0.25f}));
  Floats expected(16, 0);
  expected[0] = 0.25f;
  expected[1] = 0.5f;
  expected[14] = -0.25f;
  expected[15] = -3;
  EXPECT_EQ(values_of(source), expected);
}

TEST(Claims, ExpertsOfGptOssAreTransposed) {
  MemorySource source;                                          // one expert, two outputs, 32 inputs
  Bytes blocks(32, 0x22);                                       // all ones
  std::fill(blocks.begin() + 16, blocks.end(), uint8_t{0x44});  // all twos
  source.add("experts.down_proj_blocks", Dtype::kU8, {1, 2, 1, 16}, bytes_of(blocks));
  source.add("experts.down_proj_scales", Dtype::kU8, {1, 2, 1}, bytes_of(Bytes{127, 128}));
  const auto claims = find_claims(source, {});
  ASSERT_TRUE(claims.is_ok());
  EXPECT_EQ(claims->logical[0].info.name, "experts.down_proj");
  EXPECT_EQ(claims->logical[0].info.shape, (std::vector<uint64_t>{1, 32, 2}));
  const Floats values = values_of(source);
  ASSERT_EQ(values.size(), 64u);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], i % 2 == 0 ? 1 : 4);
}

TEST(Claims, TheFirstVersionOfGptqStoresZerosMinusOne) {
  const Floats values = gptq_values(0x77777777);
  ASSERT_EQ(values.size(), 64u);
  for (size_t o = 0; o < 8; ++o) {
    for (size_t i = 0; i < 8; ++i)
      EXPECT_EQ(values[o * 8 + i], (static_cast<float>(i) - 8) * static_cast<float>(o + 1));
  }
  DeclaredScheme second;
  second.config["checkpoint_format"] = "gptq_v2";
  EXPECT_EQ(gptq_values(0x77777777, second)[1], 1.0f - 7);
  EXPECT_EQ(gptq_values(0xffffffff)[1], 1.0f - 16) << "16 and not 0, as GPTQ's kernels have it";
}

TEST(Claims, AwqHasAnOrderOfItsOwn) {
  MemorySource source;
  source.add("a.qweight", Dtype::kI32, {2, 1}, bytes_of(Words{0x76543210, 0}));
  source.add("a.qzeros", Dtype::kI32, {1, 1}, bytes_of(Words{0}));
  source.add("a.scales", Dtype::kF32, {1, 8}, bytes_of(Floats(8, 1)));
  // Of each output, both inputs.
  EXPECT_EQ(values_of(source), (Floats{0, 0, 4, 0, 1, 0, 5, 0, 2, 0, 6, 0, 3, 0, 7, 0}));
}

TEST(Claims, AGroupThatDoesNotExistIsCorrupt) {
  MemorySource source;
  add_gptq(0, &source);
  source.add("a.g_idx", Dtype::kI32, {8}, bytes_of(Words{0, 0, 0, 0, 0, 0, 0, 1}));
  const auto values = dequantised(source);
  ASSERT_FALSE(values.is_ok());
  EXPECT_EQ(values.error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(values.error().tensor, "a.g_idx");
}

TEST(Claims, AllThatBelongsToALayerIsPartOfIt) {
  MemorySource source;
  source.add("a.weight", Dtype::kF8E4M3, {1, 1}, bytes_of(Bytes{kOne}));
  source.add("a.bias", Dtype::kF32, {1}, {});
  source.add("a.weight_scale", Dtype::kF32, {1}, bytes_of(Floats{1}));
  source.add("a.input_scale", Dtype::kF32, {1}, {});
  source.add("b.k_scale", Dtype::kF32, {1}, {});
  const auto claims = find_claims(source, {});
  ASSERT_TRUE(claims.is_ok());
  EXPECT_EQ(claims->logical[0].parts, (std::vector<size_t>{0, 2, 3}));
}

TEST(Claims, ScalesThatFitNoSchemeAreRefusedByName) {
  for (const std::vector<uint64_t>& scales : {std::vector<uint64_t>{5, 5}, {1, 64}, {64}, {32, 64}}) {
    MemorySource source;
    source.add("a.weight", Dtype::kF8E4M3, {16, 64}, {});
    source.add("a.weight_scale", Dtype::kF32, scales, {});
    const Error refusal = refusal_of(source);
    EXPECT_EQ(refusal.kind, ErrorKind::kUnsupported);
    EXPECT_EQ(refusal.tensor, "a.weight");
    EXPECT_NE(refusal.message.find("a.weight_scale"), std::string::npos) << refusal.message;
  }
}

TEST(Claims, PackedCodesOfAnUnknownLayoutAreRefused) {
  MemorySource source;  // AWQ's "gemv" packs along the inputs and has no room for eight outputs in a word
  source.add("a.qweight", Dtype::kI32, {16, 4}, {});
  source.add("a.qzeros", Dtype::kI32, {16, 1}, {});
  source.add("a.scales", Dtype::kF16, {16, 8}, {});
  EXPECT_EQ(refusal_of(source).tensor, "a.qweight");
}

TEST(Claims, LayersWhoseInputsAreScaledTooAreRefused) {
  MemorySource source;
  source.add("a.weight", Dtype::kF8E4M3, {1, 1}, {});
  source.add("a.weight_scale", Dtype::kF32, {1}, {});
  source.add("a.pre_quant_scale", Dtype::kF32, {1}, {});
  EXPECT_EQ(refusal_of(source).tensor, "a.pre_quant_scale");
}

TEST(Claims, PlainTensorsAreNobodys) {
  MemorySource source;
  source.add("a.weight", Dtype::kF8E4M3, {16, 16}, {});
  source.add("b.weight", Dtype::kBF16, {16, 16}, {});
  source.add("b.weight_scale", Dtype::kF32, {1}, {});
  source.add("ids.weight", Dtype::kI8, {16, 16}, {});
  const auto claims = find_claims(source, {});
  ASSERT_TRUE(claims.is_ok());
  EXPECT_TRUE(claims->logical.empty());
}

}  // namespace
}  // namespace llmcodec

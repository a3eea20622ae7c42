// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "tensor/safetensors.h"
#include "tensor_test_files.h"

namespace llmcodec {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> decode(Dtype dtype, std::span<const std::byte> bytes) {
  const DtypeInfo& info = dtype_info(dtype);
  std::vector<float> values(bytes.size() / info.block_bytes * info.block_elements);
  const Status status = to_f32(dtype, bytes, values);
  EXPECT_TRUE(status.is_ok()) << message_of(status);
  return values;
}

template <class Code>
float decode_one(Dtype dtype, Code code) {
  return decode(dtype, std::as_bytes(std::span(&code, 1)))[0];
}

template <class Code>
Code encode_one(Dtype dtype, float value) {
  Code code{};
  const Status status = from_f32(dtype, std::span(&value, 1), std::as_writable_bytes(std::span(&code, 1)));
  EXPECT_TRUE(status.is_ok()) << message_of(status);
  return code;
}

// A floating-point format by its parameters, decoded the slow and obvious way.
struct Format {
  Dtype dtype;
  int exponent_bits, mantissa_bits, bias;
  uint32_t first_special;  // magnitude codes from here on are infinity or NaN
  bool has_infinity;
  bool fnuz;
  int bits() const { return 1 + exponent_bits + mantissa_bits; }
  uint32_t sign() const { return 1u << (bits() - 1); }
  uint32_t largest() const { return first_special - 1; }

  double value(uint32_t code) const {
    const uint32_t magnitude = code & (sign() - 1);
    const int exponent = static_cast<int>(magnitude >> mantissa_bits);
    const double fraction = std::ldexp(magnitude & ((1u << mantissa_bits) - 1), -mantissa_bits);
    const double size =
        exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
    return code & sign() ? -size : size;
  }
};

const Format kFormats[] = {
    {Dtype::kF16, 5, 10, 15, 0x7c00, true, false},    {Dtype::kBF16, 8, 7, 127, 0x7f80, true, false},
    {Dtype::kF8E4M3, 4, 3, 7, 0x7f, false, false},    {Dtype::kF8E5M2, 5, 2, 15, 0x7c, true, false},
    {Dtype::kF8E4M3Fnuz, 4, 3, 8, 0x80, false, true}, {Dtype::kF8E5M2Fnuz, 5, 2, 16, 0x80, false, true},
};

float decode_code(const Format& format, uint32_t code) {
  return format.bits() == 16 ? decode_one(format.dtype, static_cast<uint16_t>(code))
                             : decode_one(format.dtype, static_cast<uint8_t>(code));
}
uint32_t encode_value(const Format& format, float value) {
  return format.bits() == 16 ? encode_one<uint16_t>(format.dtype, value)
                             : encode_one<uint8_t>(format.dtype, value);
}

class SmallFloats : public testing::TestWithParam<Format> {};
INSTANTIATE_TEST_SUITE_P(Formats, SmallFloats, testing::ValuesIn(kFormats),
                         [](const auto& format) { return std::string(dtype_info(format.param.dtype).name); });

TEST_P(SmallFloats, every_code_decodes_to_its_definition) {
  const Format& format = GetParam();
  for (uint32_t code = 0; code < 2 * format.sign(); ++code) {
    const uint32_t magnitude = code & (format.sign() - 1);
    const float decoded = decode_code(format, code);
    if (format.fnuz && code == format.sign()) {
      EXPECT_TRUE(std::isnan(decoded)) << code;
    } else if (magnitude < format.first_special) {
      ASSERT_EQ(decoded, format.value(code)) << code;
      ASSERT_EQ(std::signbit(decoded), (code & format.sign()) != 0) << code;
    } else if (format.has_infinity && magnitude == format.first_special) {
      ASSERT_EQ(decoded, code & format.sign() ? -kInf : kInf) << code;
    } else {
      ASSERT_TRUE(std::isnan(decoded)) << code;
    }
  }
}

TEST_P(SmallFloats, every_code_survives_the_round_trip_nan_included) {
  const Format& format = GetParam();
  for (uint32_t code = 0; code < 2 * format.sign(); ++code)
    ASSERT_EQ(encode_value(format, decode_code(format, code)), code);
}

// Between any two neighbours: below the middle goes down, above goes up, the middle itself to the even code.
TEST_P(SmallFloats, rounds_to_nearest_even_everywhere) {
  const Format& format = GetParam();
  for (uint32_t code = 0; code < format.largest(); ++code) {
    const float middle = static_cast<float>((format.value(code) + format.value(code + 1)) / 2);
    if (middle == 0) continue;  // BF16: half of the smallest subnormal is none of F32's
    for (const uint32_t sign : {0u, format.sign()}) {
      const float s = sign != 0 ? -1.0f : 1.0f;
      const uint32_t down = format.fnuz && code == 0 ? 0 : sign | code;  // FNUZ has no -0
      const uint32_t even = code % 2 == 0 ? down : sign | (code + 1);
      ASSERT_EQ(encode_value(format, s * middle), even) << code;
      ASSERT_EQ(encode_value(format, s * std::nextafterf(middle, 0)), down) << code;
      ASSERT_EQ(encode_value(format, s * std::nextafterf(middle, kInf)), sign | (code + 1)) << code;
    }
  }
}

TEST_P(SmallFloats, overflow_goes_to_infinity_or_the_largest_value) {
  const Format& format = GetParam();
  const double largest = format.value(format.largest());
  const double step = largest - format.value(format.largest() - 1);
  // A tie: upwards, to the even code of the next power.
  const float limit = static_cast<float>(largest + step / 2);
  const float below = std::nextafterf(limit, 0);
  EXPECT_EQ(encode_value(format, below), format.largest());
  EXPECT_EQ(encode_value(format, -below), format.sign() | format.largest());
  const uint32_t beyond = format.has_infinity ? format.first_special : format.largest();
  for (const float value : {limit, std::numeric_limits<float>::max()}) {
    EXPECT_EQ(encode_value(format, value), beyond) << value;
    EXPECT_EQ(encode_value(format, -value), format.sign() | beyond) << value;
  }
  EXPECT_EQ(encode_value(format, kInf) == beyond, format.has_infinity);
  EXPECT_EQ(std::isnan(decode_code(format, encode_value(format, -kInf))), !format.has_infinity);
}

// A NaN whose payload lies only in bits that are cut off must not become infinity.
TEST_P(SmallFloats, nan_stays_nan) {
  const Format& format = GetParam();
  for (const uint32_t bits : {0x7f800001u, 0xff800001u, 0x7fc00000u, 0x7fffffffu, 0xffffffffu})
    EXPECT_TRUE(std::isnan(decode_code(format, encode_value(format, std::bit_cast<float>(bits))))) << bits;
}

TEST(Dtype, halves_round_as_numpy) {
  Result<std::unique_ptr<SafetensorsFile>> golden = SafetensorsFile::open(test_data("blocks.safetensors"));
  ASSERT_OK(golden);
  const size_t input = (*golden)->find("half.input").value(), output = (*golden)->find("half.output").value();
  std::vector<float> values((*golden)->tensors()[input].elements());
  ASSERT_OK((*golden)->read_f32(input, 0, values));
  ASSERT_GT(values.size(), 1000u);
  std::vector<std::byte> encoded(values.size() * 2);
  ASSERT_OK(from_f32(Dtype::kF16, values, encoded));
  EXPECT_TRUE(std::ranges::equal(encoded, as_bytes(tensor_bytes(**golden, output))));
}

TEST(Dtype, f32_keeps_every_bit_and_f64_rounds) {
  const uint32_t patterns[] = {0, 0x80000000, 1, 0x7f800001, 0xffc12345, 0x3f800000};
  std::vector<float> values(std::size(patterns));
  std::vector<std::byte> bytes(sizeof(patterns));
  ASSERT_OK(to_f32(Dtype::kF32, std::as_bytes(std::span(patterns)), values));
  ASSERT_OK(from_f32(Dtype::kF32, values, bytes));
  EXPECT_EQ(std::memcmp(bytes.data(), patterns, sizeof(patterns)), 0);
  EXPECT_EQ(decode_one(Dtype::kF64, 1.0 + std::ldexp(1, -24)), 1.0f);  // a tie
  EXPECT_EQ(decode_one(Dtype::kF64, 1.0 + std::ldexp(3, -25)), std::nextafterf(1.0f, 2.0f));
  EXPECT_EQ(decode_one(Dtype::kF64, -1e300), -kInf);
  EXPECT_EQ(encode_one<double>(Dtype::kF64, 0.1f), static_cast<double>(0.1f));
}

TEST(Dtype, conversion_needs_no_alignment) {
  const float values[] = {1.5f, -2.0f, 0.25f};
  for (const Dtype dtype : {Dtype::kF64, Dtype::kF32, Dtype::kF16, Dtype::kBF16}) {
    std::vector<std::byte> bytes(1 + *dtype_bytes(dtype, 3));
    ASSERT_OK(from_f32(dtype, values, std::span(bytes).subspan(1)));
    EXPECT_EQ(decode(dtype, std::span<const std::byte>(bytes).subspan(1)),
              std::vector<float>({1.5f, -2.0f, 0.25f}));
  }
}

TEST(Dtype, names_and_sizes) {
  for (int i = 0; i < kDtypeCount; ++i) {
    const Dtype dtype = static_cast<Dtype>(i);
    const DtypeInfo& info = dtype_info(dtype);
    EXPECT_EQ(dtype_from_name(info.name), dtype);
    EXPECT_EQ(dtype_bytes(dtype, 3 * uint64_t{info.block_elements}), 3 * uint64_t{info.block_bytes});
    EXPECT_EQ(dtype_bytes(dtype, 0), 0u);
    if (info.block_elements > 1) {
      EXPECT_EQ(dtype_bytes(dtype, info.block_elements + 1), std::nullopt);
    }
  }
  EXPECT_EQ(dtype_info(Dtype::kC64).block_bytes, 8u);
  EXPECT_EQ(dtype_bytes(Dtype::kF4, 6), 3u);
  EXPECT_EQ(dtype_bytes(Dtype::kF6E2M3, 8), 6u);
  EXPECT_EQ(dtype_from_name("f32"), std::nullopt);
  EXPECT_EQ(dtype_from_name(""), std::nullopt);
}

TEST(Dtype, overflow_of_sizes) {
  EXPECT_EQ(dtype_bytes(Dtype::kF64, 1ull << 61), std::nullopt);
  EXPECT_EQ(dtype_bytes(Dtype::kF64, (1ull << 61) - 1), ((1ull << 61) - 1) * 8);
  EXPECT_EQ(dtype_bytes(Dtype::kU8, UINT64_MAX), UINT64_MAX);
}

TEST(Dtype, wrong_sizes_and_types_are_errors) {
  std::vector<std::byte> bytes(8);
  std::vector<float> values(4);
  expect_error(to_f32(Dtype::kF32, bytes, values), ErrorKind::kInvalidArgument, "4 values of F32");
  expect_error(from_f32(Dtype::kF32, values, bytes), ErrorKind::kInvalidArgument, "4 values of F32");
  expect_error(to_f32(Dtype::kI16, bytes, values), ErrorKind::kUnsupported, "I16");
  expect_error(from_f32(Dtype::kI16, values, bytes), ErrorKind::kUnsupported, "I16");
  EXPECT_TRUE(to_f32(Dtype::kF16, bytes, values).is_ok());
  std::vector<float> block(32);
  std::vector<std::byte> q4(18);
  expect_error(from_f32(Dtype::kQ4_0, block, q4), ErrorKind::kUnsupported, "Q4_0");
  expect_error(to_f32(Dtype::kQ4_0, q4, values), ErrorKind::kInvalidArgument, "Q4_0");
}

std::vector<Dtype> block_types() {
  std::vector<Dtype> types;
  for (int i = 0; i < kDtypeCount; ++i) {
    if (dtype_info(static_cast<Dtype>(i)).gguf_block) types.push_back(static_cast<Dtype>(i));
  }
  return types;
}

std::string type_name(const testing::TestParamInfo<Dtype>& dtype) {
  return dtype_info(dtype.param).name;
}

class Blocks : public testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, Blocks, testing::ValuesIn(block_types()), type_name);

// Scales that are subnormal, infinite or NaN among them. Which NaN comes out is the processor's choice.
TEST_P(Blocks, dequantise_as_ggml_bit_for_bit) {
  Result<std::unique_ptr<SafetensorsFile>> golden = SafetensorsFile::open(test_data("blocks.safetensors"));
  ASSERT_OK(golden);
  const std::string name = dtype_info(GetParam()).name;
  const size_t blocks = (*golden)->find(name + ".blocks").value();
  const size_t values = (*golden)->find(name + ".values").value();
  const std::vector<float> decoded = decode(GetParam(), as_bytes(tensor_bytes(**golden, blocks)));
  std::vector<float> expected((*golden)->tensors()[values].elements());
  ASSERT_OK((*golden)->read_f32(values, 0, expected));
  ASSERT_EQ(decoded.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i])) {
      ASSERT_TRUE(std::isnan(decoded[i])) << i;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(decoded[i]), std::bit_cast<uint32_t>(expected[i])) << i;
    }
  }
}

class Codebooks : public testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, Codebooks,
                         testing::Values(Dtype::kIQ1_S, Dtype::kIQ2_XXS, Dtype::kIQ2_XS, Dtype::kIQ2_S,
                                         Dtype::kIQ3_XXS, Dtype::kIQ3_S),
                         type_name);

TEST_P(Codebooks, have_every_entry_of_ggmls) {
  Result<std::unique_ptr<SafetensorsFile>> golden = SafetensorsFile::open(test_data("blocks.safetensors"));
  ASSERT_OK(golden);
  const std::string name = dtype_info(GetParam()).name;
  const size_t blocks = (*golden)->find(name + ".codebook_blocks").value();
  const std::string expected =
      tensor_bytes(**golden, (*golden)->find(name + ".codebook_values").value());  // I8
  const std::vector<float> decoded = decode(GetParam(), as_bytes(tensor_bytes(**golden, blocks)));
  ASSERT_EQ(decoded.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    ASSERT_EQ(decoded[i], static_cast<float>(static_cast<int8_t>(expected[i]))) << i;
}

TEST(Q8_0, quantise_as_ggml_ties_and_tiny_scales_included) {
  Result<std::unique_ptr<SafetensorsFile>> golden = SafetensorsFile::open(test_data("blocks.safetensors"));
  ASSERT_OK(golden);
  const size_t input = (*golden)->find("Q8_0.input").value(), output = (*golden)->find("Q8_0.output").value();
  std::vector<float> values((*golden)->tensors()[input].elements());
  ASSERT_OK((*golden)->read_f32(input, 0, values));
  std::vector<std::byte> encoded(*dtype_bytes(Dtype::kQ8_0, values.size()));
  ASSERT_OK(from_f32(Dtype::kQ8_0, values, encoded));
  EXPECT_TRUE(std::ranges::equal(encoded, as_bytes(tensor_bytes(**golden, output))));
}

TEST(Q8_0, refuses_what_it_cannot_hold) {
  std::vector<std::byte> encoded(68);
  for (const float bad : {kNan, kInf, -kInf, 127 * 65520.0f}) {
    std::vector<float> values(64, 1.0f);
    values[40] = bad;
    expect_error(from_f32(Dtype::kQ8_0, values, encoded), ErrorKind::kInvalidArgument, "32 to 63");
  }
  std::vector<float> values(64, 127 * 65519.0f);
  EXPECT_TRUE(from_f32(Dtype::kQ8_0, values, encoded).is_ok());
  values.assign(64, 1e-44f);  // 1 / d overflows
  ASSERT_OK(from_f32(Dtype::kQ8_0, values, encoded));
  EXPECT_EQ(decode(Dtype::kQ8_0, encoded), std::vector<float>(64, 0.0f));
}

}  // namespace
}  // namespace llmcodec

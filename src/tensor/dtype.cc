// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/dtype.h"

#include <array>
#include <cstring>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/wider_vectors.h"
#include "tensor/gguf_blocks.h"
#include "tensor/small_float.h"

namespace llmcodec {
namespace {

constexpr std::array<DtypeInfo, kDtypeCount> kInfos = {{
    // name, block elements, block bytes, floating, gguf block; in the order of the enumeration
    {"BOOL", 1, 1, false, false},       {"U8", 1, 1, false, false},         {"I8", 1, 1, false, false},
    {"U16", 1, 2, false, false},        {"I16", 1, 2, false, false},        {"U32", 1, 4, false, false},
    {"I32", 1, 4, false, false},        {"U64", 1, 8, false, false},        {"I64", 1, 8, false, false},
    {"F4", 2, 1, false, false},         {"F6_E2M3", 4, 3, false, false},    {"F6_E3M2", 4, 3, false, false},
    {"F8_E8M0", 1, 1, false, false},    {"F8_E4M3", 1, 1, true, false},     {"F8_E5M2", 1, 1, true, false},
    {"F8_E4M3FNUZ", 1, 1, true, false}, {"F8_E5M2FNUZ", 1, 1, true, false}, {"F16", 1, 2, true, false},
    {"BF16", 1, 2, true, false},        {"F32", 1, 4, true, false},         {"F64", 1, 8, true, false},
    {"C64", 1, 8, false, false},        {"Q4_0", 32, 18, true, true},       {"Q4_1", 32, 20, true, true},
    {"Q5_0", 32, 22, true, true},       {"Q5_1", 32, 24, true, true},       {"Q8_0", 32, 34, true, true},
    {"Q2_K", 256, 84, true, true},      {"Q3_K", 256, 110, true, true},     {"Q4_K", 256, 144, true, true},
    {"Q5_K", 256, 176, true, true},     {"Q6_K", 256, 210, true, true},     {"IQ1_S", 256, 50, true, true},
    {"IQ1_M", 256, 56, true, true},     {"IQ2_XXS", 256, 66, true, true},   {"IQ2_XS", 256, 74, true, true},
    {"IQ2_S", 256, 82, true, true},     {"IQ3_XXS", 256, 98, true, true},   {"IQ3_S", 256, 110, true, true},
    {"IQ4_NL", 32, 18, true, true},     {"IQ4_XS", 256, 136, true, true},   {"TQ1_0", 256, 54, true, true},
    {"TQ2_0", 256, 66, true, true},     {"MXFP4", 32, 17, true, true},      {"NVFP4", 64, 36, true, true},
    {"Q1_0", 128, 18, true, true},      {"Q2_0", 64, 18, true, true},
}};

template <class Code, class Format>
LLMC_INLINE void decode_all(std::span<const std::byte> bytes, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    Code code;
    std::memcpy(&code, bytes.data() + i * sizeof(Code), sizeof(Code));
    out[i] = Format::decode(code);
  }
}

template <class Code, class Format>
LLMC_INLINE void encode_all(std::span<const float> values, std::span<std::byte> out) {
  for (size_t i = 0; i < values.size(); ++i) {
    const Code code = static_cast<Code>(Format::encode(values[i]));
    std::memcpy(out.data() + i * sizeof(Code), &code, sizeof(Code));
  }
}

void decode_f64(std::span<const std::byte> bytes, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    double value;
    std::memcpy(&value, bytes.data() + i * sizeof(value), sizeof(value));
    out[i] = static_cast<float>(value);
  }
}

void encode_f64(std::span<const float> values, std::span<std::byte> out) {
  for (size_t i = 0; i < values.size(); ++i) {
    const double value = values[i];
    std::memcpy(out.data() + i * sizeof(value), &value, sizeof(value));
  }
}

Status check_sizes(Dtype dtype, uint64_t elements, uint64_t bytes) {
  const std::optional<uint64_t> expected = dtype_bytes(dtype, elements);
  if (expected == bytes) return Status::ok();
  return error(ErrorKind::kInvalidArgument, "{} values of {} do not take {} bytes", elements,
               dtype_info(dtype).name, bytes);
}

}  // namespace

const DtypeInfo& dtype_info(Dtype dtype) {
  return kInfos[static_cast<size_t>(dtype)];
}

std::optional<Dtype> dtype_from_name(std::string_view name) {
  for (int i = 0; i < kDtypeCount; ++i) {
    if (name == kInfos[static_cast<size_t>(i)].name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

std::optional<uint64_t> dtype_bytes(Dtype dtype, uint64_t elements) {
  const DtypeInfo& info = dtype_info(dtype);
  if (elements % info.block_elements != 0) return std::nullopt;
  return checked_mul(elements / info.block_elements, info.block_bytes);
}

namespace {

LLMC_WIDER_VECTORS
void decode_values(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out) {
  switch (dtype) {
    case Dtype::kF8E4M3:
      decode_all<uint8_t, F8E4M3>(bytes, out);
      break;
    case Dtype::kF8E5M2:
      decode_all<uint8_t, F8E5M2>(bytes, out);
      break;
    case Dtype::kF8E4M3Fnuz:
      decode_all<uint8_t, F8E4M3Fnuz>(bytes, out);
      break;
    case Dtype::kF8E5M2Fnuz:
      decode_all<uint8_t, F8E5M2Fnuz>(bytes, out);
      break;
    case Dtype::kF16:
      decode_all<uint16_t, F16>(bytes, out);
      break;
    case Dtype::kBF16:
      decode_all<uint16_t, Bf16>(bytes, out);
      break;
    case Dtype::kF32:
      std::memcpy(out.data(), bytes.data(), bytes.size());
      break;
    case Dtype::kF64:
      decode_f64(bytes, out);
      break;
    default:
      dequantize_blocks(dtype, bytes, out);
      break;
  }
}

LLMC_WIDER_VECTORS
Status encode_values(Dtype dtype, std::span<const float> values, std::span<std::byte> out) {
  switch (dtype) {
    case Dtype::kF8E4M3:
      encode_all<uint8_t, F8E4M3>(values, out);
      break;
    case Dtype::kF8E5M2:
      encode_all<uint8_t, F8E5M2>(values, out);
      break;
    case Dtype::kF8E4M3Fnuz:
      encode_all<uint8_t, F8E4M3Fnuz>(values, out);
      break;
    case Dtype::kF8E5M2Fnuz:
      encode_all<uint8_t, F8E5M2Fnuz>(values, out);
      break;
    case Dtype::kF16:
      encode_all<uint16_t, F16>(values, out);
      break;
    case Dtype::kBF16:
      encode_all<uint16_t, Bf16>(values, out);
      break;
    case Dtype::kF32:
      std::memcpy(out.data(), values.data(), out.size());
      break;
    case Dtype::kF64:
      encode_f64(values, out);
      break;
    case Dtype::kQ8_0:
      return quantize_q8_0(values, out);
    default:
      return error(ErrorKind::kUnsupported, "{} is not a type to write floats in", dtype_info(dtype).name);
  }
  return Status::ok();
}

}  // namespace

Status to_f32(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out) {
  if (!dtype_info(dtype).floating)
    return error(ErrorKind::kUnsupported, "{} values are not read as floating point", dtype_info(dtype).name);
  LLMC_RETURN_IF_ERROR(check_sizes(dtype, out.size(), bytes.size()));
  if (!out.empty()) decode_values(dtype, bytes, out);
  return Status::ok();
}

Status from_f32(Dtype dtype, std::span<const float> values, std::span<std::byte> out) {
  LLMC_RETURN_IF_ERROR(check_sizes(dtype, values.size(), out.size()));
  return values.empty() ? Status::ok() : encode_values(dtype, values, out);
}

}  // namespace llmcodec

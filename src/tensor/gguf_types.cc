// SPDX-License-Identifier: BSD-3-Clause
// ggml's type numbers.
#include <array>

#include "base/error.h"
#include "tensor/gguf.h"

namespace llmcodec {
namespace {

struct GgmlType {
  uint32_t number;
  const char* name;
  std::optional<Dtype> dtype;  // nullopt: cannot be read here
};

// From ggml's enum ggml_type; the numbers that are not listed were retired.
constexpr auto kTypes = std::to_array<GgmlType>({
    {0, "F32", Dtype::kF32},      {1, "F16", Dtype::kF16},       {2, "Q4_0", Dtype::kQ4_0},
    {3, "Q4_1", Dtype::kQ4_1},    {6, "Q5_0", Dtype::kQ5_0},     {7, "Q5_1", Dtype::kQ5_1},
    {8, "Q8_0", Dtype::kQ8_0},    {9, "Q8_1", std::nullopt},     {10, "Q2_K", std::nullopt},
    {11, "Q3_K", std::nullopt},   {12, "Q4_K", Dtype::kQ4_K},    {13, "Q5_K", Dtype::kQ5_K},
    {14, "Q6_K", Dtype::kQ6_K},   {15, "Q8_K", std::nullopt},    {16, "IQ2_XXS", std::nullopt},
    {17, "IQ2_XS", std::nullopt}, {18, "IQ3_XXS", std::nullopt}, {19, "IQ1_S", std::nullopt},
    {20, "IQ4_NL", std::nullopt}, {21, "IQ3_S", std::nullopt},   {22, "IQ2_S", std::nullopt},
    {23, "IQ4_XS", std::nullopt}, {24, "I8", Dtype::kI8},        {25, "I16", Dtype::kI16},
    {26, "I32", Dtype::kI32},     {27, "I64", Dtype::kI64},      {28, "F64", Dtype::kF64},
    {29, "IQ1_M", std::nullopt},  {30, "BF16", Dtype::kBF16},    {34, "TQ1_0", std::nullopt},
    {35, "TQ2_0", std::nullopt},  {39, "MXFP4", std::nullopt},
});

}  // namespace

std::optional<uint32_t> ggml_type_from_dtype(Dtype dtype) {
  for (const GgmlType& type : kTypes) {
    if (type.dtype == dtype) return type.number;
  }
  return std::nullopt;
}

std::optional<Dtype> dtype_from_ggml_type(uint32_t number) {
  for (const GgmlType& type : kTypes) {
    if (type.number == number) return type.dtype;
  }
  return std::nullopt;
}

std::string ggml_type_name(uint32_t number) {
  for (const GgmlType& type : kTypes) {
    if (type.number == number) return type.name;
  }
  return fmt::format("type {}", number);
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// ggml's type numbers.
#include <array>

#include "base/error.h"
#include "tensor/gguf.h"

namespace llmcodec {
namespace {

struct GgmlType {
  uint32_t number;  // ggml's enum ggml_type
  Dtype dtype;
  std::optional<uint32_t>
      file_type;  // llama.cpp's enum llama_ftype; the medium one where there are S, M and L
};

// Everything that a file can hold today.
constexpr auto kTypes = std::to_array<GgmlType>({
    {0, Dtype::kF32, 0},
    {1, Dtype::kF16, 1},
    {2, Dtype::kQ4_0, 2},
    {3, Dtype::kQ4_1, 3},
    {6, Dtype::kQ5_0, 8},
    {7, Dtype::kQ5_1, 9},
    {8, Dtype::kQ8_0, 7},
    {10, Dtype::kQ2_K, 10},
    {11, Dtype::kQ3_K, 12},
    {12, Dtype::kQ4_K, 15},
    {13, Dtype::kQ5_K, 17},
    {14, Dtype::kQ6_K, 18},
    {16, Dtype::kIQ2_XXS, 19},
    {17, Dtype::kIQ2_XS, 20},
    {18, Dtype::kIQ3_XXS, 23},
    {19, Dtype::kIQ1_S, 24},
    {20, Dtype::kIQ4_NL, 25},
    {21, Dtype::kIQ3_S, 26},
    {22, Dtype::kIQ2_S, 28},
    {23, Dtype::kIQ4_XS, 30},
    {24, Dtype::kI8, std::nullopt},
    {25, Dtype::kI16, std::nullopt},
    {26, Dtype::kI32, std::nullopt},
    {27, Dtype::kI64, std::nullopt},
    {28, Dtype::kF64, std::nullopt},
    {29, Dtype::kIQ1_M, 31},
    {30, Dtype::kBF16, 32},
    {34, Dtype::kTQ1_0, 36},
    {35, Dtype::kTQ2_0, 37},
    {39, Dtype::kMXFP4, 38},
    {40, Dtype::kNVFP4, 39},
    {41, Dtype::kQ1_0, 40},
    {42, Dtype::kQ2_0, 41},
});

// Numbers that ggml once gave out, or gives to what it holds while it computes.
struct UnreadableType {
  uint32_t number;
  const char* what;
};
constexpr auto kUnreadable = std::to_array<UnreadableType>({
    {4, "Q4_2, which ggml retired"},
    {5, "Q4_3, which ggml retired"},
    {9, "Q8_1, which ggml uses while it computes and not in files"},
    {15, "Q8_K, which ggml uses while it computes and not in files"},
    {31, "Q4_0_4_4, which ggml retired"},
    {32, "Q4_0_4_8, which ggml retired"},
    {33, "Q4_0_8_8, which ggml retired"},
    {36, "IQ4_NL_4_4, which ggml retired, or I2_S of bitnet.cpp"},
    {37, "IQ4_NL_4_8, which ggml retired"},
    {38, "IQ4_NL_8_8, which ggml retired"},
});

}  // namespace

std::optional<uint32_t> ggml_type_from_dtype(Dtype dtype) {
  for (const GgmlType& type : kTypes) {
    if (type.dtype == dtype) return type.number;
  }
  return std::nullopt;
}

std::optional<uint32_t> file_type_from_dtype(Dtype dtype) {
  for (const GgmlType& type : kTypes) {
    if (type.dtype == dtype) return type.file_type;
  }
  return std::nullopt;
}

Result<Dtype> dtype_from_ggml_type(uint32_t number) {
  for (const GgmlType& type : kTypes) {
    if (type.number == number) return type.dtype;
  }
  constexpr const char* kRemedy = "make the file again from the original model with llama.cpp of today";
  for (const UnreadableType& type : kUnreadable) {
    if (type.number == number)
      return error(ErrorKind::kUnsupported, "GGUF type {} cannot be read: it is {}; {}", number, type.what,
                   kRemedy);
  }
  return error(ErrorKind::kUnsupported,
               "GGUF type {} is not known: it is newer than this program, or of a fork of ggml; {}", number,
               kRemedy);
}

}  // namespace llmcodec

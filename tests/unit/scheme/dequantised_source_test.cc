// SPDX-License-Identifier: BSD-3-Clause
// Every scheme against the libraries that define it: tests/data/scheme, made by make_schemes.py there.
#include "scheme/dequantised_source.h"

#include <gtest/gtest.h>

#include "scheme/quantised_model.h"
#include "scheme_test_files.h"

namespace llmcodec {
namespace {

std::string fixture(const char* name) {
  return std::string(LLMCODEC_TEST_DATA) + "/scheme/" + name;
}

std::vector<std::byte> all_bytes(const TensorSource& source, size_t index) {
  std::vector<std::byte> bytes(source.byte_size(index));
  EXPECT_TRUE(source.read(index, 0, bytes).is_ok());
  return bytes;
}

// What is in `stored`, dequantised, against what the library that defines the format makes of it.
void expect_values(const char* stored, const char* dequantised) {
  auto model = open_model(fixture(stored));
  const auto expected = SafetensorsFile::open(fixture(dequantised));
  ASSERT_TRUE(model.is_ok() && expected.is_ok());
  const auto quantised = QuantisedModel::open(&*model);
  ASSERT_TRUE(quantised.is_ok());
  ASSERT_TRUE(quantised->check_known({""}).is_ok());
  const TensorSource& source = *model->source;
  const TensorSource& right = **expected;
  ASSERT_EQ(source.tensors().size(), right.tensors().size());
  for (size_t i = 0; i < right.tensors().size(); ++i) {
    const TensorInfo& info = right.tensors()[i];
    SCOPED_TRACE(info.name);
    const auto found = source.find(info.name);
    ASSERT_TRUE(found.is_ok());
    EXPECT_EQ(source.tensors()[*found].shape, info.shape);
    EXPECT_EQ(source.tensors()[*found].dtype, Dtype::kBF16);
    // As numbers, for the zeros of bitsandbytes' FP4 have signs that its own table has not.
    std::vector<float> values(info.elements()), right_values(info.elements());
    ASSERT_TRUE(source.read_f32(*found, 0, values).is_ok() && right.read_f32(i, 0, right_values).is_ok());
    EXPECT_EQ(values, right_values);
  }
}

TEST(DequantisedSource, HasTheValuesOfTheLibrariesThatDefineTheFormats) {
  expect_values("quantised.safetensors", "dequantised.safetensors");
}

TEST(DequantisedSource, HasTheValuesOfMlx) {
  expect_values("mlx", "dequantised_mlx.safetensors");
}

class AnyRange : public testing::TestWithParam<const char*> {};

TEST_P(AnyRange, OfBytesIsThatOfTheWhole) {
  auto model = open_model(fixture(GetParam()));
  ASSERT_TRUE(model.is_ok());
  ASSERT_TRUE(QuantisedModel::open(&*model).is_ok());
  const TensorSource& source = *model->source;
  for (size_t i = 0; i < source.tensors().size(); ++i) {
    SCOPED_TRACE(source.tensors()[i].name);
    const std::vector<std::byte> whole = all_bytes(source, i);
    // Within a row, over the ends of rows and of matrices, and in the middle of a weight.
    for (const auto& [first, size] : {std::pair<size_t, size_t>{2, 6},
                                      {1, 1},
                                      {3, 400},
                                      {whole.size() / 2 - 5, 11},
                                      {whole.size() / 3, whole.size() / 2},
                                      {whole.size() - 1, 1}}) {
      std::vector<std::byte> part(std::min(size, whole.size() - std::min(first, whole.size())));
      ASSERT_TRUE(source.read(i, first, part).is_ok());
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<long>(first)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(DequantisedSource, AnyRange, testing::Values("quantised.safetensors", "mlx"));

TEST(DequantisedSource, LargeLayersAreReadInPiecesThatFitTogether) {
  // 600 x 1000 weights of 4 bits are three pieces, of GPTQ with rows cut by them and of packed integers.
  MemorySource source;
  const uint64_t inputs = 1000, outputs = 600;
  std::vector<uint32_t> words(inputs / 8 * outputs);
  for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<uint32_t>(i * 2654435761u);
  source.add("a.qweight", Dtype::kI32, {inputs / 8, outputs}, bytes_of(words));
  source.add("a.qzeros", Dtype::kI32, {1, outputs / 8},
             bytes_of(std::vector<uint32_t>(outputs / 8, 0x77777777)));
  source.add("a.scales", Dtype::kF32, {1, outputs}, bytes_of(std::vector<float>(outputs, 1)));
  const auto values = dequantised(source);
  ASSERT_TRUE(values.is_ok());
  ASSERT_EQ(values->size(), inputs * outputs);
  size_t wrong = 0;
  for (uint64_t o = 0; o < outputs; ++o) {
    for (uint64_t i = 0; i < inputs; ++i) {
      const uint32_t code = (words[i / 8 * outputs + o] >> (4 * (i % 8))) & 15;
      wrong += (*values)[o * inputs + i] != static_cast<float>(code) - 8;
    }
  }
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/product_moments.h"

#include <cmath>

#include "../tensor/tensor_test_files.h"
#include "tensor/safetensors.h"

namespace llmcodec {
namespace {

class ProductMoments : public testing::Test {
 protected:
  // A of 2 x 2 and B of 3 x 2.
  Result<bool> append(const std::vector<float>& a, const std::vector<float>& b) {
    LLMC_ASSIGN_OR_RETURN(const auto sink, create_safetensors(folder_.file("m"),
                                                              {{"q.lora_A.weight", Dtype::kF32, {2, 2}},
                                                               {"q.lora_B.weight", Dtype::kF32, {3, 2}}},
                                                              {}));
    LLMC_RETURN_IF_ERROR(sink->write(0, std::as_bytes(std::span(a))));
    LLMC_RETURN_IF_ERROR(sink->write(1, std::as_bytes(std::span(b))));
    LLMC_RETURN_IF_ERROR(sink->finish());
    LLMC_ASSIGN_OR_RETURN(const auto source, SafetensorsFile::open(folder_.file("m")));
    return append_product_moments(*source, {0, 1}, &importance_);
  }

  TempFolder folder_;
  Importance importance_;
};

// Rows of A: 25 and 4, columns of B: 9 and 4; the product has 25 x 9 + 4 x 4 = 241.
TEST_F(ProductMoments, are_the_energies_of_the_partner_over_the_root_of_the_product) {
  ASSERT_EQ(append({3, 4, 0, 2}, {1, 2, 2, 0, 2, 0}).value(), true);
  const auto outputs = importance_.find_outputs("q.lora_A.weight", 2);
  ASSERT_OK(outputs);
  ASSERT_EQ(outputs->moments.size(), 2u);
  EXPECT_FLOAT_EQ(outputs->moments[0], 9 / std::sqrt(241.0f));
  EXPECT_FLOAT_EQ(outputs->moments[1], 4 / std::sqrt(241.0f));
  const auto inputs = importance_.find("q.lora_B.weight", 2);
  ASSERT_OK(inputs);
  ASSERT_EQ(inputs->moments.size(), 2u);
  EXPECT_FLOAT_EQ(inputs->moments[0], 25 / std::sqrt(241.0f));
  EXPECT_FLOAT_EQ(inputs->moments[1], 4 / std::sqrt(241.0f));
  EXPECT_FALSE(importance_.find("q.lora_A.weight", 2)->found()) << "the product's inputs count alike";
}

TEST_F(ProductMoments, of_a_product_that_is_zero_or_not_finite_are_unknown) {
  ASSERT_EQ(append({3, 4, 0, 2}, {0, 0, 0, 0, 0, 0}).value(), false) << "an adapter before its training";
  ASSERT_EQ(append({3, INFINITY, 0, 2}, {1, 2, 2, 0, 2, 0}).value(), false);
  EXPECT_EQ(importance_.size(), 0u);
  EXPECT_FALSE(importance_.has_outputs());
}

}  // namespace
}  // namespace llmcodec

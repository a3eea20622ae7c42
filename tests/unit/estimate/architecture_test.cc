// SPDX-License-Identifier: BSD-3-Clause
// Each family of the table against transformers: tests/data/estimate/architectures.txt has tiny models and the inputs of
// their layers (make_architecture_examples.py).
#include <algorithm>

#include "../tensor/tensor_test_files.h"
#include "architecture_examples.h"
#include "estimate/architecture.h"
#include "estimate/moment_estimate.h"
#include "tensor/safetensors.h"

namespace llmcodec {
namespace {

Result<MomentEstimate> estimate(const Example& example) {
  const TempFolder folder;
  LLMC_RETURN_IF_ERROR(write_folder(folder.path(), example));
  LLMC_ASSIGN_OR_RETURN(const Model model, open_model(folder.path()));
  return estimate_moments(model, 1, [](uint64_t) { return Status::ok(); });
}

// By column; of matrices that are stored as inputs x outputs, by row.
std::span<const float> moments_of(const Importance& importance, const Example& example,
                                  const std::string& name, size_t inputs) {
  const auto info = std::ranges::find(example.tensors, name, &TensorInfo::name);
  const bool transposed = name.find("c_attn") != std::string::npos ||
                          name.find("mlp.c_") != std::string::npos ||
                          name.find("attn.c_proj") != std::string::npos;
  if (transposed && name.starts_with("transformer.")) {
    const auto entry = importance.find_outputs(name, info->shape[0]);
    return entry.is_ok() ? entry->moments : std::span<const float>();
  }
  const auto entry = importance.find(name, inputs);
  return entry.is_ok() ? entry->moments : std::span<const float>();
}

class Architectures : public testing::TestWithParam<Example> {};

TEST_P(Architectures, inputs_are_those_of_transformers) {
  const Example& example = GetParam();
  const auto found = estimate(example);
  ASSERT_TRUE(found.is_ok()) << found.error().to_string();
  ASSERT_TRUE(found->importance) << found->note;
  EXPECT_EQ(found->note, "");
  for (const auto& [name, values] : example.inputs) {
    const std::span<const float> moments = moments_of(*found->importance, example, name, values.size());
    ASSERT_EQ(moments.size(), values.size()) << name;
    double mean = 0;
    for (const double v : values) mean += v / static_cast<double>(values.size());
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(moments[i], values[i], 3e-3 * (values[i] + mean)) << name << " input " << i;
  }
}

// Every matrix of the layers has moments of its outputs too, one per row, so that none is starved by chance.
TEST_P(Architectures, outputs_are_known_of_every_matrix) {
  const Example& example = GetParam();
  const auto found = estimate(example);
  ASSERT_TRUE(found.is_ok() && found->importance);
  for (const auto& [name, values] : example.inputs) {
    const auto info = std::ranges::find(example.tensors, name, &TensorInfo::name);
    const bool of_layer = name.find("layer") != std::string::npos || name.find(".h.") != std::string::npos;
    // All values are alike here: no score can change their mixture. Routers are not coded.
    const bool silent = name.find("q_proj") != std::string::npos ||
                        name.find("k_proj") != std::string::npos ||
                        name.find("query.") != std::string::npos || name.find("key.") != std::string::npos ||
                        name.find("router") != std::string::npos;
    const auto entry = found->importance->find_outputs(name, info->shape[0]);
    ASSERT_TRUE(entry.is_ok()) << name;
    EXPECT_TRUE(entry->found() || !of_layer || silent) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, Architectures, testing::ValuesIn(read_examples()), name_of);

TEST(Architectures, types_are_found_in_their_own_spelling) {
  const auto names = [](const char* type, bool gguf) {
    std::vector<std::string_view> found;
    for (const Architecture* row : find_architectures(type, gguf)) found.push_back(row->name);
    return found;
  };
  using Names = std::vector<std::string_view>;
  EXPECT_EQ(names("gemma3_text", false), Names{"Gemma 3"});
  EXPECT_EQ(names("gemma3_text", true), Names{});
  EXPECT_EQ(names("gpt-oss", true), names("gpt_oss", false));
  EXPECT_EQ(names("gemma", true), Names{"Gemma"});
  EXPECT_EQ(names("siglip", false), (Names{"SigLIP's pictures", "SigLIP's text"}));
  EXPECT_EQ(names("", true), Names{});
}

}  // namespace
}  // namespace llmcodec

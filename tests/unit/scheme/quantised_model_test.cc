// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/quantised_model.h"

#include <gtest/gtest.h>

#include "scheme_test_files.h"

namespace llmcodec {
namespace {

// A folder with an embedding and two FP8 layers.
class QuantisedModelTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<TensorInfo> infos = {{"a.weight", Dtype::kF8E4M3, {8, 16}},
                                           {"a.weight_scale", Dtype::kF32, {8, 1}},
                                           {"b.weight", Dtype::kF8E4M3, {8, 16}},
                                           {"b.weight_scale", Dtype::kF32, {8, 1}},
                                           {"embed.weight", Dtype::kBF16, {8, 16}}};
    auto sink = create_safetensors(folder_.file("model.safetensors"), infos, {});
    ASSERT_TRUE(sink.is_ok());
    for (size_t i = 0; i < infos.size(); ++i) {
      const std::vector<std::byte> zeros(*dtype_bytes(infos[i].dtype, infos[i].elements()));
      ASSERT_TRUE((*sink)->write(i, zeros).is_ok());
    }
    ASSERT_TRUE((*sink)->finish().is_ok());
  }

  Result<QuantisedModel> open(const std::string& config) {
    write_bytes(folder_.file("config.json"), config);
    auto opened = open_model(folder_.path());
    if (!opened.is_ok()) return opened.error();
    model_ = std::move(*opened);
    return QuantisedModel::open(&model_);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const TensorInfo& info : model_.source->tensors()) names.push_back(info.name);
    return names;
  }

  TempFolder folder_;
  Model model_;
};

constexpr char kFp8[] = R"({"quantization_config":{"quant_method":"fp8"},"hidden_size":16})";
using Names = std::vector<std::string>;

TEST_F(QuantisedModelTest, AConvertedModelHasNoSchemeInItsConfig) {
  auto quantised = open(kFp8);
  ASSERT_TRUE(quantised.is_ok());
  EXPECT_EQ(names(), (Names{"a.weight", "b.weight", "embed.weight"}));
  const auto origin = quantised->keep({false, false, false}, &model_);
  ASSERT_TRUE(origin.is_ok());
  EXPECT_EQ(*origin, (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(model_.rewritten_files.at("config.json"), "{\n  \"hidden_size\": 16\n}\n");
}

TEST_F(QuantisedModelTest, AKeptLayerIsInItsPartsAndTheConfigNamesTheOthers) {
  auto quantised = open(kFp8);
  ASSERT_TRUE(quantised.is_ok());
  const auto origin = quantised->keep({false, true, false}, &model_);
  ASSERT_TRUE(origin.is_ok());
  EXPECT_EQ(names(), (Names{"a.weight", "b.weight", "b.weight_scale", "embed.weight"}));
  EXPECT_EQ(*origin, (std::vector<size_t>{0, 1, 1, 2}));
  EXPECT_EQ(model_.source->tensors()[1].dtype, Dtype::kF8E4M3);
  const auto config = nlohmann::json::parse(model_.rewritten_files.at("config.json"));
  EXPECT_EQ(config["quantization_config"]["modules_to_not_convert"], nlohmann::json({"a"}));
}

TEST_F(QuantisedModelTest, AModelThatIsKeptWholeKeepsItsConfig) {
  auto quantised = open(kFp8);
  ASSERT_TRUE(quantised.is_ok());
  ASSERT_TRUE(quantised->keep({true, true, true}, &model_).is_ok());
  EXPECT_EQ(model_.source->tensors().size(), 5u);
  EXPECT_TRUE(model_.rewritten_files.empty());
}

TEST_F(QuantisedModelTest, ASchemeWithoutAListOfExceptionsCannotBeMixed) {
  auto quantised = open(R"({"quantization_config":{"quant_method":"gptq"}})");
  ASSERT_TRUE(quantised.is_ok());
  const auto mixed = quantised->keep({false, true, false}, &model_);
  ASSERT_FALSE(mixed.is_ok());
  EXPECT_EQ(mixed.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(mixed.error().message.find("gptq"), std::string::npos);
}

TEST_F(QuantisedModelTest, FilesThatHoldASchemeAloneAreLeftOutAndNamed) {
  write_bytes(folder_.file("hf_quant_config.json"), R"({"quantization":{"quant_algo":"FP8"}})");
  auto quantised = open("{}");
  ASSERT_TRUE(quantised.is_ok());
  ASSERT_TRUE(quantised->keep({false, false, false}, &model_).is_ok());
  EXPECT_EQ(model_.other_files, Names{"config.json"});
  EXPECT_EQ(model_.skipped_files, Names{"hf_quant_config.json"});
}

TEST_F(QuantisedModelTest, UnknownSchemesAreRefusedUnlessAllIsKept) {
  for (const auto& [config, named] :
       {std::pair{R"({"quantization_config":{"quant_method":"aqlm"}})", "'aqlm'"},
        {R"({"text_config":{"quantization_config":{"quant_method":"hqq"}}})", "'hqq'"},
        {R"({"quantization_config":{"quant_method":"gptq","checkpoint_format":"marlin"}})", "'marlin'"},
        {R"({"quantization_config":{"quant_method":"awq","version":"GEMV"}})", "'gemv'"},
        {R"({"quantization_config":{"quant_method":"compressed-tensors","format":"marlin-24"}})",
         "'marlin-24'"},
        {R"({"quantization_config":{"quant_method":"modelopt","quant_algo":"W4A16_AWQ"}})", "'W4A16_AWQ'"},
        {R"({"quantization_config":{"bits":4}})", "'unnamed'"}}) {
    const auto quantised = open(config);
    ASSERT_TRUE(quantised.is_ok());
    EXPECT_TRUE(quantised->check_known({}).is_ok());
    const Status refused = quantised->check_known({""});
    ASSERT_FALSE(refused.is_ok()) << config;
    EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported);
    EXPECT_NE(refused.error().message.find(named), std::string::npos) << refused.error().message;
    EXPECT_EQ(names().size(), 5u);
  }
}

TEST_F(QuantisedModelTest, WhatAnArchiveHasInPartsIsShownSo) {
  auto quantised = open(kFp8);
  ASSERT_TRUE(quantised.is_ok());
  quantised->keep_parts_in({"a.weight", "b.weight", "b.weight_scale"}, &model_);
  EXPECT_EQ(names(), (Names{"a.weight", "b.weight", "b.weight_scale", "embed.weight"}));
}

TEST_F(QuantisedModelTest, NotesSayWhatWasDequantisedAndWhenThatIsTheFloor) {
  const auto quantised = open(kFp8);
  ASSERT_TRUE(quantised.is_ok());
  ASSERT_EQ(quantised->notes(3).size(), 1u);  // 8 bits, and a scale of 32 for 16 weights
  EXPECT_EQ(quantised->notes(3)[0],
            "dequantised to BF16: 2 tensors of F8_E4M3, per channel (10.00 bits per weight in the source)");
  ASSERT_EQ(quantised->notes(9.5).size(), 2u);
  EXPECT_NE(quantised->notes(9.5)[1].find("10.00 bits"), std::string::npos);
}

TEST_F(QuantisedModelTest, JsonThatIsNoneIsCorrupt) {
  const auto quantised = open("{");
  ASSERT_FALSE(quantised.is_ok());
  EXPECT_EQ(quantised.error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace llmcodec

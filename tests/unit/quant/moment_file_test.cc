// SPDX-License-Identifier: BSD-3-Clause
#include "quant/moment_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

namespace llmcodec {
namespace {

constexpr const char* kGood =
    R"({"format_version": 1, "members": {"g.qkv": ["blk.0.attn_q.weight", "model.layers.0.self_attn.k_proj.weight"],
        "head": ["output.weight"]}})";

class MomentFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ("moments_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // A file with tensors g.qkv [2, 2] and head [1, 1], of the given dtype and metadata.
  Result<std::unique_ptr<MomentFile>> make(const SafetensorsMetadata& metadata,
                                           std::vector<float> qkv = {4, 1, 1, 9},
                                           std::vector<uint64_t> shape = {2, 2}, Dtype dtype = Dtype::kF32) {
    const std::string path = folder_ / "moments.safetensors";
    auto sink = create_safetensors(path, {{"g.qkv", dtype, std::move(shape)}, {"head", Dtype::kF32, {1, 1}}},
                                   metadata);
    EXPECT_TRUE(sink.is_ok());
    const std::vector<float> head = {2};
    EXPECT_TRUE((*sink)->write(0, std::as_bytes(std::span(qkv))).is_ok());
    EXPECT_TRUE((*sink)->write(1, std::as_bytes(std::span(head))).is_ok());
    EXPECT_TRUE((*sink)->finish().is_ok());
    return MomentFile::open(path);
  }
  static SafetensorsMetadata described(const std::string& text) {
    return {{"format", "llmcodec-moments"}, {"llmcodec_moments", text}};
  }
  std::filesystem::path folder_;
};

TEST_F(MomentFileTest, finds_groups_in_both_spellings_and_reads_them) {
  const auto moments = make(described(kGood));
  ASSERT_TRUE(moments.is_ok()) << moments.error().to_string();
  const auto group = (*moments)->find("blk.0.attn_q.weight");
  ASSERT_TRUE(group);
  EXPECT_EQ((*moments)->find("model.layers.0.self_attn.q_proj.weight"), group);
  EXPECT_EQ((*moments)->find("blk.0.attn_k.weight"), group);
  EXPECT_EQ((*moments)->find("blk.0.attn_v.weight"), std::nullopt);
  EXPECT_EQ((*moments)->cols(*group), 2u);
  EXPECT_EQ((*moments)->group_name(*group), "g.qkv");
  EXPECT_EQ(*(*moments)->read(*group), (std::vector<float>{4, 1, 1, 9}));
  EXPECT_EQ((*moments)->names(),
            (std::vector<std::string>{"blk.0.attn_k.weight", "blk.0.attn_q.weight", "output.weight"}));
}

TEST_F(MomentFileTest, non_finite_moments_are_named) {
  const auto moments = make(described(kGood), {4, 1, std::nanf(""), 9});
  ASSERT_TRUE(moments.is_ok());
  const auto values = (*moments)->read(*(*moments)->find("blk.0.attn_q.weight"));
  ASSERT_FALSE(values.is_ok());
  EXPECT_EQ(values.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(values.error().message.find("[1, 0]"), std::string::npos);
  EXPECT_EQ(values.error().tensor, "g.qkv");
}

TEST_F(MomentFileTest, every_broken_description_is_corrupt) {
  for (
      const char* text :
      {"", "[]", "{", "{}", R"({"format_version": "1", "members": {}})", R"({"format_version": 1})",
       R"({"format_version": 1, "members": []})", R"({"format_version": 1, "members": {"absent": ["a"]}})",
       R"({"format_version": 1, "members": {"head": "a"}})",
       R"({"format_version": 1, "members": {"head": [1]}})",
       R"({"format_version": 1, "members": {"head": ["a", "a"]}})",
       R"({"format_version": 1, "members": {"head": ["blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight"]}})"}) {
    const auto moments = make(described(text));
    ASSERT_FALSE(moments.is_ok()) << text;
    EXPECT_EQ(moments.error().kind, ErrorKind::kCorrupt) << text;
    EXPECT_FALSE(moments.error().file.empty());
  }
  EXPECT_EQ(make({}).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(make({{"format", "pt"}, {"llmcodec_moments", kGood}}).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(make(described(R"({"format_version": 2})")).error().kind, ErrorKind::kUnsupported);
  const auto deep = make(described(std::string(200'000, '[') + std::string(200'000, ']')));
  EXPECT_EQ(deep.error().kind, ErrorKind::kLimit);
  EXPECT_FALSE(deep.error().file.empty());
}

TEST_F(MomentFileTest, tensors_must_be_square_f32) {
  EXPECT_EQ(make(described(kGood), {1, 2, 3, 4}, {4, 1}).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(make(described(kGood), {1, 2, 3, 4}, {4}).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(make(described(kGood), {1, 2, 3, 4}, {2, 2}, Dtype::kI32).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(MomentFile::open(folder_ / "absent").error().kind, ErrorKind::kIo);
}

}  // namespace
}  // namespace llmcodec

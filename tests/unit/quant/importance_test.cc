// SPDX-License-Identifier: BSD-3-Clause
#include "quant/importance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "base/file.h"

namespace llmcodec {
namespace {

// Little-endian bytes of an importance file, put together by hand.
class Bytes {
 public:
  template <class T>
  Bytes& add(T value) {
    const auto* first = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), first, first + sizeof value);
    return *this;
  }
  Bytes& text(const std::string& value) {
    for (char c : value) bytes_.push_back(static_cast<std::byte>(c));
    return *this;
  }
  Bytes& align(size_t to) {
    bytes_.resize((bytes_.size() + to - 1) / to * to);
    return *this;
  }
  const std::vector<std::byte>& all() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

struct TestTensor {
  std::string name;
  uint64_t cols, rows;  // in ggml's order
  std::vector<float> values;
};

std::vector<std::byte> gguf_bytes(const std::vector<TestTensor>& tensors) {
  Bytes bytes;
  bytes.text("GGUF").add(uint32_t{3}).add(uint64_t{tensors.size()}).add(uint64_t{1});
  bytes.add(uint64_t{12}).text("general.type").add(uint32_t{8}).add(uint64_t{7}).text("imatrix");
  uint64_t offset = 0;
  for (const TestTensor& t : tensors) {
    bytes.add(uint64_t{t.name.size()})
        .text(t.name)
        .add(uint32_t{2})
        .add(t.cols)
        .add(t.rows)
        .add(uint32_t{0})
        .add(offset);
    offset += (t.values.size() * 4 + 31) / 32 * 32;
  }
  bytes.align(32);
  for (const TestTensor& t : tensors) {
    for (float v : t.values) bytes.add(v);
    bytes.align(32);
  }
  return bytes.all();
}

std::vector<std::byte> dat_bytes() {
  Bytes bytes;
  bytes.add(int32_t{2});
  bytes.add(int32_t{19})
      .text("blk.0.attn_q.weight")
      .add(int32_t{4})
      .add(int32_t{3})
      .add(4.0f)
      .add(8.0f)
      .add(0.0f);
  bytes.add(int32_t{24}).text("blk.1.ffn_up_exps.weight").add(int32_t{2}).add(int32_t{4});
  bytes.add(2.0f).add(4.0f).add(6.0f).add(8.0f);
  bytes.add(int32_t{4}).add(int32_t{5}).text("x.txt");
  return bytes.all();
}

class ImportanceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ("importance_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  Result<Importance> load(std::span<const std::byte> bytes) {
    const std::string path = folder_ / "file";
    EXPECT_TRUE(write_file(path, bytes).is_ok());
    return Importance::load(path);
  }
  std::filesystem::path folder_;
};

std::vector<float> found(const Importance& importance, const char* name, uint64_t cols,
                         uint64_t matrices = 1) {
  const auto entry = importance.find(name, cols, matrices);
  EXPECT_TRUE(entry.is_ok()) << name;
  return entry.is_ok() ? std::vector<float>(entry->moments.begin(), entry->moments.end())
                       : std::vector<float>{};
}

TEST_F(ImportanceTest, gguf_sums_over_counts_in_both_spellings) {
  const auto importance = load(gguf_bytes({{"blk.0.attn_q.weight.in_sum2", 3, 1, {10, 20, 0}},
                                           {"blk.0.attn_q.weight.counts", 1, 1, {10}},
                                           {"blk.0.attn_q.weight.in_sum", 3, 1, {-1, 2, 3}}}));
  ASSERT_TRUE(importance.is_ok()) << importance.error().to_string();
  EXPECT_EQ(importance->size(), 1u);
  EXPECT_EQ(importance->names(), (std::vector<std::string>{"blk.0.attn_q.weight"}));
  EXPECT_EQ(found(*importance, "blk.0.attn_q.weight", 3), (std::vector<float>{1, 2, 0}));
  EXPECT_EQ(found(*importance, "model.layers.0.self_attn.q_proj.weight", 3), (std::vector<float>{1, 2, 0}));
  EXPECT_FALSE(importance->find("blk.1.attn_q.weight", 3)->found());
  EXPECT_FALSE(importance->find("no name at all", 3)->found());
}

TEST_F(ImportanceTest, unused_experts_get_the_mean_of_the_others) {
  const auto importance = load(gguf_bytes({{"blk.2.ffn_up_exps.weight.in_sum2", 2, 3, {2, 4, 9, 9, 30, 40}},
                                           {"blk.2.ffn_up_exps.weight.counts", 1, 3, {2, 0, 10}}}));
  ASSERT_TRUE(importance.is_ok());
  EXPECT_EQ(found(*importance, "blk.2.ffn_up_exps.weight", 2, 3), (std::vector<float>{1, 2, 2, 3, 3, 4}));
  EXPECT_EQ(found(*importance, "model.layers.2.mlp.experts.2.up_proj.weight", 2), (std::vector<float>{3, 4}));
  const auto entry = importance->find("blk.2.ffn_up_exps.weight", 2, 3);
  EXPECT_EQ(entry->matrix(1)[1], 3.0f);
}

TEST_F(ImportanceTest, outputs_are_found_by_the_files_own_spelling_only) {
  const TestTensor inputs{"blk.0.attn_q.weight.in_sum2", 2, 1, {10, 20}};
  const TestTensor counts{"blk.0.attn_q.weight.counts", 1, 1, {10}};
  const auto importance =
      load(gguf_bytes({inputs, counts, {"blk.0.attn_q.weight.out_sum2", 3, 1, {10, 0, 5}}}));
  ASSERT_TRUE(importance.is_ok()) << importance.error().to_string();
  EXPECT_EQ(importance->names(), (std::vector<std::string>{"blk.0.attn_q.weight"}));
  const auto outputs = importance->find_outputs("blk.0.attn_q.weight", 3);
  ASSERT_TRUE(outputs.is_ok());
  EXPECT_EQ(std::vector<float>(outputs->moments.begin(), outputs->moments.end()),
            (std::vector<float>{1, 0, 0.5}));
  EXPECT_FALSE(importance->find_outputs("model.layers.0.self_attn.q_proj.weight", 3)->found());
  const auto wrong = importance->find_outputs("blk.0.attn_q.weight", 4);
  ASSERT_FALSE(wrong.is_ok());
  EXPECT_EQ(wrong.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_FALSE(load(gguf_bytes({inputs, counts, {"blk.0.attn_q.weight.out_sum2", 1, 1, {-1}}})).is_ok());
  EXPECT_FALSE(load(gguf_bytes({inputs, counts, {"blk.0.attn_k.weight.out_sum2", 1, 1, {1}}})).is_ok());
}

TEST_F(ImportanceTest, legacy_dat_files) {
  const auto importance = load(dat_bytes());
  ASSERT_TRUE(importance.is_ok()) << importance.error().to_string();
  EXPECT_EQ(found(*importance, "blk.0.attn_q.weight", 3), (std::vector<float>{1, 2, 0}));
  EXPECT_EQ(found(*importance, "blk.1.ffn_up_exps.weight", 2, 2), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(found(*importance, "model.layers.1.mlp.experts.1.up_proj.weight", 2), (std::vector<float>{3, 4}));
}

TEST_F(ImportanceTest, sizes_that_do_not_fit_the_tensor_are_errors) {
  const auto importance = load(dat_bytes());
  for (auto [name, cols, matrices] : {std::tuple{"blk.0.attn_q.weight", 4, 1},
                                      {"blk.0.attn_q.weight", 3, 2},
                                      {"blk.0.attn_q.weight", 0, 1},
                                      {"blk.1.ffn_up_exps.weight", 4, 4},
                                      {"model.layers.1.mlp.experts.7.up_proj.weight", 2, 1}}) {
    const auto entry = importance->find(name, cols, matrices);
    ASSERT_FALSE(entry.is_ok()) << name << " " << cols;
    EXPECT_EQ(entry.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_EQ(entry.error().tensor, name);
  }
}

TEST_F(ImportanceTest, every_truncation_of_the_legacy_file_is_an_error_or_the_end) {
  const auto bytes = dat_bytes();
  const size_t entries_end = bytes.size() - 13;  // what follows the entries is ignored
  for (size_t length = 0; length < bytes.size(); ++length) {
    const auto importance = load(std::span(bytes).first(length));
    EXPECT_EQ(importance.is_ok(), length >= entries_end) << length;
    if (!importance.is_ok()) {
      EXPECT_EQ(importance.error().kind, ErrorKind::kCorrupt);
    }
  }
}

TEST_F(ImportanceTest, every_truncation_of_the_gguf_file_is_an_error) {
  const auto bytes = gguf_bytes(
      {{"a.in_sum2", 8, 1, {1, 2, 3, 4, 5, 6, 7, 8}}, {"a.counts", 8, 1, {1, 1, 1, 1, 1, 1, 1, 1}}});
  ASSERT_TRUE(load(bytes).is_ok());
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(load(std::span(bytes).first(length)).is_ok()) << length;
}

TEST_F(ImportanceTest, broken_entries_are_named) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  const TestTensor counts = {"a.counts", 1, 1, {10}};
  for (const std::vector<TestTensor>& tensors :
       {std::vector<TestTensor>{{"a.in_sum2", 2, 1, {1, nan}}, counts},
        {{"a.in_sum2", 2, 1, {1, inf}}, counts},
        {{"a.in_sum2", 2, 1, {1, -1}}, counts},
        {{"a.in_sum2", 2, 1, {1, 1}}},
        {{"a.in_sum2", 3, 1, {1, 1, 1}}, {"a.counts", 2, 1, {1, 1}}},
        {{"a.in_sum2", 2, 1, {1, 1}}, {"a.counts", 1, 1, {nan}}}}) {
    const auto importance = load(gguf_bytes(tensors));
    ASSERT_FALSE(importance.is_ok());
    EXPECT_EQ(importance.error().kind, ErrorKind::kCorrupt);
    EXPECT_FALSE(importance.error().tensor.empty());
    EXPECT_FALSE(importance.error().file.empty());
  }
  EXPECT_NE(load(gguf_bytes({counts})).error().message.find("no importance entries"), std::string::npos);
  EXPECT_EQ(Importance::load(folder_ / "absent").error().kind, ErrorKind::kIo);
}

TEST_F(ImportanceTest, huge_counts_in_the_legacy_file_are_errors_not_memory) {
  Bytes bytes;
  bytes.add(int32_t{1}).add(int32_t{1}).text("a").add(int32_t{1}).add(std::numeric_limits<int32_t>::max());
  EXPECT_EQ(load(bytes.all()).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(load(Bytes().add(int32_t{-1}).all()).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(load(Bytes().add(std::numeric_limits<int32_t>::max()).all()).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace llmcodec

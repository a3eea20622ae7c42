// SPDX-License-Identifier: BSD-3-Clause
#include "compress/equal_tensors.h"

#include <atomic>

#include "small_model.h"

namespace llmcodec {
namespace {

// A model in memory that counts what is read of it.
class CountingSource final : public TensorSource {
 public:
  void add(const std::string& name, Dtype dtype, std::vector<uint64_t> shape, const std::string& bytes) {
    infos_.push_back({name, dtype, std::move(shape)});
    ASSERT_EQ(dtype_bytes(dtype, infos_.back().elements()), bytes.size());
    bytes_.push_back(bytes);
  }
  uint64_t read_bytes() const { return read_; }

  const std::vector<TensorInfo>& tensors() const override { return infos_; }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override {
    read_ += out.size();
    std::memcpy(out.data(), bytes_[index].data() + first, out.size());
    return Status::ok();
  }
  const std::string& file(size_t) const override { return file_; }
  uint64_t offset(size_t) const override { return 0; }

 private:
  std::vector<TensorInfo> infos_;
  std::vector<std::string> bytes_;
  std::string file_ = "memory";
  mutable std::atomic<uint64_t> read_ = 0;
};

EqualTensorRules any_rules() {
  return {[](size_t, size_t) { return true; }, [](size_t) { return false; }};
}

std::vector<std::pair<size_t, size_t>> found(const TensorSource& source,
                                             const EqualTensorRules& rules = any_rules()) {
  const auto copies = find_equal_tensors(source, rules, 2);
  EXPECT_EQ(message_of(copies), "");
  std::vector<std::pair<size_t, size_t>> pairs;
  if (copies.is_ok()) {
    for (const TensorCopy& copy : *copies) pairs.emplace_back(copy.index, copy.original);
  }
  return pairs;
}

using Pairs = std::vector<std::pair<size_t, size_t>>;

TEST(EqualTensors, dtype_shape_and_every_byte_count) {
  CountingSource source;
  const std::string bytes = std::string(20'000, 'x') + std::string(20'000, 'y');
  std::string middle = bytes;
  middle[20'000] = 'z';
  source.add("a", Dtype::kF16, {100, 200}, bytes);
  source.add("turned", Dtype::kF16, {200, 100}, bytes);
  source.add("other dtype", Dtype::kBF16, {100, 200}, bytes);
  source.add("other middle", Dtype::kF16, {100, 200}, middle);
  source.add("b", Dtype::kF16, {100, 200}, bytes);
  source.add("empty", Dtype::kF16, {0, 200}, "");
  source.add("as empty", Dtype::kF16, {0, 200}, "");
  source.add("c", Dtype::kF16, {100, 200}, bytes);
  EXPECT_EQ(found(source), (Pairs{{4, 0}, {7, 0}}));
}

TEST(EqualTensors, hardly_anything_is_read_where_there_are_none) {
  CountingSource source;
  for (char letter = 'a'; letter < 'z'; ++letter)
    source.add(std::string(1, letter), Dtype::kU8, {1'000'000}, std::string(1'000'000, letter));
  source.add("alone", Dtype::kF32, {1'000'000}, std::string(4'000'000, 'a'));
  EXPECT_EQ(found(source), Pairs());
  EXPECT_LE(source.read_bytes(), 25u * 8192);
}

TEST(EqualTensors, short_ones_are_read_to_both_ends) {
  CountingSource source;
  source.add("a", Dtype::kU8, {3}, "abc");
  source.add("b", Dtype::kU8, {3}, "abd");
  source.add("c", Dtype::kU8, {3}, "abc");
  EXPECT_EQ(found(source), (Pairs{{2, 0}}));
}

TEST(EqualTensors, a_preferred_one_stands_for_the_others) {
  CountingSource source;
  for (const char* name : {"a", "b", "c"}) source.add(name, Dtype::kU8, {3}, "abc");
  EqualTensorRules rules = any_rules();
  rules.preferred = [](size_t tensor) { return tensor == 1; };
  EXPECT_EQ(found(source, rules), (Pairs{{0, 1}, {2, 1}}));
}

TEST(EqualTensors, those_that_are_not_alike_stay) {
  CountingSource source;
  for (const char* name : {"a", "b", "c", "d"}) source.add(name, Dtype::kU8, {3}, "abc");
  EqualTensorRules rules = any_rules();
  rules.alike = [](size_t a, size_t b) { return a % 2 == b % 2; };
  EXPECT_EQ(found(source, rules), (Pairs{{2, 0}, {3, 1}}));
}

}  // namespace
}  // namespace llmcodec

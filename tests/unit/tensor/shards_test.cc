// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/shards.h"

#include <gtest/gtest.h>

#include "tensor_test_files.h"

namespace llmcodec {
namespace {

std::string one_tensor(const std::string& name) {
  return safetensors_with("{\"" + name + R"(":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2);
}

std::string two_tensors(const std::string& a, const std::string& b) {
  return safetensors_with("{\"" + a + R"(":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},")" + b +
                              R"(":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                          3);
}

// A folder with shards 1 = {a} and 2 = {b, c}, and the index given.
class Shards : public testing::Test {
 protected:
  Shards() {
    write_bytes(folder_.file("1.safetensors"), one_tensor("a"));
    write_bytes(folder_.file("2.safetensors"), two_tensors("b", "c"));
  }
  Result<std::unique_ptr<ShardedSource>> open(const std::string& index) {
    write_bytes(folder_.file(kIndexFileName), index);
    return ShardedSource::open(folder_.file(kIndexFileName));
  }
  Result<std::unique_ptr<ShardedSource>> open_map(const std::string& weight_map) {
    return open(
        R"({"metadata":{"total_size":5,"more":{"nested":[1,-2,3.5,null,true,["x"]]}},"weight_map":{)" +
        weight_map + "}}");
  }
  TempFolder folder_;
};

constexpr char kGood[] = R"("c":"2.safetensors","a":"1.safetensors","b":"2.safetensors")";

TEST_F(Shards, are_joined_in_order) {
  const auto source = open_map(kGood);
  ASSERT_OK(source);
  ASSERT_EQ((*source)->tensors().size(), 3u);
  EXPECT_EQ((*source)->tensors()[0].name, "a");
  EXPECT_EQ((*source)->tensors()[1].name, "b");
  EXPECT_EQ((*source)->tensors()[2].name, "c");
  EXPECT_EQ((*source)->file(2), folder_.file("2.safetensors"));
  EXPECT_EQ((*source)->byte_size(1), 2u);
  EXPECT_EQ((*source)->byte_size(2), 1u);
  EXPECT_EQ((*source)->offset(2), (*source)->offset(1) + 2);
  EXPECT_EQ((*source)->shard_paths(),
            (std::vector<std::string>{folder_.file("1.safetensors"), folder_.file("2.safetensors")}));
}

TEST_F(Shards, missing_shard) {
  const auto source = open_map(R"("a":"1.safetensors","b":"3.safetensors")");
  expect_error(source, ErrorKind::kIo,
               "3.safetensors: the shard is missing; model.safetensors.index.json names it");
}

TEST_F(Shards, tensor_in_the_wrong_shard) {
  const auto source = open_map(R"("a":"2.safetensors","b":"2.safetensors","c":"1.safetensors")");
  expect_error(source, ErrorKind::kCorrupt,
               "1.safetensors: tensor 'a': model.safetensors.index.json places it in 2.saf");
}

TEST_F(Shards, name_in_two_shards) {
  write_bytes(folder_.file("1.safetensors"), two_tensors("a", "b"));
  expect_error(open_map(kGood), ErrorKind::kCorrupt,
               "2.safetensors: tensor 'b': also in shard 1.safetensors");
}

TEST_F(Shards, tensor_in_no_shard) {
  const auto source = open_map(std::string(kGood) + R"(,"d":"1.safetensors")");
  expect_error(source, ErrorKind::kCorrupt, "1.safetensors: tensor 'd': in no shard");
}

TEST_F(Shards, tensor_not_in_the_index) {
  expect_error(open_map(R"("a":"1.safetensors","b":"2.safetensors")"), ErrorKind::kCorrupt,
               "2.safetensors: tensor 'c': not in model.safetensors.index.json");
}

TEST_F(Shards, broken_shard) {
  write_bytes(folder_.file("2.safetensors"), two_tensors("b", "c").substr(0, 30));
  expect_error(open_map(kGood), ErrorKind::kCorrupt, folder_.file("2.safetensors"));
}

TEST_F(Shards, broken_index) {
  expect_error(open("{"), ErrorKind::kCorrupt, "not valid JSON");
  expect_error(open("[]"), ErrorKind::kCorrupt, "unexpected an array");
  expect_error(open("3"), ErrorKind::kCorrupt, "unexpected a number");
  expect_error(open("{}"), ErrorKind::kCorrupt, "no weight_map");
  expect_error(open(R"({"weight_map":{}})"), ErrorKind::kCorrupt, "lists no tensor");
  expect_error(open(R"({"weight_map":3})"), ErrorKind::kCorrupt, "unexpected a number");
  expect_error(open(R"({"weight_map":["a"]})"), ErrorKind::kCorrupt, "unexpected");
  expect_error(open(R"({"weight_map":{"a":1}})"), ErrorKind::kCorrupt, "unexpected a number");
  expect_error(open(R"({"weight_map":{"a":{}}})"), ErrorKind::kCorrupt, "unexpected an object");
  expect_error(open(R"({"weight_map":{},"weight_map":{}})"), ErrorKind::kCorrupt, "two weight_maps");
  expect_error(open(R"({"weight_map":{"a":"1.safetensors","a":"2.safetensors"}})"), ErrorKind::kCorrupt,
               "tensor 'a': listed twice");
  expect_error(open(std::string(R"({"metadata":)") + std::string(100'000, '[')), ErrorKind::kLimit,
               "nested too deeply");
  expect_error(ShardedSource::open(folder_.file("absent.json")), ErrorKind::kIo, "absent.json");
}

TEST_F(Shards, index_cannot_point_outside_its_folder) {
  for (const char* name :
       {"../1.safetensors", "/etc/passwd", "sub/1.safetensors", "..", ".", "", "a\\\\b", "a\\u0000"})
    expect_error(open_map(std::string(R"("a":")") + name + "\""), ErrorKind::kCorrupt,
                 "not the name of a file");
}

const std::vector<TensorInfo> kInfos = {{"a", Dtype::kU8, {60}}, {"b", Dtype::kU8, {40}},
                                        {"c", Dtype::kU8, {0}},  {"d", Dtype::kU8, {300}},
                                        {"e", Dtype::kU8, {1}},  {"f", Dtype::kU8, {0}}};

TEST(ShardPlan, fills_shards_up_to_the_limit) {
  const Result<std::vector<Shard>> shards = plan_shards(kInfos, 100);
  ASSERT_OK(shards);
  ASSERT_EQ(shards->size(), 3u);
  EXPECT_EQ((*shards)[0].count, 3u);
  EXPECT_EQ((*shards)[0].data_bytes, 100u);
  EXPECT_EQ((*shards)[1].first, 3u);  // larger than the limit: alone
  EXPECT_EQ((*shards)[1].count, 1u);
  EXPECT_EQ((*shards)[2].data_bytes, 1u);
  EXPECT_EQ((*shards)[2].file_name, "model-00003-of-00003.safetensors");
  EXPECT_EQ(plan_shards(kInfos, 0).value().size(), 1u);
  EXPECT_EQ(plan_shards(kInfos, 0).value()[0].file_name, "model.safetensors");
  EXPECT_EQ(plan_shards(kInfos, UINT64_MAX).value().size(), 1u);
  EXPECT_EQ(plan_shards({}, 10).value().size(), 1u);
}

class ShardSink : public testing::TestWithParam<uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Limits, ShardSink, testing::Values(0, 1, 60, 100, 1000));

TEST_P(ShardSink, writes_what_is_read_back) {
  TempFolder folder;
  auto output = ModelFolder::open(folder.path());
  ASSERT_OK(output);
  auto sink = create_sharded_safetensors(*output, kInfos, {{"", kModelStem, {{"format", "pt"}}}}, GetParam());
  ASSERT_OK(sink);
  for (size_t i = 0; i < kInfos.size(); ++i) {
    const std::string payload(kInfos[i].elements(), static_cast<char>('a' + i));
    ASSERT_OK((*sink)->write(i, as_bytes(payload).first(payload.size() / 2)));
    ASSERT_OK((*sink)->write(i, as_bytes(payload).subspan(payload.size() / 2)));
  }
  ASSERT_OK((*sink)->finish());
  const bool single = plan_shards(kInfos, GetParam()).value().size() == 1;
  EXPECT_EQ(std::filesystem::exists(folder.file(kIndexFileName)), !single);
  std::unique_ptr<TensorSource> source;
  if (single) {
    auto file = SafetensorsFile::open(folder.file(kSingleFileName));
    ASSERT_OK(file);
    EXPECT_EQ((*file)->metadata().at("format"), "pt");
    source = std::move(*file);
  } else {
    auto sharded = ShardedSource::open(folder.file(kIndexFileName));
    ASSERT_OK(sharded);
    EXPECT_EQ((*sharded)->metadata().at("format"), "pt");
    source = std::move(*sharded);
  }
  ASSERT_EQ(source->tensors().size(), kInfos.size());
  for (size_t i = 0; i < kInfos.size(); ++i) {
    EXPECT_EQ(source->tensors()[i].name, kInfos[i].name);
    EXPECT_EQ(tensor_bytes(*source, i), std::string(kInfos[i].elements(), static_cast<char>('a' + i)));
  }
}

TEST(ShardSink, unfinished_work_leaves_nothing) {
  TempFolder folder;
  {
    auto output = ModelFolder::open(folder.path());
    ASSERT_OK(output);
    auto sink = create_sharded_safetensors(*output, kInfos, {ModelPart{}}, 60);
    ASSERT_OK(sink);
    const std::string payload(60, 'x');
    ASSERT_OK((*sink)->write(0, as_bytes(payload)));
    ASSERT_OK((*sink)->write(1, as_bytes(payload).first(40)));
    expect_error((*sink)->write(0, as_bytes("")), ErrorKind::kInvalidArgument, "written after");
    expect_error((*sink)->write(4, as_bytes("x")), ErrorKind::kInvalidArgument, "tensor 'd'");
    expect_error((*sink)->finish(), ErrorKind::kInvalidArgument, "tensor 'd'");
    expect_error((*sink)->write(6, as_bytes("x")), ErrorKind::kInvalidArgument, "there are 6");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// Names that sort otherwise with a slash behind them.
TEST(PartShards, parts_in_prefix_order_get_their_tensors) {
  const ModelParts parts = {{"a", "model"}, {"a-b", "model"}, {"a/b", "model"}};
  const std::vector<TensorInfo> infos = {
      {"a/x", Dtype::kU8, {1}, 2}, {"a-b/x", Dtype::kU8, {2}, 4}, {"a/b/x", Dtype::kU8, {3}, 4}};
  const auto shards = plan_part_shards(infos, parts, 0);
  ASSERT_OK(shards);
  ASSERT_EQ(shards->size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*shards)[i].first, i);
    EXPECT_EQ((*shards)[i].count, 1u);
    EXPECT_EQ((*shards)[i].file_name, parts[i].folder + "/model.safetensors");
  }
}

TEST(PartShards, tensors_of_no_part_or_out_of_order_are_refused) {
  const ModelParts parts = {{"a", "model"}, {"b", "model"}};
  const TensorInfo a = {"a/x", Dtype::kU8, {1}, 2}, b = {"b/x", Dtype::kU8, {1}, 2},
                   c = {"c/x", Dtype::kU8, {1}, 2};
  expect_error(plan_part_shards({b, a}, parts, 0), ErrorKind::kInvalidArgument, "tensor 'a/x'");
  expect_error(plan_part_shards({a, b, c}, parts, 0), ErrorKind::kInvalidArgument, "tensor 'c/x'");
}

TEST(PartedSink, a_tensor_of_no_planned_file_is_refused) {
  TempFolder folder;
  auto output = ModelFolder::open(folder.path());
  ASSERT_OK(output);
  const auto open_shard = [&](size_t, std::vector<TensorInfo> own) -> Result<std::unique_ptr<TensorSink>> {
    LLMC_ASSIGN_OR_RETURN(AtomicFile file, output->create("model.safetensors"));
    return create_safetensors(std::move(file), own, {},
                              [&](AtomicFile done) { return output->add(std::move(done)); });
  };
  PartedSink sink(*output, {{"x", Dtype::kU8, {1}}, {"y", Dtype::kU8, {1}}},
                  {{.file_name = "model.safetensors", .first = 0, .count = 1, .data_bytes = 1}}, open_shard,
                  [] { return Status::ok(); });
  ASSERT_OK(sink.write(0, as_bytes("x")));
  expect_error(sink.write(1, as_bytes("y")), ErrorKind::kInternal, "tensor 'y'");
}

TEST(ShardIndex, text_is_that_of_the_standard) {
  const std::vector<TensorInfo> infos = {{"z", Dtype::kF16, {2}}, {"\"a", Dtype::kU8, {1}}};
  const std::vector<Shard> shards = plan_shards(infos, 4).value();
  EXPECT_EQ(safetensors_index(infos, shards), R"({
  "metadata": {
    "total_size": 5
  },
  "weight_map": {
    "\"a": "model-00002-of-00002.safetensors",
    "z": "model-00001-of-00002.safetensors"
  }
}
)");
}

}  // namespace
}  // namespace llmcodec

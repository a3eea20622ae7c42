// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/safetensors.h"

#include <gtest/gtest.h>

#include <numeric>

#include <fmt/format.h>

#include "base/limits.h"
#include "tensor_test_files.h"

namespace llmcodec {
namespace {

Result<SafetensorsHeader> parse(std::string_view file) {
  return parse_safetensors_header(as_bytes(file), file.size());
}

Result<SafetensorsHeader> parse_json(std::string_view json, size_t data_bytes) {
  return parse(safetensors_with(json, data_bytes));
}

TEST(Safetensors, reads_a_file_of_the_reference_package) {
  Result<std::unique_ptr<SafetensorsFile>> opened = SafetensorsFile::open(test_data("tiny.safetensors"));
  ASSERT_OK(opened);
  const SafetensorsFile& file = **opened;
  EXPECT_EQ(file.tensors().size(), 8u);
  EXPECT_EQ(file.metadata(), (SafetensorsMetadata{{"format", "pt"}, {"note", "golden \"file\""}}));

  const size_t ids = file.find("position_ids").value();
  EXPECT_EQ(file.tensors()[ids].dtype, Dtype::kI64);
  EXPECT_EQ(tensor_bytes(file, ids).substr(8, 16), little_endian(1, 8) + little_endian(2, 8));
  EXPECT_EQ(file.offset(ids), file.data_start());

  const size_t kernel = file.find("kernel").value();
  EXPECT_EQ(file.tensors()[kernel].shape, (std::vector<uint64_t>{2, 2, 3, 3}));
  EXPECT_EQ(file.byte_size(kernel), 36 * 8u);

  const size_t empty = file.find("empty").value();
  EXPECT_EQ(file.tensors()[empty].shape, (std::vector<uint64_t>{0, 4}));
  EXPECT_EQ(file.byte_size(empty), 0u);
  EXPECT_EQ(tensor_bytes(file, empty), "");

  float scalar = 0;
  const size_t scalar_index = file.find("scalar").value();
  EXPECT_TRUE(file.tensors()[scalar_index].shape.empty());
  ASSERT_OK(file.read_f32(scalar_index, 0, std::span(&scalar, 1)));
  EXPECT_EQ(scalar, 2.5f);

  EXPECT_EQ(tensor_bytes(file, file.find("odd \"name\" \\ \n \u00e9 \u4e2d").value()), "\1\2\3");
}

TEST(Safetensors, reads_parts_and_refuses_what_is_outside) {
  Result<std::unique_ptr<SafetensorsFile>> opened = SafetensorsFile::open(test_data("tiny.safetensors"));
  ASSERT_OK(opened);
  const SafetensorsFile& file = **opened;
  const size_t index = file.find("model.layers.0.mlp.weight").value();
  std::vector<float> all(15), part(4), beyond(16);
  ASSERT_OK(file.read_f32(index, 0, all));
  ASSERT_OK(file.read_f32(index, 11, part));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + 11));
  expect_error(file.read_f32(index, 12, part), ErrorKind::kInvalidArgument, "model.layers.0.mlp.weight");
  expect_error(file.read_f32(index, 0, beyond), ErrorKind::kInvalidArgument, "asked of 15");
  expect_error(file.read_f32(index, UINT64_MAX, part), ErrorKind::kInvalidArgument, "asked of 15");
  expect_error(file.read_f32(file.find("mask").value(), 0, std::span(part).first(3)), ErrorKind::kUnsupported,
               "BOOL");
  expect_error(file.find("no such"), ErrorKind::kInvalidArgument, "no such");
}

struct BadHeader {
  const char* name;
  const char* json;
  size_t data_bytes;
  ErrorKind kind;
  const char* message;
};

const BadHeader kBadHeaders[] = {
    {"not_an_object", "[]", 0, ErrorKind::kCorrupt, "does not start with '{'"},
    {"leading_space", " {}", 0, ErrorKind::kCorrupt, "does not start with '{'"},
    {"truncated_json", R"({"a":{"dtype":"U8")", 0, ErrorKind::kCorrupt, "not valid JSON"},
    {"text_after_json", "{} x", 0, ErrorKind::kCorrupt, "not valid JSON"},
    {"not_utf8", "{\"\xff\":{}}", 0, ErrorKind::kCorrupt, "not valid JSON"},
    {"tensor_is_a_number", R"({"a":1})", 0, ErrorKind::kCorrupt, "unexpected a number"},
    {"tensor_is_null", R"({"a":null})", 0, ErrorKind::kCorrupt, "unexpected null"},
    {"tensor_is_an_array", R"({"a":[]})", 0, ErrorKind::kCorrupt, "unexpected an array"},
    {"tensor_is_a_string", R"({"a":"b"})", 0, ErrorKind::kCorrupt, "unexpected a string"},
    {"nested_too_deep", R"({"a":{"shape":{"b":1}}})", 0, ErrorKind::kCorrupt, "unexpected an object"},
    {"unknown_field", R"({"a":{"dtyqe":"U8"}})", 0, ErrorKind::kCorrupt, "unknown field 'dtyqe'"},
    {"field_twice", R"({"a":{"dtype":"U8","dtype":"U8"}})", 0, ErrorKind::kCorrupt, "'dtype' given twice"},
    {"dtype_missing", R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, ErrorKind::kCorrupt,
     "'dtype' is missing"},
    {"shape_missing", R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, ErrorKind::kCorrupt,
     "'shape' is missing"},
    {"offsets_missing", R"({"a":{"dtype":"U8","shape":[1]}})", 1, ErrorKind::kCorrupt,
     "'data_offsets' is missing"},
    {"dtype_unknown", R"({"a":{"dtype":"U7","shape":[1],"data_offsets":[0,1]}})", 1, ErrorKind::kUnsupported,
     "'U7'"},
    {"dtype_of_gguf", R"({"a":{"dtype":"Q8_0","shape":[32],"data_offsets":[0,34]}})", 34,
     ErrorKind::kUnsupported, "'Q8_0'"},
    {"dtype_is_an_array", R"({"a":{"dtype":[1]}})", 0, ErrorKind::kCorrupt, "unexpected an array"},
    {"shape_negative", R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1, ErrorKind::kCorrupt,
     "a negative number"},
    {"shape_fraction", R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1, ErrorKind::kCorrupt,
     "not an integer"},
    {"shape_beyond_u64", R"({"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]}})", 1,
     ErrorKind::kCorrupt, "not an integer"},
    {"shape_is_a_number", R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", 1, ErrorKind::kCorrupt,
     "unexpected a number"},
    {"nine_dimensions", R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1,
     ErrorKind::kLimit, "too many dimensions"},
    {"one_offset", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1, ErrorKind::kCorrupt,
     "two numbers"},
    {"three_offsets", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1, ErrorKind::kCorrupt,
     "two numbers"},
    {"offsets_backwards", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1, ErrorKind::kCorrupt,
     "run backwards"},
    {"size_is_not_that_of_the_shape", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
     ErrorKind::kCorrupt, "8 bytes by dtype and shape, 4 by data_offsets"},
    {"elements_overflow", R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
     ErrorKind::kCorrupt, "number of elements overflows"},
    {"bytes_overflow", R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0,
     ErrorKind::kCorrupt, "size in bytes overflows"},
    {"half_a_byte", R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2, ErrorKind::kCorrupt,
     "do not fill whole bytes"},
    {"beyond_the_file", R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}})", 4, ErrorKind::kCorrupt,
     "data section has 4 bytes"},
    {"hole_at_the_start", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, ErrorKind::kCorrupt,
     "hole of 1 bytes"},
    {"hole_between",
     R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})",
     4, ErrorKind::kCorrupt, "tensor 'b': hole of 2 bytes"},
    {"overlap",
     R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
     4, ErrorKind::kCorrupt, "tensor 'b': data overlaps the tensor before it by 1 bytes"},
    {"bytes_left_over", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 2, ErrorKind::kCorrupt,
     "1 bytes at the end belong to no tensor"},
    {"name_twice",
     R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
     2, ErrorKind::kCorrupt, "tensor 'a': name given twice"},
    {"metadata_twice", R"({"__metadata__":{},"__metadata__":{}})", 0, ErrorKind::kCorrupt,
     "name given twice"},
    {"metadata_key_twice", R"({"__metadata__":{"k":"1","k":"2"}})", 0, ErrorKind::kCorrupt,
     "key 'k' given twice"},
    {"metadata_number", R"({"__metadata__":{"k":1}})", 0, ErrorKind::kCorrupt,
     "unexpected a number in __metadata__"},
    {"metadata_nested", R"({"__metadata__":{"k":{}}})", 0, ErrorKind::kCorrupt,
     "unexpected an object in __metadata__"},
    {"metadata_array", R"({"__metadata__":{"k":[]}})", 0, ErrorKind::kCorrupt,
     "unexpected an array in __metadata__"},
    {"metadata_is_an_array", R"({"__metadata__":[]})", 0, ErrorKind::kCorrupt, "unexpected an array"},
};

class BadHeaders : public testing::TestWithParam<BadHeader> {};
INSTANTIATE_TEST_SUITE_P(Safetensors, BadHeaders, testing::ValuesIn(kBadHeaders),
                         [](const auto& bad) { return std::string(bad.param.name); });

TEST_P(BadHeaders, are_one_named_error) {
  const BadHeader& bad = GetParam();
  expect_error(parse_json(bad.json, bad.data_bytes), bad.kind, bad.message);
}

TEST(Safetensors, header_length_limits) {
  expect_error(parse(""), ErrorKind::kCorrupt, "too short");
  expect_error(parse("1234567"), ErrorKind::kCorrupt, "too short");
  expect_error(parse(little_endian(3, 8) + "{}"), ErrorKind::kCorrupt, "header of 3 bytes in a file of 10");
  expect_error(parse(little_endian(UINT64_MAX, 8) + "{}"), ErrorKind::kLimit, "18446744073709551615");
  expect_error(parse(little_endian(kMaxSafetensorsHeaderBytes + 1, 8) + "{}"), ErrorKind::kLimit,
               "100000001");
  ASSERT_OK(parse_json("{}", 0));
  ASSERT_OK(parse_json("{}   \n ", 0));
}

TEST(Safetensors, errors_carry_offset_tensor_and_file) {
  TempFolder folder;
  write_bytes(folder.file("a.safetensors"), safetensors_with(R"({"a":{"dtype" "U8"}})", 0));
  const auto opened = SafetensorsFile::open(folder.file("a.safetensors"));
  ASSERT_FALSE(opened.is_ok());
  EXPECT_EQ(opened.error().file, folder.file("a.safetensors"));
  EXPECT_EQ(opened.error().tensor, "a");
  EXPECT_GE(opened.error().offset.value_or(0), 8u + 13u);
  EXPECT_LE(opened.error().offset.value_or(99), 8u + 18u);
  expect_error(SafetensorsFile::open(folder.file("absent")), ErrorKind::kIo, "absent");
}

// Under UBSan: an empty file has no bytes that could be copied.
TEST(Safetensors, an_empty_file_is_corrupt) {
  expect_error(SafetensorsFile::open(memory_byte_source({}, "nothing")), ErrorKind::kCorrupt, "nothing");
}

TEST(Safetensors, opens_from_memory_as_from_a_file) {
  const std::string whole = read_bytes(test_data("tiny.safetensors"));
  const auto file = SafetensorsFile::open(test_data("tiny.safetensors"));
  const auto memory = SafetensorsFile::open(memory_byte_source(as_bytes(whole), "in memory"));
  ASSERT_OK(file);
  ASSERT_OK(memory);
  EXPECT_EQ((*memory)->file(0), "in memory");
  ASSERT_EQ((*memory)->tensors().size(), (*file)->tensors().size());
  for (size_t i = 0; i < (*file)->tensors().size(); ++i)
    EXPECT_EQ(tensor_bytes(**memory, i), tensor_bytes(**file, i));
}

TEST(Safetensors, deep_nesting_costs_no_stack) {
  const std::string deep(10'000'000, '[');
  expect_error(parse_json("{\"a\":" + deep, 0), ErrorKind::kCorrupt, "unexpected an array");
}

TEST(Safetensors, every_truncation_is_an_error) {
  const std::string whole = read_bytes(test_data("tiny.safetensors"));
  ASSERT_OK(parse(whole));
  TempFolder folder;
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_FALSE(parse(std::string_view(whole).substr(0, size)).is_ok()) << size;
    write_bytes(folder.file("cut.safetensors"), whole.substr(0, size));
    const auto opened = SafetensorsFile::open(folder.file("cut.safetensors"));
    ASSERT_FALSE(opened.is_ok()) << size;
    ASSERT_EQ(opened.error().file, folder.file("cut.safetensors"));
  }
  ASSERT_FALSE(parse(whole + "x").is_ok());
}

const std::vector<TensorInfo> kInfos = {
    {"w", Dtype::kF16, {2, 3}},          {"none", Dtype::kF32, {0, 7}},
    {"scalar", Dtype::kF64, {}},         {"odd \"\\\x01\t\u00e9", Dtype::kU8, {3}},
    {"", Dtype::kBool, {1, 1, 1, 1, 1}},
};

TEST(Safetensors, layout_and_header_read_back) {
  const Result<std::vector<SafetensorsEntry>> entries = layout_safetensors(kInfos);
  ASSERT_OK(entries);
  const SafetensorsMetadata metadata = {{"llmcodec", "{\"a\": [1]}"}, {"format", "pt"}};
  const Result<std::string> header = safetensors_header(*entries, metadata);
  ASSERT_OK(header);
  EXPECT_EQ(header->size() % 8, 0u);
  const Result<SafetensorsHeader> parsed = parse(*header + std::string(entries->back().end, 'x'));
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->metadata, metadata);
  EXPECT_EQ(parsed->data_start, header->size());
  ASSERT_EQ(parsed->entries.size(), kInfos.size());
  for (size_t i = 0; i < kInfos.size(); ++i) {
    EXPECT_EQ(parsed->entries[i].info.name, kInfos[i].name);
    EXPECT_EQ(parsed->entries[i].info.dtype, kInfos[i].dtype);
    EXPECT_EQ(parsed->entries[i].info.shape, kInfos[i].shape);
    EXPECT_EQ(parsed->entries[i].begin, (*entries)[i].begin);
    EXPECT_EQ(parsed->entries[i].end, (*entries)[i].end);
  }
}

TEST(Safetensors, header_is_padded_to_its_reserved_size) {
  const std::vector<SafetensorsEntry> entries = layout_safetensors(kInfos).value();
  const size_t needed = safetensors_header(entries, {}).value().size();
  const Result<std::string> padded = safetensors_header(entries, {}, needed + 800);
  ASSERT_OK(padded);
  EXPECT_EQ(padded->size(), needed + 800);
  ASSERT_OK(parse(*padded + std::string(entries.back().end, 'x')));
  EXPECT_EQ(safetensors_header(entries, {}, needed).value(), safetensors_header(entries, {}).value());
  expect_error(safetensors_header(entries, {}, needed - 8), ErrorKind::kLimit, "does not fit");
  expect_error(safetensors_header(entries, {}, needed + 1), ErrorKind::kInvalidArgument, "unaligned");
  expect_error(safetensors_header(entries, {}, 8 + kMaxSafetensorsHeaderBytes + 8), ErrorKind::kLimit,
               "readers accept");
}

TEST(Safetensors, layout_refuses_what_no_reader_would_take) {
  const auto layout = [](const std::vector<TensorInfo>& infos) { return layout_safetensors(infos); };
  expect_error(layout({{"a", Dtype::kU8, {1}}, {"a", Dtype::kU8, {1}}}), ErrorKind::kInvalidArgument,
               "two tensors");
  expect_error(layout({{"__metadata__", Dtype::kU8, {1}}}), ErrorKind::kInvalidArgument, "reserved");
  expect_error(layout({{"\xc0\x80", Dtype::kU8, {1}}}), ErrorKind::kInvalidArgument, "not UTF-8");
  expect_error(layout({{"q", Dtype::kQ8_0, {32}}}), ErrorKind::kInvalidArgument, "GGUF blocks");
  expect_error(layout({{"f4", Dtype::kF4, {3}}}), ErrorKind::kInvalidArgument, "whole bytes");
  expect_error(layout({{"o", Dtype::kU8, {1ull << 33, 1ull << 33}}}), ErrorKind::kInvalidArgument,
               "overflow");
  expect_error(layout({{"o", Dtype::kU8, {UINT64_MAX}}, {"p", Dtype::kU8, {1}}}), ErrorKind::kInvalidArgument,
               "tensor 'p': the file's size overflows");
  expect_error(safetensors_header({}, {{"k", "\xed\xa0\x80"}}), ErrorKind::kInvalidArgument,
               "'k' is not UTF-8");
}

TEST(Safetensors, sink_round_trip_in_pieces) {
  TempFolder folder;
  const std::string path = folder.file("out.safetensors");
  std::string bytes(100, '\0');
  std::iota(bytes.begin(), bytes.end(), 'a');
  Result<std::unique_ptr<TensorSink>> sink = create_safetensors(path, kInfos, {{"format", "pt"}});
  ASSERT_OK(sink);
  ASSERT_OK((*sink)->write(0, as_bytes(bytes).subspan(0, 5)));
  ASSERT_OK((*sink)->write(0, as_bytes(bytes).subspan(5, 7)));
  ASSERT_OK((*sink)->write(2, as_bytes(bytes).subspan(12, 8)));  // the zero-size one needs no call
  ASSERT_OK((*sink)->write(3, as_bytes(bytes).subspan(20, 3)));
  ASSERT_OK((*sink)->write(4, as_bytes(bytes).subspan(23, 1)));
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_OK((*sink)->finish());

  const auto opened = SafetensorsFile::open(path);
  ASSERT_OK(opened);
  const SafetensorsFile& file = **opened;
  EXPECT_EQ(file.metadata(), (SafetensorsMetadata{{"format", "pt"}}));
  EXPECT_EQ(tensor_bytes(file, file.find("w").value()), bytes.substr(0, 12));
  EXPECT_EQ(tensor_bytes(file, file.find("scalar").value()), bytes.substr(12, 8));
  EXPECT_EQ(tensor_bytes(file, file.find(kInfos[3].name).value()), bytes.substr(20, 3));
  EXPECT_EQ(tensor_bytes(file, file.find("").value()), bytes.substr(23, 1));
}

// PyTorch refuses a tensor whose data is not aligned to its elements, which bytes in front of it would cause.
TEST(Safetensors, sink_keeps_elements_aligned) {
  TempFolder folder;
  const std::vector<TensorInfo> infos = {
      {"bytes", Dtype::kU8, {3}}, {"wide", Dtype::kF32, {2}}, {"half", Dtype::kF16, {1}}};
  Result<std::unique_ptr<TensorSink>> sink = create_safetensors(folder.file("a.safetensors"), infos, {});
  ASSERT_OK(sink);
  ASSERT_OK((*sink)->write(0, as_bytes("abc")));
  ASSERT_OK((*sink)->write(1, as_bytes("01234567")));
  ASSERT_OK((*sink)->write(2, as_bytes("hh")));
  ASSERT_OK((*sink)->finish());
  const auto opened = SafetensorsFile::open(folder.file("a.safetensors"));
  ASSERT_OK(opened);
  const SafetensorsFile& file = **opened;
  EXPECT_EQ(tensor_bytes(file, file.find("bytes").value()), "abc");
  EXPECT_EQ(tensor_bytes(file, file.find("wide").value()), "01234567");
  EXPECT_EQ(tensor_bytes(file, file.find("half").value()), "hh");
  EXPECT_EQ(file.offset(file.find("wide").value()) % 4, 0u);
  EXPECT_EQ(file.offset(file.find("half").value()) % 2, 0u);
}

TEST(Safetensors, sink_refuses_pieces_that_do_not_add_up_and_leaves_no_file) {
  TempFolder folder;
  const std::vector<TensorInfo> infos = {{"a", Dtype::kU8, {4}}, {"b", Dtype::kU8, {4}}};
  const auto create = [&] { return create_safetensors(folder.file("x.safetensors"), infos, {}).value(); };
  {
    const std::unique_ptr<TensorSink> sink = create();
    expect_error(sink->write(0, as_bytes("12345")), ErrorKind::kInvalidArgument,
                 "tensor 'a': 5 bytes written, it has 4");
    ASSERT_OK(sink->write(0, as_bytes("123")));
    expect_error(sink->write(1, as_bytes("1")), ErrorKind::kInvalidArgument, "tensor 'a': 3 of its 4 bytes");
    expect_error(sink->finish(), ErrorKind::kInvalidArgument, "tensor 'a': 3 of its 4 bytes");
    ASSERT_OK(sink->write(0, as_bytes("4")));
    ASSERT_OK(sink->write(1, as_bytes("1")));
    expect_error(sink->write(0, as_bytes("")), ErrorKind::kInvalidArgument, "tensor 'a': written after");
    expect_error(sink->write(2, as_bytes("")), ErrorKind::kInvalidArgument, "there are 2");
    expect_error(sink->finish(), ErrorKind::kInvalidArgument, "tensor 'b': 1 of its 4 bytes");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  expect_error(create_safetensors(folder.file("no/folder/x"), infos, {}), ErrorKind::kIo, "is not there");
}

TEST(Safetensors, no_tensors_at_all) {
  TempFolder folder;
  Result<std::unique_ptr<TensorSink>> sink = create_safetensors(folder.file("e.safetensors"), {}, {});
  ASSERT_OK(sink);
  ASSERT_OK((*sink)->finish());
  const auto opened = SafetensorsFile::open(folder.file("e.safetensors"));
  ASSERT_OK(opened);
  EXPECT_TRUE((*opened)->tensors().empty());
}

TEST(Safetensors, too_many_metadata_keys) {
  const auto with = [](uint64_t keys) {
    std::string json = "{\"__metadata__\":{";
    for (uint64_t i = 0; i < keys; ++i) json += fmt::format("{}\"{}\":\"\"", i > 0 ? "," : "", i);
    return parse_json(json + "}}", 0);
  };
  ASSERT_OK(with(kMaxMetadataKeys));
  expect_error(with(kMaxMetadataKeys + 1), ErrorKind::kLimit, "too many keys");
}

// Counts how often it is asked for its list: once by every search through it.
class CountingSource final : public TensorSource {
 public:
  explicit CountingSource(std::vector<TensorInfo> tensors) : tensors_(std::move(tensors)) {}
  const std::vector<TensorInfo>& tensors() const override {
    ++asked;
    return tensors_;
  }
  Status read(size_t, uint64_t, std::span<std::byte>) const override { return Status::ok(); }
  const std::string& file(size_t) const override { return tensors_[0].name; }
  uint64_t offset(size_t) const override { return 0; }
  mutable int asked = 0;

 private:
  std::vector<TensorInfo> tensors_;
};

TEST(TensorSource, finds_all_tensors_with_one_pass_over_the_list) {
  std::vector<TensorInfo> tensors;
  for (int i = 0; i < 1000; ++i) tensors.push_back({std::to_string(i), Dtype::kF32, {1}});
  const CountingSource source(tensors);
  for (size_t i = 0; i < tensors.size(); ++i) ASSERT_EQ(source.find(tensors[i].name).value(), i);
  expect_error(source.find("absent"), ErrorKind::kInvalidArgument, "no tensor");
  EXPECT_EQ(source.asked, 1);
}

}  // namespace
}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/gguf.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "tensor_test_files.h"

namespace llmcodec {
namespace {

std::string text(std::string_view s) {
  return little_endian(s.size(), 8) + std::string(s);
}
std::string u32(uint64_t value) {
  return little_endian(value, 4);
}
std::string u64(uint64_t value) {
  return little_endian(value, 8);
}

std::string uint32_key(std::string_view key, uint32_t value) {
  return text(key) + u32(4) + u32(value);
}

std::string tensor(std::string_view name, std::vector<uint64_t> ne, uint32_t type, uint64_t offset) {
  std::string info = text(name) + u32(ne.size());
  for (const uint64_t n : ne) info += u64(n);
  return info + u32(type) + u64(offset);
}

// A header with these key-values and tensor infos.
std::string gguf(const std::vector<std::string>& keys, const std::vector<std::string>& tensors,
                 uint32_t version = 3) {
  std::string bytes = "GGUF" + u32(version) + u64(tensors.size()) + u64(keys.size());
  for (const std::string& key : keys) bytes += key;
  for (const std::string& info : tensors) bytes += info;
  return bytes;
}

Result<GgufHeader> parse(std::string_view bytes) {
  return GgufHeader::parse(as_bytes(bytes));
}

std::string to_string(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<float> floats(const TensorSource& source, const std::string& name) {
  const size_t index = source.find(name).value();
  std::vector<float> values(source.tensors()[index].elements());
  const Status status = source.read_f32(index, 0, values);
  EXPECT_TRUE(status.is_ok()) << message_of(status);
  return values;
}

TEST(Gguf, reads_a_file_of_the_reference_package) {
  const auto opened = GgufFile::open(test_data("tiny.gguf"));
  ASSERT_OK(opened);
  const GgufFile& file = **opened;
  const GgufHeader& header = file.header();
  EXPECT_EQ(header.version(), 3u);
  EXPECT_EQ(header.alignment(), 32u);
  EXPECT_EQ(header.find_string("general.architecture"), "llama");
  EXPECT_EQ(header.find_int("llama.context_length"), 512);
  EXPECT_EQ(header.find_int("llama.embedding_length"), 64);
  EXPECT_EQ(header.find_int("tiny.negative"), -5);
  EXPECT_EQ(header.find_int("tiny.large"), std::nullopt);  // does not fit
  EXPECT_EQ(header.find_int("tiny.flag"), std::nullopt);
  EXPECT_EQ(header.find_int("general.architecture"), std::nullopt);
  EXPECT_EQ(header.find_string("llama.context_length"), std::nullopt);
  EXPECT_EQ(header.find_number("llama.rope.freq_base"), 10000.0);
  EXPECT_EQ(header.find_number("llama.context_length"), std::nullopt);
  EXPECT_EQ(header.find_flag("tiny.flag"), true);
  EXPECT_EQ(header.find_flag("tiny.negative"), std::nullopt);
  EXPECT_EQ(header.find_string("absent"), std::nullopt);

  ASSERT_EQ(header.tensors().size(), 6u);
  EXPECT_EQ(header.tensors()[0].name, "token_embd.weight");
  EXPECT_EQ(header.tensors()[0].shape, (std::vector<uint64_t>{4, 64}));
  EXPECT_EQ(header.tensors()[1].shape, (std::vector<uint64_t>{3, 5}));
  EXPECT_EQ(header.tensors()[2].dtype, Dtype::kBF16);
  EXPECT_EQ(header.tensors()[3].dtype, Dtype::kQ8_0);
  EXPECT_EQ(header.tensors()[4].dtype, Dtype::kQ4_1);

  const std::vector<float> original = floats(file, "token_embd.weight");
  EXPECT_NE(original[0], original[1]);
  const std::vector<float> norm = floats(file, "norm");
  EXPECT_TRUE(std::equal(norm.begin(), norm.end(), original.begin()));
  for (const char* name : {"BF16.weight", "Q8_0.weight"}) {
    const std::vector<float> rounded = floats(file, name);
    ASSERT_EQ(rounded.size(), original.size());
    for (size_t i = 0; i < rounded.size(); ++i)
      ASSERT_NEAR(rounded[i], original[i], 0.02) << name << " " << i;
  }
}

TEST(Gguf, block_ranges_only) {
  const auto opened = GgufFile::open(test_data("tiny.gguf"));
  ASSERT_OK(opened);
  const size_t index = (*opened)->find("Q4_1.weight").value();
  std::vector<float> all = floats(**opened, "Q4_1.weight"), part(64);
  ASSERT_OK((*opened)->read_f32(index, 96, part));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + 96));
  expect_error((*opened)->read_f32(index, 1, part), ErrorKind::kInvalidArgument, "not whole blocks of Q4_1");
  expect_error((*opened)->read_f32(index, 0, std::span(part).first(31)), ErrorKind::kInvalidArgument,
               "whole blocks");
}

TEST(Gguf, header_parses_alone_and_keeps_its_bytes) {
  const std::string whole = read_bytes(test_data("tiny.gguf"));
  const Result<GgufHeader> header = parse(whole);
  ASSERT_OK(header);
  const std::string bytes = to_string(header->bytes());
  EXPECT_EQ(bytes, whole.substr(0, bytes.size()));
  EXPECT_EQ(header->data_start(), (bytes.size() + 31) / 32 * 32);
  const Result<GgufHeader> again = parse(bytes);
  ASSERT_OK(again);
  EXPECT_EQ(again->tensors().size(), 6u);
  EXPECT_EQ(again->find_string("general.architecture"), "llama");
}

TEST(Gguf, version_2_reads_as_version_3) {
  ASSERT_OK(parse(gguf({uint32_key("a", 1)}, {tensor("t", {4}, 0, 0)}, 2)));
}

TEST(Gguf, scalar_zero_size_and_four_dimensions) {
  const Result<GgufHeader> header = parse(gguf(
      {}, {tensor("scalar", {}, 0, 0), tensor("none", {5, 0}, 0, 32), tensor("deep", {2, 3, 4, 5}, 24, 32)}));
  ASSERT_OK(header);
  EXPECT_TRUE(header->tensors()[0].shape.empty());
  EXPECT_EQ(header->tensors()[1].shape, (std::vector<uint64_t>{0, 5}));
  EXPECT_EQ(header->tensors()[2].shape, (std::vector<uint64_t>{5, 4, 3, 2}));
  EXPECT_EQ(header->tensors()[2].dtype, Dtype::kI8);
  EXPECT_EQ(header->data_bytes(), 32u + 120u);
}

TEST(Gguf, alignment_key) {
  const std::vector<std::string> tensors = {tensor("a", {1}, 0, 0), tensor("b", {1}, 0, 128)};
  const Result<GgufHeader> header = parse(gguf({uint32_key("general.alignment", 128)}, tensors));
  ASSERT_OK(header);
  EXPECT_EQ(header->alignment(), 128u);
  EXPECT_EQ(header->data_start() % 128, 0u);
  expect_error(parse(gguf({}, tensors)), ErrorKind::kCorrupt, "tensor 'b': offset");
}

struct BadHeader {
  const char* name;
  std::string bytes;
  ErrorKind kind;
  const char* message;
};

const BadHeader kBadHeaders[] = {
    {"magic", "GGML" + u32(3) + u64(0) + u64(0), ErrorKind::kCorrupt, "not a GGUF file"},
    {"version_1", gguf({}, {}, 1), ErrorKind::kUnsupported, "version 1"},
    {"version_4", gguf({}, {}, 4), ErrorKind::kUnsupported, "version 4"},
    {"big_endian", gguf({}, {}, 0x03000000), ErrorKind::kUnsupported, "big-endian"},
    {"too_many_tensors", "GGUF" + u32(3) + u64(kMaxTensors + 1) + u64(0), ErrorKind::kLimit,
     "1000001 tensors"},
    {"more_keys_than_bytes", "GGUF" + u32(3) + u64(0) + u64(2), ErrorKind::kCorrupt, "ends too early"},
    {"too_many_keys", "GGUF" + u32(3) + u64(0) + u64(UINT64_MAX), ErrorKind::kLimit, "65536"},
    {"key_too_long", gguf({u64(UINT64_MAX) + std::string(5, '\0')}, {}), ErrorKind::kLimit,
     "18446744073709551615"},
    {"string_beyond_the_end", gguf({text("k") + u32(8) + u64(UINT64_MAX)}, {}), ErrorKind::kCorrupt,
     "ends too early"},
    {"key_twice", gguf({uint32_key("k", 1), uint32_key("k", 2)}, {}), ErrorKind::kCorrupt,
     "key 'k' given twice"},
    {"type_unknown", gguf({text("k") + u32(13)}, {}), ErrorKind::kCorrupt, "key 'k' has unknown type 13"},
    {"boolean_of_2", gguf({text("k") + u32(7) + "\2"}, {}), ErrorKind::kCorrupt, "boolean of value 2"},
    {"array_of_arrays", gguf({text("k") + u32(9) + u32(9) + u64(0)}, {}), ErrorKind::kCorrupt,
     "array of type 9"},
    {"array_overflow", gguf({text("k") + u32(9) + u32(10) + u64(1ull << 61)}, {}), ErrorKind::kCorrupt,
     "overflows"},
    {"array_beyond_the_end", gguf({text("k") + u32(9) + u32(4) + u64(9)}, {}), ErrorKind::kCorrupt,
     "ends too early"},
    {"strings_beyond_the_end", gguf({text("k") + u32(9) + u32(8) + u64(UINT64_MAX)}, {}), ErrorKind::kCorrupt,
     "ends too early"},
    {"alignment_zero", gguf({uint32_key("general.alignment", 0)}, {}), ErrorKind::kCorrupt, "power of two"},
    {"alignment_odd", gguf({uint32_key("general.alignment", 33)}, {}), ErrorKind::kCorrupt, "power of two"},
    {"alignment_huge", gguf({uint32_key("general.alignment", 1u << 31)}, {}), ErrorKind::kLimit,
     "2147483648"},
    {"alignment_string", gguf({text("general.alignment") + u32(8) + text("32")}, {}), ErrorKind::kCorrupt,
     "general.alignment is not"},
    {"tensor_twice", gguf({}, {tensor("t", {1}, 0, 0), tensor("t", {1}, 0, 32)}), ErrorKind::kCorrupt,
     "tensor 't': offset"},
    {"five_dimensions", gguf({}, {tensor("t", {1, 1, 1, 1, 1}, 0, 0)}), ErrorKind::kCorrupt, "5 dimensions"},
    {"type_of_no_file", gguf({}, {tensor("t", {256}, 15, 0)}), ErrorKind::kUnsupported,
     "it is Q8_K, which ggml uses"},
    {"type_number_unknown", gguf({}, {tensor("t", {256}, 77, 0)}), ErrorKind::kUnsupported,
     "type 77 is not known: it is newer than this program"},
    {"type_retired", gguf({}, {tensor("t", {256}, 36, 0)}), ErrorKind::kUnsupported, "I2_S of bitnet.cpp"},
    {"elements_overflow", gguf({}, {tensor("t", {1ull << 32, 1ull << 32}, 0, 0)}), ErrorKind::kCorrupt,
     "number of elements overflows"},
    {"elements_negative", gguf({}, {tensor("t", {1ull << 63}, 24, 0)}), ErrorKind::kCorrupt,
     "number of elements overflows"},
    {"bytes_overflow", gguf({}, {tensor("t", {1ull << 62}, 0, 0)}), ErrorKind::kCorrupt,
     "size in bytes overflows"},
    {"data_overflow",
     gguf({}, {tensor("a", {1ull << 62}, 25, 0), tensor("b", {1ull << 62}, 25, 1ull << 63),
               tensor("c", {1ull << 62}, 25, 0)}),
     ErrorKind::kCorrupt, "size of the data overflows"},
    {"half_a_block", gguf({}, {tensor("t", {48, 2}, 2, 0)}), ErrorKind::kCorrupt, "not whole blocks of Q4_0"},
    {"overlap", gguf({}, {tensor("a", {16}, 0, 0), tensor("b", {1}, 0, 32)}), ErrorKind::kCorrupt,
     "data at 32 instead of 64"},
    {"hole", gguf({}, {tensor("a", {1}, 0, 0), tensor("b", {1}, 0, 64)}), ErrorKind::kCorrupt,
     "data at 64 instead of 32"},
    {"unaligned", gguf({}, {tensor("a", {1}, 0, 0), tensor("b", {1}, 0, 4)}), ErrorKind::kCorrupt,
     "data at 4 instead of 32"},
};

class BadGguf : public testing::TestWithParam<BadHeader> {};
INSTANTIATE_TEST_SUITE_P(Gguf, BadGguf, testing::ValuesIn(kBadHeaders),
                         [](const auto& bad) { return std::string(bad.param.name); });

TEST_P(BadGguf, is_one_named_error) {
  const BadHeader& bad = GetParam();
  expect_error(parse(bad.bytes), bad.kind, bad.message);
}

TEST(Gguf, data_must_fit_the_file) {
  TempFolder folder;
  const std::string path = folder.file("x.gguf");
  std::string header = gguf({}, {tensor("a", {3}, 0, 0)});
  header.resize((header.size() + 31) / 32 * 32);
  const auto open = [&](size_t data_bytes) {
    write_bytes(path, header + std::string(data_bytes, '\1'));
    return GgufFile::open(path);
  };
  expect_error(open(0), ErrorKind::kCorrupt, path);
  expect_error(open(11), ErrorKind::kCorrupt, "its tensors end at");
  ASSERT_OK(open(12));  // padding at the end may be left out
  ASSERT_OK(open(32));
  expect_error(open(33), ErrorKind::kCorrupt, "21 bytes follow the last tensor");
  write_bytes(path, gguf({}, {tensor("none", {0}, 0, 0)}));  // ends before its data section
  const auto empty = GgufFile::open(path);
  ASSERT_OK(empty);
  EXPECT_EQ(tensor_bytes(**empty, 0), "");
}

// Its length is known only when it was read: more than the first piece, and sizes that no file has.
TEST(Gguf, long_headers_are_read_in_growing_pieces) {
  const auto strings = [](uint64_t count, size_t length) {
    std::string array = text("list") + u32(9) + u32(8) + u64(count);
    for (uint64_t i = 0; i < count; ++i) array += text(std::string(length, 'x'));
    return array;
  };
  std::string bytes =
      gguf({strings(300'000, 20), text("last") + u32(8) + text("end")}, {tensor("a", {3}, 0, 0)});
  ASSERT_GT(bytes.size(), 4u << 20);
  bytes.resize((bytes.size() + 31) / 32 * 32 + 12);
  const auto opened = GgufFile::open(memory_byte_source(as_bytes(bytes), "long"));
  ASSERT_OK(opened);
  EXPECT_EQ((*opened)->header().find_string("last"), "end");
  expect_error(GgufFile::open(memory_byte_source(as_bytes(bytes).first(5 << 20), "cut")), ErrorKind::kCorrupt,
               "cut: offset");
}

TEST(Gguf, a_header_that_claims_all_of_a_large_file_is_not_read) {
  const std::string start = gguf({text("bytes") + u32(9) + u32(0) + u64(3ull << 30)}, {});
  uint64_t read = 0;
  const auto source =
      function_byte_source(4ull << 30, "large", [&](uint64_t offset, std::span<std::byte> out) {
        read += out.size();
        for (size_t i = 0; i < out.size(); ++i)
          out[i] = offset + i < start.size() ? static_cast<std::byte>(start[offset + i]) : std::byte{0};
        return Status::ok();
      });
  expect_error(GgufFile::open(source), ErrorKind::kLimit, "large");
  EXPECT_LT(read, 8u << 20);
}

TEST(Gguf, every_truncation_is_an_error) {
  const std::string whole = read_bytes(test_data("tiny.gguf"));
  const size_t needed = parse(whole)->data_start() + parse(whole)->data_bytes();
  ASSERT_LT(whole.size() - needed, 32u);
  TempFolder folder;
  for (size_t size = 0; size < needed; ++size) {
    write_bytes(folder.file("cut.gguf"), whole.substr(0, size));
    const auto opened = GgufFile::open(folder.file("cut.gguf"));
    ASSERT_FALSE(opened.is_ok()) << size;
    ASSERT_EQ(opened.error().kind, ErrorKind::kCorrupt) << size;
    ASSERT_EQ(opened.error().file, folder.file("cut.gguf"));
  }
}

// Copies a file through the sink, every tensor as `dtype` where its rows allow it.
void copy_as(const GgufFile& source, const GgufHeader& header, Dtype dtype, const std::string& path) {
  std::vector<TensorInfo> infos = source.tensors();
  for (TensorInfo& info : infos) {
    if (info.shape.back() % dtype_info(dtype).block_elements == 0) info.dtype = dtype;
  }
  Result<std::unique_ptr<TensorSink>> sink = create_gguf(path, header, infos);
  ASSERT_OK(sink);
  for (size_t i = 0; i < infos.size(); ++i) {
    std::vector<std::byte> bytes(*dtype_bytes(infos[i].dtype, infos[i].elements()));
    ASSERT_OK(from_f32(infos[i].dtype, floats(source, infos[i].name), bytes));
    ASSERT_OK((*sink)->write(i, std::span(bytes).first(bytes.size() / 2)));
    ASSERT_OK((*sink)->write(i, std::span(bytes).subspan(bytes.size() / 2)));
  }
  ASSERT_OK((*sink)->finish());
}

class GgufRoundTrip : public testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, GgufRoundTrip,
                         testing::Values(Dtype::kF32, Dtype::kF16, Dtype::kBF16, Dtype::kQ8_0, Dtype::kF64),
                         [](const auto& dtype) { return std::string(dtype_info(dtype.param).name); });

TEST_P(GgufRoundTrip, keeps_key_values_and_values) {
  TempFolder folder;
  const std::string path = folder.file("out.gguf");
  const auto source = GgufFile::open(test_data("tiny.gguf"));
  ASSERT_OK(source);
  // The header alone, as an archive stores it.
  const Result<GgufHeader> header = parse(to_string((*source)->header().bytes()));
  ASSERT_OK(header);
  copy_as(**source, *header, GetParam(), path);
  const auto copy = GgufFile::open(path);
  ASSERT_OK(copy);
  EXPECT_EQ(to_string((*copy)->header().key_values()), to_string(header->key_values()));
  EXPECT_EQ(std::filesystem::file_size(path) % 32, 0u);
  ASSERT_EQ((*copy)->tensors().size(), (*source)->tensors().size());
  for (const TensorInfo& info : (*source)->tensors()) {
    const std::vector<float> before = floats(**source, info.name), after = floats(**copy, info.name);
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i)
      ASSERT_NEAR(before[i], after[i], 0.02) << info.name << " " << i;
    if (GetParam() == Dtype::kF32 || GetParam() == Dtype::kF64) {
      EXPECT_EQ(before, after);
    }
  }
}

TEST(GgufSink, same_types_give_the_same_file) {
  TempFolder folder;
  const auto source = GgufFile::open(test_data("tiny.gguf"));
  ASSERT_OK(source);
  auto sink = create_gguf(folder.file("same.gguf"), (*source)->header(), (*source)->tensors());
  ASSERT_OK(sink);
  for (size_t i = 0; i < (*source)->tensors().size(); ++i) {
    ASSERT_OK((*sink)->write(i, as_bytes(tensor_bytes(**source, i))));
  }
  EXPECT_FALSE(std::filesystem::exists(folder.file("same.gguf")));
  ASSERT_OK((*sink)->finish());
  EXPECT_EQ(read_bytes(folder.file("same.gguf")), read_bytes(test_data("tiny.gguf")));
}

TEST(GgufSink, refuses_tensors_that_are_not_the_headers) {
  TempFolder folder;
  const Result<GgufHeader> header = parse(gguf({}, {tensor("a", {48}, 0, 0), tensor("b", {2, 3}, 0, 192)}));
  ASSERT_OK(header);
  const std::vector<TensorInfo> good = header->tensors();
  const auto create = [&](const std::vector<TensorInfo>& infos) {
    return create_gguf(folder.file("x.gguf"), *header, infos);
  };
  expect_error(create({good[0]}), ErrorKind::kInvalidArgument, "1 tensors to write, the GGUF header has 2");
  expect_error(create({good[1], good[0]}), ErrorKind::kInvalidArgument, "the GGUF header has 'a' here");
  std::vector<TensorInfo> infos = good;
  infos[1].shape = {2, 3};
  expect_error(create(infos), ErrorKind::kInvalidArgument, "tensor 'b': the GGUF header has another shape");
  infos = good;
  infos[0].dtype = Dtype::kQ8_0;
  expect_error(create(infos), ErrorKind::kInvalidArgument,
               "tensor 'a': rows of 48 values are not whole blocks of Q8_0");
  infos[0].dtype = Dtype::kBool;
  expect_error(create(infos), ErrorKind::kInvalidArgument, "GGUF has no type BOOL");
  {
    auto sink = create(good);
    ASSERT_OK(sink);
    expect_error((*sink)->finish(), ErrorKind::kInvalidArgument, "tensor 'a': 0 of its 192 bytes");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// The file type that a GGUF written with these dtypes has, where the header's F16 and F32 matrices had file type 1.
int64_t written_file_type(Dtype large, Dtype small) {
  TempFolder folder;
  const Result<GgufHeader> header =
      parse(gguf({uint32_key("general.file_type", 1), uint32_key("last", 7)},
                 {tensor("large", {256, 4}, 1, 0), tensor("small", {256}, 0, 2048)}));
  EXPECT_TRUE(header.is_ok());
  const std::vector<TensorInfo> infos = {{"large", large, {4, 256}}, {"small", small, {256}}};
  auto sink = create_gguf(folder.file("x.gguf"), *header, infos);
  EXPECT_TRUE(sink.is_ok());
  for (size_t i = 0; i < infos.size(); ++i) {
    const std::vector<std::byte> zeros(*dtype_bytes(infos[i].dtype, infos[i].elements()));
    EXPECT_TRUE((*sink)->write(i, zeros).is_ok());
  }
  EXPECT_TRUE((*sink)->finish().is_ok());
  const auto written = GgufFile::open(folder.file("x.gguf"));
  EXPECT_EQ((*written)->header().find_int("last"), 7);
  return (*written)->header().find_int("general.file_type").value();
}

TEST(GgufSink, file_type_is_that_of_most_weights) {
  EXPECT_EQ(written_file_type(Dtype::kF16, Dtype::kF32), 1);
  EXPECT_EQ(written_file_type(Dtype::kF32, Dtype::kF32), 0);
  EXPECT_EQ(written_file_type(Dtype::kBF16, Dtype::kF32), 32);
  EXPECT_EQ(written_file_type(Dtype::kQ8_0, Dtype::kF32), 7);
  EXPECT_EQ(written_file_type(Dtype::kIQ3_S, Dtype::kF16), 26);
}

// It may say more than their dtype does.
TEST(GgufSink, file_type_stays_where_most_weights_keep_their_type) {
  TempFolder folder;
  const Result<GgufHeader> header = parse(gguf({uint32_key("general.file_type", 14)},
                                               {tensor("a", {256, 4}, 12, 0), tensor("b", {256}, 14, 576)}));
  ASSERT_OK(header);
  std::vector<TensorInfo> infos = header->tensors();
  infos[1].dtype = Dtype::kF16;
  auto sink = create_gguf(folder.file("x.gguf"), *header, infos);
  ASSERT_OK(sink);
  ASSERT_OK((*sink)->write(0, std::vector<std::byte>(576)));
  ASSERT_OK((*sink)->write(1, std::vector<std::byte>(512)));
  ASSERT_OK((*sink)->finish());
  EXPECT_EQ((*GgufFile::open(folder.file("x.gguf")))->header().find_int("general.file_type"), 14);  // Q4_K_S
}

TEST(GgufTypes, numbers_lead_to_dtypes_and_back) {
  int dtypes = 0;
  for (uint32_t number = 0; number < 50; ++number) {
    const Result<Dtype> dtype = dtype_from_ggml_type(number);
    if (!dtype.is_ok()) continue;
    EXPECT_EQ(ggml_type_from_dtype(*dtype), number);
    ++dtypes;
  }
  EXPECT_EQ(dtypes, 33);  // of ggml 0.16: 43 numbers, 8 of them retired and 2 not written to files
  EXPECT_EQ(dtype_from_ggml_type(8).value(), Dtype::kQ8_0);
  EXPECT_EQ(dtype_from_ggml_type(30).value(), Dtype::kBF16);
  EXPECT_EQ(ggml_type_from_dtype(Dtype::kF8E4M3), std::nullopt);
}

// However large, a count is known to be too large before its first entry is read.
TEST(Gguf, counts_beyond_the_bytes_that_are_there) {
  const std::string list = text("list") + u32(9);
  const uint64_t huge = uint64_t{1} << 60;
  expect_error(parse(gguf({list + u32(8) + u64(huge)}, {})), ErrorKind::kCorrupt, "too early");
  expect_error(parse(gguf({list + u32(0) + u64(huge)}, {})), ErrorKind::kCorrupt, "too early");
  expect_error(parse(gguf({list + u32(8) + u64(3) + text("") + text("")}, {})), ErrorKind::kCorrupt,
               "too early");
  const auto counts = [](uint64_t tensors, uint64_t keys) {
    return "GGUF" + u32(3) + u64(tensors) + u64(keys);
  };
  expect_error(parse(counts(huge, 0)), ErrorKind::kLimit, "tensors");
  expect_error(parse(counts(0, huge)), ErrorKind::kLimit, "keys");
  expect_error(parse(counts(1000, 1000) + std::string(1000, '\0')), ErrorKind::kCorrupt,
               "offset 24: the header");
  // A file is not read to its end in search of them.
  uint64_t furthest = 0;
  const std::string start = gguf({list + u32(8) + u64(huge)}, {});
  const auto file =
      function_byte_source(uint64_t{1} << 32, "f", [&](uint64_t from, std::span<std::byte> out) {
        furthest = std::max(furthest, from + out.size());
        std::ranges::fill(out, std::byte{0});
        if (from == 0) std::memcpy(out.data(), start.data(), std::min(out.size(), start.size()));
        return Status::ok();
      });
  expect_error(GgufHeader::read(*file), ErrorKind::kCorrupt, "too early");
  EXPECT_LE(furthest, 1u << 20);
}

}  // namespace
}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/archive.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "small_archive.h"
#include "tensor/model_source.h"

namespace llmcodec {
namespace {

class ArchiveTest : public SmallArchive {};

std::string decoded(const Archive& archive, const std::string& name, const DecodeOptions& options = {}) {
  const auto tensor = archive.find(name);
  EXPECT_EQ(message_of(tensor), "");
  const auto bytes = archive.byte_size(*tensor, options.dtype);
  EXPECT_EQ(message_of(bytes), "");
  std::string out(*bytes, '?');
  EXPECT_EQ(message_of(archive.decode(*tensor, std::as_writable_bytes(std::span(out)), options)), "");
  return out;
}

std::string decoded_rows(const Archive& archive, const std::string& name, RowRange rows,
                         const DecodeOptions& options = {}) {
  const size_t tensor = archive.find(name).value();
  const uint64_t row = archive.byte_size(tensor, options.dtype).value() / archive.tensors()[tensor].rows;
  std::string out((rows.last - rows.first) * row, '?');
  EXPECT_EQ(message_of(archive.decode_rows(tensor, rows, std::as_writable_bytes(std::span(out)), options)),
            "");
  return out;
}

std::vector<float> floats_of(Dtype dtype, const std::string& bytes) {
  std::vector<float> values(bytes.size() / dtype_info(dtype).block_bytes);
  EXPECT_EQ(message_of(to_f32(dtype, as_bytes(bytes), values)), "");
  return values;
}

// Reads the archive from memory and remembers what was read.
struct Watched {
  std::string bytes;
  std::mutex mutex;
  std::vector<int> times;  // that each byte was read
  std::atomic<bool> fails = false;

  explicit Watched(const std::string& path) : bytes(read_bytes(path)), times(bytes.size()) {}
  Result<Archive> open() {
    return Archive::open_reader(bytes.size(), [this](uint64_t offset, std::span<std::byte> out) -> Status {
      if (fails) return error(ErrorKind::kIo, "the line is dead");
      const std::lock_guard lock(mutex);
      for (size_t i = 0; i < out.size(); ++i) ++times[offset + i];
      std::ranges::copy(as_bytes(bytes).subspan(offset, out.size()), out.begin());
      return Status::ok();
    });
  }
  uint64_t read() const { return std::accumulate(times.begin(), times.end(), uint64_t{0}); }
  int most() const { return *std::ranges::max_element(times); }
  void forget() { std::ranges::fill(times, 0); }
};

TEST_F(ArchiveTest, lists_every_tensor) {
  const auto archive = Archive::open(archive_);
  ASSERT_OK(archive);
  const std::vector<TensorInfo> infos = small_model();
  ASSERT_EQ(archive->tensors().size(), infos.size());
  for (size_t i = 0; i < infos.size(); ++i) {
    const ArchivedTensor& tensor = archive->tensors()[i];
    EXPECT_EQ(tensor.name, infos[i].name);
    EXPECT_EQ(tensor.dtype, dtype_info(infos[i].dtype).name);
    EXPECT_EQ(tensor.decoded_dtype, tensor.dtype);
    EXPECT_EQ(tensor.shape, infos[i].shape);
    EXPECT_EQ(tensor.elements, infos[i].elements());
    EXPECT_EQ(tensor.coded, i < 2) << tensor.name;
    EXPECT_GT(tensor.stored_bytes, 0u);
    EXPECT_EQ(archive->find(tensor.name).value(), i);
  }
  EXPECT_EQ(archive->tensors()[1].rows, 3 * 64u);
  EXPECT_EQ(archive->tensors()[1].cols, 96u);
  EXPECT_EQ(archive->tensors()[3].rows, 0u);  // a vector
}

TEST_F(ArchiveTest, decodes_what_decompress_restores_from_wherever_it_is) {
  const std::string bytes = read_bytes(archive_);
  Watched watched(archive_);
  auto from_path = Archive::open(archive_), from_memory = Archive::open_memory(as_bytes(bytes)),
       from_reader = watched.open();
  for (auto* archive : {&from_path, &from_memory, &from_reader}) {
    ASSERT_OK(*archive);
    for (const TensorInfo& info : small_model()) {
      for (const unsigned threads : {1u, 2u, 5u})
        EXPECT_TRUE(decoded(**archive, info.name, {.threads = threads}) == restored(info.name)) << info.name;
    }
  }
}

TEST_F(ArchiveTest, decodes_several_tensors_in_one_call_and_equal_ones_once) {
  CompressOptions twice = options();
  twice.input = folder_.file("twice.safetensors");
  twice.output = folder_.file("twice.archive");
  std::vector<TensorInfo> infos = small_model();
  infos.push_back({"tied", Dtype::kF32, {2400, 512}});
  const auto sink = create_safetensors(twice.input, infos, {{"format", "pt"}});
  ASSERT_OK(sink);
  for (size_t i = 0; i < infos.size(); ++i)
    ASSERT_OK((*sink)->write(i, as_bytes(small_model_bytes(i == 5 ? 0 : i))));
  ASSERT_OK((*sink)->finish());
  ASSERT_OK(compress(twice));
  Watched watched(twice.output);
  const auto archive = watched.open();
  ASSERT_OK(archive);
  EXPECT_EQ(archive->metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  watched.forget();
  std::vector<std::string> bytes;
  std::vector<TensorMemory> memories;
  for (size_t i = 0; i < infos.size(); ++i) bytes.emplace_back(archive->byte_size(i).value(), '?');
  for (size_t i = 0; i < infos.size(); ++i)
    memories.push_back({i, std::as_writable_bytes(std::span(bytes[i]))});
  ASSERT_OK(archive->decode(memories, {.threads = 3}));
  EXPECT_EQ(watched.most(), 1);
  for (size_t i = 0; i < infos.size(); ++i)
    EXPECT_TRUE(bytes[i] == restored(infos[i].name == "tied" ? "coded" : infos[i].name)) << infos[i].name;
  // What cannot be is said before anything is decoded.
  watched.forget();
  memories.back().out = memories.back().out.first(1);
  EXPECT_THAT(message_of(archive->decode(memories)), testing::HasSubstr("tied"));
  EXPECT_EQ(watched.read(), 0u);
}

TEST_F(ArchiveTest, positions_are_the_order_of_the_bytes) {
  Watched watched(archive_);
  const auto archive = watched.open();
  ASSERT_OK(archive);
  std::vector<std::pair<uint64_t, size_t>> order;
  for (size_t i = 0; i < archive->tensors().size(); ++i)
    order.emplace_back(archive->tensors()[i].position, i);
  std::ranges::sort(order);
  ptrdiff_t last = 0;
  for (const auto& [position, tensor] : order) {
    watched.forget();
    decoded(*archive, archive->tensors()[tensor].name);
    const ptrdiff_t first = std::ranges::find(watched.times, 1) - watched.times.begin();
    EXPECT_GT(first, last) << archive->tensors()[tensor].name;
    last = first;
  }
}

TEST_F(ArchiveTest, of_several_shards) {
  CompressOptions sharded = options();
  sharded.output = folder_.file("sharded");
  sharded.shard_bytes = 200'000;
  ASSERT_OK(compress(sharded));
  for (const std::string& path : {sharded.output, sharded.output + "/model.safetensors.index.json"}) {
    const auto archive = Archive::open(path);
    ASSERT_OK(archive);
    for (const TensorInfo& info : small_model())
      EXPECT_TRUE(decoded(*archive, info.name) == restored(info.name)) << info.name;
  }
}

TEST_F(ArchiveTest, many_threads_use_one_archive) {
  const auto archive = Archive::open(archive_);
  ASSERT_OK(archive);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      const std::string name = small_model()[t % 3].name;
      for (int i = 0; i < 3; ++i) wrong += decoded(*archive, name, {.threads = 1 + t % 2}) != restored(name);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(ArchiveTest, rounds_to_the_dtype_asked_for) {
  const auto archive = Archive::open(archive_);
  ASSERT_OK(archive);
  for (const char* name : {"coded", "experts", "norm", "small"}) {
    const std::vector<float> exact = floats_of(Dtype::kF32, decoded(*archive, name, {.dtype = "F32"}));
    for (const Dtype dtype : {Dtype::kF32, Dtype::kF16, Dtype::kBF16, Dtype::kF64, Dtype::kF8E4M3}) {
      std::string expected(dtype_bytes(dtype, exact.size()).value(), '\0');
      ASSERT_OK(from_f32(dtype, exact, std::as_writable_bytes(std::span(expected))));
      EXPECT_TRUE(decoded(*archive, name, {.dtype = dtype_info(dtype).name}) == expected)
          << name << " " << dtype_info(dtype).name;
    }
  }
}

TEST_F(ArchiveTest, rows_are_those_of_the_whole) {
  const auto archive = Archive::open(archive_);
  ASSERT_OK(archive);
  for (const char* name : {"coded", "experts", "small", "ids"}) {
    const std::string whole = restored(name);
    const uint64_t rows = archive->tensors()[archive->find(name).value()].rows, row = whole.size() / rows;
    for (const RowRange range :
         {RowRange{0, 1}, {rows / 3, rows / 3 + 2}, {rows - 1, rows}, {1, rows}, {0, rows}})
      EXPECT_TRUE(decoded_rows(*archive, name, range) ==
                  whole.substr(range.first * row, (range.last - range.first) * row))
          << name << " " << range.first;
  }
  const auto values = read_rows(archive_, "coded", {700, 702});
  ASSERT_OK(values);
  EXPECT_EQ(values->rows, 2u);
  EXPECT_TRUE(std::ranges::equal(std::as_bytes(std::span(values->values)),
                                 as_bytes(restored("coded")).subspan(700 * 2048, 2 * 2048)));
}

TEST_F(ArchiveTest, reads_only_what_it_needs_and_that_once) {
  Watched watched(archive_);
  const auto archive = watched.open();
  ASSERT_OK(archive);
  EXPECT_LT(watched.read(), watched.bytes.size() / 4);  // headers and description
  for (const ArchivedTensor& tensor : archive->tensors()) {
    watched.forget();
    decoded(*archive, tensor.name);
    EXPECT_EQ(watched.most(), 1) << tensor.name;
    EXPECT_LE(watched.read(), tensor.stored_bytes) << tensor.name;
  }
  watched.forget();
  decoded_rows(*archive, "coded", {5, 6});
  EXPECT_EQ(watched.most(), 1);
  EXPECT_LT(watched.read(), archive->tensors()[0].stored_bytes * 2 / 3);  // one picture of two
  watched.forget();
  decoded_rows(*archive, "small", {5, 6});
  EXPECT_EQ(watched.read(), 48u);  // checked by nothing, and so read by nothing else
}

TEST_F(ArchiveTest, a_call_can_be_cancelled) {
  const auto archive = Archive::open(archive_);
  ASSERT_OK(archive);
  std::string out(restored("coded").size(), '\0');
  for (const char* name : {"coded", "ids"}) {
    out.resize(restored(name).size());
    const size_t tensor = archive->find(name).value();
    expect_error(
        archive->decode(tensor, std::as_writable_bytes(std::span(out)), {.cancelled = [] { return true; }}),
        ErrorKind::kInterrupted, name);
  }
}

TEST_F(ArchiveTest, wrong_arguments_are_named) {
  const auto archive = Archive::open(archive_);
  ASSERT_OK(archive);
  std::vector<std::byte> out(100);
  const size_t coded = archive->find("coded").value(), norm = archive->find("norm").value(),
               ids = archive->find("ids").value();
  expect_error(archive->find("other"), ErrorKind::kInvalidArgument,
               "'other': is not a tensor of this archive");
  expect_error(archive->decode(coded, out), ErrorKind::kInvalidArgument,
               "a buffer of 100 bytes for 4915200 bytes");
  expect_error(archive->decode(99, out), ErrorKind::kInvalidArgument, "tensor 99 of 5");
  expect_error(archive->byte_size(99), ErrorKind::kInvalidArgument, "tensor 99 of 5");
  expect_error(archive->byte_size(coded, "F31"), ErrorKind::kUnsupported, "F31");
  expect_error(archive->byte_size(coded, "Q8_0"), ErrorKind::kUnsupported, "F32 does not become Q8_0");
  expect_error(archive->byte_size(ids, "F32"), ErrorKind::kUnsupported, "I64 does not become F32");
  expect_error(archive->decode_rows(norm, {0, 1}, out), ErrorKind::kInvalidArgument, "'norm': is no matrix");
  for (const RowRange rows : {RowRange{2, 2}, {3, 2}, {0, 2401}, {2400, 2401}})
    expect_error(archive->decode_rows(coded, rows, out), ErrorKind::kInvalidArgument,
                 "of a tensor of 2400 rows");
  expect_error(Archive::open(source_), ErrorKind::kInvalidArgument, "is no llmcodec archive");
  expect_error(Archive::open(folder_.file("absent")), ErrorKind::kIo, "absent");
}

TEST_F(ArchiveTest, damage_is_noticed_and_failing_readers_are_passed_on) {
  Watched watched(archive_);
  const auto archive = watched.open();
  ASSERT_OK(archive);
  std::vector<std::byte> out;
  for (const char* name : {"coded", "norm"}) {
    watched.forget();
    decoded(*archive, name);
    const size_t last =
        watched.times.rend() - std::ranges::find(watched.times.rbegin(), watched.times.rend(), 1) - 1;
    watched.bytes[last] ^= 1;
    out.resize(restored(name).size());
    expect_error(archive->decode(archive->find(name).value(), out), ErrorKind::kCorrupt, name);
  }
  watched.fails = true;
  expect_error(archive->decode(archive->find("norm").value(), out), ErrorKind::kIo, "the line is dead");
  expect_error(watched.open(), ErrorKind::kIo, "the line is dead");
}

TEST(ArchiveOfGguf, blocks_come_back_bit_for_bit_or_as_floats) {
  TempFolder folder;
  CompressOptions options;
  options.input = test_data("tiny.gguf");
  options.output = folder.file("archive.safetensors");
  ASSERT_OK(compress(options));
  const auto archive = Archive::open(options.output);
  ASSERT_OK(archive);
  const auto source = open_model(options.input);
  ASSERT_OK(source);
  for (size_t i = 0; i < source->source->tensors().size(); ++i) {
    const TensorInfo& info = source->source->tensors()[i];
    EXPECT_TRUE(decoded(*archive, info.name) == tensor_bytes(*source->source, i)) << info.name;
    std::vector<float> values(info.elements());
    ASSERT_OK(source->source->read_f32(i, 0, values));
    EXPECT_TRUE(floats_of(Dtype::kF32, decoded(*archive, info.name, {.dtype = "F32"})) == values)
        << info.name;
  }
  const std::string whole = decoded(*archive, "Q4_1.weight");
  EXPECT_TRUE(decoded_rows(*archive, "Q4_1.weight", {1, 3}) ==
              whole.substr(whole.size() / 4, whole.size() / 2));
}

}  // namespace
}  // namespace llmcodec

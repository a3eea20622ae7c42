// SPDX-License-Identifier: BSD-3-Clause
#include "archive/archive_writer.h"

#include <functional>

#include "../tensor/tensor_test_files.h"
#include "archive/archive_reader.h"
#include "base/error.h"
#include "small_description.h"

namespace llmcodec {
namespace {

TensorRecord record_of(uint64_t elements) {
  TensorRecord record;
  record.dtype = "U8";
  record.shape = {elements};
  record.rows = elements;
  record.cols = 1;
  record.stages = {{{"stage", "verbatim"}}};
  return record;
}

class ArchiveWriterTest : public testing::Test {
 protected:
  ArchiveLayout layout(size_t shards = 1) {
    ArchiveLayout layout;
    for (size_t i = 0; i < shards; ++i)
      layout.shards.push_back({folder_.file(fmt::format("s{}.safetensors", i)), 4096});
    if (shards > 1) layout.index_path = folder_.file("model.safetensors.index.json");
    if (shards > 1) layout.folder = folder_.path();
    layout.journal_path = folder_.file("journal");
    layout.key = "key";
    layout.tensors["a"] = {{"a", Dtype::kU8, {11}}, 0, true};
    layout.tensors["b"] = {{"b", Dtype::kU8, {12}}, shards - 1, true};
    layout.tensors["x"] = {{"x", Dtype::kU8, {5}}, shards - 1, false};
    for (size_t i = 0; i < 6; ++i) {
      const std::string name = fmt::format("t{}", i);
      layout.tensors[name] = {{name, Dtype::kU8, {8}}, (2 * i + 2) % shards, false};
    }
    return layout;
  }
  static Status coded(ArchiveWriter& writer, const std::string& name, const std::string& bytes,
                      size_t shard) {
    LLMC_RETURN_IF_ERROR(writer.begin_tensor(name, shard));
    LLMC_RETURN_IF_ERROR(writer.begin_part("data"));
    LLMC_RETURN_IF_ERROR(writer.append(as_bytes(bytes)));
    LLMC_RETURN_IF_ERROR(writer.end_part());
    return writer.end_tensor(record_of(bytes.size()), {1.5, static_cast<double>(bytes.size())});
  }
  static Status exact(ArchiveWriter& writer, const std::string& name, const std::string& bytes,
                      size_t shard) {
    LLMC_RETURN_IF_ERROR(writer.begin_exact({name, Dtype::kU8, {bytes.size()}}, shard));
    LLMC_RETURN_IF_ERROR(writer.append(as_bytes(bytes)));
    return writer.end_exact();
  }
  // Everything that is not done yet.
  static Status write_rest(ArchiveWriter& writer, size_t last_shard = 0) {
    if (!writer.is_done("a")) LLMC_RETURN_IF_ERROR(coded(writer, "a", "coded bytes", 0));
    if (!writer.is_done("b")) LLMC_RETURN_IF_ERROR(coded(writer, "b", "more of them", last_shard));
    if (!writer.is_done("x")) LLMC_RETURN_IF_ERROR(exact(writer, "x", "exact", last_shard));
    return writer.finish(of_one_file());
  }
  std::string undisturbed() {
    auto writer = ArchiveWriter::open(layout());
    EXPECT_EQ(message_of(writer), "");
    EXPECT_EQ(message_of(write_rest(*writer)), "");
    std::string bytes = read_bytes(folder_.file("s0.safetensors"));
    std::filesystem::remove(folder_.file("s0.safetensors"));
    return bytes;
  }
  // A run that ends inside tensor "b", as a kill leaves it.
  void interrupt() {
    auto writer = ArchiveWriter::open(layout());
    ASSERT_OK(writer);
    ASSERT_OK(coded(*writer, "a", "coded bytes", 0));
    ASSERT_OK(writer->begin_tensor("b", 0));
    ASSERT_OK(writer->begin_part("data"));
    ASSERT_OK(writer->append(as_bytes("more")));
    writer->keep_for_resume();
  }
  TempFolder folder_;
};

TEST_F(ArchiveWriterTest, what_was_written_is_read_and_nothing_is_left_over) {
  undisturbed();
  {
    auto writer = ArchiveWriter::open(layout(2));
    ASSERT_OK(writer);
    ASSERT_OK(write_rest(*writer, 1));
    // Who reads what was just written reads that, and not what comes after it.
    EXPECT_FALSE(OutputLock::folder(folder_.path()).is_ok());
  }
  const auto archive = ArchiveReader::open(folder_.path());
  ASSERT_OK(archive);
  const auto part = (*archive)->part("b", "data");
  ASSERT_OK(part);
  EXPECT_TRUE(std::ranges::equal(*part, as_bytes("more of them")));
  ASSERT_OK((*archive)->exact("x"));
  EXPECT_EQ((*archive)->exact_tensors().size(), 1u);
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path())) ++files;
  EXPECT_EQ(files, 3u);  // two shards, the index; no journal, no partial file
}

// "a", which the first shard holds, is said by the second to be the same as its "x".
TEST_F(ArchiveWriterTest, what_is_wrong_with_a_copy_is_said_of_its_own_shard) {
  auto writer = ArchiveWriter::open(layout(2));
  ASSERT_OK(writer);
  ASSERT_OK(coded(*writer, "a", "coded bytes", 0));
  ASSERT_OK(coded(*writer, "b", "more of them", 1));
  ASSERT_OK(exact(*writer, "x", "exact", 1));
  Description description = of_one_file();
  description.same_as["a"] = {"U8", {5}, "x"};
  const Status status = writer->finish(description);
  expect_error(status, ErrorKind::kInternal, "is the same as 'x', and is stored as well");
  EXPECT_NE(status.error().file.find("s1.safetensors"), std::string::npos) << status.error().file;
}

TEST_F(ArchiveWriterTest, a_resumed_run_gives_the_same_bytes_and_remembers_memos) {
  const std::string expected = undisturbed();
  interrupt();
  auto writer = ArchiveWriter::open(layout());
  ASSERT_OK(writer);
  EXPECT_TRUE(writer->is_done("a"));
  EXPECT_FALSE(writer->is_done("b"));
  EXPECT_EQ(writer->memos().at("a"), (std::vector<double>{1.5, 11}));
  ASSERT_OK(write_rest(*writer));
  EXPECT_EQ(read_bytes(folder_.file("s0.safetensors")), expected);
}

TEST_F(ArchiveWriterTest, data_that_a_power_cut_lost_is_written_again) {
  const std::string expected = undisturbed();
  const std::string partial = AtomicFile::partial_path(folder_.file("s0.safetensors"));
  for (const bool shortened : {false, true}) {
    interrupt();
    std::string bytes = read_bytes(partial);
    bytes[4096] ^= 1;
    write_bytes(partial, shortened ? bytes.substr(0, 4100) : bytes);
    auto writer = ArchiveWriter::open(layout());
    ASSERT_OK(writer);
    EXPECT_FALSE(writer->is_done("a"));
    EXPECT_TRUE(writer->memos().empty());
    ASSERT_OK(write_rest(*writer));
    EXPECT_EQ(read_bytes(folder_.file("s0.safetensors")), expected);
  }
}

TEST_F(ArchiveWriterTest, another_key_is_refused_until_restarted) {
  interrupt();
  ArchiveLayout other = layout();
  other.key = "other";
  expect_error(ArchiveWriter::open(other), ErrorKind::kInvalidArgument, "--restart");
  other.restart = true;
  auto writer = ArchiveWriter::open(other);
  ASSERT_OK(writer);
  EXPECT_FALSE(writer->is_done("a"));
}

TEST_F(ArchiveWriterTest, given_up_without_a_word_it_leaves_no_broken_archive) {
  {
    auto writer = ArchiveWriter::open(layout());
    ASSERT_OK(writer);
    ASSERT_OK(coded(*writer, "a", "coded bytes", 0));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.file("s0.safetensors")));
  EXPECT_FALSE(std::filesystem::exists(AtomicFile::partial_path(folder_.file("s0.safetensors"))));
}

TEST_F(ArchiveWriterTest, a_header_without_room_is_our_own_mistake) {
  ArchiveLayout tight = layout();
  tight.shards[0].header_bytes = 64;
  auto writer = ArchiveWriter::open(tight);
  ASSERT_OK(writer);
  const Status status = write_rest(*writer);
  ASSERT_FALSE(status.is_ok());
  EXPECT_FALSE(std::filesystem::exists(tight.shards[0].path));
}

TEST_F(ArchiveWriterTest, what_cannot_be_read_back_gets_no_name) {
  for (const size_t shards : {1u, 2u}) {
    auto writer = ArchiveWriter::open(layout(shards));
    ASSERT_OK(writer);
    ASSERT_OK(coded(*writer, "a", "coded bytes", 0));
    // No reader takes a part of this name.
    ASSERT_OK(writer->begin_tensor("b", shards - 1));
    ASSERT_OK(writer->begin_part("unknown"));
    ASSERT_OK(writer->end_part());
    ASSERT_OK(writer->end_tensor(record_of(0)));
    expect_error(writer->finish(of_one_file()), ErrorKind::kInternal,
                 "the archive just written cannot be read back");
    writer->abandon();
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  }
}

TEST_F(ArchiveWriterTest, a_check_sees_the_whole_archive_before_it_has_a_name) {
  auto writer = ArchiveWriter::open(layout(2));
  ASSERT_OK(writer);
  ASSERT_OK(coded(*writer, "a", "coded bytes", 0));
  ASSERT_OK(exact(*writer, "x", "exact", 1));
  const Status status = writer->finish(of_one_file(), [&](const ArchiveReader& written) -> Status {
    EXPECT_EQ(written.files().size(), 2u);
    EXPECT_TRUE(written.part("a", "data").is_ok());
    EXPECT_TRUE(written.exact("x").is_ok());
    EXPECT_FALSE(std::filesystem::exists(folder_.file("s0.safetensors")));
    return error(ErrorKind::kLimit, "too much");
  });
  expect_error(status, ErrorKind::kLimit, "too much");
  writer->abandon();
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(ArchiveWriterTest, shards_are_written_in_any_order_also_after_a_kill) {
  const auto write = [&](ArchiveWriter& writer, size_t last) {
    for (size_t i = 0; i < last; ++i) {
      const std::string name = fmt::format("t{}", i);
      if (!writer.is_done(name)) ASSERT_OK(exact(writer, name, name + " bytes", (2 * i + 2) % 3));
    }
  };
  std::vector<std::string> expected;
  for (size_t cut = 0; cut <= 5; ++cut) {
    {
      auto writer = ArchiveWriter::open(layout(3));
      ASSERT_OK(writer);
      write(*writer, cut);
      writer->keep_for_resume();
    }
    auto writer = ArchiveWriter::open(layout(3));
    ASSERT_OK(writer);
    write(*writer, 6);
    ASSERT_OK(writer->finish(of_one_file()));
    const auto archive = ArchiveReader::open(folder_.path());
    ASSERT_OK(archive);
    EXPECT_EQ((*archive)->exact_tensors().size(), 6u);
    for (size_t i = 0; i < 3; ++i) {
      const std::string bytes = read_bytes(folder_.file(fmt::format("s{}.safetensors", i)));
      if (cut == 0) expected.push_back(bytes);
      EXPECT_EQ(bytes, expected[i]);
    }
  }
}

TEST_F(ArchiveWriterTest, a_missing_shard_is_noticed_even_when_the_index_hides_it) {
  auto writer = ArchiveWriter::open(layout(2));
  ASSERT_OK(writer);
  ASSERT_OK(write_rest(*writer, 1));
  write_bytes(folder_.file("model.safetensors.index.json"),
              R"({"weight_map": {"a.data": "s0.safetensors", "llmcodec.description.0": "s0.safetensors"}})");
  expect_error(ArchiveReader::open(folder_.path()), ErrorKind::kCorrupt, "shard 1 of 2");
}

// A journal line that is whole, of the right types and has its checksum, but says what this run cannot have written.
TEST_F(ArchiveWriterTest, entries_that_do_not_fit_the_plan_or_the_file_are_written_again) {
  const std::string expected = undisturbed();
  const auto change = [&](const auto& edit) {
    interrupt();
    const OutputLock lock = OutputLock::file(folder_.file("s0.safetensors")).value();
    auto journal = Journal::open(lock, layout().journal_path, "key", false);
    ASSERT_OK(journal);
    JournalEntry entry = journal->entries().at(0);
    ASSERT_OK(journal->keep_only(0));
    edit(entry);
    ASSERT_OK(journal->append(entry));
  };
  using Edit = std::function<void(JournalEntry&)>;
  const std::vector<Edit> edits = {
      [](JournalEntry& e) { e.name = "unknown"; },
      [](JournalEntry& e) { e.shard = 1; },
      [](JournalEntry& e) { e.shard = SIZE_MAX; },
      [](JournalEntry& e) { e.entries.clear(); },
      [](JournalEntry& e) { e.entries.push_back(e.entries[0]); },
      [](JournalEntry& e) { e.entries[0].end = 1ull << 63; },
      [](JournalEntry& e) { e.entries[0].end = UINT64_MAX; },
      [](JournalEntry& e) { e.entries[0].begin = e.entries[0].end += 8; },
      [](JournalEntry& e) { e.entries[0].info.name = "b.data"; },
      [](JournalEntry& e) { e.entries[0].info.dtype = Dtype::kF32; },
      [](JournalEntry& e) { e.entries[0].info.shape = {17}; },
      [](JournalEntry& e) { e.record->parts["data"].bytes = UINT64_MAX; },
      [](JournalEntry& e) { e.record->parts["data"].bytes = 3; },
      [](JournalEntry& e) { e.record->parts["data"].xxh3_128 = "other"; },
      [](JournalEntry& e) { e.record->parts["more"] = {}; },
      [](JournalEntry& e) { e.record->parts.clear(); },
      [](JournalEntry& e) { e.record->shape = {12}; },
      [](JournalEntry& e) { e.record->dtype = "I8"; },
      [](JournalEntry& e) { e.record.reset(); },
  };
  for (size_t i = 0; i < edits.size(); ++i) {
    change(edits[i]);
    auto writer = ArchiveWriter::open(layout());
    ASSERT_OK(writer);
    EXPECT_FALSE(writer->is_done("a")) << i;
    EXPECT_NE(writer->dropped(), "") << i;
    ASSERT_OK(write_rest(*writer));
    EXPECT_EQ(read_bytes(folder_.file("s0.safetensors")), expected) << i;
  }
  change([](JournalEntry&) {});  // nothing but the way there
  EXPECT_TRUE(ArchiveWriter::open(layout())->is_done("a"));
}

TEST_F(ArchiveWriterTest, a_tensor_comes_once) {
  interrupt();
  const std::string journal = read_bytes(layout().journal_path);
  write_bytes(layout().journal_path, journal + journal.substr(journal.find('\n') + 1));
  auto writer = ArchiveWriter::open(layout());
  ASSERT_OK(writer);
  EXPECT_TRUE(writer->is_done("a"));
  EXPECT_NE(writer->dropped().find("twice"), std::string::npos) << writer->dropped();
}

TEST_F(ArchiveWriterTest, a_shard_that_was_begun_without_a_finished_tensor_is_begun_again) {
  {
    auto writer = ArchiveWriter::open(layout(2));
    ASSERT_OK(writer);
    ASSERT_OK(coded(*writer, "a", "coded bytes", 0));
    ASSERT_OK(writer->begin_tensor("b", 1));
    writer->keep_for_resume();
  }
  auto writer = ArchiveWriter::open(layout(2));
  ASSERT_OK(writer);
  EXPECT_TRUE(writer->is_done("a"));
  ASSERT_OK(write_rest(*writer, 1));
  ASSERT_OK(ArchiveReader::open(folder_.path()));
}

}  // namespace
}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "archive/journal.h"

#include "../tensor/tensor_test_files.h"

namespace llmcodec {
namespace {

using nlohmann::json;

class JournalTest : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<json> lines;
    auto journal = Journal::open(path_, "key", false, &lines);
    ASSERT_OK(journal);
    ASSERT_OK(journal->append({{"name", "a"}}));
    ASSERT_OK(journal->append({{"name", "b"}}));
    whole_ = read_bytes(path_);
  }
  std::vector<json> resumed(const std::string& bytes) {
    write_bytes(path_, bytes);
    std::vector<json> lines;
    const auto journal = Journal::open(path_, "key", false, &lines);
    EXPECT_EQ(message_of(journal), "");
    return lines;
  }
  TempFolder folder_;
  std::string path_ = folder_.file("x.journal");
  std::string whole_;
};

TEST_F(JournalTest, a_kill_at_any_byte_loses_whole_lines_only) {
  for (size_t size = 0; size <= whole_.size(); ++size) {
    const std::vector<json> lines = resumed(whole_.substr(0, size));
    ASSERT_LE(lines.size(), 2u);
    if (!lines.empty()) {
      EXPECT_EQ(lines[0]["name"], "a");
    }
    EXPECT_EQ(lines.size() == 2, size == whole_.size()) << size;
  }
}

TEST_F(JournalTest, what_follows_a_cut_line_starts_on_a_line_of_its_own) {
  write_bytes(path_, whole_.substr(0, whole_.size() - 3));
  {
    std::vector<json> lines;
    auto journal = Journal::open(path_, "key", false, &lines);
    ASSERT_OK(journal);
    ASSERT_OK(journal->append({{"name", "c"}}));
  }
  const std::vector<json> lines = resumed(read_bytes(path_));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["name"], "c");
}

TEST_F(JournalTest, another_key_is_refused_and_nothing_lost) {
  std::vector<json> lines;
  expect_error(Journal::open(path_, "other", false, &lines), ErrorKind::kInvalidArgument, "--restart");
  EXPECT_EQ(read_bytes(path_), whole_);
}

TEST_F(JournalTest, another_file_is_not_taken_for_a_journal) {
  std::vector<json> lines;
  write_bytes(path_, "{\"no\": \"journal\"}\n");
  expect_error(Journal::open(path_, "key", false, &lines), ErrorKind::kCorrupt, "journal");
}

TEST_F(JournalTest, a_line_that_is_no_entry_or_nested_deeply_is_corrupt) {
  for (const std::string& line :
       {std::string("nonsense"), std::string(200'000, '[') + std::string(200'000, ']')}) {
    write_bytes(path_, whole_ + line + "\n");
    std::vector<json> lines;
    const auto journal = Journal::open(path_, "key", false, &lines);
    expect_error(journal, ErrorKind::kCorrupt, path_);
    EXPECT_EQ(journal.error().offset, whole_.size());
  }
}

TEST_F(JournalTest, an_empty_file_is_a_new_journal_that_can_be_cut) {
  write_bytes(path_, "");
  std::vector<json> lines;
  {
    auto journal = Journal::open(path_, "key", false, &lines);
    ASSERT_OK(journal);
    ASSERT_OK(journal->append({{"name", "a"}}));
    ASSERT_OK(journal->keep_only(0));
    ASSERT_OK(journal->append({{"name", "c"}}));
  }
  ASSERT_OK(Journal::open(path_, "key", false, &lines));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["name"], "c");
}

TEST_F(JournalTest, only_one_run_has_it_at_a_time) {
  std::vector<json> lines;
  {
    const auto first = Journal::open(path_, "key", false, &lines);
    ASSERT_OK(first);
    for (const bool restart : {false, true})
      expect_error(Journal::open(path_, "key", restart, &lines), ErrorKind::kInvalidArgument,
                   "another llmcodec");
    EXPECT_EQ(read_bytes(path_), whole_);
  }
  ASSERT_OK(Journal::open(path_, "key", false, &lines));
  EXPECT_EQ(lines.size(), 2u);
}

}  // namespace
}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "archive/journal.h"

#include <limits>

#include "../tensor/tensor_test_files.h"
#include "archive/checksum.h"

namespace llmcodec {
namespace {

using nlohmann::json;

class JournalTest : public testing::Test {
 protected:
  void SetUp() override {
    auto journal = open();
    ASSERT_OK(journal);
    ASSERT_OK(journal->append(entry("a")));
    ASSERT_OK(journal->append(entry("b")));
    whole_ = read_bytes(path_);
  }
  Result<Journal> open(const std::string& key = "key", bool restart = false) {
    return Journal::open(lock_, path_, key, restart);
  }
  static JournalEntry entry(const std::string& name) {
    JournalEntry entry;
    entry.name = name;
    entry.entries = {{{name, Dtype::kU8, {8}}, 0, 8}};
    entry.exact_xxh3_128 = "checksum";
    entry.memo = {1.5, -2};
    return entry;
  }
  Result<Journal> resumed(const std::string& bytes) {
    write_bytes(path_, bytes);
    return open();
  }
  // The line of `value` with the checksum that it must have.
  static std::string line(json value) {
    const std::string text = value.dump();
    value["xxh3_128"] = xxh3_128(as_bytes(text));
    return value.dump() + "\n";
  }
  TempFolder folder_;
  OutputLock lock_ = OutputLock::file(folder_.file("x")).value();
  std::string path_ = folder_.file("x.journal");
  std::string whole_;
};

TEST_F(JournalTest, entries_come_back_as_they_were) {
  const auto journal = open();
  ASSERT_OK(journal);
  ASSERT_EQ(journal->entries().size(), 2u);
  const JournalEntry& b = journal->entries()[1];
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(b.entries[0].info.shape, std::vector<uint64_t>{8});
  EXPECT_EQ(b.entries[0].end, 8u);
  EXPECT_EQ(b.exact_xxh3_128, "checksum");
  EXPECT_EQ(b.memo, (std::vector<double>{1.5, -2}));
  EXPECT_TRUE(journal->existed());
  EXPECT_EQ(journal->dropped(), "");
}

TEST_F(JournalTest, a_kill_at_any_byte_loses_whole_lines_only) {
  for (size_t size = 0; size <= whole_.size(); ++size) {
    const auto journal = resumed(whole_.substr(0, size));
    ASSERT_OK(journal);
    const auto& entries = journal->entries();
    ASSERT_LE(entries.size(), 2u);
    if (!entries.empty()) {
      EXPECT_EQ(entries[0].name, "a");
    }
    EXPECT_EQ(entries.size() == 2, size == whole_.size()) << size;
    EXPECT_EQ(journal->dropped(), "");
  }
}

TEST_F(JournalTest, what_follows_a_cut_line_starts_on_a_line_of_its_own) {
  ASSERT_OK(resumed(whole_.substr(0, whole_.size() - 3))->append(entry("c")));
  const auto journal = open();
  ASSERT_OK(journal);
  ASSERT_EQ(journal->entries().size(), 2u);
  EXPECT_EQ(journal->entries()[1].name, "c");
}

TEST_F(JournalTest, another_key_is_refused_and_nothing_lost) {
  expect_error(open("other"), ErrorKind::kInvalidArgument, "--restart");
  EXPECT_EQ(read_bytes(path_), whole_);
  ASSERT_OK(open("other", true));
  EXPECT_EQ(open("other")->entries().size(), 0u);
}

TEST_F(JournalTest, another_file_is_not_taken_for_a_journal) {
  for (const char* text : {R"({"no": "journal"})", R"({"key": 5})", "[1]", "5", "text", R"("key")", "{"}) {
    expect_error(resumed(std::string(text) + "\n"), ErrorKind::kCorrupt, "--restart");
    EXPECT_EQ(read_bytes(path_), std::string(text) + "\n");
  }
}

// Lines that no kill leaves: the first bad one ends the journal, with a word.
TEST_F(JournalTest, a_bad_line_and_what_follows_it_are_dropped) {
  const std::string good = whole_.substr(whole_.find('\n', whole_.find('\n') + 1) + 1);
  std::vector<std::string> bad = {"nonsense\n",
                                  "NaN\n",
                                  "5\n",
                                  "[1]\n",
                                  "null\n",
                                  "{}\n",
                                  std::string(100, '\0') + "\n",
                                  std::string(200'000, '[') + std::string(200'000, ']') + "\n"};
  std::string flipped = good;
  flipped[good.find("[8]") + 1] = '9';
  bad.push_back(flipped);
  for (const std::string& text : bad) {
    const auto journal = resumed(whole_ + text + good);
    ASSERT_OK(journal);
    EXPECT_EQ(journal->entries().size(), 2u) << text.substr(0, 80);
    EXPECT_NE(journal->dropped().find(path_ + ": offset " + std::to_string(whole_.size())), std::string::npos)
        << journal->dropped();
    EXPECT_EQ(read_bytes(path_), whole_);
  }
}

// With a right checksum: what has another type than it should, or a value that cannot be.
TEST_F(JournalTest, a_line_of_other_types_is_dropped) {
  const json good = {{"name", "c"}, {"shard", 0}, {"entries", {{"c", "U8", {8}, 8, 16}}}, {"exact", "x"}};
  EXPECT_EQ(resumed(whole_ + line(good))->entries().size(), 3u);
  const auto with = [&](const char* key, json value) {
    json changed = good;
    changed[key] = std::move(value);
    return changed;
  };
  std::vector<json> bad = {with("name", 5),
                           with("name", nullptr),
                           with("shard", "x"),
                           with("shard", -1),
                           with("shard", 1.5),
                           with("entries", 5),
                           with("entries", {{"a", 1}}),
                           with("entries", {5}),
                           with("exact", 7),
                           with("record", 5),
                           with("record", json::object()),
                           with("memo", "x"),
                           with("memo", {"x"})};
  for (const json& part :
       {json({"c", "U8", {8}, 8}), json({"c", "U9", {8}, 8, 16}), json({5, "U8", {8}, 8, 16}),
        json({"c", "U8", 8, 8, 16}), json({"c", "U8", {-8}, 8, 16}), json({"c", "U8", {8}, -8, 16}),
        json({"c", "U8", {8}, 8, 16.5}), json({"c", "U8", {8}, 16, 8}), json({"c", "U8", {8}, nullptr, 8})})
    bad.push_back(with("entries", {part}));
  for (const char* key : {"name", "shard", "entries", "exact"}) {
    bad.push_back(good);
    bad.back().erase(key);
  }
  for (const json& value : bad) {
    const auto journal = resumed(whole_ + line(value));
    ASSERT_OK(journal);
    EXPECT_EQ(journal->entries().size(), 2u) << value;
    EXPECT_NE(journal->dropped(), "") << value;
  }
}

TEST_F(JournalTest, a_memo_that_json_cannot_hold_is_left_out) {
  JournalEntry odd = entry("c");
  odd.memo = {std::numeric_limits<double>::quiet_NaN()};
  ASSERT_OK(open()->append(odd));
  const auto journal = open();
  ASSERT_EQ(journal->entries().size(), 3u);
  EXPECT_TRUE(journal->entries()[2].memo.empty());
}

TEST_F(JournalTest, an_empty_file_is_a_new_journal_that_can_be_cut) {
  write_bytes(path_, "");
  {
    auto journal = open();
    ASSERT_OK(journal);
    ASSERT_OK(journal->append(entry("a")));
    ASSERT_OK(journal->keep_only(0));
    ASSERT_OK(journal->append(entry("c")));
  }
  const auto journal = open();
  ASSERT_OK(journal);
  ASSERT_EQ(journal->entries().size(), 1u);
  EXPECT_EQ(journal->entries()[0].name, "c");
}

TEST_F(JournalTest, no_link_is_followed) {
  write_bytes(folder_.file("precious"), "precious");
  std::filesystem::remove(path_);
  std::filesystem::create_symlink(folder_.file("precious"), path_);
  expect_error(open("key", true), ErrorKind::kIo, "cannot open");
  EXPECT_EQ(read_bytes(folder_.file("precious")), "precious");
}

}  // namespace
}  // namespace llmcodec

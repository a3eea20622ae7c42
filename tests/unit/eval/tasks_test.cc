// SPDX-License-Identifier: BSD-3-Clause
#include "eval/tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace llmcodec {
namespace {

using ::testing::HasSubstr;

// llama.cpp's binary layout, written out by hand: count, offsets, then per task its question, the answers
// with their labels, and an empty second answer set.
TEST(MultipleChoice, writes_the_layout_that_llama_cpp_reads) {
  auto file =
      multiple_choice_from_jsonl("{\"query\": \"Q \\n\", \"choices\": [\"ab\", \" c\"], \"gold\": 1}\n", 0);
  ASSERT_TRUE(file.is_ok()) << file.error().to_string();
  const std::string expected(
      "\x01\0\0\0"                         // tasks
      "\x08\0\0\0"                         // offset of the first
      "\x09\0\0\0Q\nAnswer:"               // question
      "\x02\0\0\0\x02\0\0\0ab\x01\0\0\0c"  // answers
      "\0\0\0\0\x01\0\0\0"                 // labels
      "\0\0\0\0",                          // second answer set
      4 + 4 + 4 + 9 + 4 + 6 + 5 + 8 + 4);
  EXPECT_EQ(file->data, expected);
  EXPECT_EQ(file->tasks, 1u);
  EXPECT_EQ(file->max_choices, 2u);
  EXPECT_DOUBLE_EQ(file->chance, 0.5);
}

TEST(MultipleChoice, offsets_point_at_the_tasks) {
  std::string lines;
  for (int i = 0; i < 5; ++i) {
    lines += "{\"query\":\"" + std::string(i + 1, 'x') + "\",\"choices\":[\"a\",\"b\",\"c\"],\"gold\":0}\n";
  }
  auto file = multiple_choice_from_jsonl(lines, 0);
  ASSERT_TRUE(file.is_ok());
  for (int i = 0; i < 5; ++i) {
    auto byte = [&](size_t at) { return static_cast<unsigned char>(file->data.at(at)); };
    size_t offset = byte(4 + 4 * i) | byte(5 + 4 * i) << 8;
    EXPECT_EQ(byte(offset), i + 1 + std::string("\nAnswer:").size());
    EXPECT_EQ(file->data.substr(offset + 4, i + 1), std::string(i + 1, 'x'));
  }
}

TEST(MultipleChoice, subset_is_evenly_spaced_and_repeatable) {
  std::string lines;
  for (int i = 0; i < 10; ++i) {
    lines += fmt::format("{{\"query\":\"q{}\",\"choices\":[\"a\",\"b\"],\"gold\":0}}\n", i);
  }
  auto file = multiple_choice_from_jsonl(lines, 3);
  ASSERT_TRUE(file.is_ok());
  EXPECT_EQ(file->tasks, 3u);
  for (const char* kept : {"q0\n", "q3\n", "q6\n"}) EXPECT_THAT(file->data, HasSubstr(kept));
  EXPECT_EQ(file->data, multiple_choice_from_jsonl(lines, 3)->data);
}

TEST(MultipleChoice, bad_lines_name_their_number) {
  const std::string good = "{\"query\":\"q\",\"choices\":[\"a\",\"b\"],\"gold\":0}\n";
  const std::string deep = "{\"query\":" + std::string(200'000, '[') + std::string(200'000, ']') + "}";
  for (const char* bad :
       {"not json", "[1]", "{\"query\":\"q\",\"choices\":[\"a\"],\"gold\":0}",
        "{\"query\":1,\"choices\":[\"a\",\"b\"],\"gold\":0}",
        "{\"query\":\"q\",\"choices\":[\"a\",\"\"],\"gold\":0}",
        "{\"query\":\"q\",\"choices\":[\"a\",\"b\"],\"gold\":2}",
        "{\"query\":\"q\",\"choices\":[\"a\",\"b\"],\"gold\":-1}",
        "{\"query\":\"q\",\"choices\":[\"a\",\"b\"]}", "{\"query\":\"\xff\"}", deep.c_str()}) {
    auto file = multiple_choice_from_jsonl(good + "\n" + bad, 0);
    ASSERT_FALSE(file.is_ok()) << bad;
    EXPECT_EQ(file.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_THAT(file.error().message, HasSubstr("line 3")) << bad;
  }
  EXPECT_FALSE(multiple_choice_from_jsonl("\n \n", 0).is_ok());
}

TEST(Winogrande, splits_at_the_word_that_differs) {
  auto file = winogrande_from_jsonl(
      "{\"context_options\":[\"The bed and the blanket, but the blanket\",\"The bed and the blanket, but the "
      "bed\"],"
      "\"continuation\":\"was clean.\",\"gold\":1}\n",
      0);
  ASSERT_TRUE(file.is_ok()) << file.error().to_string();
  // "b" is common to both words and must not be cut off; the empty line keeps llama.cpp from
  // losing the last task.
  EXPECT_EQ(file->data, "0,\"The bed and the blanket, but the _ was clean.\",blanket,bed,2\n\n");
  EXPECT_EQ(file->tasks, 1u);
}

TEST(Winogrande, first_word_may_differ) {
  auto file =
      winogrande_from_jsonl("{\"context_options\":[\"Ann\",\"Bob\"],\"continuation\":\"ran\",\"gold\":0}", 0);
  ASSERT_TRUE(file.is_ok());
  EXPECT_EQ(file->data, "0,\"_ ran\",Ann,Bob,1\n\n");
}

TEST(Winogrande, text_that_the_csv_cannot_hold_is_skipped_and_counted) {
  const std::string good =
      "{\"context_options\":[\"so Ann\",\"so Bob\"],\"continuation\":\"ran\",\"gold\":0}\n";
  for (const char* bad :
       {"{\"context_options\":[\"so \\\"Ann\",\"so Bob\"],\"continuation\":\"ran\",\"gold\":0}",
        "{\"context_options\":[\"so Ann\",\"so Bob\"],\"continuation\":\"ran _\",\"gold\":0}",
        "{\"context_options\":[\"so Ann, a\",\"so Bob\"],\"continuation\":\"ran\",\"gold\":0}"}) {
    auto file = winogrande_from_jsonl(good + bad, 0);
    ASSERT_TRUE(file.is_ok()) << bad;
    EXPECT_EQ(file->tasks, 1u);
    EXPECT_EQ(file->skipped, 1u) << bad;
    EXPECT_FALSE(winogrande_from_jsonl(bad, 0).is_ok());
  }
}

}  // namespace
}  // namespace llmcodec

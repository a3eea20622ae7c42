// SPDX-License-Identifier: BSD-3-Clause
// How tokens are written as text, and which of them are drawn.
#include "eval/random_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace llmcodec {
namespace {

template <class T>
void put(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_string(std::string* out, const std::string& text) {
  put<uint64_t>(out, text.size());
  *out += text;
}

// A GGUF header without tensors: the tokenizer's model, then tokens and types between values of other kinds.
Result<GgufHeader> header_of(const std::string& model, const std::vector<std::string>& tokens,
                             const std::vector<int32_t>& types) {
  std::string file("GGUF");
  put<uint32_t>(&file, 3);
  put<uint64_t>(&file, 0);
  put<uint64_t>(&file, 5);
  put_string(&file, "some.floats");
  put<uint32_t>(&file, 9), put<uint32_t>(&file, 6), put<uint64_t>(&file, 2), put<float>(&file, 1),
      put<float>(&file, 2);
  put_string(&file, "tokenizer.ggml.model");
  put<uint32_t>(&file, 8), put_string(&file, model);
  put_string(&file, "tokenizer.ggml.tokens");
  put<uint32_t>(&file, 9), put<uint32_t>(&file, 8), put<uint64_t>(&file, tokens.size());
  for (const std::string& token : tokens) put_string(&file, token);
  put_string(&file, "some.flag");
  put<uint32_t>(&file, 7), put<uint8_t>(&file, 1);
  put_string(&file, "tokenizer.ggml.token_type");
  put<uint32_t>(&file, 9), put<uint32_t>(&file, 5), put<uint64_t>(&file, types.size());
  for (const int32_t type : types) put<int32_t>(&file, type);
  file.resize((file.size() + 31) / 32 * 32);
  return GgufHeader::parse({reinterpret_cast<const std::byte*>(file.data()), file.size()});
}

TEST(ByteLevelBytes, all_256_bytes_have_one_character_each) {
  // GPT-2's table: printable ones as they are, the others in order from U+0100 on.
  std::map<std::string, int> seen;
  for (int c = 0x21; c < 0x180; ++c) {
    std::string token;
    if (c < 0x80) {
      token += static_cast<char>(c);
    } else {
      token += static_cast<char>(0xc0 | c >> 6);
      token += static_cast<char>(0x80 | (c & 63));
    }
    const std::string bytes = byte_level_bytes(token);
    if (!bytes.empty()) ++seen[bytes];
  }
  EXPECT_EQ(seen.size(), 256u);
  for (const auto& [bytes, times] : seen) EXPECT_EQ(times, 1) << int(static_cast<unsigned char>(bytes[0]));
}

TEST(ByteLevelBytes, known_spellings) {
  EXPECT_EQ(byte_level_bytes("\u0120the"), " the");
  EXPECT_EQ(byte_level_bytes("\u010a"), "\n");
  EXPECT_EQ(byte_level_bytes("caf\u00c3\u00a9"), "caf\xc3\xa9");
  EXPECT_EQ(byte_level_bytes("\u0143"), "\xad");
}

TEST(ByteLevelBytes, what_stands_for_no_byte_is_empty) {
  EXPECT_EQ(byte_level_bytes("a b"), "");     // a space is written U+0120
  EXPECT_EQ(byte_level_bytes("\u0144"), "");  // one behind the last
  EXPECT_EQ(byte_level_bytes("\u4e2d"), "");
  EXPECT_EQ(byte_level_bytes("\xff"), "");  // no UTF-8
}

TEST(TokenSpellings, byte_level_leaves_out_what_is_no_text) {
  // control; half a character; a zero byte; user-defined
  auto header =
      header_of("gpt2", {"<|end|>", "\u0120a", "\u00c3", "\u0100", "<tool>", "b"}, {3, 1, 1, 1, 4, 1});
  ASSERT_TRUE(header.is_ok()) << header.error().to_string();
  auto spellings = token_spellings(*header);
  ASSERT_TRUE(spellings.is_ok());
  EXPECT_EQ(*spellings, (std::vector<std::string>{"", " a", "", "", "", "b"}));
}

TEST(TokenSpellings, sentencepiece_marks_become_spaces) {
  auto header = header_of("llama", {"<unk>", "<0x41>", "\u2581a\u2581\u2581", "b"}, {2, 6, 1, 1});
  ASSERT_TRUE(header.is_ok());
  auto spellings = token_spellings(*header);
  ASSERT_TRUE(spellings.is_ok());
  EXPECT_EQ(*spellings, (std::vector<std::string>{"", "", " a  ", "b"}));
}

TEST(TokenSpellings, no_vocabulary_and_unknown_kinds_are_errors) {
  auto bert = header_of("bert", {"a"}, {1});
  auto none = header_of("gpt2", {}, {});
  ASSERT_TRUE(bert.is_ok() && none.is_ok());
  EXPECT_EQ(token_spellings(*bert).error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(token_spellings(*bert).error().message.find("'bert'"), std::string::npos);
  EXPECT_EQ(token_spellings(*none).error().kind, ErrorKind::kUnsupported);
}

TEST(RandomText, shares_follow_the_law) {
  // Two tokens far apart: shares 1/500 and 1/2000, and nothing of those that cannot be written.
  std::vector<std::string> spellings(1501);
  spellings.front() = std::string("a");
  spellings.back() = std::string("b");
  auto text = random_text(spellings, 20000);
  ASSERT_TRUE(text.is_ok());
  ASSERT_EQ(text->size(), 20000u);
  const auto b = std::count(text->begin(), text->end(), 'b');
  EXPECT_NEAR(static_cast<double>(b), 4000, 300);  // five standard deviations
}

TEST(RandomText, the_same_every_time) {
  const std::vector<std::string> spellings = {"a", "b", "", "c", "d"};
  auto text = random_text(spellings, 24);
  ASSERT_TRUE(text.is_ok());
  EXPECT_EQ(*text, "aababdbaccacdababdbbbcbb");
  EXPECT_EQ(*random_text(spellings, 24), *text);
}

TEST(RandomText, nothing_to_write_is_an_error) {
  EXPECT_EQ(random_text(std::vector<std::string>(4), 10).error().kind, ErrorKind::kUnsupported);
}

}  // namespace
}  // namespace llmcodec

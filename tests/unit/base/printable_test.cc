// SPDX-License-Identifier: BSD-3-Clause
#include "base/printable.h"

#include <gtest/gtest.h>

#include <string>

#include "base/utf8.h"

namespace llmcodec {
namespace {

TEST(Printable, text_without_anything_hidden_stays) {
  for (const std::string text :
       {"", "model.layers.0.weight", "C:\\x 'y' \"z\"", "Grüße", "重み", "\U0001f600"})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, what_a_terminal_obeys_becomes_an_escape) {
  EXPECT_EQ(printable("a\x1b[2J\r\n\tb\x7f"), "a\\x1b[2J\\x0d\\x0a\\x09b\\x7f");
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\u009b31m\u0085"), "\\u009b31m\\u0085");  // C1: the same as ESC [ to some terminals
}

TEST(Printable, what_could_pass_for_other_text_becomes_an_escape) {
  EXPECT_EQ(printable("a\u202egpj.exe"), "a\\u202egpj.exe");
  EXPECT_EQ(printable("a\u200bb\u2066c\ufeff\U000e0041"), "a\\u200bb\\u2066c\\ufeff\\ue0041");
}

TEST(Printable, bytes_that_are_no_utf8_become_escapes) {
  EXPECT_EQ(printable("\x9b\xff\xc3"), "\\x9b\\xff\\xc3");
  EXPECT_EQ(printable("\xc0\xaf\xed\xa0\x80"), "\\xc0\\xaf\\xed\\xa0\\x80");  // overlong; a surrogate
}

TEST(Printable, everything_comes_out_as_utf8_without_controls) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string shown =
          printable(std::string{static_cast<char>(first), static_cast<char>(second), 'x'});
      EXPECT_TRUE(is_utf8(shown));
      EXPECT_EQ(shown.find_first_of("\x1b\r\n\x7f\t"), std::string::npos);
    }
  }
}

TEST(Printable, a_long_text_is_cut_between_characters) {
  EXPECT_EQ(printable(std::string(1000, 'x'), 4), "xxxx... (1000 bytes)");
  EXPECT_EQ(printable("xxxx", 4), "xxxx");
  EXPECT_EQ(printable("äää", 3), "ää... (6 bytes)");
}

}  // namespace
}  // namespace llmcodec

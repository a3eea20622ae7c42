// SPDX-License-Identifier: BSD-3-Clause
#include "eval/random_text.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>

#include "base/error.h"
#include "base/utf8.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

// Numbers of the GGUF format (ggml's gguf.h).
constexpr uint32_t kUint32 = 4, kInt32 = 5, kString = 8, kArray = 9;
constexpr int32_t kNormalToken = 1;
constexpr uint64_t kScalarBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
constexpr const char* kSpace = "\xe2\x96\x81";  // "▁" of SentencePiece

// Walks bytes that GgufHeader::parse() has checked: nothing here can run over the end.
class Walk {
 public:
  explicit Walk(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool at_end() const { return at_ >= bytes_.size(); }
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::string_view string() {
    const auto length = number<uint64_t>();
    at_ += length;
    return {reinterpret_cast<const char*>(bytes_.data() + at_ - length), length};
  }
  void skip(uint32_t type) {
    if (type == kString) {
      string();
    } else if (type == kArray) {
      const auto element = number<uint32_t>();
      const auto count = number<uint64_t>();
      if (element != kString) at_ += count * kScalarBytes[element];
      for (uint64_t i = 0; element == kString && i < count; ++i) string();
    } else {
      at_ += kScalarBytes[type];
    }
  }

 private:
  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
};

struct Vocabulary {
  std::vector<std::string_view> tokens;  // into the header
  std::vector<int32_t> types;            // empty: all normal
};

Vocabulary find_vocabulary(const GgufHeader& header) {
  Vocabulary found;
  for (Walk walk(header.key_values()); !walk.at_end();) {
    const std::string_view key = walk.string();
    const auto type = walk.number<uint32_t>();
    Walk value = walk;
    walk.skip(type);
    if (type != kArray) continue;
    const auto element = value.number<uint32_t>();
    const auto count = value.number<uint64_t>();
    if (key == "tokenizer.ggml.tokens" && element == kString) {
      for (uint64_t i = 0; i < count; ++i) found.tokens.push_back(value.string());
    } else if (key == "tokenizer.ggml.token_type" && (element == kInt32 || element == kUint32)) {
      for (uint64_t i = 0; i < count; ++i) found.types.push_back(value.number<int32_t>());
    }
  }
  return found;
}

// The next character of well-formed UTF-8; `text` moves behind it.
uint32_t next_character(std::string_view* text) {
  const auto first = static_cast<unsigned char>(text->front());
  const size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  uint32_t character = length == 1 ? first : first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i)
    character = character << 6 | (static_cast<unsigned char>((*text)[i]) & 0x3fu);
  text->remove_prefix(length);
  return character;
}

bool stands_for_itself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte != 0xad);
}

std::optional<char> byte_of(uint32_t character) {
  if (character < 0x100)
    return stands_for_itself(character) ? std::optional(static_cast<char>(character)) : std::nullopt;
  uint32_t left = character - 0x100;
  for (uint32_t byte = 0; byte < 0x100; ++byte) {
    if (!stands_for_itself(byte) && left-- == 0) return static_cast<char>(byte);
  }
  return std::nullopt;
}

std::string with_spaces(std::string_view token) {
  std::string text;
  while (true) {
    const size_t mark = token.find(kSpace);
    text += token.substr(0, mark);
    if (mark == std::string_view::npos) return text;
    text += ' ';
    token.remove_prefix(mark + std::strlen(kSpace));
  }
}

}  // namespace

std::string byte_level_bytes(std::string_view token) {
  std::string bytes;
  if (!is_utf8(token)) return bytes;
  while (!token.empty()) {
    const std::optional<char> byte = byte_of(next_character(&token));
    if (!byte) return {};
    bytes += *byte;
  }
  return bytes;
}

Result<std::vector<std::string>> token_spellings(const GgufHeader& header) {
  const std::string model = header.find_string("tokenizer.ggml.model").value_or("none");
  const bool byte_level = model == "gpt2";
  if (!byte_level && model != "llama" && model != "t5") {
    return error(ErrorKind::kUnsupported,
                 "how tokens of a tokenizer of kind '{}' are written is not known: give a text (--text)",
                 model);
  }
  const Vocabulary vocabulary = find_vocabulary(header);
  if (vocabulary.tokens.empty())
    return error(ErrorKind::kUnsupported, "the GGUF file has no vocabulary: random tokens cannot be written");
  std::vector<std::string> spellings(vocabulary.tokens.size());
  for (size_t i = 0; i < spellings.size(); ++i) {
    if (i < vocabulary.types.size() && vocabulary.types[i] != kNormalToken) continue;
    std::string text =
        byte_level ? byte_level_bytes(vocabulary.tokens[i]) : with_spaces(vocabulary.tokens[i]);
    if (is_utf8(text) && text.find('\0') == std::string::npos) spellings[i] = std::move(text);
  }
  return spellings;
}

Result<std::string> random_text(std::span<const std::string> spellings, size_t count) {
  constexpr double kOffset = 500;
  double total = 0;
  std::vector<double> up_to(spellings.size());
  for (size_t i = 0; i < spellings.size(); ++i) {
    if (!spellings[i].empty()) total += 1 / (static_cast<double>(i) + kOffset);
    up_to[i] = total;
  }
  if (total == 0) return error(ErrorKind::kUnsupported, "no token of the vocabulary can be written as text");
  std::mt19937_64 generator(1);  // the standard fixes what it gives
  std::string text;
  for (size_t n = 0; n < count; ++n) {
    const double drawn = static_cast<double>(generator() >> 11) * 0x1p-53 * total;
    const auto found = std::ranges::upper_bound(up_to, drawn);
    text += spellings[static_cast<size_t>(found - up_to.begin())];
  }
  return text;
}

}  // namespace llmcodec

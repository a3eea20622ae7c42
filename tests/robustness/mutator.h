// SPDX-License-Identifier: BSD-3-Clause
// Seeded damage to a file's bytes: one to four changes, most of them in the first `hot_bytes` (the header): a
// bit, a byte, a JSON character, an extreme number, a piece taken out, doubled or replaced by another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <random>
#include <string>

namespace llmcodec {

class Mutator {
 public:
  Mutator(uint32_t seed, size_t hot_bytes) : random_(seed), hot_bytes_(hot_bytes) {}

  std::string mutate(std::string bytes) {
    for (uint32_t changes = 1 + random_() % 4; changes > 0; --changes) change(&bytes);
    return bytes;
  }
  uint32_t number(uint32_t below) { return random_() % below; }
  uint64_t extreme() {
    constexpr uint64_t kNumbers[] = {0,         1,          0x7fffffff, 0xffffffff, 1ull << 32,
                                     INT64_MAX, 1ull << 63, UINT64_MAX, ~31ull};
    return kNumbers[random_() % std::size(kNumbers)];
  }

 private:
  size_t position(const std::string& bytes) {
    const size_t range = random_() % 8 != 0 ? std::min(hot_bytes_, bytes.size()) : bytes.size();
    return random_() % std::max<size_t>(range, 1);
  }
  std::string extreme_bytes() {
    std::string bytes(8, '\0');
    const uint64_t value = extreme();
    for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
    return bytes;
  }
  void change(std::string* bytes) {
    if (bytes->empty()) return;
    const size_t at = position(*bytes);
    const size_t length = std::min<size_t>(1 + random_() % 16, bytes->size() - at);
    switch (random_() % 7) {
      case 0:
        (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << random_() % 8));
        break;
      case 1:
        (*bytes)[at] = static_cast<char>(random_());
        break;
      case 2:
        (*bytes)[at] = "0123456789-.eE\"{}[],:\\"[random_() % 22];
        break;
      case 3:
        bytes->replace(at, length, extreme_bytes().substr(0, length));
        break;
      case 4:
        bytes->erase(at, length);
        break;
      case 5:
        bytes->insert(at, bytes->substr(position(*bytes), length));
        break;
      default:
        bytes->replace(at, length, bytes->substr(position(*bytes), length));
        break;
    }
  }

  std::mt19937 random_;
  size_t hot_bytes_;
};

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// Seeded damage to a stream: the same seed gives the same bytes on every machine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

namespace llmcodec::vvc {

// 1 to 8 of: a flipped bit, a random byte, a byte of a kind that matters (0, 1, 3, 255), a cut, a doubled
// piece, a piece taken out.
inline std::vector<std::byte> mutate(std::vector<std::byte> bytes, uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&random](size_t limit) {
    return static_cast<size_t>(random() % std::max<size_t>(limit, 1));
  };
  // Half of the damage goes into the headers, where it matters more per byte.
  const auto position = [&] {
    return below(random() % 2 ? std::min<size_t>(bytes.size(), 64) : bytes.size());
  };
  for (size_t count = 1 + below(8); count > 0 && !bytes.empty(); --count) {
    const size_t at = position();
    const size_t length = std::min(bytes.size() - at, 1 + below(40));
    const auto first = bytes.begin() + static_cast<ptrdiff_t>(at);
    const std::vector<std::byte> piece(first, first + static_cast<ptrdiff_t>(length));
    switch (random() % 6) {
      case 0:
        bytes[at] ^= static_cast<std::byte>(1u << random() % 8);
        break;
      case 1:
        bytes[at] = static_cast<std::byte>(random());
        break;
      case 2:
        bytes[at] = std::vector{std::byte{0}, std::byte{1}, std::byte{3}, std::byte{255}}[random() % 4];
        break;
      case 3:
        bytes.resize(random() % 4 == 0 ? at : bytes.size());
        break;
      case 4:
        bytes.insert(first, piece.begin(), piece.end());
        break;
      default:
        bytes.erase(first, first + static_cast<ptrdiff_t>(length));
        break;
    }
  }
  return bytes;
}

// Rounds of the long tier: LLMCODEC_MUTATIONS, else the quick tier's number.
inline uint32_t mutation_rounds(uint32_t quick) {
  const char* text = std::getenv("LLMCODEC_MUTATIONS");
  return text == nullptr ? quick : static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

}  // namespace llmcodec::vvc

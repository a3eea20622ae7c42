// SPDX-License-Identifier: BSD-3-Clause
// CabacEncoder and CabacDecoder: what the one writes the other reads.
#include <gtest/gtest.h>

#include <random>
#include <span>

#include "vvc/cabac/cabac_decoder.h"
#include "vvc/cabac/cabac_encoder.h"

namespace llmcodec::vvc {
namespace {

struct Symbol {
  enum Kind { kBin, kBypass, kUnary, kTerminate } kind;
  int value, parameter;
};

std::vector<Symbol> random_symbols(uint32_t seed, int count) {
  std::mt19937 random(seed);
  std::vector<Symbol> symbols;
  const int skew = static_cast<int>(random() % 100);
  for (int i = 0; i < count; ++i) {
    const int kind = static_cast<int>(random() % 20);
    if (kind < 12) {
      const int context = static_cast<int>(random() % ctx::kCount);
      symbols.push_back({Symbol::kBin, static_cast<int>(random() % 100) < skew, context});
    } else if (kind < 15) {
      const int bits = static_cast<int>(random() % 32);
      symbols.push_back({Symbol::kBypass, static_cast<int>(random() & ((1u << bits) - 1)), bits});
    } else if (kind < 19) {
      const int max = 1 + static_cast<int>(random() % 17);
      symbols.push_back({Symbol::kUnary, static_cast<int>(random() % (max + 1)), max});
    } else {
      symbols.push_back({Symbol::kTerminate, 0, 0});
    }
  }
  return symbols;
}

template <class Bins>
int code(Bins& bins, const Symbol& s, int value) {
  switch (s.kind) {
    case Symbol::kBin:
      return bins.bin(value, s.parameter);
    case Symbol::kBypass:
      return static_cast<int>(bins.bypass(static_cast<uint32_t>(value), s.parameter));
    case Symbol::kUnary:
      return bins.unary_bypass(value, s.parameter);
    default:
      return bins.terminate(value);
  }
}

std::vector<uint8_t> encode(const std::vector<Symbol>& symbols, int qp) {
  CabacEncoder encoder(initial_contexts(qp));
  for (const Symbol& s : symbols) code(encoder, s, s.value);
  encoder.terminate(1);
  return encoder.finish();
}

TEST(Cabac, random_bins_round_trip) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const int qp = static_cast<int>(seed % 64);
    const std::vector<Symbol> symbols = random_symbols(seed, static_cast<int>(seed * 7 % 2000));
    const std::vector<uint8_t> bytes = encode(symbols, qp);
    CabacDecoder decoder(bytes, initial_contexts(qp));
    for (size_t i = 0; i < symbols.size(); ++i)
      ASSERT_EQ(code(decoder, symbols[i], 0), symbols[i].value) << "seed " << seed << " symbol " << i;
    ASSERT_EQ(decoder.terminate(0), 1);
    EXPECT_TRUE(decoder.ends_cleanly());
    EXPECT_EQ(decoder.bytes_used(), bytes.size());
  }
}

TEST(Cabac, carry_runs_through_many_bytes) {
  // Highly probable ones, then their opposite: long runs of 0xff wait for a carry.
  for (int length = 0; length < 3000; length += 7) {
    CabacEncoder encoder(initial_contexts(30));
    for (int i = 0; i < length; ++i) encoder.bypass(1, 1);
    encoder.bin(1, ctx::kTuYCodedFlag);
    encoder.bypass(0x7fff, 15);
    encoder.terminate(1);
    const std::vector<uint8_t> bytes = encoder.finish();
    CabacDecoder decoder(bytes, initial_contexts(30));
    for (int i = 0; i < length; ++i) ASSERT_EQ(decoder.bypass(0, 1), 1u);
    ASSERT_EQ(decoder.bin(0, ctx::kTuYCodedFlag), 1);
    ASSERT_EQ(decoder.bypass(0, 15), 0x7fffu);
    ASSERT_EQ(decoder.terminate(0), 1);
    ASSERT_TRUE(decoder.ends_cleanly());
  }
}

TEST(Cabac, substreams_follow_each_other) {
  CabacEncoder encoder(initial_contexts(20));
  std::vector<size_t> ends;
  for (int s = 0; s < 5; ++s) {
    encoder.contexts() = initial_contexts(20);
    for (const Symbol& symbol : random_symbols(static_cast<uint32_t>(s), 100 * s))
      code(encoder, symbol, symbol.value);
    encoder.terminate(1);
    ends.push_back(encoder.finish_substream());
  }
  const std::vector<uint8_t> bytes = encoder.finish();
  size_t start = 0;
  for (int s = 0; s < 5; ++s) {
    CabacDecoder decoder(std::span<const uint8_t>(bytes).subspan(start), initial_contexts(20));
    for (const Symbol& symbol : random_symbols(static_cast<uint32_t>(s), 100 * s))
      ASSERT_EQ(code(decoder, symbol, 0), symbol.value);
    ASSERT_EQ(decoder.terminate(0), 1);
    start += decoder.bytes_used();
    EXPECT_EQ(start, ends[s]);
  }
}

TEST(Cabac, truncation_sets_overrun) {
  const std::vector<Symbol> symbols = random_symbols(11, 2000);
  const std::vector<uint8_t> bytes = encode(symbols, 32);
  for (size_t length = 0; length + 1 < bytes.size(); length += 13) {
    CabacDecoder decoder(std::span<const uint8_t>(bytes).first(length), initial_contexts(32));
    for (const Symbol& s : symbols) code(decoder, s, 0);
    EXPECT_TRUE(decoder.overrun()) << length;
  }
}

TEST(Cabac, garbage_is_safe) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<uint8_t> bytes(random() % 300);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(round % 4 == 0 ? 0xff : random());
    CabacDecoder decoder(bytes, initial_contexts(32));
    for (const Symbol& s : random_symbols(static_cast<uint32_t>(round), 1000)) {
      if (s.kind == Symbol::kTerminate) continue;
      const int value = code(decoder, s, 0);
      if (s.kind == Symbol::kBypass) {
        ASSERT_LT(static_cast<uint32_t>(value), 1u << s.parameter);
      }
      if (s.kind == Symbol::kUnary) {
        ASSERT_LE(value, s.parameter);
      }
    }
  }
}

}  // namespace
}  // namespace llmcodec::vvc

// SPDX-License-Identifier: BSD-3-Clause
// What is fuzzed: one FuzzTarget per reader of bytes that come from strangers, in a file of its own. Two programs run
// them: fuzz_replay (any compiler: seeds, corpora and seeded mutations, the same ones every time) and libfuzzer (clang,
// guided by coverage). A target judges what its reader makes of an input and ends the program where that is wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec {

struct FuzzTarget {
  std::string_view name;
  // Gives the input to the reader. Returns the bytes of the buffers that the input's tensors declared and that were
  // really made, for the bound on memory does not count them.
  uint64_t (*run)(std::string_view input);
  // Small sound inputs. nullptr: those of corpus/NAME are all.
  std::vector<std::string> (*seeds)();
  // Damage that keeps lengths and checksums right, so that it is met by what stands behind them; also gets inputs that
  // are not sound. The same for the same arguments. nullptr: bytes are damaged wherever they stand.
  std::string (*mutate)(const std::string& input, uint32_t seed);
};

extern const FuzzTarget kArchiveTarget, kCodecSpecTarget, kConfigTarget, kDescriptionTarget, kGgufTarget,
    kGgufBlocksTarget, kImatrixTarget, kJournalTarget, kMomentsTarget, kOrderTarget, kPieceTarget,
    kPlanTarget, kSafetensorsTarget, kShardIndexTarget, kVvcSliceTarget, kVvcStreamTarget;
std::span<const FuzzTarget* const> fuzz_targets();
const FuzzTarget* find_fuzz_target(std::string_view name);  // nullptr when there is none

// Ends the program with what was expected, unless it holds.
void fuzz_check(bool holds, const std::string& expectation);
// True for success; an error must have a message and a cause other than our own mistake.
bool fuzz_accepts(const Status& status);
template <class T>
bool fuzz_accepts(const Result<T>& result) {
  return result.is_ok() || fuzz_accepts(Status(result.error()));
}

// A copy of exactly this size, so that a sanitizer sees the first byte read past it.
inline std::vector<std::byte> exact_copy(std::string_view input) {
  const auto bytes = std::as_bytes(std::span(input));
  return {bytes.begin(), bytes.end()};
}
// Path of a file in memory with these bytes; the same for the same name.
std::string fuzz_file(const std::string& name, std::string_view bytes);
std::string fuzz_folder();  // where it is

// Most bytes of a tensor that a target decodes: larger ones only take longer.
inline constexpr uint64_t kMostFuzzTensorBytes = uint64_t{4} << 20;

// Mutations that several targets share, for FuzzTarget::mutate.
std::string mutate_bytes(const std::string& input, uint32_t seed);
// Values of a JSON text; where it is none, and sometimes where it is, its characters.
std::string mutate_json_text(const std::string& input, uint32_t seed);
// The header of a safetensors file, its length made right.
std::string mutate_safetensors(const std::string& input, uint32_t seed);

// A safetensors file as its two halves; nullopt for what is none.
struct SafetensorsHalves {
  nlohmann::ordered_json header;
  std::string data;
  std::string joined() const;  // the length made right
};
std::optional<SafetensorsHalves> split_safetensors(const std::string& file);

// A safetensors file with F32 tensors whose bytes are small numbers.
struct FuzzTensor {
  std::string name;
  std::vector<uint64_t> shape;
};
std::string fuzz_safetensors(std::span<const FuzzTensor> tensors, const std::string& metadata_json = "");
// A small GGUF file of F32 tensors with the key-value "general.architecture".
std::string fuzz_gguf(std::span<const FuzzTensor> tensors);

}  // namespace llmcodec

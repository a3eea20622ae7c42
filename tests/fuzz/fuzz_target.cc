// SPDX-License-Identifier: BSD-3-Clause
#include "fuzz_target.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../robustness/archive_cases.h"
#include "../robustness/json_mutation.h"
#include "tensor/dtype.h"
#include "tensor/safetensors.h"

namespace llmcodec {
namespace {

constexpr std::array kTargets = {
    &kArchiveTarget,     &kCodecSpecTarget,  &kConfigTarget,   &kDescriptionTarget,
    &kGgufTarget,        &kGgufBlocksTarget, &kImatrixTarget,  &kJournalTarget,
    &kMomentsTarget,     &kOrderTarget,      &kPieceTarget,    &kPlanTarget,
    &kSafetensorsTarget, &kShardIndexTarget, &kVvcSliceTarget, &kVvcStreamTarget};

const FastFolder& folder() {
  static const FastFolder folder;
  return folder;
}

// Bytes of F32 tensors: 0.5, -0.25, 0.75, ...
std::string small_numbers(uint64_t count) {
  std::string bytes;
  for (uint64_t i = 0; i < count; ++i) {
    const float value = (i % 2 == 0 ? 0.5f : -0.25f) + static_cast<float>(i % 7) / 8;
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return bytes;
}

std::string counted(std::string_view text) {
  return little_endian(text.size(), 8) + std::string(text);
}

}  // namespace

std::span<const FuzzTarget* const> fuzz_targets() {
  return kTargets;
}

const FuzzTarget* find_fuzz_target(std::string_view name) {
  const auto found = std::ranges::find_if(kTargets, [&](const FuzzTarget* t) { return t->name == name; });
  return found == kTargets.end() ? nullptr : *found;
}

void fuzz_check(bool holds, const std::string& expectation) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", expectation.c_str());
  std::abort();
}

bool fuzz_accepts(const Status& status) {
  if (status.is_ok()) return true;
  fuzz_check(!status.error().message.empty(), "an error has a message");
  fuzz_check(status.error().kind != ErrorKind::kInternal,
             "not our own mistake: " + status.error().to_string());
  return false;
}

std::string fuzz_file(const std::string& name, std::string_view bytes) {
  write_bytes(folder().file(name), bytes);
  return folder().file(name);
}

std::string fuzz_folder() {
  return folder().file("");
}

std::string mutate_bytes(const std::string& input, uint32_t seed) {
  return Mutator(seed, seed % 2 == 0 ? 4096 : input.size()).mutate(input);
}

std::string mutate_json_text(const std::string& input, uint32_t seed) {
  nlohmann::ordered_json value = nlohmann::ordered_json::parse(input, nullptr, false);
  if (value.is_discarded() || seed % 4 == 0) return mutate_bytes(input, seed);
  Mutator mutator(seed, 0);
  for (uint32_t changes = 1 + mutator.number(3); changes > 0; --changes) change_json(value, mutator);
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::optional<SafetensorsHalves> split_safetensors(const std::string& file) {
  uint64_t size = 0;
  if (file.size() < 8) return std::nullopt;
  std::memcpy(&size, file.data(), 8);
  if (size > file.size() - 8) return std::nullopt;
  SafetensorsHalves halves{nlohmann::ordered_json::parse(file.substr(8, size), nullptr, false),
                           file.substr(8 + size)};
  return halves.header.is_object() ? std::optional(std::move(halves)) : std::nullopt;
}

std::string SafetensorsHalves::joined() const {
  return counted(header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)) + data;
}

std::string mutate_safetensors(const std::string& input, uint32_t seed) {
  const auto file = split_safetensors(input);
  if (!file || seed % 8 == 0) return mutate_bytes(input, seed);
  return counted(mutate_json_text(file->header.dump(), seed / 8)) + file->data;
}

std::string fuzz_safetensors(std::span<const FuzzTensor> tensors, const std::string& metadata_json) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata_json.empty()) header["__metadata__"] = nlohmann::ordered_json::parse(metadata_json);
  std::string data;
  for (const FuzzTensor& tensor : tensors) {
    const std::string bytes = small_numbers(TensorInfo{tensor.name, Dtype::kF32, tensor.shape}.elements());
    header[tensor.name] = {{"dtype", "F32"},
                           {"shape", tensor.shape},
                           {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data += bytes;
  }
  return SafetensorsHalves{std::move(header), std::move(data)}.joined();
}

std::string fuzz_gguf(std::span<const FuzzTensor> tensors) {
  constexpr uint32_t kString = 8, kF32 = 0;
  std::string header = "GGUF" + little_endian(3, 4) + little_endian(tensors.size(), 8) + little_endian(1, 8);
  header += counted("general.architecture") + little_endian(kString, 4) + counted("llama");
  std::string data;
  for (const FuzzTensor& tensor : tensors) {
    header += counted(tensor.name) + little_endian(tensor.shape.size(), 4);
    for (size_t d = tensor.shape.size(); d > 0; --d) header += little_endian(tensor.shape[d - 1], 8);
    header += little_endian(kF32, 4) + little_endian(data.size(), 8);
    data += small_numbers(TensorInfo{tensor.name, Dtype::kF32, tensor.shape}.elements());
    data.resize((data.size() + 31) / 32 * 32);
  }
  header.resize((header.size() + 31) / 32 * 32);
  return header + data;
}

}  // namespace llmcodec

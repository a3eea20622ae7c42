// SPDX-License-Identifier: BSD-3-Clause
// One target under libFuzzer, chosen by LLMCODEC_FUZZ_TARGET. Its own mutations take turns with libFuzzer's.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fuzz_target.h"

namespace {

const llmcodec::FuzzTarget& chosen() {
  static const llmcodec::FuzzTarget* const target = [] {
    const char* name = std::getenv("LLMCODEC_FUZZ_TARGET");
    const auto* found = llmcodec::find_fuzz_target(name != nullptr ? name : "");
    if (found != nullptr) return found;
    std::fputs("set LLMCODEC_FUZZ_TARGET to one of:", stderr);
    for (const auto* known : llmcodec::fuzz_targets())
      std::fprintf(stderr, " %s", std::string(known->name).c_str());
    std::fputs("\n", stderr);
    std::exit(2);
  }();
  return *target;
}

}  // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  if (chosen().mutate == nullptr || seed % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::string changed =
      chosen().mutate(std::string(reinterpret_cast<const char*>(data), size), seed / 4);
  if (changed.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  chosen().run({reinterpret_cast<const char*>(data), size});
  return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// A safetensors file: its header, and every tensor read.
#include <algorithm>

#include "fuzz_target.h"
#include "tensor/safetensors.h"

namespace llmcodec {
namespace {

uint64_t run(std::string_view input) {
  const std::vector<std::byte> bytes = exact_copy(input);
  const auto file = SafetensorsFile::open(memory_byte_source(bytes, "fuzz.safetensors"));
  if (!fuzz_accepts(file)) return 0;
  uint64_t declared = 0;
  for (size_t i = 0; i < (*file)->tensors().size(); ++i) {
    const TensorInfo& info = (*file)->tensors()[i];
    std::vector<std::byte> tensor((*file)->byte_size(i));
    declared = std::max<uint64_t>(declared, tensor.size());
    fuzz_check((*file)->read(i, 0, tensor).is_ok(), "a tensor of an accepted file can be read");
    if (!dtype_info(info.dtype).floating) continue;
    std::vector<float> values(info.elements());
    declared = std::max<uint64_t>(declared, tensor.size() + values.size() * sizeof(float));
    fuzz_check((*file)->read_f32(i, 0, values).is_ok(), "and converted");
  }
  return declared;
}

std::vector<std::string> seeds() {
  const FuzzTensor tensors[] = {{"a.weight", {6, 8}}, {"scalar", {}}, {"empty", {0, 4}}, {"b", {2, 3, 4}}};
  return {fuzz_safetensors(tensors, R"({"format": "pt"})"), fuzz_safetensors({tensors, 1}),
          fuzz_safetensors({})};
}

}  // namespace

const FuzzTarget kSafetensorsTarget = {"safetensors", run, seeds, mutate_safetensors};

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// A GGUF file: its header, every tensor read, some key-values looked up.
#include <algorithm>

#include "fuzz_target.h"
#include "tensor/gguf.h"

namespace llmcodec {
namespace {

uint64_t read_tensors(const GgufFile& file) {
  uint64_t declared = 0;
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const TensorInfo& info = file.tensors()[i];
    std::vector<std::byte> tensor(file.byte_size(i));
    declared = std::max<uint64_t>(declared, tensor.size());
    fuzz_check(file.read(i, 0, tensor).is_ok(), "a tensor of an accepted file can be read");
    if (!dtype_info(info.dtype).floating || info.elements() * sizeof(float) > kMostFuzzTensorBytes) continue;
    std::vector<float> values(info.elements());
    declared = std::max<uint64_t>(declared, tensor.size() + values.size() * sizeof(float));
    fuzz_check(file.read_f32(i, 0, values).is_ok(), "and converted");
  }
  return declared;
}

uint64_t run(std::string_view input) {
  const std::vector<std::byte> bytes = exact_copy(input);
  const auto file = GgufFile::open(memory_byte_source(bytes, "fuzz.gguf"));
  if (!fuzz_accepts(file)) return 0;
  const GgufHeader& header = (*file)->header();
  header.find_string("general.architecture");
  header.find_int("general.alignment");
  const auto again = GgufHeader::parse(header.bytes());
  fuzz_check(again.is_ok() && again->tensors().size() == header.tensors().size(), "a header stands alone");
  const auto whole = header.without_split(header.tensors());
  fuzz_check(whole.is_ok() && whole->tensors().size() == header.tensors().size(), "a part can be a whole");
  return read_tensors(**file);
}

std::vector<std::string> seeds() {
  const FuzzTensor tensors[] = {{"blk.0.a.weight", {6, 32}}, {"norm", {8}}, {"blk.0.b.weight", {2, 3, 32}}};
  return {fuzz_gguf(tensors), fuzz_gguf({tensors, 1}), fuzz_gguf({})};
}

// As long as the header says, so that the damage is not noticed by the length.
std::string mutate(const std::string& input, uint32_t seed) {
  std::string changed = mutate_bytes(input, seed);
  const auto header = GgufHeader::parse(std::as_bytes(std::span(changed)));
  const uint64_t size = header.is_ok() ? header->data_start() + header->data_bytes() : 0;
  if (seed % 4 != 0 && size > 0 && size <= kMostFuzzTensorBytes) changed.resize(size);
  return changed;
}

}  // namespace

const FuzzTarget kGgufTarget = {"gguf", run, seeds, mutate};

}  // namespace llmcodec

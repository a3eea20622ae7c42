// SPDX-License-Identifier: BSD-3-Clause
// An importance matrix, in llama.cpp's new format (GGUF) or its old one (.dat), told apart by content.
#include <cmath>

#include "../unit/tensor/tensor_test_files.h"
#include "fuzz_target.h"
#include "quant/importance.h"

namespace llmcodec {
namespace {

uint64_t run(std::string_view input) {
  const auto importance = Importance::load(fuzz_file("imatrix", input));
  if (!fuzz_accepts(importance)) return 0;
  for (const std::string& name : importance->names()) {
    for (const uint64_t cols : {uint64_t{0}, uint64_t{8}, UINT64_MAX}) {
      const auto entry = importance->find(name, cols);
      if (fuzz_accepts(entry) && entry->found())
        fuzz_check(entry->matrix(0).size() == cols, "an entry has as many values as were asked for");
      fuzz_accepts(importance->find_outputs(name, cols, 2));
    }
  }
  return 0;
}

std::vector<std::string> seeds() {
  const FuzzTensor tensors[] = {{"blk.0.ffn_up.weight.in_sum2", {2, 8}},
                                {"blk.0.ffn_up.weight.counts", {2, 1}},
                                {"blk.0.ffn_up.weight.out_sum2", {2, 4}},
                                {"output.weight.in_sum2", {1, 8}},
                                {"output.weight.counts", {1, 1}}};
  std::string dat = little_endian(2, 4);
  for (const std::string name : {"blk.0.attn_q.weight", "output.weight"}) {
    dat += little_endian(name.size(), 4) + name + little_endian(3, 4) + little_endian(8, 4);
    for (int i = 0; i < 8; ++i) dat += std::string("\0\0\x80\x3f", 4);  // 1.0
  }
  return {fuzz_gguf(tensors), dat};
}

}  // namespace

const FuzzTarget kImatrixTarget = {"imatrix", run, seeds, kGgufTarget.mutate};

}  // namespace llmcodec

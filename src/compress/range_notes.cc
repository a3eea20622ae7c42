// SPDX-License-Identifier: BSD-3-Clause
#include "compress/range_notes.h"

#include <fmt/format.h>

#include <algorithm>

#include "restore/weights_to_dtype.h"
#include "tensor/dtype_range.h"

namespace llmcodec {
namespace {

struct PastRangeTensors {
  size_t count = 0;
  std::string first;  // name
  float largest = 0;

  void add(const FittedTensor& tensor) {
    if (count++ == 0) first = tensor.plan->name;
    largest = std::max(largest, tensor.largest_weight);
  }
  std::string text(Dtype dtype, const std::string& remedy) const {
    return fmt::format(
        "weights of {} tensors, the first {}, reach {:.7g}, past the {:.7g} at which {} ends: {}", count,
        first, largest, largest_finite(dtype), dtype_info(dtype).name, remedy);
  }
};

}  // namespace

std::vector<std::string> range_notes(std::span<const FittedTensor> tensors, const TensorSource& source) {
  std::vector<std::string> notes;
  for (const Dtype dtype : {Dtype::kF16, Dtype::kBF16}) {
    PastRangeTensors by_default, on_request;
    for (const FittedTensor& tensor : tensors) {
      if (tensor.largest_weight <= largest_finite(dtype)) continue;
      const Dtype own = source.tensors()[tensor.index].dtype;
      (restored_dtype(own) != own && restored_dtype(own) == dtype ? by_default : on_request).add(tensor);
    }
    if (by_default.count > 0)
      notes.push_back(by_default.text(dtype, "decompress them with --dtype bf16 or f32, or with --saturate"));
    if (on_request.count > 0)
      notes.push_back(on_request.text(dtype, "do not decompress them to it without --saturate"));
  }
  return notes;
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/dtype_range.h"

#include <limits>

namespace llmcodec {

double largest_finite(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF8E4M3Fnuz:
      return 240;
    case Dtype::kF8E4M3:
      return 448;
    case Dtype::kF8E5M2:
    case Dtype::kF8E5M2Fnuz:
      return 57344;
    case Dtype::kF16:
      return 65504;
    case Dtype::kQ8_0:  // the scale of a block is an F16
      return 127 * 65504;
    case Dtype::kBF16:
      return 0x1.fep127;
    case Dtype::kF64:
      return std::numeric_limits<double>::max();
    default:
      return std::numeric_limits<float>::max();
  }
}

bool is_narrower(Dtype dtype, Dtype own) {
  return largest_finite(dtype) < largest_finite(own);
}

}  // namespace llmcodec

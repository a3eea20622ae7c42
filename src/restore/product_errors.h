// SPDX-License-Identifier: BSD-3-Clause
// How far the products W = B A of low-rank updates are from the original's: what counts of an adapter, whose factors
// mean nothing by themselves.
//
// Example (const std::string& archive, const TensorSource& original, const Control& control):
//
//   LLMC_ASSIGN_OR_RETURN(const ProductsReport products, product_errors(archive, original, control));
#pragma once

#include <string>

#include "llmcodec/model.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

// Of all pairs of which a factor is coded, in the order of the original's tensors. Decodes them: in memory are four
// factors for each thread. Errors name archive and tensor.
Result<ProductsReport> product_errors(const std::string& archive, const TensorSource& original,
                                      const Control& control);

}  // namespace llmcodec

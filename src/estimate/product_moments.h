// SPDX-License-Identifier: BSD-3-Clause
// What errors in the factors of a low-rank update do to their product W = B A, from the factors alone. An error E in A
// adds B E, whose energy is, for errors that know nothing of each other,
//   sum over k of |column k of B|^2 |row k of E|^2,
// so output k of A matters as the energy of column k of B, and input k of B as the energy of row k of A. In the terms
// of importance files these are second moments: of A's outputs and of B's inputs. Both are divided by the root of the
// product's energy, so that the products of a large update may have larger errors, but not in proportion: the best for
// the loss of the adapted model (docs/decisions/048-adapters.md).
#pragma once

#include <span>

#include "quant/importance.h"
#include "tensor/adapter_pairs.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

// Appends the moments of the pair to `importance`, under the factors' own names; false, and nothing is appended, for a
// pair of which one factor is zero or not finite. Errors: those of reading.
Result<bool> append_product_moments(const TensorSource& source, const AdapterPair& pair,
                                    Importance* importance);

}  // namespace llmcodec

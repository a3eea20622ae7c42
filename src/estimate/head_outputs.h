// SPDX-License-Identifier: BSD-3-Clause
// How much each row of a head matters: its rows are tokens, and an error of a row costs as much as its token is likely.
#pragma once

#include <vector>

#include "estimate/linear_products.h"

namespace llmcodec {

// E[p_i (1 - p_i)] of every row i of the head, p the softmax of `factor` times its outputs: the mean square of the gradient of
// -log p(drawn token) by output i over draws from p, in units of factor^2 (docs/decisions/064-rows-of-heads.md). Taken
// over some of the inputs, the hidden vectors behind the last norm; not finite where they are not. The same bits on
// any number of threads.
Result<std::vector<double>> head_outputs(LinearProducts& products, const Linear& head, const Vectors& inputs,
                                         double factor, unsigned threads);

}  // namespace llmcodec

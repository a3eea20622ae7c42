// SPDX-License-Identifier: BSD-3-Clause
// How far from zero the dtypes reach.
#pragma once

#include "tensor/dtype.h"

namespace llmcodec {

// The largest finite value of a type that from_f32() writes; float's largest for all others.
double largest_finite(Dtype dtype);

// True when `dtype` does not reach as far from zero as `own` does.
bool is_narrower(Dtype dtype, Dtype own);

}  // namespace llmcodec

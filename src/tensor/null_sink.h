// SPDX-License-Identifier: BSD-3-Clause
// A sink that keeps nothing: for walks that only want to know whether all bytes come.
#pragma once

#include <memory>
#include <vector>

#include "tensor/tensor_source.h"

namespace llmcodec {

// `tensors` must have sizes that do not overflow.
std::unique_ptr<TensorSink> create_null_sink(const std::vector<TensorInfo>& tensors);

}  // namespace llmcodec

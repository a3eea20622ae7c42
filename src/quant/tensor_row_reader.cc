// SPDX-License-Identifier: BSD-3-Clause
#include "quant/tensor_row_reader.h"

namespace llmcodec {

Status TensorRowReader::read_rows(size_t first, MatrixView<float> out) {
  const uint64_t begin = (matrix_ * shape_.rows + first) * shape_.cols;
  const uint64_t count = out.rows * out.cols;
  Status status = source_.read_f32(index_, begin, {out.data, count});
  if (!status.is_ok())
    return std::move(status).error().in_tensor(source_.tensors()[index_].name).in_file(source_.file(index_));
  return Status::ok();
}

}  // namespace llmcodec

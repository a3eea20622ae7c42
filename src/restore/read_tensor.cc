// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/read_tensor.h"

#include "base/error.h"
#include "scheme/quantised_model.h"
#include "tensor/model_source.h"
#include "tensor/tensor_role.h"

namespace llmcodec {

Result<TensorValues> read_tensor(const std::string& model, const std::string& name,
                                 std::optional<RowRange> rows) {
  LLMC_ASSIGN_OR_RETURN(Model opened, open_model(model));
  LLMC_ASSIGN_OR_RETURN(const QuantisedModel quantised, QuantisedModel::open(&opened));
  auto found = opened.source->find(name);
  if (!found.is_ok()) return std::move(found).error().in_file(model);
  const TensorInfo& info = opened.source->tensors()[*found];
  LLMC_RETURN_IF_ERROR(quantised.check_known({std::string(info.folder())}));  // codes are no weights
  const auto shape = tensor_matrices(info);
  if (!shape || !dtype_info(info.dtype).floating)
    return error(ErrorKind::kInvalidArgument, "is no matrix of floating-point weights")
        .in_tensor(name)
        .in_file(model);
  const RowRange range = rows.value_or(RowRange{0, shape->matrices * shape->rows});
  if (range.first >= range.last || range.last > shape->matrices * shape->rows)
    return error(ErrorKind::kInvalidArgument, "has {} rows, of which {} to {} are no range",
                 shape->matrices * shape->rows, range.first, range.last)
        .in_tensor(name)
        .in_file(model);
  TensorValues tensor;
  tensor.rows = range.last - range.first;
  tensor.cols = shape->cols;
  tensor.values.resize(tensor.rows * tensor.cols);
  LLMC_RETURN_IF_ERROR(opened.source->read_f32(*found, range.first * tensor.cols, tensor.values));
  return tensor;
}

}  // namespace llmcodec

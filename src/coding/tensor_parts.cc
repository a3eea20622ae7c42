// SPDX-License-Identifier: BSD-3-Clause
#include "coding/tensor_parts.h"

#include <cstring>
#include <map>

#include "archive/packing.h"
#include "archive/part_names.h"
#include "base/checked_math.h"
#include "base/error.h"

namespace llmcodec {
namespace {

// The values of type T that these bytes hold, whatever their alignment.
template <class T>
std::vector<T> values_of(std::span<const std::byte> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

// Code vectors of all matrices, one after the other; no part when there are none.
template <class T>
void add_part(const char* name, std::span<const MatrixScales> matrices, std::vector<T> MatrixScales::*codes,
              std::vector<Part>* parts) {
  std::vector<T> all;
  for (const MatrixScales& scales : matrices)
    all.insert(all.end(), (scales.*codes).begin(), (scales.*codes).end());
  if (!all.empty()) parts->push_back({name, pack(std::as_bytes(std::span(all)))});
}

// The inverse: `count` codes for each matrix.
template <class T>
Status read_part(const char* name, uint64_t count, const PartContent& read,
                 std::vector<T> MatrixScales::*codes, std::vector<MatrixScales>* matrices) {
  const uint64_t expected = checked_mul(matrices->size() * sizeof(T), count).value_or(0);
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, read(name, expected));
  if (bytes.size() != expected)
    return error(ErrorKind::kCorrupt, "part '{}' has {} bytes, {} expected", name, bytes.size(), expected);
  const size_t size = count * sizeof(T);
  for (size_t m = 0; m < matrices->size(); ++m)
    (*matrices)[m].*codes = values_of<T>(std::span(bytes).subspan(m * size, size));
  return Status::ok();
}

// What the stage says of matrix `m`; its codes are in the parts.
MatrixScales scales_without_codes(const ScalesStage& stage, const MatrixShape& shape, uint64_t m) {
  MatrixScales scales;
  scales.spec = stage.spec;
  scales.asymmetric = stage.asymmetric;
  scales.rows = shape.rows;
  scales.cols = shape.cols;
  if (!stage.tensor_scale.empty()) scales.tensor_scale = stage.tensor_scale[m];
  if (!stage.row_code.empty()) scales.row_code = stage.row_code[m];
  if (!stage.col_code.empty()) scales.col_code = stage.col_code[m];
  if (!stage.group_code.empty()) scales.group_code = stage.group_code[m];
  return scales;
}

Dtype value_dtype(const TensorInfo& info) {
  return dtype_info(info.dtype).block_elements > 1 ? Dtype::kF32 : info.dtype;
}

bool has_wide_indices(const TensorInfo& info) {
  return info.elements() >> 32 != 0;
}

uint64_t index_bytes(const TensorInfo& info) {
  return has_wide_indices(info) ? sizeof(uint64_t) : sizeof(uint32_t);
}

template <class T>
std::vector<std::byte> bytes_of(std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

ScalesStage scales_stage(std::span<const MatrixScales> matrices, ColumnOrder order) {
  ScalesStage stage;
  stage.spec = matrices[0].spec;
  stage.asymmetric = matrices[0].asymmetric;
  stage.order = order;
  const ScaleKind kind = stage.spec.kind;
  for (const MatrixScales& scales : matrices) {
    if (kind == ScaleKind::kTensor) stage.tensor_scale.push_back(scales.tensor_scale);
    if (kind == ScaleKind::kRow || kind == ScaleKind::kDual) stage.row_code.push_back(scales.row_code);
    if (kind == ScaleKind::kColumn || kind == ScaleKind::kDual) stage.col_code.push_back(scales.col_code);
    if (kind == ScaleKind::kGroup) stage.group_code.push_back(scales.group_code);
  }
  return stage;
}

std::vector<Part> scales_to_parts(std::span<const MatrixScales> matrices) {
  std::vector<Part> parts;
  add_part(part_name::kRowScale, matrices, &MatrixScales::row_codes, &parts);
  add_part(part_name::kColScale, matrices, &MatrixScales::col_codes, &parts);
  add_part(part_name::kGroupScale, matrices, &MatrixScales::group_codes, &parts);
  add_part(part_name::kZero, matrices, &MatrixScales::zeros, &parts);
  return parts;
}

Result<std::vector<MatrixScales>> scales_from_parts(const ScalesStage& stage, const MatrixShape& shape,
                                                    const PartContent& read) {
  std::vector<MatrixScales> matrices;
  for (uint64_t m = 0; m < shape.matrices; ++m) matrices.push_back(scales_without_codes(stage, shape, m));
  if (matrices.empty()) return error(ErrorKind::kCorrupt, "has no matrices");
  const MatrixScales& any = matrices[0];
  if (!stage.row_code.empty())
    LLMC_RETURN_IF_ERROR(
        read_part(part_name::kRowScale, shape.rows, read, &MatrixScales::row_codes, &matrices));
  if (!stage.col_code.empty())
    LLMC_RETURN_IF_ERROR(
        read_part(part_name::kColScale, shape.cols, read, &MatrixScales::col_codes, &matrices));
  if (!stage.group_code.empty())
    LLMC_RETURN_IF_ERROR(read_part(part_name::kGroupScale, shape.rows * any.groups(), read,
                                   &MatrixScales::group_codes, &matrices));
  if (stage.asymmetric)
    LLMC_RETURN_IF_ERROR(
        read_part(part_name::kZero, any.zero_count(), read, &MatrixScales::zeros, &matrices));
  for (const MatrixScales& scales : matrices) LLMC_RETURN_IF_ERROR(validate(scales));
  return matrices;
}

Status check_parts(const TensorRecord& record, const ScalesStage& scales) {
  const std::map<std::string_view, bool> taken = {{part_name::kBitstream, true},
                                                  {part_name::kRowScale, !scales.row_code.empty()},
                                                  {part_name::kColScale, !scales.col_code.empty()},
                                                  {part_name::kGroupScale, !scales.group_code.empty()},
                                                  {part_name::kZero, scales.asymmetric},
                                                  {part_name::kOutliers, record.outliers > 0}};
  for (const auto& [name, part] : record.parts) {
    const auto found = taken.find(name);
    if (found == taken.end() || !found->second)
      return error(ErrorKind::kCorrupt, "part '{}' is there, and no stage takes it", name);
  }
  return Status::ok();
}

uint64_t outlier_bytes(const TensorInfo& info) {
  return index_bytes(info) + dtype_info(value_dtype(info)).block_bytes;
}

// All indices, then all values.
Result<Part> outliers_to_part(const OutlierList& outliers, const TensorInfo& info) {
  const std::vector<uint32_t> narrow(outliers.indices.begin(), outliers.indices.end());
  std::vector<std::byte> content =
      has_wide_indices(info) ? bytes_of<uint64_t>(outliers.indices) : bytes_of<uint32_t>(narrow);
  const size_t indices = content.size();
  content.resize(outliers.size() * outlier_bytes(info));
  LLMC_RETURN_IF_ERROR(from_f32(value_dtype(info), outliers.values, std::span(content).subspan(indices)));
  return Part{part_name::kOutliers, pack(content)};
}

Result<OutlierList> outliers_from_part(uint64_t count, const TensorInfo& info, const PartContent& read) {
  OutlierList outliers;
  if (count == 0) return outliers;
  const auto expected = checked_mul(count, outlier_bytes(info));
  if (count > info.elements() || !expected)
    return error(ErrorKind::kCorrupt, "{} outliers among {} weights", count, info.elements());
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> content, read(part_name::kOutliers, *expected));
  if (content.size() != *expected)
    return error(ErrorKind::kCorrupt, "part '{}' has {} bytes, {} expected", part_name::kOutliers,
                 content.size(), *expected);
  const auto indices = std::span(content).first(count * index_bytes(info));
  if (has_wide_indices(info)) {
    outliers.indices = values_of<uint64_t>(indices);
  } else {
    const auto narrow = values_of<uint32_t>(indices);
    outliers.indices.assign(narrow.begin(), narrow.end());
  }
  outliers.values.resize(count);
  LLMC_RETURN_IF_ERROR(
      to_f32(value_dtype(info), std::span(content).subspan(indices.size()), outliers.values));
  LLMC_RETURN_IF_ERROR(validate(outliers, info.elements()));
  return outliers;
}

}  // namespace llmcodec

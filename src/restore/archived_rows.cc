// SPDX-License-Identifier: BSD-3-Clause
#include "restore/archived_rows.h"
#include "archive/part_names.h"

#include <algorithm>

#include "restore/tensor_decoder.h"
#include "tensor/matrix_shape.h"

namespace llmcodec {
namespace {

Status check_range(const MatrixShape& shape, RowRange rows) {
  const uint64_t all = shape.matrices * shape.rows;
  if (rows.first < rows.last && rows.last <= all) return Status::ok();
  return error(ErrorKind::kInvalidArgument, "rows {}:{} of a tensor of {} rows", rows.first, rows.last, all);
}

// Copies what a decoded block, whose first row is row `begin` of the tensor, has of `rows`.
void copy_rows(std::span<const float> weights, uint64_t begin, RowRange rows, TensorValues* out) {
  const uint64_t first = std::max(begin, rows.first);
  const uint64_t last = std::min(begin + weights.size() / out->cols, rows.last);
  const auto wanted = weights.subspan((first - begin) * out->cols, (last - first) * out->cols);
  std::ranges::copy(wanted, out->values.begin() + static_cast<ptrdiff_t>((first - rows.first) * out->cols));
}

Status decode_group(std::vector<BlockDecoding>* group) {
  decode_blocks(*group);
  for (BlockDecoding& decoded : *group) LLMC_RETURN_IF_ERROR(std::move(decoded.status));
  group->clear();
  return Status::ok();
}

Status read_coded(const ArchiveReader& archive, CodecSet& codecs, const std::string& name, RowRange rows,
                  TensorValues* out) {
  // The stream's checksum is over all of it; the samples' are by segment, and checked.
  LLMC_ASSIGN_OR_RETURN(const TensorDecoder tensor,
                        TensorDecoder::open(archive, name, codecs, /*verify=*/false));
  std::vector<BlockDecoding> group;
  uint64_t weights = 0;
  for (const RowBlock& block : tensor.blocks()) {
    const uint64_t begin = block.matrix * tensor.record().rows + block.first_row;
    if (begin + block.rows <= rows.first || begin >= rows.last) continue;
    group.push_back({&tensor, &block, [&rows, begin, out](std::span<const float> values) {
                       copy_rows(values, begin, rows, out);
                       return Status::ok();
                     }});
    weights += block.rows * out->cols;
    if (weights < kDecodeGroupWeights) continue;
    LLMC_RETURN_IF_ERROR(decode_group(&group));
    weights = 0;
  }
  return decode_group(&group);
}

// Stored in its own dtype: under its name, or for GGUF's blocks as the part `data`.
Status read_stored(const ArchiveReader& archive, const TensorInfo& info, RowRange rows, TensorValues* out) {
  if (const auto index = archive.source().find(info.name); index.is_ok())
    return archive.source().read_f32(*index, rows.first * out->cols, out->values);
  LLMC_ASSIGN_OR_RETURN(const ByteRange range,
                        element_bytes(info, rows.first * out->cols, out->values.size()));
  std::vector<std::byte> bytes(range.size);
  LLMC_RETURN_IF_ERROR(archive.read_part(info.name, part_name::kData, range.begin, bytes));
  return to_f32(info.dtype, bytes, out->values);
}

Result<TensorValues> read(const ArchiveReader& archive, CodecSet& codecs, const std::string& name,
                          RowRange rows) {
  LLMC_ASSIGN_OR_RETURN(const TensorInfo info, archived_tensor(archive, name));
  const auto shape = matrix_shape(info.shape);
  if (!shape || !dtype_info(info.dtype).floating)
    return error(ErrorKind::kInvalidArgument, "is no matrix of floating-point weights");
  LLMC_RETURN_IF_ERROR(check_range(*shape, rows));
  TensorValues out{rows.last - rows.first, shape->cols, {}};
  out.values.resize(out.rows * out.cols);
  LLMC_RETURN_IF_ERROR(is_coded(archive, name) ? read_coded(archive, codecs, name, rows, &out)
                                               : read_stored(archive, info, rows, &out));
  return out;
}

}  // namespace

bool is_coded(const ArchiveReader& archive, const std::string& name) {
  const auto record = archive.description().tensors.find(name);
  return record != archive.description().tensors.end() && !is_verbatim(record->second);
}

Result<TensorInfo> archived_tensor(const ArchiveReader& archive, const std::string& name) {
  const auto record = archive.description().tensors.find(name);
  if (record != archive.description().tensors.end()) {
    const auto own = dtype_from_name(record->second.dtype);
    if (!own)
      return error(ErrorKind::kUnsupported, "dtype '{}' is not known", record->second.dtype).in_tensor(name);
    return TensorInfo{name, *own, record->second.shape};
  }
  for (const size_t index : archive.exact_tensors()) {
    if (archive.source().tensors()[index].name == name) return archive.source().tensors()[index];
  }
  return error(ErrorKind::kInvalidArgument, "is not a tensor of this archive")
      .in_tensor(name)
      .in_file(archive.files()[0]);
}

Result<TensorValues> read_archived_rows(const ArchiveReader& archive, CodecSet& codecs,
                                        const std::string& name, RowRange rows) {
  auto values = read(archive, codecs, name, rows);
  if (!values.is_ok()) return std::move(values).error().in_tensor(name).in_file(archive.files()[0]);
  return values;
}

Result<TensorValues> read_rows(const std::string& archive, const std::string& name, RowRange rows) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> opened, ArchiveReader::open(archive));
  CodecSet codecs = CodecSet::for_decoding({});
  return read_archived_rows(*opened, codecs, name, rows);
}

}  // namespace llmcodec

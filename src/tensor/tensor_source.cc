// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/tensor_source.h"

#include <algorithm>

#include "base/checked_math.h"
#include "base/error.h"

namespace llmcodec {

uint64_t TensorInfo::elements() const {
  return checked_product(shape).value_or(0);
}

Result<size_t> TensorSource::find(std::string_view name) const {
  const std::vector<TensorInfo>& list = tensors();
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].name == name) return i;
  }
  return error(ErrorKind::kInvalidArgument, "no tensor has this name").in_tensor(std::string(name));
}

uint64_t TensorSource::byte_size(size_t index) const {
  const TensorInfo& info = tensors()[index];
  return dtype_bytes(info.dtype, info.elements()).value_or(0);
}

Status TensorSource::visit(size_t index, uint64_t bytes, uint64_t unit, const PieceVisitor& visit) const {
  return visit_pieces(
      bytes, unit, [&](uint64_t begin, std::span<std::byte> piece) { return read(index, begin, piece); },
      visit);
}

Status TensorSource::read_f32(size_t index, uint64_t first, std::span<float> out) const {
  constexpr uint64_t kPieceElements = 1 << 15;  // whole blocks of every dtype; their bytes stay in the cache
  const TensorInfo& info = tensors()[index];
  const Result<ByteRange> range = element_bytes(info, first, out.size());
  if (!range) return Error(range.error()).in_file(file(index));
  if (info.dtype == Dtype::kF32) return read(index, range->begin, std::as_writable_bytes(out));
  std::vector<std::byte> buffer(std::min(range->size, dtype_bytes(info.dtype, kPieceElements).value_or(0)));
  for (uint64_t begin = range->begin; !out.empty();) {
    const auto values = out.first(std::min<uint64_t>(out.size(), kPieceElements));
    const auto piece = std::span(buffer).first(dtype_bytes(info.dtype, values.size()).value_or(0));
    LLMC_RETURN_IF_ERROR(read(index, begin, piece));
    Status status = to_f32(info.dtype, piece, values);
    if (!status.is_ok()) return std::move(status).error().in_tensor(info.name).in_file(file(index));
    begin += piece.size();
    out = out.subspan(values.size());
  }
  return Status::ok();
}

Result<ByteRange> element_bytes(const TensorInfo& info, uint64_t first, uint64_t count) {
  const uint64_t elements = info.elements();
  if (first > elements || count > elements - first)
    return error(ErrorKind::kInvalidArgument, "elements {} to {} asked of {}", first, first + count, elements)
        .in_tensor(info.name);
  const std::optional<uint64_t> begin = dtype_bytes(info.dtype, first);
  const std::optional<uint64_t> size = dtype_bytes(info.dtype, count);
  if (!begin || !size)
    return error(ErrorKind::kInvalidArgument, "elements {} to {} are not whole blocks of {}", first,
                 first + count, dtype_info(info.dtype).name)
        .in_tensor(info.name);
  return ByteRange{*begin, *size};
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/tensor_source.h"

#include "base/checked_math.h"

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

Status TensorSource::read_f32(size_t index, uint64_t first, std::span<float> out) const {
  const TensorInfo& info = tensors()[index];
  Result<ByteRange> range = element_bytes(info, first, out.size());
  if (!range) return std::move(range).error().in_file(file(index));
  Status status = to_f32(info.dtype, bytes(index).subspan(range->begin, range->size), out);
  if (!status.is_ok()) return std::move(status).error().in_tensor(info.name).in_file(file(index));
  return status;
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

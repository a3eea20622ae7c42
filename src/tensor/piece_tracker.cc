// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/piece_tracker.h"

#include "base/error.h"

namespace llmcodec {

PieceTracker::PieceTracker(std::span<const TensorInfo> tensors) {
  items_.reserve(tensors.size());
  for (const TensorInfo& info : tensors)
    items_.push_back({info.name, dtype_bytes(info.dtype, info.elements()).value_or(0)});
}

Result<uint64_t> PieceTracker::accept(size_t index, uint64_t bytes) {
  if (index >= items_.size())
    return error(ErrorKind::kInvalidArgument, "tensor {} written, there are {}", index, items_.size());
  if (index < current_)
    return error(ErrorKind::kInvalidArgument, "written after a later tensor").in_tensor(items_[index].name);
  LLMC_RETURN_IF_ERROR(check_complete_until(index));
  if (index > current_) written_ = 0;
  current_ = index;
  const Item& item = items_[index];
  if (bytes > item.bytes - written_)
    return error(ErrorKind::kInvalidArgument, "{} bytes written, it has {}", written_ + bytes, item.bytes)
        .in_tensor(item.name);
  const uint64_t position = written_;
  written_ += bytes;
  return position;
}

Status PieceTracker::check_complete() const {
  return check_complete_until(items_.size());
}

Status PieceTracker::check_complete_until(size_t index) const {
  for (size_t i = current_; i < index; ++i) {
    const uint64_t written = i == current_ ? written_ : 0;
    if (written != items_[i].bytes)
      return error(ErrorKind::kInvalidArgument, "{} of its {} bytes written", written, items_[i].bytes)
          .in_tensor(items_[i].name);
  }
  return Status::ok();
}

}  // namespace llmcodec

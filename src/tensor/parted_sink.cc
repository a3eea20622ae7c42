// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/parted_sink.h"

#include "base/error.h"

namespace llmcodec {

PartedSink::PartedSink(ModelFolder& folder, std::vector<TensorInfo> tensors, std::vector<Shard> shards,
                       OpenShard open_shard, std::function<Status()> commit)
    : folder_(folder),
      tensors_(std::move(tensors)),
      shards_(std::move(shards)),
      open_shard_(std::move(open_shard)),
      commit_(std::move(commit)) {}

Status PartedSink::write(size_t index, std::span<const std::byte> bytes) {
  if (index >= tensors_.size())
    return error(ErrorKind::kInvalidArgument, "tensor {} written, there are {}", index, tensors_.size())
        .in_file(folder_.path());
  LLMC_RETURN_IF_ERROR(open_shard_of(index));
  if (index < shards_[current_].first)
    return error(ErrorKind::kInvalidArgument, "written after a later tensor")
        .in_tensor(tensors_[index].name)
        .in_file(folder_.path());
  return sink_->write(index - shards_[current_].first, bytes);
}

Status PartedSink::finish() {
  if (!tensors_.empty()) LLMC_RETURN_IF_ERROR(open_shard_of(tensors_.size() - 1));
  if (sink_ == nullptr) LLMC_RETURN_IF_ERROR(open_current());
  LLMC_RETURN_IF_ERROR(sink_->finish());
  sink_.reset();
  return commit_();
}

Status PartedSink::open_current() {
  const Shard& shard = shards_[current_];
  const auto begin = tensors_.begin() + static_cast<std::ptrdiff_t>(shard.first);
  LLMC_ASSIGN_OR_RETURN(sink_,
                        open_shard_(current_, {begin, begin + static_cast<std::ptrdiff_t>(shard.count)}));
  return Status::ok();
}

// Finishes the shards before the one that holds tensor `index` and makes that the open one.
Status PartedSink::open_shard_of(size_t index) {
  if (sink_ == nullptr) LLMC_RETURN_IF_ERROR(open_current());
  while (index >= shards_[current_].first + shards_[current_].count) {
    if (current_ + 1 == shards_.size())
      return error(ErrorKind::kInternal, "is in none of the files that were planned")
          .in_tensor(tensors_[index].name)
          .in_file(folder_.path());
    LLMC_RETURN_IF_ERROR(sink_->finish());
    sink_.reset();
    ++current_;
    LLMC_RETURN_IF_ERROR(open_current());
  }
  return Status::ok();
}

}  // namespace llmcodec

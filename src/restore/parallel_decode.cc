// SPDX-License-Identifier: BSD-3-Clause
#include "restore/parallel_decode.h"
#include "archive/part_names.h"
#include "base/error.h"

#include <memory>
#include <mutex>

#include "base/ordered_run.h"

namespace llmcodec {
namespace {

// A block takes some 10 KB of memory however small it is: a group has no more than a thousand.
constexpr uint64_t kLeastCounted = kDecodeGroupWeights / 1024;

// Consecutive blocks of tensors in H.266, of one or of several; or one block of another codec, which gains
// nothing.
struct Group {
  std::vector<std::shared_ptr<const TensorDecoder>> tensors;
  std::vector<const RowBlock*> blocks;  // of the tensor with the same index
  std::vector<size_t> tasks;            // likewise: which the block was decoded for
  // Results:
  std::vector<BlockTaker> takers;
  std::vector<Status> statuses;
};

class DecodeRun {
 public:
  DecodeRun(const ArchiveReader& archive, std::span<const DecodeTask> tasks, CodecSet& codecs,
            const Control& control, const BlockWork& work)
      : archive_(archive), tasks_(tasks), codecs_(codecs), control_(control), work_(work) {
    for (const DecodeTask& task : tasks) {
      const TensorRecord& record = archive.description().tensors.at(task.name);
      total_ += std::min(record.matrices * record.rows * record.cols, task.last) - task.first;
    }
  }

  Status run() {
    OrderedRun<Group> work;
    work.make = [this] { return next_group(); };
    work.work = [this](Group& group) {
      decode(group);
      return Status::ok();  // errors wait for their turn
    };
    work.take = [this](Group& group) -> Status {
      for (size_t i = 0; i < group.blocks.size(); ++i) {
        LLMC_RETURN_IF_ERROR(placed(std::move(group.statuses[i]), tasks_[group.tasks[i]]));
        LLMC_RETURN_IF_ERROR(group.takers[i]());
        finish(*group.tensors[i], *group.blocks[i]);
      }
      return Status::ok();
    };
    Status status = work.run(control_.threads);
    if (!status.is_ok()) return std::move(status).error().in_file(archive_.files()[0]);
    return Status::ok();
  }

 private:
  // In the shard that has the tensor.
  Status placed(Status status, const DecodeTask& task) const {
    if (status.is_ok()) return status;
    return std::move(status).error().in_file(archive_.file_of(task.name));
  }

  Result<std::optional<Group>> next_group() {
    if (control_.cancelled && control_.cancelled()) return error(ErrorKind::kInterrupted, "interrupted");
    // Small enough that every thread gets some.
    const uint64_t enough = std::min(total_ / thread_count(control_.threads), kDecodeGroupWeights);
    Group group;
    const auto gains = [&] { return group.tensors.back()->stages().codec.stream == "h266"; };
    for (uint64_t weights = 0; group.blocks.empty() || (weights < enough && gains());) {
      LLMC_ASSIGN_OR_RETURN(const bool more, open_next());
      if (!more) break;
      group.tensors.push_back(tensor_);
      const RowBlock& block = tensor_->blocks()[block_++];
      group.blocks.push_back(&block);
      group.tasks.push_back(task_ - 1);
      weights += std::max(block.rows * tensor_->record().cols, kLeastCounted);
    }
    return group.blocks.empty() ? std::nullopt : std::optional(std::move(group));
  }

  // Makes `block_` a wanted block of `tensor_`. False after the last one.
  Result<bool> open_next() {
    for (;; ++block_) {
      if (!tensor_ || block_ == tensor_->blocks().size()) {
        if (task_ == tasks_.size()) return false;
        LLMC_RETURN_IF_ERROR(open(tasks_[task_++]));
      }
      if (is_wanted(tensor_->blocks()[block_], tasks_[task_ - 1])) return true;
    }
  }

  Status open(const DecodeTask& task) {
    auto tensor = TensorDecoder::open(archive_, task.name, codecs_, task.verify);
    if (!tensor.is_ok()) return placed(std::move(tensor).error().in_tensor(task.name), task);
    tensor_ = std::make_shared<const TensorDecoder>(std::move(tensor).value());
    block_ = 0;
    return Status::ok();
  }

  bool is_wanted(const RowBlock& block, const DecodeTask& task) const {
    return has_elements(tensor_->record(), block, task.first, task.last);
  }

  static uint64_t first_element(const TensorDecoder& tensor, const RowBlock& block) {
    return (block.matrix * tensor.record().rows + block.first_row) * tensor.record().cols;
  }

  void decode(Group& group) const {
    group.takers.resize(group.blocks.size());
    std::vector<BlockDecoding> blocks;
    for (size_t i = 0; i < group.blocks.size(); ++i) {
      const TensorDecoder& tensor = *group.tensors[i];
      const RowBlock& block = *group.blocks[i];
      const uint64_t first = first_element(tensor, block);
      blocks.push_back(
          {&tensor, &block, [this, task = group.tasks[i], first, taker = &group.takers[i]](auto weights) {
             auto made = work_(task, first, weights);
             if (!made.is_ok()) return Status(std::move(made).error());
             *taker = std::move(made).value();
             return Status::ok();
           }});
    }
    std::unique_ptr<DecodeMemory> memory = take_memory();
    decode_blocks(blocks, *memory);
    {
      const std::lock_guard lock(mutex_);
      memories_.push_back(std::move(memory));
    }
    for (BlockDecoding& block : blocks) group.statuses.push_back(std::move(block.status));
  }

  // One that another group has left, if there is one: so there are no more than groups that are decoded at a time.
  std::unique_ptr<DecodeMemory> take_memory() const {
    const std::lock_guard lock(mutex_);
    if (memories_.empty()) return std::make_unique<DecodeMemory>();
    std::unique_ptr<DecodeMemory> memory = std::move(memories_.back());
    memories_.pop_back();
    return memory;
  }

  void finish(const TensorDecoder& tensor, const RowBlock& block) {
    done_ += block.rows * tensor.record().cols;
    if (control_.progress) control_.progress({"decode", done_, total_, tensor.name()});
  }

  const ArchiveReader& archive_;
  std::span<const DecodeTask> tasks_;
  CodecSet& codecs_;
  const Control& control_;
  const BlockWork& work_;
  size_t task_ = 0, block_ = 0;
  std::shared_ptr<const TensorDecoder> tensor_;
  uint64_t done_ = 0, total_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<DecodeMemory>> memories_;  // mutex_
};

}  // namespace

Status decode_tensors(const ArchiveReader& archive, std::span<const DecodeTask> tasks, CodecSet& codecs,
                      const Control& control, const BlockWork& work) {
  return DecodeRun(archive, tasks, codecs, control, work).run();
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "pipeline/decode_run.h"

#include <memory>

#include "archive/checksum.h"
#include "pipeline/ordered_run.h"

namespace llmcodec {
namespace {

// Consecutive blocks of tensors in H.266, of one or of several; or one block of another codec, which gains
// nothing.
struct Group {
  std::vector<std::shared_ptr<const TensorDecoder>> tensors;
  std::vector<BlockDecoding> blocks;
};

class DecodeRun {
 public:
  DecodeRun(const ArchiveReader& archive, const std::vector<std::string>& names, CodecSet& codecs,
            const Control& control, const BlockTaker& take)
      : archive_(archive), names_(names), codecs_(codecs), control_(control), take_(take) {
    for (const std::string& name : names) {
      const TensorRecord& record = archive.description().tensors.at(name);
      total_ += record.matrices * record.rows * record.cols;
    }
  }

  Status run() {
    OrderedRun<Group> work;
    work.make = [this] { return next_group(); };
    work.work = [](Group& group) {
      decode_blocks(group.blocks);
      return Status::ok();  // errors wait for their turn
    };
    work.take = [this](Group& group) -> Status {
      for (BlockDecoding& block : group.blocks) LLMC_RETURN_IF_ERROR(take_over(block));
      return Status::ok();
    };
    Status status = work.run(control_.threads);
    if (!status.is_ok()) return std::move(status).error().in_file(archive_.files()[0]);
    return Status::ok();
  }

 private:
  Result<std::optional<Group>> next_group() {
    if (control_.cancelled && control_.cancelled()) return error(ErrorKind::kInterrupted, "interrupted");
    // Small enough that every thread gets some.
    const uint64_t enough = std::min(total_ / thread_count(control_.threads), kDecodeGroupWeights);
    Group group;
    const auto gains = [&] { return group.blocks.back().tensor->stages().codec.stream == "h266"; };
    for (uint64_t weights = 0; group.blocks.empty() || (weights < enough && gains());) {
      LLMC_ASSIGN_OR_RETURN(const bool more, open_next());
      if (!more) break;
      group.tensors.push_back(tensor_);
      const RowBlock& block = tensor_->blocks()[block_++];
      group.blocks.push_back({tensor_.get(), &block, {}, {}});
      weights += block.rows * tensor_->record().cols;
    }
    return group.blocks.empty() ? std::nullopt : std::optional(std::move(group));
  }

  // Makes `block_` a block of `tensor_`. False after the last one.
  Result<bool> open_next() {
    if (tensor_ && block_ < tensor_->blocks().size()) return true;
    if (name_ == names_.size()) return false;
    const std::string& name = names_[name_++];
    auto tensor = TensorDecoder::open(archive_, name, codecs_, /*verify=*/true);
    if (!tensor.is_ok()) return std::move(tensor).error().in_tensor(name);
    tensor_ = std::make_shared<const TensorDecoder>(std::move(tensor).value());
    block_ = 0;
    return true;
  }

  Status take_over(BlockDecoding& item) {
    LLMC_RETURN_IF_ERROR(std::move(item.status));
    const RowBlock& block = *item.block;
    const TensorRecord& record = item.tensor->record();
    if (&block == &item.tensor->blocks().front()) checksum_.emplace();
    checksum_->update(item.samples);
    const uint64_t first = (block.matrix * record.rows + block.first_row) * record.cols;
    LLMC_RETURN_IF_ERROR(take_(*item.tensor, first, item.weights));
    done_ += item.weights.size();
    if (control_.progress) control_.progress({"decode", done_, total_, item.tensor->name()});
    const ByteRange used = item.tensor->stream_range(block);
    archive_.release_part(item.tensor->name(), "bitstream", used.begin, used.size);
    if (&block != &item.tensor->blocks().back()) return Status::ok();
    if (checksum_->hex() != record.samples)
      return error(ErrorKind::kCorrupt, "decoded samples fail their checksum").in_tensor(item.tensor->name());
    return Status::ok();
  }

  const ArchiveReader& archive_;
  const std::vector<std::string>& names_;
  CodecSet& codecs_;
  const Control& control_;
  const BlockTaker& take_;
  size_t name_ = 0, block_ = 0;
  std::shared_ptr<const TensorDecoder> tensor_;
  std::optional<Checksum> checksum_;
  uint64_t done_ = 0, total_ = 0;
};

}  // namespace

Status decode_tensors(const ArchiveReader& archive, const std::vector<std::string>& names, CodecSet& codecs,
                      const Control& control, const BlockTaker& take) {
  return DecodeRun(archive, names, codecs, control, take).run();
}

}  // namespace llmcodec

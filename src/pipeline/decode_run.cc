// SPDX-License-Identifier: BSD-3-Clause
#include "pipeline/decode_run.h"

#include <memory>

#include "archive/checksum.h"
#include "pipeline/ordered_run.h"

namespace llmcodec {
namespace {

struct BlockWork {
  std::shared_ptr<const TensorDecoder> tensor;
  size_t block = 0;
  std::vector<float> weights;
  std::vector<std::byte> samples;
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
    OrderedRun<BlockWork> work;
    work.make = [this] { return next(); };
    work.work = [](BlockWork& item) {
      return item.tensor->decode(item.tensor->blocks()[item.block], &item.weights, &item.samples);
    };
    work.take = [this](BlockWork& item) { return take_over(item); };
    Status status = work.run(control_.threads);
    if (!status.is_ok()) return std::move(status).error().in_file(archive_.files()[0]);
    return Status::ok();
  }

 private:
  Result<std::optional<BlockWork>> next() {
    if (control_.cancelled && control_.cancelled()) return error(ErrorKind::kInterrupted, "interrupted");
    if (!tensor_ || block_ == tensor_->blocks().size()) {
      if (name_ == names_.size()) return std::optional<BlockWork>();
      const std::string& name = names_[name_++];
      auto tensor = TensorDecoder::open(archive_, name, codecs_, /*verify=*/true);
      if (!tensor.is_ok()) return std::move(tensor).error().in_tensor(name);
      tensor_ = std::make_shared<const TensorDecoder>(std::move(tensor).value());
      block_ = 0;
    }
    return std::optional<BlockWork>(BlockWork{tensor_, block_++, {}, {}});
  }

  Status take_over(BlockWork& item) {
    const RowBlock& block = item.tensor->blocks()[item.block];
    const TensorRecord& record = item.tensor->record();
    if (item.block == 0) checksum_.emplace();
    checksum_->update(item.samples);
    const uint64_t first = (block.matrix * record.rows + block.first_row) * record.cols;
    LLMC_RETURN_IF_ERROR(take_(*item.tensor, first, item.weights));
    done_ += item.weights.size();
    if (control_.progress) control_.progress({"decode", done_, total_, item.tensor->name()});
    const ByteRange used = item.tensor->stream_range(block);
    archive_.release_part(item.tensor->name(), "bitstream", used.begin, used.size);
    if (item.block + 1 < item.tensor->blocks().size()) return Status::ok();
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

// SPDX-License-Identifier: BSD-3-Clause
#include "base/file.h"
#include "llmcodec/model.h"
#include "pipeline/decode_run.h"
#include "pipeline/ordered_run.h"

namespace llmcodec {
namespace {

struct BlockSamples {
  const RowBlock* block = nullptr;
  std::vector<std::byte> samples;
};

// What the codec returns for every block, as it is hashed.
Status write_samples(const TensorDecoder& tensor, const Control& control, AtomicFile& out) {
  size_t next = 0;
  OrderedRun<BlockSamples> run;
  run.make = [&]() -> Result<std::optional<BlockSamples>> {
    if (control.cancelled && control.cancelled()) return error(ErrorKind::kInterrupted, "interrupted");
    if (next == tensor.blocks().size()) return std::optional<BlockSamples>();
    return std::optional<BlockSamples>(BlockSamples{&tensor.blocks()[next++], {}});
  };
  run.work = [&](BlockSamples& item) {
    std::vector<float> weights;
    return tensor.decode(*item.block, &weights, &item.samples);
  };
  run.take = [&](BlockSamples& item) { return out.write(item.samples); };
  return run.run(control.threads);
}

}  // namespace

Status extract(const ExtractOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> archive, ArchiveReader::open(options.input));
  const auto record = archive->description().tensors.find(options.tensor);
  if (record == archive->description().tensors.end() || is_verbatim(record->second))
    return error(ErrorKind::kInvalidArgument, "is not a coded tensor of this archive")
        .in_tensor(options.tensor)
        .in_file(options.input);
  LLMC_ASSIGN_OR_RETURN(AtomicFile out, AtomicFile::create(options.output));
  if (options.samples) {
    CodecSet codecs(options.control.environment);
    LLMC_ASSIGN_OR_RETURN(const TensorDecoder tensor,
                          TensorDecoder::open(*archive, options.tensor, codecs, true));
    LLMC_RETURN_IF_ERROR(write_samples(tensor, options.control, out));
  } else {
    LLMC_ASSIGN_OR_RETURN(const auto stream, archive->part(options.tensor, "bitstream"));
    LLMC_RETURN_IF_ERROR(out.write(stream));
  }
  return out.commit();
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "base/file.h"
#include "llmcodec/model.h"
#include "pipeline/decode_run.h"

namespace llmcodec {
namespace {

// What the codec returns for every block, as it is hashed.
Status write_samples(const TensorDecoder& tensor, AtomicFile& out) {
  for (const RowBlock& block : tensor.blocks()) {
    std::vector<float> weights;
    std::vector<std::byte> samples;
    LLMC_RETURN_IF_ERROR(tensor.decode(block, &weights, &samples));
    LLMC_RETURN_IF_ERROR(out.write(samples));
  }
  return Status::ok();
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
    LLMC_RETURN_IF_ERROR(write_samples(tensor, out));
  } else {
    LLMC_ASSIGN_OR_RETURN(const auto stream, archive->part(options.tensor, "bitstream"));
    LLMC_RETURN_IF_ERROR(out.write(stream));
  }
  return out.commit();
}

}  // namespace llmcodec

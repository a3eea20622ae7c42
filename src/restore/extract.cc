// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <span>

#include "archive/carry_over.h"
#include "archive/part_names.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/ordered_run.h"
#include "base/output_guard.h"
#include "llmcodec/archive.h"
#include "llmcodec/model.h"
#include "restore/parallel_decode.h"
#include "restore/weights_to_dtype.h"
#include "tensor/safetensors.h"

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
  run.work = [&](BlockSamples& item) -> Status {
    LLMC_ASSIGN_OR_RETURN(item.samples, tensor.decode_samples(*item.block));
    return Status::ok();
  };
  run.take = [&](BlockSamples& item) { return out.write(item.samples); };
  return run.run(control.threads);
}

// What players take of a segment. Most formats may simply follow each other; IVF has a file header (of which bytes 6
// and 7 give the length), which only the first segment may keep.
std::span<const std::byte> playable(std::span<const std::byte> segment, const std::string& format,
                                    bool first) {
  if (format != "ivf" || first || segment.size() < 8) return segment;
  const auto header = std::to_integer<size_t>(segment[6]) | std::to_integer<size_t>(segment[7]) << 8;
  return segment.subspan(std::min(header, segment.size()));
}

// The segments as one stream.
Status write_stream(const ArchiveReader& archive, const std::string& tensor, const CodecStage& codec,
                    AtomicFile& out) {
  Checksum checksum;
  std::vector<std::byte> segment;
  for (uint64_t offset = 0; const uint64_t bytes : codec.segment_bytes) {
    segment.resize(bytes);
    LLMC_RETURN_IF_ERROR(archive.read_part(tensor, part_name::kBitstream, offset, segment));
    checksum.update(segment);
    LLMC_RETURN_IF_ERROR(out.write(playable(segment, codec.stream, offset == 0)));
    offset += bytes;
  }
  return archive.check_part(tensor, part_name::kBitstream, checksum);
}

// In the dtype that decompress() gives a safetensors file.
Status extract_rows(const ExtractOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const Archive archive, Archive::open(options.input, options.control.environment));
  LLMC_ASSIGN_OR_RETURN(const size_t tensor, archive.find(options.tensor));
  const ArchivedTensor& info = archive.tensors()[tensor];
  const auto own = dtype_from_name(info.dtype);
  const Dtype dtype = !own ? Dtype::kF32 : info.coded ? restored_dtype(*own) : restored_exact_dtype(*own);
  const RowRange rows = *options.rows;
  std::vector<std::byte> bytes;
  if (rows.first < rows.last && rows.last <= info.rows) {
    const auto weights = checked_mul(rows.last - rows.first, info.cols);
    if (!weights || *weights > kMaxBlockWeights)
      return error(ErrorKind::kLimit, "{} rows of {} columns, at most {} elements are extracted at once",
                   rows.last - rows.first, info.cols, kMaxBlockWeights)
          .in_file(options.input)
          .in_tensor(options.tensor);
    bytes.resize(*weights * dtype_info(dtype).block_bytes);
  }
  LLMC_RETURN_IF_ERROR(archive.decode_rows(
      tensor, rows, bytes, {dtype_info(dtype).name, options.control.threads, options.control.cancelled}));
  const TensorInfo matrix{info.name, dtype, {rows.last - rows.first, info.cols}};
  LLMC_ASSIGN_OR_RETURN(const auto sink, create_safetensors(options.output, {matrix}, {}));
  LLMC_RETURN_IF_ERROR(sink->write(0, bytes));
  return sink->finish();
}

}  // namespace

Status extract(const ExtractOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> archive, ArchiveReader::open(options.input));
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> inputs, files_of(*archive, options.input));
  LLMC_RETURN_IF_ERROR(check_output_file(options.output, inputs));
  LLMC_RETURN_IF_ERROR(check_output_folder(options.output));
  if (options.rows) return extract_rows(options);
  const std::string& tensor = archive->stored_name(options.tensor);
  const auto record = archive->description().tensors.find(tensor);
  if (record == archive->description().tensors.end() || is_verbatim(record->second))
    return error(ErrorKind::kInvalidArgument, "is not a coded tensor of this archive")
        .in_tensor(options.tensor)
        .in_file(options.input);
  LLMC_ASSIGN_OR_RETURN(AtomicFile out, AtomicFile::create(options.output));
  if (options.samples) {
    CodecSet codecs = CodecSet::for_decoding(options.control.environment);
    LLMC_ASSIGN_OR_RETURN(const TensorDecoder decoder, TensorDecoder::open(*archive, tensor, codecs, true));
    LLMC_RETURN_IF_ERROR(write_samples(decoder, options.control, out));
  } else {
    LLMC_ASSIGN_OR_RETURN(const TensorRecipe coded, recipe_from_record(record->second));
    LLMC_RETURN_IF_ERROR(write_stream(*archive, tensor, coded.codec, out));
  }
  return out.commit();
}

}  // namespace llmcodec

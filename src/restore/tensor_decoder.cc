// SPDX-License-Identifier: BSD-3-Clause
#include "restore/tensor_decoder.h"

#include <algorithm>
#include <numeric>

#include "archive/checksum.h"
#include "archive/part_names.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"
#include "coding/tensor_parts.h"

namespace llmcodec {

Result<TensorDecoder> TensorDecoder::open(const ArchiveReader& archive, const std::string& name,
                                          CodecSet& codecs, bool verify) {
  TensorDecoder tensor;
  tensor.archive_ = &archive;
  tensor.name_ = name;
  tensor.record_ = &archive.description().tensors.at(name);
  LLMC_ASSIGN_OR_RETURN(tensor.stages_, recipe_from_record(*tensor.record_));
  if (tensor.record_->samples.size() != tensor.stages_.codec.segment_bytes.size())
    return error(ErrorKind::kCorrupt, "{} checksums of samples for {} segments",
                 tensor.record_->samples.size(), tensor.stages_.codec.segment_bytes.size());
  if (!tensor.stages_.is_spectral()) {
    auto codec = codecs.get(tensor.stages_.codec.spec);
    if (!codec.is_ok()) {
      Error missing = std::move(codec).error();
      missing.message = fmt::format("coded with {}: {}", tensor.stages_.codec.name, missing.message);
      return missing;
    }
    tensor.codec_ = *codec;
  }
  LLMC_RETURN_IF_ERROR(check_block_size(*tensor.record_, tensor.stages_));
  LLMC_RETURN_IF_ERROR(tensor.load_parts());
  const auto only_check = [](std::span<const std::byte>) { return Status::ok(); };
  if (verify) LLMC_RETURN_IF_ERROR(archive.visit_part(name, part_name::kBitstream, only_check));
  tensor.list_segments();
  tensor.blocks_ = row_blocks(*tensor.record_, tensor.stages_);
  return tensor;
}

Status TensorDecoder::load_parts() {
  const auto dtype = dtype_from_name(record_->dtype);
  if (!dtype) return error(ErrorKind::kUnsupported, "dtype '{}' is not known", record_->dtype);
  LLMC_RETURN_IF_ERROR(check_parts(*record_, stages_.scales));
  const MatrixShape shape{record_->matrices, record_->rows, record_->cols};
  const PartContent read = [&](const std::string& part, uint64_t max_bytes) {
    // The others are no longer than the tensor, by its shape; how many outliers there are is only said.
    return archive_->packed_part(name_, part,
                                 part == part_name::kOutliers
                                     ? std::min(max_bytes, max_unpacked_bytes(archive_->total_bytes()))
                                     : max_bytes);
  };
  LLMC_ASSIGN_OR_RETURN(scales_, scales_from_parts(stages_.scales, shape, read));
  for (const MatrixScales& scales : scales_)
    order_.push_back(coding_order(stages_.scales.order, scales.col_codes));
  LLMC_ASSIGN_OR_RETURN(outliers_,
                        outliers_from_part(record_->outliers, {name_, *dtype, record_->shape}, read));
  return Status::ok();
}

void TensorDecoder::list_segments() {
  uint64_t begin = 0;
  for (uint64_t bytes : stages_.codec.segment_bytes) {
    segment_begin_.push_back(begin);
    begin += bytes;
  }
}

std::vector<RowBlock> row_blocks(const TensorRecord& record, const TensorRecipe& stages) {
  std::vector<RowBlock> blocks;
  const bool whole_rows = stages.has_whole_rows();
  const uint64_t pictures = stages.pictures_per_matrix();
  const uint64_t per_segment = stages.codec.pictures_per_segment;
  uint64_t segment = 0;
  for (uint64_t m = 0; m < record.matrices; ++m) {
    for (uint64_t first = 0; first < pictures;) {
      const uint64_t count = whole_rows ? std::min(per_segment, pictures - first) : pictures;
      RowBlock block{m, 0, record.rows, segment, ceil_div(count, per_segment), {first, count}};
      if (whole_rows) {
        const PictureRect last = stages.picture(first + count - 1);
        block.first_row = stages.picture(first).first_row;
        block.rows = last.first_row + last.rows - block.first_row;
      }
      segment += block.segments;
      first += count;
      blocks.push_back(block);
    }
  }
  return blocks;
}

bool has_elements(const TensorRecord& record, const RowBlock& block, uint64_t first, uint64_t last) {
  const uint64_t begin = (block.matrix * record.rows + block.first_row) * record.cols;
  return begin < last && first < begin + block.rows * record.cols;
}

Result<std::vector<std::byte>> TensorDecoder::read_stream(const RowBlock& block) const {
  const auto sizes = std::span(stages_.codec.segment_bytes).subspan(block.first_segment, block.segments);
  std::vector<std::byte> stream(std::reduce(sizes.begin(), sizes.end(), uint64_t{0}));
  LLMC_RETURN_IF_ERROR(
      archive_->read_part(name_, part_name::kBitstream, segment_begin_[block.first_segment], stream));
  return stream;
}

void TensorDecoder::add_segments(const RowBlock& block, std::span<const std::byte> stream,
                                 std::vector<SegmentDecoding>* segments) const {
  const MatrixContext matrix{nullptr, &scales_[block.matrix], order_[block.matrix], nullptr, 0};
  const uint64_t per_segment = stages_.codec.pictures_per_segment;
  for (uint64_t s = 0; s < block.segments; ++s) {
    const uint64_t first = block.pictures.first + s * per_segment;
    const PictureRange range{first,
                             std::min(per_segment, block.pictures.first + block.pictures.count - first)};
    const auto segment = stream.first(stages_.codec.segment_bytes[block.first_segment + s]);
    segments->push_back({&stages_, codec_, matrix, range, segment});
    stream = stream.subspan(segment.size());
  }
}

// The first problem of the block's segments, which were decoded.
Status TensorDecoder::check_segments(const RowBlock& block, std::span<SegmentDecoding> segments) const {
  for (size_t s = 0; s < segments.size(); ++s) {
    if (!segments[s].status.is_ok()) return std::move(segments[s].status).error().in_tensor(name_);
    const uint64_t index = block.first_segment + s;
    if (xxh3_128(segments[s].samples) != record_->samples[index])
      return error(ErrorKind::kCorrupt, "decoded samples of segment {} of {} fail their checksum", index,
                   record_->samples.size())
          .in_tensor(name_);
  }
  return Status::ok();
}

void TensorDecoder::restore(const RowBlock& block, std::span<const SegmentDecoding> segments,
                            std::vector<float>* weights) const {
  weights->resize(block.rows * record_->cols);
  const MatrixView<float> rows(weights->data(), block.rows, record_->cols);
  for (const SegmentDecoding& segment : segments) restore_weights(segment, {block.first_row, rows});
  // Indices count over all matrices of the tensor.
  apply_outliers(outliers_, block.matrix * record_->rows + block.first_row, rows);
}

Result<std::vector<std::byte>> TensorDecoder::decode_samples(const RowBlock& block) const {
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> stream, read_stream(block));
  std::vector<SegmentDecoding> segments;
  add_segments(block, stream, &segments);
  decode_pictures(segments);
  LLMC_RETURN_IF_ERROR(check_segments(block, segments));
  std::vector<std::byte> samples;
  for (const SegmentDecoding& segment : segments)
    samples.insert(samples.end(), segment.samples.begin(), segment.samples.end());
  return samples;
}

std::vector<std::byte> DecodeMemory::take() {
  if (samples_.empty()) return {};
  std::vector<std::byte> samples = std::move(samples_.back());
  samples_.pop_back();
  return samples;
}

void DecodeMemory::give(std::vector<std::byte> samples) {
  constexpr size_t kUsualPicture = size_t{4}
                                   << 20;  // twice the usual, of spectral pictures; larger ones are rare
  if (samples.capacity() > kUsualPicture) return;
  samples.clear();
  samples_.push_back(std::move(samples));
}

void decode_blocks(std::span<BlockDecoding> blocks, DecodeMemory& memory) {
  std::vector<std::vector<std::byte>> streams;
  std::vector<SegmentDecoding> segments;
  for (BlockDecoding& block : blocks) {
    auto stream = block.tensor->read_stream(*block.block);
    if (!stream.is_ok()) {
      block.status = std::move(stream).error();
      continue;
    }
    streams.push_back(std::move(stream).value());
    block.tensor->add_segments(*block.block, streams.back(), &segments);
  }
  for (SegmentDecoding& segment : segments) segment.samples = memory.take();
  decode_pictures(segments);
  std::span<SegmentDecoding> left = segments;
  for (BlockDecoding& block : blocks) {
    if (!block.status.is_ok()) continue;
    const auto own = left.first(block.block->segments);
    left = left.subspan(own.size());
    block.status = block.tensor->check_segments(*block.block, own);
    if (!block.status.is_ok()) continue;
    block.tensor->restore(*block.block, own, &memory.weights);
    for (SegmentDecoding& segment : own) memory.give(std::move(segment.samples));
    block.status = block.use(memory.weights);
  }
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// One coded tensor of an archive, decoded by blocks of rows.
//
// Example (const ArchiveReader& archive, const std::string& name, CodecSet& codecs):
//
//   LLMC_ASSIGN_OR_RETURN(const TensorDecoder tensor, TensorDecoder::open(archive, name, codecs, true));
//   const auto use_weights = [](std::span<const float> weights) {
//     use(weights);
//     return Status::ok();
//   };
//   std::vector<BlockDecoding> blocks;                             // the more, the faster: up to five times
//   for (const RowBlock& block : tensor.blocks()) blocks.push_back({&tensor, &block, use_weights});
//   DecodeMemory memory;  // left to the next call
//   decode_blocks(blocks, memory);
//   for (BlockDecoding& block : blocks) LLMC_RETURN_IF_ERROR(std::move(block.status));
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "archive/archive_reader.h"
#include "coding/codec_set.h"
#include "coding/picture_coder.h"

namespace llmcodec {

// Rows of one matrix that can be decoded without the others.
struct RowBlock {
  uint64_t matrix = 0;
  uint64_t first_row = 0, rows = 0;
  uint64_t first_segment = 0, segments = 0;  // counted over the tensor
  PictureRange pictures;                     // of the matrix
};

// One block per segment where a picture holds whole rows; with several input cuts, one block per matrix.
std::vector<RowBlock> row_blocks(const TensorRecord& record, const TensorRecipe& stages);
// Whether the block has any of the elements [first, last) of its tensor.
bool has_elements(const TensorRecord& record, const RowBlock& block, uint64_t first, uint64_t last);

class TensorDecoder {
 public:
  // Reads and checks all parts but the bitstream; when `verify`, that one is checked too, in pieces. Its segments are
  // read when they are decoded, from the archive, which must live as long.
  static Result<TensorDecoder> open(const ArchiveReader& archive, const std::string& name, CodecSet& codecs,
                                    bool verify);
  const TensorRecord& record() const { return *record_; }
  const TensorRecipe& stages() const { return stages_; }
  const std::string& name() const { return name_; }
  const std::vector<RowBlock>& blocks() const { return blocks_; }
  // What the codec returns for the block, in the order of segments. Corrupt when it fails its checksum.
  Result<std::vector<std::byte>> decode_samples(const RowBlock& block) const;

 private:
  friend void decode_blocks(std::span<struct BlockDecoding> blocks, class DecodeMemory& memory);
  TensorDecoder() = default;
  Status load_parts();
  void list_segments();
  // The block's segments, one after the other.
  Result<std::vector<std::byte>> read_stream(const RowBlock& block) const;
  // `stream` is the block's, and must live until they are decoded.
  void add_segments(const RowBlock& block, std::span<const std::byte> stream,
                    std::vector<SegmentDecoding>* segments) const;
  Status check_segments(const RowBlock& block, std::span<SegmentDecoding> segments) const;
  void restore(const RowBlock& block, std::span<const SegmentDecoding> segments,
               std::vector<float>* weights) const;

  const ArchiveReader* archive_ = nullptr;
  std::string name_;
  const TensorRecord* record_ = nullptr;
  TensorRecipe stages_;
  const Codec* codec_ = nullptr;
  std::vector<MatrixScales> scales_;
  std::vector<std::vector<uint32_t>> order_;
  OutlierList outliers_;  // indices in the tensor
  std::vector<uint64_t> segment_begin_;
  std::vector<RowBlock> blocks_;
};

// A block to be decoded.
struct BlockDecoding {
  const TensorDecoder* tensor = nullptr;
  const RowBlock* block = nullptr;  // one of tensor->blocks()
  // Called with block->rows x cols weights, outliers applied, which are gone when it returns.
  std::function<Status(std::span<const float> weights)> use;
  Status status = Status::ok();  // result: of decoding, or what `use` returned
};

// Weights of the blocks that one call should have: pictures of the usual size for all lanes
// (vvc/residual/lanes/read_32x32_lanes.h, vvc/residual/lanes/read_any_lanes.h).
inline constexpr uint64_t kDecodeGroupWeights = 16 * kDefaultPictureWeights;

// Memory that one call of decode_blocks() leaves to the next: new memory costs page faults, and in a process that gives what
// is freed back to the system at once, as most do, a tenth of the time.
class DecodeMemory {
 public:
  // Empty, with room where there is some.
  std::vector<std::byte> take();
  void give(std::vector<std::byte> samples);
  std::vector<float> weights;

 private:
  std::vector<std::vector<std::byte>> samples_;
};

// Each as alone, in order. Corrupt for samples that fail their checksum. Thread-safe, each call with a memory of its own; holds
// the segments and samples of all blocks and the weights of one.
void decode_blocks(std::span<BlockDecoding> blocks, DecodeMemory& memory);

}  // namespace llmcodec

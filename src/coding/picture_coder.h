// SPDX-License-Identifier: BSD-3-Clause
// Pictures of one matrix to bytes and back: scales, layout and codec put together for the two layouts. What
// encoding returns was decoded again: samples, outliers and errors are those of the decoder.
//
// Example (const TensorRecipe& tensor, const Codec& codec, const MatrixContext& matrix, DecodedRows out):
//
//   const PictureRange range{.first = 0, .count = 1};
//   LLMC_ASSIGN_OR_RETURN(const CodedPictures coded, encode_pictures(tensor, &codec, matrix, range));
//
//   SegmentDecoding segment{&tensor, &codec, matrix, range, coded.stream};
//   decode_pictures({&segment, 1});
//   LLMC_RETURN_IF_ERROR(std::move(segment.status));
//   restore_weights(segment, out);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error_metrics.h"
#include "coding/tensor_recipe.h"
#include "llmcodec/codec.h"
#include "quant/feedback.h"
#include "quant/outliers.h"
#include "quant/row_reader.h"

namespace llmcodec {

// A matrix, or some rows of one, as coder and decoder see it. Everything is borrowed.
struct MatrixContext {
  RowReader* reader = nullptr;  // thread-safe; encoding only
  const MatrixScales* scales = nullptr;
  std::span<const uint32_t> order = {};  // coded position -> matrix column; empty: identity
  const Feedback* feedback = nullptr;    // closed loop; spectral layout only
  uint64_t first_row = 0;                // row 0 of the layout is this row of reader and scales
};

struct PictureRange {
  uint64_t first = 0, count = 0;  // within the matrix's layout
};

struct CodedPictures {
  std::vector<std::byte> stream;
  OutlierList outliers;          // indices in the matrix, ascending
  std::string samples_xxh3_128;  // of what the codec returns, as docs/format.md has it
  ErrorMetrics metrics;          // of the weights in these pictures, outliers applied
};

// Pictures to be encoded together, of any tensor.
struct SegmentEncoding {
  const TensorRecipe* tensor = nullptr;
  const Codec* codec = nullptr;  // used for the spatial layout only
  MatrixContext matrix;
  PictureRange range;
  CodedPictures coded = {};  // results
  Status status = Status::ok();
};

// Each as alone; but spectral ones are written side by side, nearly twice as fast. Memory: about 20 bytes a
// weight of all spectral ones.
void encode_pictures(std::span<SegmentEncoding> segments);
Result<CodedPictures> encode_pictures(const TensorRecipe& tensor, const Codec* codec,
                                      const MatrixContext& matrix, PictureRange range);

// Pictures that were encoded together, of any tensor.
struct SegmentDecoding {
  const TensorRecipe* tensor = nullptr;
  const Codec* codec = nullptr;  // used for the spatial layout only
  MatrixContext matrix;
  PictureRange range;
  std::span<const std::byte> stream;
  std::vector<std::byte> samples = {};  // results: what the codec returns, as docs/format.md has it
  Status status = Status::ok();
};

// Each as alone; but those of our own codec are read side by side, up to five times as fast.
void decode_pictures(std::span<SegmentDecoding> segments);

// Where weights go. `rows`: whole matrix rows, the first being layout row `first_row`; only the columns that
// the pictures hold are written.
struct DecodedRows {
  uint64_t first_row = 0;
  MatrixView<float> rows;

  MatrixView<float> of(const PictureRect& rect) const {
    return rows.block(rect.first_row - first_row, 0, rect.rows, rows.cols);
  }
};

// The weights of pictures that were decoded. Outliers are the caller's.
void restore_weights(const SegmentDecoding& segment, const DecodedRows& out);

}  // namespace llmcodec

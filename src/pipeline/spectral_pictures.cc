// SPDX-License-Identifier: BSD-3-Clause
#include "pipeline/spectral_pictures.h"

#include <algorithm>
#include <utility>

#include "pipeline/coded_columns.h"
#include "pipeline/owned_matrix.h"
#include "rate/gaussian_rate.h"
#include "vvc/spectral_decoder.h"
#include "vvc/spectral_encoder.h"

namespace llmcodec {
namespace {

vvc::SpectralFormat format_of(const SpectralLayout& layout, double quality) {
  vvc::SpectralFormat format;
  format.blocks_x = layout.blocks_x;
  format.blocks_y = layout.strips;
  format.coefficients = layout.block_coefficients();
  format.qp = static_cast<int>(quality);
  return format;
}

// Where a position of a strip's coefficient array lies: row of the picture, coded column of the matrix.
struct Place {
  uint64_t row, column;
  bool padding;
};
Place place_of(const SpectralLayout& layout, const PictureRect& rect, uint32_t strip, uint32_t position) {
  const uint64_t block = position / layout.block_coefficients();
  const uint64_t inside = position % layout.block_coefficients();
  const uint64_t row = block * layout.outputs_per_block + inside % layout.outputs_per_block;
  const uint64_t input = uint64_t{strip} * kStripInputs + inside / layout.outputs_per_block;
  return {row, rect.first_col + input, row >= rect.rows || input >= rect.cols};
}

// u = float(index) * step, in place of the indices.
void scale_indices(MatrixView<const int32_t> index, float step, MatrixView<float> u) {
  for (size_t r = 0; r < index.rows; ++r) {
    for (size_t c = 0; c < index.cols; ++c) u.at(r, c) = static_cast<float>(index.at(r, c)) * step;
  }
}

void to_steps(float step, MatrixView<float> u) {
  for (size_t r = 0; r < u.rows; ++r) {
    for (float& value : u.row(r)) value /= step;
  }
}

// What is common to coding with and without the loop: one picture, its strips in order.
struct PictureCoding {
  const SpectralStage& stage;
  const MatrixContext& matrix;
  uint64_t picture;
  PictureRect rect;
  uint64_t row;  // matrix row of the picture's first one
  OwnedMatrix<float> source;
  CodedPictures coded;

  PictureCoding(const SpectralStage& stage_in, const MatrixContext& matrix_in, uint64_t picture_in)
      : stage(stage_in),
        matrix(matrix_in),
        picture(picture_in),
        rect(stage.layout.picture(picture)),
        row(matrix.first_row + rect.first_row),
        source(rect.rows, stage.layout.cols) {}

  uint32_t column_at(uint64_t position) const {
    return matrix.order.empty() ? static_cast<uint32_t>(position) : matrix.order[position];
  }
  void append_samples(std::span<const int32_t> indices) {
    const auto bytes = std::as_bytes(indices);
    coded.samples.insert(coded.samples.end(), bytes.begin(), bytes.end());
  }
  // `restored`: the picture's rows as a decoder gets them, outliers included.
  CodedPictures finish(MatrixView<const float> restored, std::vector<std::byte> stream) {
    coded.stream = std::move(stream);
    sort_outliers(coded.outliers);
    add_columns(rect, matrix.order, source.view(), restored, &coded.metrics);
    return std::move(coded);
  }
};

// One strip through the encoder; its indices join the samples. Calls take(row of the picture, coded column)
// for weights that the picture cannot carry.
template <class Take>
Status encode_strip(PictureCoding& coding, vvc::SpectralEncoder& encoder, uint32_t strip,
                    std::span<const float> coefficients, std::span<int32_t> indices, Take take) {
  std::vector<uint32_t> escaped;
  LLMC_RETURN_IF_ERROR(encoder.encode_strip(coefficients, indices, &escaped));
  coding.append_samples(indices);
  for (uint32_t position : escaped) {
    const Place place = place_of(coding.stage.layout, coding.rect, strip, position);
    if (!place.padding) take(place.row, place.column);
  }
  return Status::ok();
}

Result<CodedPictures> encode_open(PictureCoding& coding, vvc::SpectralEncoder& encoder) {
  const SpectralLayout& layout = coding.stage.layout;
  OwnedMatrix<float> u(coding.rect.rows, layout.cols);
  OwnedMatrix<int32_t> index(coding.rect.rows, layout.cols);
  normalise(*coding.matrix.scales, coding.row, coding.source.view(), u.view());
  to_steps(coding.stage.step, u.view());
  std::vector<float> coefficients(layout.strip_coefficients());
  std::vector<int32_t> indices(layout.strip_coefficients());
  for (uint32_t strip = 0; strip < layout.strips; ++strip) {
    gather_strip<float>(layout, coding.picture, strip, u.view(), coding.matrix.order, coefficients);
    LLMC_RETURN_IF_ERROR(
        encode_strip(coding, encoder, strip, coefficients, indices, [&](uint64_t row, uint64_t position) {
          const uint32_t column = coding.column_at(position);
          coding.coded.outliers.add((coding.row + row) * layout.cols + column,
                                    coding.source.view().at(row, column));
        }));
    scatter_strip<int32_t>(layout, coding.picture, strip, indices, coding.matrix.order, index.view());
  }
  OwnedMatrix<float> restored(coding.rect.rows, layout.cols);
  scale_indices(index.view(), coding.stage.step, restored.view());
  denormalise(*coding.matrix.scales, coding.row, restored.view(), restored.view());
  sort_outliers(coding.coded.outliers);
  apply_outliers(coding.coded.outliers, coding.row, restored.view());
  LLMC_ASSIGN_OR_RETURN(std::vector<std::byte> stream, encoder.finish());
  return coding.finish(restored.view(), std::move(stream));
}

// Scales of coded columns [first, first + count) for the picture's rows, so that strips can be scaled on
// their own.
MatrixScales strip_scales(const PictureCoding& coding, uint64_t first, uint64_t count) {
  const MatrixScales& all = *coding.matrix.scales;
  MatrixScales scales = all;
  scales.rows = coding.rect.rows;
  scales.cols = count;
  scales.row_codes.assign(all.row_codes.begin() + static_cast<ptrdiff_t>(coding.row),
                          all.row_codes.begin() + static_cast<ptrdiff_t>(coding.row + coding.rect.rows));
  scales.col_codes.resize(count);
  for (uint64_t k = 0; k < count; ++k) scales.col_codes[k] = all.col_codes[coding.column_at(first + k)];
  return scales;
}

// Codes strip `strip` of what is wanted (columns in coding order); returns it as decoders get it.
Result<OwnedMatrix<float>> encode_wanted_strip(PictureCoding& coding, vvc::SpectralEncoder& encoder,
                                               uint32_t strip, MatrixView<const float> wanted) {
  const SpectralLayout& layout = coding.stage.layout;
  const uint64_t rows = wanted.rows, count = wanted.cols, first = uint64_t{strip} * kStripInputs;
  const SpectralLayout alone{rows, count, layout.outputs_per_block, layout.blocks_x, 1, 1, 1};
  const MatrixScales scales = strip_scales(coding, first, count);
  OwnedMatrix<float> u(rows, count), decoded(rows, count);
  normalise(scales, 0, wanted, u.view());
  to_steps(coding.stage.step, u.view());
  std::vector<float> coefficients(layout.strip_coefficients());
  std::vector<int32_t> indices(layout.strip_coefficients());
  gather_strip<float>(alone, 0, 0, u.view(), {}, coefficients);
  std::vector<std::pair<uint64_t, uint64_t>> exact;
  LLMC_RETURN_IF_ERROR(
      encode_strip(coding, encoder, strip, coefficients, indices,
                   [&](uint64_t row, uint64_t position) { exact.emplace_back(row, position); }));
  OwnedMatrix<int32_t> index(rows, count);
  scatter_strip<int32_t>(alone, 0, 0, indices, {}, index.view());
  scale_indices(index.view(), coding.stage.step, decoded.view());
  denormalise(scales, 0, decoded.view(), decoded.view());
  for (const auto& [row, position] : exact) {
    const float value = wanted.at(row, position - first);
    decoded.view().at(row, position - first) = value;
    coding.coded.outliers.add((coding.row + row) * layout.cols + coding.column_at(position), value);
  }
  return decoded;
}

// The closed loop: what a strip lost is made up for by the inputs still to come. Works in coding order of the
// columns throughout; dual scales, one input cut.
Result<CodedPictures> encode_closed(PictureCoding& coding, vvc::SpectralEncoder& encoder) {
  const SpectralLayout& layout = coding.stage.layout;
  const uint64_t rows = coding.rect.rows;
  OwnedMatrix<float> wanted(rows, layout.cols);
  OwnedMatrix<float> restored(rows, layout.cols);  // source order
  for (uint64_t r = 0; r < rows; ++r) {
    for (uint64_t k = 0; k < layout.cols; ++k)
      wanted.view().at(r, k) = coding.source.view().at(r, coding.column_at(k));
  }
  for (uint32_t strip = 0; strip < layout.strips; ++strip) {
    const uint64_t first = uint64_t{strip} * kStripInputs;
    const uint64_t count = std::min<uint64_t>(kStripInputs, layout.cols - first);
    const MatrixView<float> target = wanted.view().block(0, first, rows, count);
    LLMC_ASSIGN_OR_RETURN(OwnedMatrix<float> decoded, encode_wanted_strip(coding, encoder, strip, target));
    OwnedMatrix<float> error(rows, count);
    for (uint64_t r = 0; r < rows; ++r) {
      for (uint64_t k = 0; k < count; ++k) {
        restored.view().at(r, coding.column_at(first + k)) = decoded.view().at(r, k);
        error.view().at(r, k) = target.at(r, k) - decoded.view().at(r, k);
      }
    }
    coding.matrix.feedback->correct(strip, error.view(),
                                    wanted.view().block(0, first + count, rows, layout.cols - first - count));
  }
  LLMC_ASSIGN_OR_RETURN(std::vector<std::byte> stream, encoder.finish());
  return coding.finish(restored.view(), std::move(stream));
}

// The stream must have the layout's size.
Result<vvc::SpectralDecoder> open_decoder(const SpectralLayout& layout, std::span<const std::byte> stream) {
  LLMC_ASSIGN_OR_RETURN(vvc::SpectralDecoder decoder,
                        vvc::SpectralDecoder::open(stream, layout.block_coefficients()));
  if (decoder.format().blocks_x != layout.blocks_x || decoder.format().blocks_y != layout.strips)
    return error(ErrorKind::kCorrupt, "stream has {}x{} blocks, the archive says {}x{}",
                 decoder.format().blocks_x, decoder.format().blocks_y, layout.blocks_x, layout.strips);
  return decoder;
}

// Weights from the indices of one picture.
void restore_picture(const SegmentDecoding& segment, std::span<const int32_t> indices) {
  const SpectralStage& stage = segment.tensor->spectral();
  const MatrixContext& matrix = segment.matrix;
  const PictureRect rect = stage.layout.picture(segment.range.first);
  const auto bytes = std::as_bytes(indices);
  segment.out.samples->insert(segment.out.samples->end(), bytes.begin(), bytes.end());
  OwnedMatrix<int32_t> index(rect.rows, stage.layout.cols);
  scatter_picture<int32_t>(stage.layout, segment.range.first, indices, matrix.order, index.view());
  OwnedMatrix<float> x(rect.rows, stage.layout.cols);
  scale_indices(index.view(), stage.step, x.view());
  denormalise(*matrix.scales, matrix.first_row + rect.first_row, x.view(), x.view());
  copy_columns(rect, matrix.order, x.view(), segment.out.of(rect));
}

}  // namespace

Result<CodedPictures> encode_spectral(const CodedTensor& tensor, const MatrixContext& matrix,
                                      PictureRange range) {
  PictureCoding coding(tensor.spectral(), matrix, range.first);
  LLMC_RETURN_IF_ERROR(matrix.reader->read_rows(coding.row, coding.source.view()));
  LLMC_ASSIGN_OR_RETURN(
      vvc::SpectralEncoder encoder,
      vvc::SpectralEncoder::create(format_of(coding.stage.layout, tensor.codec.quality), {}));
  return matrix.feedback != nullptr ? encode_closed(coding, encoder) : encode_open(coding, encoder);
}

void decode_spectral(std::span<SegmentDecoding* const> segments) {
  std::vector<SegmentDecoding*> open;
  std::vector<vvc::SpectralDecoder> decoders;
  std::vector<std::vector<int32_t>> indices;
  for (SegmentDecoding* segment : segments) {
    const SpectralLayout& layout = segment->tensor->spectral().layout;
    auto decoder = open_decoder(layout, segment->stream);
    if (!decoder.is_ok()) {
      segment->status = std::move(decoder).error();
      continue;
    }
    open.push_back(segment);
    decoders.push_back(std::move(decoder).value());
    indices.emplace_back(layout.picture_coefficients());
  }
  std::vector<vvc::SpectralPicture> pictures;
  for (size_t i = 0; i < open.size(); ++i)
    pictures.push_back({.decoder = &decoders[i], .indices = indices[i]});
  vvc::SpectralDecoder::decode_pictures(pictures);
  for (size_t i = 0; i < open.size(); ++i) {
    open[i]->status = std::move(pictures[i].status);
    if (open[i]->status.is_ok()) restore_picture(*open[i], indices[i]);
    indices[i] = {};
  }
}

SpectralChoice spectral_choice(double log2_step, uint64_t rows) {
  const double bits = gaussian_bits(log2_step);
  return {vvc::spectral_outputs_for_rate(bits, rows), static_cast<double>(vvc::spectral_qp_for_rate(bits))};
}

}  // namespace llmcodec

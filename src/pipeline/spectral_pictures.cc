// SPDX-License-Identifier: BSD-3-Clause
#include "pipeline/spectral_pictures.h"

#include <algorithm>
#include <memory>
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

// One picture on its way through the encoder, strip by strip; with and without the loop.
class PictureEncoding {
 public:
  PictureEncoding(const SegmentEncoding& segment, OwnedMatrix<float> source, vvc::SpectralEncoder encoder)
      : stage_(segment.tensor->spectral()),
        matrix_(segment.matrix),
        picture_(segment.range.first),
        rect_(stage_.layout.picture(picture_)),
        row_(matrix_.first_row + rect_.first_row),
        source_(std::move(source)),
        encoder_(std::move(encoder)),
        coefficients_(stage_.layout.strip_coefficients()),
        indices_(stage_.layout.strip_coefficients()) {}
  virtual ~PictureEncoding() = default;

  bool is_done() const { return strip_ == stage_.layout.strips; }
  vvc::StripEncoding begin_strip() {
    fill_strip();
    escaped_.clear();
    return {&encoder_, coefficients_, indices_, &escaped_};
  }
  void end_strip() {
    const auto bytes = std::as_bytes(std::span(indices_));
    coded_.samples.insert(coded_.samples.end(), bytes.begin(), bytes.end());
    std::vector<Place> lost;
    for (uint32_t position : escaped_) {
      const Place place = place_of(stage_.layout, rect_, strip_, position);
      if (!place.padding) lost.push_back(place);
    }
    take_strip(lost);
    ++strip_;
  }
  Result<CodedPictures> finish() {
    LLMC_ASSIGN_OR_RETURN(coded_.stream, encoder_.finish());
    sort_outliers(coded_.outliers);
    const OwnedMatrix<float> restored = restore();
    add_columns(rect_, matrix_.order, source_.view(), restored.view(), &coded_.metrics);
    return std::move(coded_);
  }

 protected:
  // Fills coefficients_ for strip_.
  virtual void fill_strip() = 0;
  // Takes indices_ over. `lost`: weights that the picture cannot carry.
  virtual void take_strip(std::span<const Place> lost) = 0;
  // The picture's rows as a decoder gets them, outliers included.
  virtual OwnedMatrix<float> restore() = 0;

  uint32_t column_at(uint64_t position) const {
    return matrix_.order.empty() ? static_cast<uint32_t>(position) : matrix_.order[position];
  }
  void add_outlier(const Place& place, float value) {
    coded_.outliers.add((row_ + place.row) * stage_.layout.cols + column_at(place.column), value);
  }

  const SpectralStage& stage_;
  const MatrixContext& matrix_;
  uint64_t picture_;
  PictureRect rect_;
  uint64_t row_;  // matrix row of the picture's first one
  OwnedMatrix<float> source_;
  vvc::SpectralEncoder encoder_;
  uint32_t strip_ = 0;
  std::vector<float> coefficients_;
  std::vector<int32_t> indices_;
  std::vector<uint32_t> escaped_;
  CodedPictures coded_;
};

class OpenEncoding final : public PictureEncoding {
 public:
  OpenEncoding(const SegmentEncoding& segment, OwnedMatrix<float> source, vvc::SpectralEncoder encoder)
      : PictureEncoding(segment, std::move(source), std::move(encoder)),
        u_(rect_.rows, stage_.layout.cols),
        index_(rect_.rows, stage_.layout.cols) {
    normalise(*matrix_.scales, row_, source_.view(), u_.view());
    to_steps(stage_.step, u_.view());
  }

 private:
  void fill_strip() override {
    gather_strip<float>(stage_.layout, picture_, strip_, u_.view(), matrix_.order, coefficients_);
  }
  void take_strip(std::span<const Place> lost) override {
    for (const Place& place : lost) add_outlier(place, source_.view().at(place.row, column_at(place.column)));
    scatter_strip<int32_t>(stage_.layout, picture_, strip_, indices_, matrix_.order, index_.view());
  }
  OwnedMatrix<float> restore() override {
    scale_indices(index_.view(), stage_.step, u_.view());
    denormalise(*matrix_.scales, row_, u_.view(), u_.view());
    apply_outliers(coded_.outliers, row_, u_.view());
    return std::move(u_);
  }

  OwnedMatrix<float> u_;
  OwnedMatrix<int32_t> index_;
};

// The closed loop: what a strip lost is made up for by the inputs still to come. Works in coding order of the
// columns throughout; dual scales, one input cut.
class ClosedEncoding final : public PictureEncoding {
 public:
  ClosedEncoding(const SegmentEncoding& segment, OwnedMatrix<float> source, vvc::SpectralEncoder encoder)
      : PictureEncoding(segment, std::move(source), std::move(encoder)),
        wanted_(rect_.rows, stage_.layout.cols),
        restored_(rect_.rows, stage_.layout.cols) {
    for (uint64_t r = 0; r < rect_.rows; ++r) {
      for (uint64_t k = 0; k < stage_.layout.cols; ++k)
        wanted_.view().at(r, k) = source_.view().at(r, column_at(k));
    }
  }

 private:
  uint64_t first() const { return uint64_t{strip_} * kStripInputs; }
  uint64_t count() const { return std::min<uint64_t>(kStripInputs, stage_.layout.cols - first()); }
  MatrixView<const float> target() { return wanted_.view().block(0, first(), rect_.rows, count()); }
  // The strip as a layout of its own.
  SpectralLayout alone() const {
    const SpectralLayout& layout = stage_.layout;
    return {rect_.rows, count(), layout.outputs_per_block, layout.blocks_x, 1, 1, 1};
  }

  // Scales of the strip's columns for the picture's rows.
  MatrixScales strip_scales() const {
    const MatrixScales& all = *matrix_.scales;
    MatrixScales scales = all;
    scales.rows = rect_.rows;
    scales.cols = count();
    scales.row_codes.assign(all.row_codes.begin() + static_cast<ptrdiff_t>(row_),
                            all.row_codes.begin() + static_cast<ptrdiff_t>(row_ + rect_.rows));
    scales.col_codes.resize(count());
    for (uint64_t k = 0; k < count(); ++k) scales.col_codes[k] = all.col_codes[column_at(first() + k)];
    return scales;
  }

  void fill_strip() override {
    OwnedMatrix<float> u(rect_.rows, count());
    normalise(strip_scales(), 0, target(), u.view());
    to_steps(stage_.step, u.view());
    gather_strip<float>(alone(), 0, 0, u.view(), {}, coefficients_);
  }

  // The strip as decoders get it.
  OwnedMatrix<float> decoded_strip(std::span<const Place> lost) {
    OwnedMatrix<int32_t> index(rect_.rows, count());
    OwnedMatrix<float> decoded(rect_.rows, count());
    scatter_strip<int32_t>(alone(), 0, 0, indices_, {}, index.view());
    scale_indices(index.view(), stage_.step, decoded.view());
    denormalise(strip_scales(), 0, decoded.view(), decoded.view());
    for (const Place& place : lost) {
      const float value = target().at(place.row, place.column - first());
      decoded.view().at(place.row, place.column - first()) = value;
      add_outlier(place, value);
    }
    return decoded;
  }

  void take_strip(std::span<const Place> lost) override {
    OwnedMatrix<float> decoded = decoded_strip(lost);
    OwnedMatrix<float> error(rect_.rows, count());
    for (uint64_t r = 0; r < rect_.rows; ++r) {
      for (uint64_t k = 0; k < count(); ++k) {
        restored_.view().at(r, column_at(first() + k)) = decoded.view().at(r, k);
        error.view().at(r, k) = target().at(r, k) - decoded.view().at(r, k);
      }
    }
    const uint64_t end = first() + count();
    matrix_.feedback->correct(strip_, error.view(),
                              wanted_.view().block(0, end, rect_.rows, stage_.layout.cols - end));
  }
  OwnedMatrix<float> restore() override { return std::move(restored_); }

  OwnedMatrix<float> wanted_;    // in coding order
  OwnedMatrix<float> restored_;  // in source order
};

Result<std::unique_ptr<PictureEncoding>> open_encoding(const SegmentEncoding& segment) {
  const SpectralStage& stage = segment.tensor->spectral();
  const PictureRect rect = stage.layout.picture(segment.range.first);
  OwnedMatrix<float> source(rect.rows, stage.layout.cols);
  LLMC_RETURN_IF_ERROR(
      segment.matrix.reader->read_rows(segment.matrix.first_row + rect.first_row, source.view()));
  LLMC_ASSIGN_OR_RETURN(
      vvc::SpectralEncoder encoder,
      vvc::SpectralEncoder::create(format_of(stage.layout, segment.tensor->codec.quality), {}));
  std::unique_ptr<PictureEncoding> made;
  if (segment.matrix.feedback != nullptr)
    made = std::make_unique<ClosedEncoding>(segment, std::move(source), std::move(encoder));
  else
    made = std::make_unique<OpenEncoding>(segment, std::move(source), std::move(encoder));
  return made;
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

void encode_spectral(std::span<SegmentEncoding* const> segments) {
  struct AtWork {
    SegmentEncoding* segment;
    std::unique_ptr<PictureEncoding> encoding;
  };
  std::vector<AtWork> at_work;
  for (SegmentEncoding* segment : segments) {
    auto encoding = open_encoding(*segment);
    if (encoding.is_ok())
      at_work.push_back({segment, std::move(encoding).value()});
    else
      segment->status = std::move(encoding).error();
  }
  while (!at_work.empty()) {
    std::vector<vvc::StripEncoding> strips;
    for (AtWork& a : at_work) strips.push_back(a.encoding->begin_strip());
    vvc::SpectralEncoder::encode_strips(strips);
    for (size_t i = 0; i < at_work.size(); ++i) {
      at_work[i].segment->status = std::move(strips[i].status);
      if (at_work[i].segment->status.is_ok()) at_work[i].encoding->end_strip();
    }
    std::erase_if(at_work, [](AtWork& a) {
      if (!a.segment->status.is_ok()) return true;
      if (!a.encoding->is_done()) return false;
      auto coded = a.encoding->finish();
      if (coded.is_ok())
        a.segment->coded = std::move(coded).value();
      else
        a.segment->status = std::move(coded).error();
      return true;
    });
  }
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

// SPDX-License-Identifier: BSD-3-Clause
#include "coding/spectral_pictures.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "archive/checksum.h"
#include "base/error.h"
#include "base/owned_matrix.h"
#include "coding/column_order.h"
#include "coding/folded_matrix.h"
#include "vvc/spectral/spectral_decoder.h"
#include "vvc/spectral/spectral_encoder.h"

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
Place place_of(const SpectralStage& stage, const PictureRect& rect, uint32_t strip, uint32_t position) {
  const SpectralLayout& layout = stage.layout;
  const uint64_t block = position / layout.block_coefficients();
  const uint64_t inside = position % layout.block_coefficients();
  const uint64_t row = block * layout.outputs_per_block + inside % layout.outputs_per_block;
  const uint64_t input = uint64_t{strip} * kStripInputs + inside / layout.outputs_per_block;
  const bool outside = row >= rect.rows || input >= rect.cols;
  return {row, rect.first_col + input,
          outside || (stage.fold && stage.fold->is_padding(rect.first_row + row, input))};
}

void to_steps(float step, MatrixView<float> u) {
  for (size_t r = 0; r < u.rows; ++r) {
    for (float& value : u.row(r)) value /= step;
  }
}

// A picture's rows and its coefficients, one output group at a time, which stays in the cache.
class PictureRows {
 public:
  PictureRows(const SpectralStage& stage, const MatrixContext& matrix, uint64_t picture)
      : stage_(stage),
        order_(matrix.order),
        rect_(stage.layout.picture(picture)),
        row_(matrix.first_row + rect_.first_row),
        scales_(*matrix.scales),
        x_(stage.layout.outputs_per_block, stage.layout.cols),
        coded_(stage.layout.outputs_per_block, rect_.cols) {}

  // Calls visit(group, first row, number of rows).
  template <class Visit>
  void for_each_group(Visit visit) const {
    const uint64_t m = stage_.layout.outputs_per_block;
    for (uint64_t first = 0; first < rect_.rows; first += m)
      visit(static_cast<uint32_t>(first / m), first, std::min(m, rect_.rows - first));
  }

  // `source`: all of the picture's rows.
  void to_coefficients(MatrixView<const float> source, std::span<float> coefficients) {
    for_each_group([&](uint32_t group, uint64_t first, uint64_t rows) {
      const MatrixView<float> u = top(x_, rows), coded = top(coded_, rows);
      scales_.normalise(row_ + first, source.block(first, 0, rows, source.cols), u);
      to_steps(stage_.step, u);
      if (stage_.fold) clear_padding(*stage_.fold, rect_.first_row + first, u);
      to_coded_order(rect_, order_, u, coded);
      gather_group(stage_.layout, group, coded, coefficients);
    });
  }

  // Rows of one group; columns that the picture does not hold stay as they are.
  void restore(uint32_t group, std::span<const int32_t> indices, MatrixView<float> out) {
    const uint64_t first = row_ + uint64_t{group} * stage_.layout.outputs_per_block;
    const bool whole = rect_.cols == stage_.layout.cols;
    const MatrixView<float> coded = top(coded_, out.rows), x = whole ? out : top(x_, out.rows);
    scatter_group(stage_.layout, group, indices, stage_.step, coded);
    from_coded_order(rect_, order_, coded, x);
    scales_.denormalise(first, x, x);
    if (!whole) copy_columns(rect_, order_, x, out);
  }

 private:
  static MatrixView<float> top(OwnedMatrix<float>& matrix, uint64_t rows) {
    return matrix.view().block(0, 0, rows, matrix.view().cols);
  }

  const SpectralStage& stage_;
  std::span<const uint32_t> order_;
  PictureRect rect_;
  uint64_t row_;  // matrix row of the picture's first one
  RowScales scales_;
  OwnedMatrix<float> x_, coded_;  // of one group
};

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
        indices_(stage_.layout.picture_coefficients()) {}
  virtual ~PictureEncoding() = default;

  bool is_done() const { return strip_ == stage_.layout.strips; }
  vvc::StripEncoding begin_strip() {
    escaped_.clear();
    return {&encoder_, strip_coefficients(), strip_indices(), &escaped_};
  }
  void end_strip() {
    std::vector<Place> lost;
    for (uint32_t position : escaped_) {
      const Place place = place_of(stage_, rect_, strip_, position);
      if (!place.padding) lost.push_back(place);
    }
    take_strip(lost);
    ++strip_;
  }
  Result<CodedPictures> finish() {
    LLMC_ASSIGN_OR_RETURN(coded_.stream, encoder_.finish());
    coded_.samples_xxh3_128 = xxh3_128(std::as_bytes(std::span(indices_)));
    sort_outliers(coded_.outliers);
    measure();
    return std::move(coded_);
  }

 protected:
  // Of strip_, in units of the step.
  virtual std::span<const float> strip_coefficients() = 0;
  // The strip was coded. `lost`: weights that the picture cannot carry.
  virtual void take_strip(std::span<const Place> lost) = 0;
  // Fills coded_.metrics.
  virtual void measure() = 0;

  std::span<int32_t> strip_indices() {
    const uint64_t count = stage_.layout.strip_coefficients();
    return std::span(indices_).subspan(strip_ * count, count);
  }
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
  std::vector<int32_t> indices_;  // of all strips
  std::vector<uint32_t> escaped_;
  CodedPictures coded_;
};

class OpenEncoding final : public PictureEncoding {
 public:
  OpenEncoding(const SegmentEncoding& segment, OwnedMatrix<float> source, vvc::SpectralEncoder encoder)
      : PictureEncoding(segment, std::move(source), std::move(encoder)),
        rows_(stage_, matrix_, picture_),
        coefficients_(stage_.layout.picture_coefficients()) {
    rows_.to_coefficients(source_.view(), coefficients_);
  }

 private:
  std::span<const float> strip_coefficients() override {
    const uint64_t count = stage_.layout.strip_coefficients();
    return std::span(coefficients_).subspan(strip_ * count, count);
  }
  void take_strip(std::span<const Place> lost) override {
    for (const Place& place : lost) add_outlier(place, source_.view().at(place.row, column_at(place.column)));
  }
  void measure() override {
    OwnedMatrix<float> group_rows(stage_.layout.outputs_per_block, stage_.layout.cols);
    rows_.for_each_group([&](uint32_t group, uint64_t first, uint64_t rows) {
      const MatrixView<float> restored = group_rows.view().block(0, 0, rows, stage_.layout.cols);
      rows_.restore(group, indices_, restored);
      apply_outliers(coded_.outliers, row_ + first, restored);
      const MatrixView<const float> original = source_.view().block(first, 0, rows, stage_.layout.cols);
      if (stage_.fold)
        add_pieces(*stage_.fold, rect_.first_row + first, original, restored, &coded_.metrics);
      else
        add_columns(rect_, matrix_.order, original, restored, &coded_.metrics);
    });
  }

  PictureRows rows_;
  std::vector<float> coefficients_;  // of all strips
};

// The closed loop: what strips lost is made up for by the inputs still to come. Works in coding order of the columns
// throughout, a row for each of them; dual scales, one input cut.
class ClosedEncoding final : public PictureEncoding {
 public:
  ClosedEncoding(const SegmentEncoding& segment, OwnedMatrix<float> source, vvc::SpectralEncoder encoder)
      : PictureEncoding(segment, std::move(source), std::move(encoder)),
        errors_(stage_.layout.cols, rect_.rows),
        target_(kStripInputs, rect_.rows),
        restored_(rect_.rows, stage_.layout.cols),
        coefficients_(stage_.layout.strip_coefficients()) {}

 private:
  uint64_t first() const { return uint64_t{strip_} * kStripInputs; }
  uint64_t count() const { return std::min<uint64_t>(kStripInputs, stage_.layout.cols - first()); }
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

  std::span<const float> strip_coefficients() override {
    const MatrixView<float> target = target_.view().block(0, 0, count(), rect_.rows);
    for (uint64_t k = 0; k < count(); ++k)
      for (uint64_t r = 0; r < rect_.rows; ++r)
        target.at(k, r) = source_.view().at(r, column_at(first() + k));
    matrix_.feedback->correct(strip_, errors_.view().block(0, 0, first(), rect_.rows), target);
    OwnedMatrix<float> u(rect_.rows, count());
    for (uint64_t r = 0; r < rect_.rows; ++r)
      for (uint64_t k = 0; k < count(); ++k) u.view().at(r, k) = target.at(k, r);
    normalise(strip_scales(), 0, u.view(), u.view());
    to_steps(stage_.step, u.view());
    std::ranges::fill(coefficients_, 0.0f);
    gather_picture(alone(), u.view(), coefficients_);
    return coefficients_;
  }

  // The strip as decoders get it.
  OwnedMatrix<float> decoded_strip(std::span<const Place> lost) {
    OwnedMatrix<float> decoded(rect_.rows, count());
    scatter_picture<int32_t>(alone(), strip_indices(), stage_.step, decoded.view());
    denormalise(strip_scales(), 0, decoded.view(), decoded.view());
    for (const Place& place : lost) {
      const float value = target_.view().at(place.column - first(), place.row);
      decoded.view().at(place.row, place.column - first()) = value;
      add_outlier(place, value);
    }
    return decoded;
  }

  void take_strip(std::span<const Place> lost) override {
    OwnedMatrix<float> decoded = decoded_strip(lost);
    for (uint64_t k = 0; k < count(); ++k) {
      const uint32_t column = column_at(first() + k);
      for (uint64_t r = 0; r < rect_.rows; ++r) {
        const float value = decoded.view().at(r, k);
        restored_.view().at(r, column) = value;
        errors_.view().at(first() + k, r) = source_.view().at(r, column) - value;
      }
    }
  }
  void measure() override {
    add_columns(rect_, matrix_.order, source_.view(), restored_.view(), &coded_.metrics);
  }

  OwnedMatrix<float> errors_;        // of the strips that were coded
  OwnedMatrix<float> target_;        // of one strip, corrected
  OwnedMatrix<float> restored_;      // rows and columns as in the source
  std::vector<float> coefficients_;  // of one strip
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

std::span<int32_t> indices_in(std::vector<std::byte>& samples) {
  return {reinterpret_cast<int32_t*>(samples.data()), samples.size() / sizeof(int32_t)};
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
  for (SegmentDecoding* segment : segments) {
    const SpectralLayout& layout = segment->tensor->spectral().layout;
    auto decoder = open_decoder(layout, segment->stream);
    if (!decoder.is_ok()) {
      segment->status = std::move(decoder).error();
      continue;
    }
    open.push_back(segment);
    decoders.push_back(std::move(decoder).value());
    segment->samples.resize(layout.picture_coefficients() * sizeof(int32_t));
  }
  std::vector<vvc::SpectralPicture> pictures;
  for (size_t i = 0; i < open.size(); ++i)
    pictures.push_back({.decoder = &decoders[i], .indices = indices_in(open[i]->samples)});
  vvc::SpectralDecoder::decode_pictures(pictures);
  for (size_t i = 0; i < open.size(); ++i) open[i]->status = std::move(pictures[i].status);
}

void restore_spectral(const MatrixContext& matrix, const SegmentDecoding& segment, const DecodedRows& out) {
  const SpectralStage& stage = segment.tensor->spectral();
  const auto* indices = reinterpret_cast<const int32_t*>(segment.samples.data());
  const std::span all(indices, segment.samples.size() / sizeof(int32_t));
  const MatrixView<float> rows = out.of(stage.layout.picture(segment.range.first));
  PictureRows picture(stage, matrix, segment.range.first);
  picture.for_each_group([&](uint32_t group, uint64_t first, uint64_t count) {
    picture.restore(group, all, rows.block(first, 0, count, rows.cols));
  });
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "coding/picture_coder.h"

#include <memory>

#include "base/owned_matrix.h"
#include "coding/folded_matrix.h"
#include "coding/spatial_pictures.h"
#include "coding/spectral_pictures.h"

namespace llmcodec {
namespace {

const Fold* fold_of(const TensorRecipe& tensor) {
  return tensor.is_spectral() && tensor.spectral().fold ? &*tensor.spectral().fold : nullptr;
}

// Segments of folded matrices, each with the folded matrix in place of its own while it is encoded.
class FoldedSegments {
 public:
  void add(SegmentEncoding* segment) {
    auto source = std::make_unique<FoldedSource>(*fold_of(*segment->tensor), segment->matrix);
    all_.push_back({segment, segment->matrix, std::move(source)});
    segment->matrix = all_.back().source->context();
  }
  void unfold() {
    for (Folded& folded : all_) {
      folded.segment->matrix = folded.matrix;
      unfold_outliers(*fold_of(*folded.segment->tensor), folded.matrix.first_row,
                      &folded.segment->coded.outliers);
    }
  }

 private:
  struct Folded {
    SegmentEncoding* segment;
    MatrixContext matrix;
    std::unique_ptr<FoldedSource> source;
  };
  std::vector<Folded> all_;
};

// All pictures of a folded matrix go to one block, which is the matrix.
void restore_folded(const Fold& fold, const SegmentDecoding& segment, const DecodedRows& out) {
  const MatrixScales scales = folded_scales(fold, *segment.matrix.scales, 0);
  const PictureRect rect = segment.tensor->picture(segment.range.first);
  OwnedMatrix<float> folded(rect.rows, fold.folded_cols());
  restore_spectral({nullptr, &scales, {}, nullptr, 0}, segment, {rect.first_row, folded.view()});
  unfold_rows(fold, folded.view(), rect.first_row, out.rows);
}

}  // namespace

void encode_pictures(std::span<SegmentEncoding> segments) {
  std::vector<SegmentEncoding*> spectral;
  FoldedSegments folded;
  for (SegmentEncoding& segment : segments) {
    if (!segment.tensor->is_spectral()) {
      segment.status = encode_spatial(&segment);
      continue;
    }
    if (fold_of(*segment.tensor) != nullptr) folded.add(&segment);
    spectral.push_back(&segment);
  }
  encode_spectral(spectral);
  folded.unfold();
}

Result<CodedPictures> encode_pictures(const TensorRecipe& tensor, const Codec* codec,
                                      const MatrixContext& matrix, PictureRange range) {
  SegmentEncoding segment{&tensor, codec, matrix, range};
  encode_pictures({&segment, 1});
  LLMC_RETURN_IF_ERROR(std::move(segment.status));
  return std::move(segment.coded);
}

void decode_pictures(std::span<SegmentDecoding> segments) {
  std::vector<SegmentDecoding*> spectral, spatial;
  for (SegmentDecoding& segment : segments)
    (segment.tensor->is_spectral() ? spectral : spatial).push_back(&segment);
  decode_spatial(spatial);
  decode_spectral(spectral);
}

void restore_weights(const SegmentDecoding& segment, const DecodedRows& out) {
  if (const Fold* fold = fold_of(*segment.tensor)) return restore_folded(*fold, segment, out);
  segment.tensor->is_spectral() ? restore_spectral(segment.matrix, segment, out)
                                : restore_spatial(segment, out);
}

}  // namespace llmcodec

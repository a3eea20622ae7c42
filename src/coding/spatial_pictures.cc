// SPDX-License-Identifier: BSD-3-Clause
#include "coding/spatial_pictures.h"

#include <algorithm>

#include "archive/checksum.h"
#include "base/owned_matrix.h"
#include "codec/vvc_adapter.h"
#include "coding/column_order.h"

namespace llmcodec {
namespace {

// Samples of `count` pictures, one after the other as docs/format.md hashes them (little-endian hosts only:
// base/byte_source.h).
class Pictures {
 public:
  Pictures(const SpatialStage& stage, uint64_t count, std::vector<std::byte>& samples)
      : format_{stage.layout.width, stage.layout.height, stage.affine.bit_depth} {
    samples.resize(count * format_.samples() * sizeof(uint16_t));
    auto* plane = reinterpret_cast<uint16_t*>(samples.data());
    for (uint64_t i = 0; i < count; ++i, plane += format_.samples())
      planes_.emplace_back(plane, format_.height, format_.width);
  }
  const PictureFormat& format() const { return format_; }
  MutablePlaneView plane(uint64_t i) const { return planes_[i]; }
  const std::vector<MutablePlaneView>& mutable_views() const { return planes_; }
  std::vector<PlaneView> views() const { return {planes_.begin(), planes_.end()}; }

 private:
  PictureFormat format_;
  std::vector<MutablePlaneView> planes_;
};

PlaneView plane_in(const SegmentDecoding& segment, uint64_t i) {
  const SpatialLayout& layout = segment.tensor->spatial().layout;
  const auto* first = reinterpret_cast<const uint16_t*>(segment.samples.data());
  return {first + i * layout.width * layout.height, layout.height, layout.width};
}

// Samples of one picture from its matrix rows; what is clipped goes to `outliers`.
Status fill_picture(const SpatialStage& stage, const MatrixContext& matrix, uint64_t index,
                    MutablePlaneView plane, OutlierList* outliers) {
  const PictureRect rect = stage.layout.picture(index);
  OwnedMatrix<float> source(rect.rows, stage.layout.cols);
  OwnedMatrix<float> u(rect.rows, stage.layout.cols);
  OwnedMatrix<uint16_t> q(rect.rows, stage.layout.cols);
  const uint64_t row = matrix.first_row + rect.first_row;
  LLMC_RETURN_IF_ERROR(matrix.reader->read_rows(row, source.view()));
  normalise(*matrix.scales, row, source.view(), u.view());
  OutlierList all;
  quantize(stage.affine, u.view(), {row, source.view()}, q.view(), all);
  keep_columns(rect, stage.layout.cols, matrix.order, &all, outliers);
  gather(stage.layout, index, q.view(), matrix.order, static_cast<uint16_t>(stage.affine.zero_sample), plane);
  return Status::ok();
}

// Weights of one decoded picture, into the columns that it holds.
void restore_picture(const SpatialStage& stage, const MatrixContext& matrix, uint64_t index, PlaneView plane,
                     MatrixView<float> rows) {
  const PictureRect rect = stage.layout.picture(index);
  OwnedMatrix<uint16_t> q(rect.rows, stage.layout.cols);
  OwnedMatrix<float> x(rect.rows, stage.layout.cols);
  scatter(stage.layout, index, plane, matrix.order, q.view());
  dequantize(stage.affine, q.view(), x.view());
  denormalise(*matrix.scales, matrix.first_row + rect.first_row, x.view(), x.view());
  copy_columns(rect, matrix.order, x.view(), rows);
}

Status measure(const SpatialStage& stage, const MatrixContext& matrix, const Pictures& decoded,
               PictureRange range, CodedPictures* coded) {
  for (uint64_t i = 0; i < range.count; ++i) {
    const PictureRect rect = stage.layout.picture(range.first + i);
    OwnedMatrix<float> source(rect.rows, stage.layout.cols);
    OwnedMatrix<float> restored(rect.rows, stage.layout.cols);
    const uint64_t row = matrix.first_row + rect.first_row;
    LLMC_RETURN_IF_ERROR(matrix.reader->read_rows(row, source.view()));
    copy_columns({}, {}, source.view(), restored.view());  // columns of other pictures count as exact here
    restore_picture(stage, matrix, range.first + i, decoded.plane(i), restored.view());
    apply_outliers(coded->outliers, row, restored.view());
    add_columns(rect, matrix.order, source.view(), restored.view(), &coded->metrics);
  }
  return Status::ok();
}

}  // namespace

Status encode_spatial(SegmentEncoding* segment) {
  const SpatialStage& stage = segment->tensor->spatial();
  const MatrixContext& matrix = segment->matrix;
  const PictureRange range = segment->range;
  const Codec& codec = *segment->codec;
  CodedPictures& coded = segment->coded;
  std::vector<std::byte> samples;
  const Pictures pictures(stage, range.count, samples);
  for (uint64_t i = 0; i < range.count; ++i)
    LLMC_RETURN_IF_ERROR(fill_picture(stage, matrix, range.first + i, pictures.plane(i), &coded.outliers));
  sort_outliers(coded.outliers);
  LLMC_ASSIGN_OR_RETURN(coded.stream,
                        codec.encode(pictures.views(), pictures.format(), segment->tensor->codec.quality));
  LLMC_RETURN_IF_ERROR(codec.decode(coded.stream, pictures.format(), pictures.mutable_views()));
  coded.samples_xxh3_128 = xxh3_128(samples);
  return measure(stage, matrix, pictures, range, &coded);
}

void decode_spatial(std::span<SegmentDecoding* const> segments) {
  constexpr size_t kAtOnce = 16;
  for (size_t first = 0; first < segments.size(); first += kAtOnce) {
    const auto group = segments.subspan(first, std::min(kAtOnce, segments.size() - first));
    std::vector<PicturesToDecode> streams;
    for (SegmentDecoding* segment : group) {
      const Pictures room(segment->tensor->spatial(), segment->range.count, segment->samples);
      streams.push_back({segment->codec, segment->stream, room.format(), room.mutable_views()});
    }
    decode_together(streams);
    for (size_t i = 0; i < group.size(); ++i) group[i]->status = std::move(streams[i].status);
  }
}

void restore_spatial(const SegmentDecoding& segment, const DecodedRows& out) {
  const SpatialStage& stage = segment.tensor->spatial();
  for (uint64_t i = 0; i < segment.range.count; ++i) {
    const uint64_t index = segment.range.first + i;
    restore_picture(stage, segment.matrix, index, plane_in(segment, i), out.of(stage.layout.picture(index)));
  }
}

}  // namespace llmcodec

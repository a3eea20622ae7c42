// SPDX-License-Identifier: BSD-3-Clause
#include "pipeline/spatial_pictures.h"

#include <algorithm>

#include "codec/vvc_adapter.h"
#include "pipeline/coded_columns.h"
#include "pipeline/owned_matrix.h"

namespace llmcodec {
namespace {

struct Pictures {
  std::vector<Plane> planes;
  PictureFormat format;

  Pictures(const SpatialStage& stage, uint64_t count)
      : format{stage.layout.width, stage.layout.height, stage.affine.bit_depth} {
    for (uint64_t i = 0; i < count; ++i) planes.emplace_back(format.width, format.height);
  }
  std::vector<PlaneView> views() const {
    std::vector<PlaneView> views;
    for (const Plane& plane : planes) views.push_back(plane.view());
    return views;
  }
  std::vector<MutablePlaneView> mutable_views() {
    std::vector<MutablePlaneView> views;
    for (Plane& plane : planes) views.push_back(plane.view());
    return views;
  }
};

void append_samples(const Pictures& pictures, std::vector<std::byte>* out) {
  for (PlaneView view : pictures.views()) {
    const auto bytes =
        std::as_bytes(std::span(view.data, view.size()));  // little-endian hosts only, checked in main
    out->insert(out->end(), bytes.begin(), bytes.end());
  }
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
Status restore_picture(const SpatialStage& stage, const MatrixContext& matrix, uint64_t index,
                       PlaneView plane, MatrixView<float> rows) {
  const PictureRect rect = stage.layout.picture(index);
  OwnedMatrix<uint16_t> q(rect.rows, stage.layout.cols);
  OwnedMatrix<float> x(rect.rows, stage.layout.cols);
  scatter(stage.layout, index, plane, matrix.order, q.view());
  dequantize(stage.affine, q.view(), x.view());
  denormalise(*matrix.scales, matrix.first_row + rect.first_row, x.view(), x.view());
  copy_columns(rect, matrix.order, x.view(), rows);
  return Status::ok();
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
    LLMC_RETURN_IF_ERROR(
        restore_picture(stage, matrix, range.first + i, decoded.planes[i].view(), restored.view()));
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
  Pictures pictures(stage, range.count);
  for (uint64_t i = 0; i < range.count; ++i)
    LLMC_RETURN_IF_ERROR(
        fill_picture(stage, matrix, range.first + i, pictures.planes[i].view(), &coded.outliers));
  sort_outliers(coded.outliers);
  LLMC_ASSIGN_OR_RETURN(coded.stream,
                        codec.encode(pictures.views(), pictures.format, segment->tensor->codec.quality));
  LLMC_RETURN_IF_ERROR(codec.decode(coded.stream, pictures.format, pictures.mutable_views()));
  append_samples(pictures, &coded.samples);
  return measure(stage, matrix, pictures, range, &coded);
}

namespace {

Status restore(const SegmentDecoding& segment, const Pictures& pictures) {
  const SpatialStage& stage = segment.tensor->spatial();
  append_samples(pictures, segment.out.samples);
  for (uint64_t i = 0; i < segment.range.count; ++i) {
    const uint64_t index = segment.range.first + i;
    LLMC_RETURN_IF_ERROR(restore_picture(stage, segment.matrix, index, pictures.planes[i].view(),
                                         segment.out.of(stage.layout.picture(index))));
  }
  return Status::ok();
}

}  // namespace

void decode_spatial(std::span<SegmentDecoding* const> segments) {
  constexpr size_t kAtOnce = 16;
  for (size_t first = 0; first < segments.size(); first += kAtOnce) {
    const auto group = segments.subspan(first, std::min(kAtOnce, segments.size() - first));
    std::vector<Pictures> pictures;
    std::vector<PicturesToDecode> streams;
    for (const SegmentDecoding* segment : group) {
      Pictures& room = pictures.emplace_back(segment->tensor->spatial(), segment->range.count);
      streams.push_back({segment->codec, segment->stream, room.format, room.mutable_views()});
    }
    decode_together(streams);
    for (size_t i = 0; i < group.size(); ++i)
      group[i]->status =
          streams[i].status.is_ok() ? restore(*group[i], pictures[i]) : std::move(streams[i].status);
  }
}

}  // namespace llmcodec

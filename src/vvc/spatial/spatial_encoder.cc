// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spatial/spatial_encoder.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "vvc/cabac/cabac_encoder.h"
#include "vvc/slice/encoder_stream.h"
#include "vvc/slice/slice_syntax.h"
#include "vvc/spatial/spatial_encoder_blocks.h"

namespace llmcodec::vvc {
namespace {

constexpr int kSide = 32;

uint32_t round_up(uint32_t value, uint32_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

Status check(const SpatialFormat& format, const SpatialOptions& options) {
  const auto invalid = [](const char* what, double value) {
    return error(ErrorKind::kInvalidArgument, "VVC picture: {} is {}", what, value);
  };
  if (format.width < 1 || format.width > kMaxSpatialSide) return invalid("width", format.width);
  if (format.height < 1 || format.height > kMaxSpatialSide) return invalid("height", format.height);
  if (format.bit_depth != 8 && format.bit_depth != 10) return invalid("bit depth", format.bit_depth);
  if (format.qp < -6 * (format.bit_depth - 8) || format.qp > kMaxQp) return invalid("QP", format.qp);
  if (format.pictures < 1) return invalid("number of pictures", format.pictures);
  if (!(options.lambda > 0 && options.lambda <= 1000)) return invalid("lambda", options.lambda);
  return Status::ok();
}

Sps sps_of(const SpatialFormat& format) {
  Sps sps;
  sps.general_profile_idc = format.pictures == 1 ? kProfileMain10StillPicture : kProfileMain10;
  sps.general_level_idc = format.pictures == 1 ? 255 : 102;  // 15.5; 6.2
  sps.general_tier_flag = format.pictures > 1;
  sps.sps_pic_width_max_in_luma_samples = round_up(format.width, kSide);
  sps.sps_pic_height_max_in_luma_samples = round_up(format.height, kSide);
  sps.sps_conf_win_right_offset = sps.sps_pic_width_max_in_luma_samples - format.width;
  sps.sps_conf_win_bottom_offset = sps.sps_pic_height_max_in_luma_samples - format.height;
  sps.sps_conformance_window_flag = sps.sps_conf_win_right_offset != 0 || sps.sps_conf_win_bottom_offset != 0;
  sps.sps_bitdepth_minus8 = static_cast<uint32_t>(format.bit_depth - 8);
  sps.sps_log2_min_luma_coding_block_size_minus2 = PartitionSearch::kLog2MinBlock - 2;
  sps.sps_log2_diff_min_qt_min_cb_intra_slice_luma =
      PartitionSearch::kLog2Node - PartitionSearch::kLog2MinBlock;
  sps.sps_log2_diff_min_qt_min_cb_inter_slice = sps.sps_log2_diff_min_qt_min_cb_intra_slice_luma;
  sps.sps_max_mtt_hierarchy_depth_intra_slice_luma = PartitionSearch::kMaxDepth;
  return sps;
}

Pps pps_of(const SpatialFormat& format, const SpatialOptions& options) {
  Pps pps;
  pps.pps_pic_width_in_luma_samples = round_up(format.width, kSide);
  pps.pps_pic_height_in_luma_samples = round_up(format.height, kSide);
  pps.pps_init_qp_minus26 = format.qp - 26;
  pps.pps_cu_qp_delta_enabled_flag = options.qp_per_ctu;
  const uint32_t rows = round_up(format.height, kCtuSize) / kCtuSize;
  if (format.slice_ctu_rows != 0 && format.slice_ctu_rows < rows) {
    pps.pps_no_pic_partition_flag = false;
    for (uint32_t row = 0; row < rows; row += format.slice_ctu_rows)
      pps.slice_height_in_ctus.push_back(std::min(format.slice_ctu_rows, rows - row));
  }
  return pps;
}

using Syntax = SliceSyntax<CabacEncoder, SpatialBlocks>;

}  // namespace

struct SpatialEncoder::State {
  State(const SpatialFormat& format_in, const SpatialOptions& options_in, EncoderStream stream_in);

  void load(PlaneView samples);
  Status begin_slice();
  void end_slice();
  Status check_row(PlaneView samples, std::span<const int> ctu_qp) const;
  SliceHeader slice_header() const;
  uint32_t rows_of(uint32_t row_in_picture) const {
    return std::min(kCtuSize, format.height - row_in_picture * kCtuSize);
  }

  SpatialFormat format;
  SpatialOptions options;
  EncoderStream stream;
  uint32_t columns, rows;
  Plane source, picture;  // coded size
  CuMap cu_map;
  CabacEncoder cabac;
  SpatialBlocks blocks;
  SliceParameters parameters;
  std::optional<Syntax> syntax;
  uint32_t pictures_done = 0, row = 0, slice = 0, slice_end = 0;
};

SpatialEncoder::State::State(const SpatialFormat& format_in, const SpatialOptions& options_in,
                             EncoderStream stream_in)
    : format(format_in),
      options(options_in),
      stream(std::move(stream_in)),
      columns(round_up(format.width, kCtuSize) / kCtuSize),
      rows(round_up(format.height, kCtuSize) / kCtuSize),
      source(round_up(format.width, kSide), round_up(format.height, kSide)),
      picture(round_up(format.width, kSide), round_up(format.height, kSide)),
      cu_map(static_cast<int>(round_up(format.width, kSide)),
             static_cast<int>(round_up(format.height, kSide))),
      cabac(initial_contexts(format.qp)),
      blocks(source.view(), picture.view(), cu_map,
             {.bit_depth = format.bit_depth,
              .ctu_size = kCtuSize,
              .lambda = options.lambda,
              .trace = options.trace}) {}

SliceHeader SpatialEncoder::State::slice_header() const {
  SliceHeader header;
  header.sh_picture_header_in_slice_header_flag = stream.pps().num_slices() == 1;
  header.sh_slice_address = slice;
  const Sps& sps = stream.sps();
  header.picture.ph_log2_diff_min_qt_min_cb_intra_slice_luma =
      sps.sps_log2_diff_min_qt_min_cb_intra_slice_luma;
  header.picture.ph_max_mtt_hierarchy_depth_intra_slice_luma =
      sps.sps_max_mtt_hierarchy_depth_intra_slice_luma;
  return header;
}

// Copies the rows; the padding up to whole blocks repeats the last column and row.
void SpatialEncoder::State::load(PlaneView samples) {
  const MutablePlaneView target = source.view();
  const size_t first = size_t{row} * kCtuSize;
  const size_t end = std::min(first + kCtuSize, target.rows);
  for (size_t y = first; y < end; ++y) {
    const std::span<const uint16_t> from = samples.row(std::min(y - first, samples.rows - 1));
    uint16_t* to = target.row(y).data();
    std::copy(from.begin(), from.end(), to);
    std::fill(to + from.size(), to + target.cols, from.back());
  }
}

Status SpatialEncoder::State::begin_slice() {
  const SliceHeader header = slice_header();
  if (row == 0) {
    cu_map.clear();
    if (!header.sh_picture_header_in_slice_header_flag)
      LLMC_RETURN_IF_ERROR(stream.add_picture_header(header.picture));
  }
  const Pps& pps = stream.pps();
  slice_end = pps.num_slices() == 1 ? rows : row + pps.slice_height_in_ctus[slice];
  parameters = slice_parameters(stream.sps(), pps, header);
  parameters.slice = static_cast<uint16_t>(slice + 1);
  cabac.contexts() = initial_contexts(format.qp);
  blocks.start_slice(parameters.slice, cabac);
  syntax.emplace(cabac, parameters, cu_map, blocks);
  syntax->start_substream();
  return stream.begin_slice(header);
}

void SpatialEncoder::State::end_slice() {
  cabac.terminate(1);  // end_of_slice_one_bit
  stream.end_slice(cabac.finish());
  ++slice;
  if (row + 1 < rows) return;
  if (options.picture_hash) stream.add_hash(picture.view(), format.bit_depth);
  ++pictures_done;
  slice = 0;
}

Status SpatialEncoder::State::check_row(PlaneView samples, std::span<const int> ctu_qp) const {
  const auto invalid = [this](const std::string& what) {
    return error(ErrorKind::kInvalidArgument, "CTU row {} of picture {}: {}", row, pictures_done, what);
  };
  if (pictures_done == format.pictures) return invalid("behind the last picture");
  if (samples.cols != format.width || samples.rows != rows_of(row))
    return invalid(
        fmt::format("{} x {} samples, not {} x {}", samples.cols, samples.rows, format.width, rows_of(row)));
  for (size_t y = 0; y < samples.rows; ++y)
    for (uint16_t sample : samples.row(y))
      if (sample >> format.bit_depth != 0)
        return invalid(fmt::format("sample {} has more than {} bits", sample, format.bit_depth));
  if (ctu_qp.empty()) return Status::ok();
  if (!options.qp_per_ctu || ctu_qp.size() != columns)
    return invalid(fmt::format("{} QPs for {} CTUs", ctu_qp.size(), options.qp_per_ctu ? columns : 0));
  for (int qp : ctu_qp)
    if (qp < -6 * (format.bit_depth - 8) || qp > kMaxQp) return invalid(fmt::format("QP {}", qp));
  return Status::ok();
}

SpatialEncoder::SpatialEncoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
SpatialEncoder::~SpatialEncoder() = default;
SpatialEncoder::SpatialEncoder(SpatialEncoder&&) noexcept = default;
SpatialEncoder& SpatialEncoder::operator=(SpatialEncoder&&) noexcept = default;

Result<SpatialEncoder> SpatialEncoder::create(const SpatialFormat& format, const SpatialOptions& options) {
  LLMC_RETURN_IF_ERROR(check(format, options));
  LLMC_ASSIGN_OR_RETURN(EncoderStream stream,
                        EncoderStream::start(sps_of(format), pps_of(format, options), options.trace));
  return SpatialEncoder(std::make_unique<State>(format, options, std::move(stream)));
}

uint32_t SpatialEncoder::ctu_rows() const {
  return state_->rows;
}

Status SpatialEncoder::encode_row(PlaneView samples, PlaneView* reconstruction, std::span<const int> ctu_qp) {
  State& s = *state_;
  LLMC_RETURN_IF_ERROR(s.check_row(samples, ctu_qp));
  if (s.row == 0 || s.row == s.slice_end) LLMC_RETURN_IF_ERROR(s.begin_slice());
  s.load(samples);
  const std::vector<int> same_qp(ctu_qp.empty() ? s.columns : 0, s.format.qp);
  s.blocks.start_row(s.row, ctu_qp.empty() ? std::span<const int>(same_qp) : ctu_qp);
  for (uint32_t x = 0; x < s.columns; ++x)
    s.syntax->coding_tree_unit(static_cast<int>(x), static_cast<int>(s.row));
  if (reconstruction != nullptr)
    *reconstruction = static_cast<PlaneView>(s.picture.view())
                          .block(size_t{s.row} * kCtuSize, 0, samples.rows, samples.cols);
  const bool last_row = s.row + 1 == s.rows;
  if (last_row || s.row + 1 == s.slice_end) s.end_slice();
  s.row = last_row ? 0 : s.row + 1;
  return Status::ok();
}

Result<std::vector<std::byte>> SpatialEncoder::finish() {
  State& s = *state_;
  if (s.pictures_done != s.format.pictures)
    return error(ErrorKind::kInvalidArgument, "{} of {} pictures coded", s.pictures_done, s.format.pictures);
  return s.stream.take();
}

Result<std::vector<std::byte>> encode_spatial(std::span<const PlaneView> pictures,
                                              const SpatialFormat& format, const SpatialOptions& options,
                                              std::span<const MutablePlaneView> reconstructions) {
  SpatialFormat all = format;
  all.pictures = static_cast<uint32_t>(pictures.size());
  LLMC_ASSIGN_OR_RETURN(SpatialEncoder encoder, SpatialEncoder::create(all, options));
  for (size_t p = 0; p < pictures.size(); ++p) {
    if (pictures[p].rows != format.height || pictures[p].cols != format.width)
      return error(ErrorKind::kInvalidArgument, "picture {} is {} x {}, not {} x {}", p, pictures[p].cols,
                   pictures[p].rows, format.width, format.height);
    for (size_t y = 0; y < format.height; y += kCtuSize) {
      const size_t rows = std::min<size_t>(kCtuSize, format.height - y);
      PlaneView decoded;
      LLMC_RETURN_IF_ERROR(encoder.encode_row(pictures[p].block(y, 0, rows, format.width), &decoded));
      for (size_t r = 0; r < rows && !reconstructions.empty(); ++r)
        std::copy(decoded.row(r).begin(), decoded.row(r).end(), reconstructions[p].row(y + r).begin());
    }
  }
  return encoder.finish();
}

}  // namespace llmcodec::vvc

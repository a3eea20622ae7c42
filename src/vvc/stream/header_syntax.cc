// SPDX-License-Identifier: BSD-3-Clause
// Picture parameter set, picture header, slice header and decoded picture hash, for reading and writing.
#include "vvc/stream/header_syntax.h"

#include <algorithm>
#include <bit>

#include "base/checked_math.h"
#include "base/error.h"
#include "vvc/stream/header_coder.h"

namespace llmcodec::vvc {
namespace {

constexpr uint32_t kMaxSide = 1u << 20;
constexpr uint32_t kPayloadDecodedPictureHash = 132;

unsigned ceil_log2(uint32_t value) {
  return value <= 1 ? 0 : static_cast<unsigned>(std::bit_width(value - 1));
}

// The heights of all slices when only `explicit_heights` are sent: the last one repeats, a shorter rest ends
// the tile. Empty when the explicit ones do not fit.
std::vector<uint32_t> expand_slice_heights(std::span<const uint32_t> explicit_heights, uint32_t tile_height) {
  std::vector<uint32_t> heights(explicit_heights.begin(), explicit_heights.end());
  uint32_t left = tile_height;
  for (uint32_t height : heights) {
    if (height == 0 || height > left) return {};
    left -= height;
  }
  while (left > 0) {
    heights.push_back(std::min(heights.back(), left));
    left -= heights.back();
  }
  return heights;
}

// The fewest explicit heights that expand to `heights`.
size_t count_explicit_heights(const std::vector<uint32_t>& heights, uint32_t tile_height) {
  for (size_t n = 1; n < heights.size(); ++n) {
    if (expand_slice_heights({heights.data(), n}, tile_height) == heights) return n;
  }
  return heights.size();
}

// Rectangular slices inside the one tile, 7.3.2.5
template <class Coder>
void slices_in_tile(Coder& c, Pps& p, uint32_t tile_height) {
  uint32_t pps_num_slices_in_pic_minus1 = std::max<uint32_t>(p.num_slices(), 1) - 1;
  c.ue("pps_num_slices_in_pic_minus1", pps_num_slices_in_pic_minus1, 0, kMaxSlicesPerPicture - 1);
  if (pps_num_slices_in_pic_minus1 > 1) c.fixed("pps_tile_idx_delta_present_flag", 1, 0);
  if (pps_num_slices_in_pic_minus1 == 0) {
    p.slice_height_in_ctus.assign(1, tile_height);
    return;
  }
  std::vector<uint32_t> heights = p.slice_height_in_ctus;
  uint32_t pps_num_exp_slices_in_tile =
      Coder::kReading ? 0 : static_cast<uint32_t>(count_explicit_heights(heights, tile_height));
  if (tile_height > 1)
    c.ue("pps_num_exp_slices_in_tile", pps_num_exp_slices_in_tile, 1,
         std::min(tile_height, pps_num_slices_in_pic_minus1 + 1));
  if (!c.ok()) return;
  heights.resize(pps_num_exp_slices_in_tile);
  for (uint32_t& height : heights) {
    uint32_t pps_exp_slice_height_in_ctus_minus1 = height - 1;
    c.ue(LLMC_NAMED_VALUE(pps_exp_slice_height_in_ctus_minus1), 0, tile_height - 1);
    height = pps_exp_slice_height_in_ctus_minus1 + 1;
  }
  heights = heights.empty() ? heights : expand_slice_heights(heights, tile_height);
  if (c.ok() && heights.size() != pps_num_slices_in_pic_minus1 + 1)
    c.fail(error(Coder::kReading ? ErrorKind::kCorrupt : ErrorKind::kInvalidArgument,
                 "slice heights do not give the {} slices announced", pps_num_slices_in_pic_minus1 + 1));
  p.slice_height_in_ctus = std::move(heights);
}

// Tiles and slices of 7.3.2.5: one tile that covers the picture
template <class Coder>
void picture_partition(Coder& c, Pps& p) {
  c.u(LLMC_NAMED(p, pps_log2_ctu_size_minus5), 2, 0, 2);
  const uint32_t ctb_size = 32u << p.pps_log2_ctu_size_minus5;
  const auto width_in_ctbs = static_cast<uint32_t>(ceil_div(p.pps_pic_width_in_luma_samples, ctb_size));
  const auto height_in_ctbs = static_cast<uint32_t>(ceil_div(p.pps_pic_height_in_luma_samples, ctb_size));
  c.fixed_ue("pps_num_exp_tile_columns_minus1", 0);
  c.fixed_ue("pps_num_exp_tile_rows_minus1", 0);
  c.fixed_ue("pps_tile_column_width_minus1", width_in_ctbs - 1);
  c.fixed_ue("pps_tile_row_height_minus1", height_in_ctbs - 1);
  c.fixed("pps_single_slice_per_subpic_flag", 1, 0);
  slices_in_tile(c, p, height_in_ctbs);
  if (p.num_slices() > 1) c.flag(LLMC_NAMED(p, pps_loop_filter_across_slices_enabled_flag));
}

// H.266 (V3, 09/2023) 7.3.2.5 Picture parameter set RBSP syntax
template <class Coder>
void pic_parameter_set_rbsp(Coder& c, Pps& p) {
  c.u(LLMC_NAMED(p, pps_pic_parameter_set_id), 6);
  c.u(LLMC_NAMED(p, pps_seq_parameter_set_id), 4);
  c.fixed("pps_mixed_nalu_types_in_pic_flag", 1, 0);
  c.ue(LLMC_NAMED(p, pps_pic_width_in_luma_samples), 8, kMaxSide);
  c.ue(LLMC_NAMED(p, pps_pic_height_in_luma_samples), 8, kMaxSide);
  c.fixed("pps_conformance_window_flag", 1, 0);
  c.fixed("pps_scaling_window_explicit_signalling_flag", 1, 0);
  c.fixed("pps_output_flag_present_flag", 1, 0);
  c.flag(LLMC_NAMED(p, pps_no_pic_partition_flag));
  c.fixed("pps_subpic_id_mapping_present_flag", 1, 0);
  if (!p.pps_no_pic_partition_flag) picture_partition(c, p);
  c.flag(LLMC_NAMED(p, pps_cabac_init_present_flag));
  for (uint32_t& active : p.pps_num_ref_idx_default_active_minus1)
    c.ue("pps_num_ref_idx_default_active_minus1", active, 0, 14);
  c.flag(LLMC_NAMED(p, pps_rpl1_idx_present_flag));
  c.fixed("pps_weighted_pred_flag", 1, 0);
  c.fixed("pps_weighted_bipred_flag", 1, 0);
  c.fixed("pps_ref_wraparound_enabled_flag", 1, 0);
  c.se(LLMC_NAMED(p, pps_init_qp_minus26), -(26 + 12), 37);
  c.flag(LLMC_NAMED(p, pps_cu_qp_delta_enabled_flag));
  c.fixed("pps_chroma_tool_offsets_present_flag", 1, 0);
  c.fixed("pps_deblocking_filter_control_present_flag", 1, 1);
  c.fixed("pps_deblocking_filter_override_enabled_flag", 1, 0);
  c.fixed("pps_deblocking_filter_disabled_flag", 1, 1);
  if (!p.pps_no_pic_partition_flag) {
    c.fixed("pps_rpl_info_in_ph_flag", 1, 0);
    c.flag(LLMC_NAMED(p, pps_sao_info_in_ph_flag));
    c.flag(LLMC_NAMED(p, pps_alf_info_in_ph_flag));
    c.flag(LLMC_NAMED(p, pps_qp_delta_info_in_ph_flag));
  }
  c.fixed("pps_picture_header_extension_present_flag", 1, 0);
  c.fixed("pps_slice_header_extension_present_flag", 1, 0);
  c.fixed("pps_extension_flag", 1, 0);
  c.trailing_bits();
}

// Intra partitioning of 7.3.2.8; without an override the SPS's values are copied, as the standard infers.
template <class Coder>
void partition_override(Coder& c, PictureHeader& h, const Sps& s) {
  if (s.sps_partition_constraints_override_enabled_flag)
    c.flag(LLMC_NAMED(h, ph_partition_constraints_override_flag));
  if (!h.ph_partition_constraints_override_flag) {
    h.ph_log2_diff_min_qt_min_cb_intra_slice_luma = s.sps_log2_diff_min_qt_min_cb_intra_slice_luma;
    h.ph_max_mtt_hierarchy_depth_intra_slice_luma = s.sps_max_mtt_hierarchy_depth_intra_slice_luma;
    h.ph_log2_diff_max_bt_min_qt_intra_slice_luma = s.sps_log2_diff_max_bt_min_qt_intra_slice_luma;
    h.ph_log2_diff_max_tt_min_qt_intra_slice_luma = s.sps_log2_diff_max_tt_min_qt_intra_slice_luma;
    return;
  }
  const int ctb_log2 = s.ctb_log2();
  const int max_log2 = std::min(6, ctb_log2);
  c.ue(LLMC_NAMED(h, ph_log2_diff_min_qt_min_cb_intra_slice_luma), 0, max_log2 - s.min_cb_log2());
  c.ue(LLMC_NAMED(h, ph_max_mtt_hierarchy_depth_intra_slice_luma), 0, 2 * (ctb_log2 - s.min_cb_log2()));
  const int min_qt = s.min_cb_log2() + static_cast<int>(h.ph_log2_diff_min_qt_min_cb_intra_slice_luma);
  if (h.ph_max_mtt_hierarchy_depth_intra_slice_luma != 0) {
    c.ue(LLMC_NAMED(h, ph_log2_diff_max_bt_min_qt_intra_slice_luma), 0, ctb_log2 - min_qt);
    c.ue(LLMC_NAMED(h, ph_log2_diff_max_tt_min_qt_intra_slice_luma), 0, max_log2 - min_qt);
  }
}

// H.266 (V3, 09/2023) 7.3.2.8 Picture header structure syntax
template <class Coder>
void picture_header_structure(Coder& c, PictureHeader& h, const ParameterSets& sets) {
  c.fixed("ph_gdr_or_irap_pic_flag", 1, 1);
  c.flag(LLMC_NAMED(h, ph_non_ref_pic_flag));
  c.fixed("ph_gdr_pic_flag", 1, 0);
  c.fixed("ph_inter_slice_allowed_flag", 1, 0);
  c.ue(LLMC_NAMED(h, ph_pic_parameter_set_id), 0, 63);
  if (!c.ok()) return;
  auto active = sets.activate(h.ph_pic_parameter_set_id);
  if (!active) return c.fail(std::move(active).error());
  const Sps& s = *active->sps;
  const Pps& p = *active->pps;
  c.u(LLMC_NAMED(h, ph_pic_order_cnt_lsb), s.poc_lsb_bits());
  if (s.sps_poc_msb_cycle_flag) {
    c.flag(LLMC_NAMED(h, ph_poc_msb_cycle_present_flag));
    if (h.ph_poc_msb_cycle_present_flag)
      c.u(LLMC_NAMED(h, ph_poc_msb_cycle_val), s.sps_poc_msb_cycle_len_minus1 + 1);
  }
  partition_override(c, h, s);
  if (p.pps_cu_qp_delta_enabled_flag) {
    const int min_qt = s.min_cb_log2() + static_cast<int>(h.ph_log2_diff_min_qt_min_cb_intra_slice_luma);
    const int depth = s.ctb_log2() - min_qt + static_cast<int>(h.ph_max_mtt_hierarchy_depth_intra_slice_luma);
    c.ue(LLMC_NAMED(h, ph_cu_qp_delta_subdiv_intra_slice), 0, 2 * depth);
  }
  if (p.pps_qp_delta_info_in_ph_flag) c.se(LLMC_NAMED(h, ph_qp_delta), -128, 128);
}

// H.266 (V3, 09/2023) 7.3.9 Reference picture lists syntax: empty lists, for an intra slice of a CRA picture
template <class Coder>
void ref_pic_lists(Coder& c, const Sps& s, const Pps& p) {
  const auto& counts = s.inter.sps_num_ref_pic_lists;
  for (int i = 0; i < 2; ++i) {
    const bool sent = i == 0 || p.pps_rpl1_idx_present_flag;
    if (counts[i] > 0 && sent) c.fixed("rpl_sps_flag", 1, 1);
    if (counts[i] == 0) c.fixed_ue("num_ref_entries", 0);
    if (counts[i] > 1 && sent) {
      uint32_t rpl_idx = 0;
      c.u("rpl_idx", rpl_idx, ceil_log2(counts[i]), 0, counts[i] - 1);
    }
  }
}

// Substreams of a slice of `height` CTU rows, less one.
uint32_t count_entry_points(const Sps& s, uint32_t height) {
  return s.sps_entropy_coding_sync_enabled_flag && s.sps_entry_point_offsets_present_flag ? height - 1 : 0;
}

template <class Coder>
void entry_points(Coder& c, std::vector<uint32_t>& offsets, uint32_t count) {
  if (count == 0) return;
  if (c.ok() && !Coder::kReading && offsets.size() != count)
    c.fail(error(ErrorKind::kInvalidArgument, "{} entry points given, {} needed", offsets.size(), count));
  uint32_t largest = 0;
  for (uint32_t offset : offsets) largest = std::max(largest, offset - 1);
  uint32_t sh_entry_offset_len_minus1 = std::max(ceil_log2(largest + 1), 1u) - 1;
  c.ue(LLMC_NAMED_VALUE(sh_entry_offset_len_minus1), 0, 31);
  if (!c.ok()) return;
  if (Coder::kReading) {
    if (c.bits_left() / (sh_entry_offset_len_minus1 + 1) < count)
      return c.fail(error(ErrorKind::kCorrupt, "{} entry points do not fit into the slice", count));
    offsets.assign(count, 0);
  }
  for (uint32_t& offset : offsets) {
    uint32_t sh_entry_point_offset_minus1 = offset - 1;
    c.u(LLMC_NAMED_VALUE(sh_entry_point_offset_minus1), sh_entry_offset_len_minus1 + 1, 0, UINT32_MAX - 1);
    offset = sh_entry_point_offset_minus1 + 1;
  }
}

// H.266 (V3, 09/2023) 7.3.7 Slice header syntax
template <class Coder>
void slice_header(Coder& c, SliceHeader& h, const SliceContext& context) {
  c.flag(LLMC_NAMED(h, sh_picture_header_in_slice_header_flag));
  if (h.sh_picture_header_in_slice_header_flag) {
    if (context.picture != nullptr)
      return c.fail(error(ErrorKind::kCorrupt, "picture header both in a NAL unit and in the slice header"));
    picture_header_structure(c, h.picture, *context.sets);
  } else {
    if (context.picture == nullptr)
      return c.fail(error(ErrorKind::kCorrupt, "slice without a picture header"));
    h.picture = *context.picture;
  }
  if (!c.ok()) return;
  auto active = context.sets->activate(h.picture.ph_pic_parameter_set_id);
  if (!active) return c.fail(std::move(active).error());
  const Sps& s = *active->sps;
  const Pps& p = *active->pps;
  if (p.num_slices() > 1) {
    if (h.sh_picture_header_in_slice_header_flag)
      return c.fail(error(ErrorKind::kCorrupt, "picture header inside one of several slices"));
    c.u(LLMC_NAMED(h, sh_slice_address), ceil_log2(p.num_slices()), 0, p.num_slices() - 1);
  }
  if (h.sh_picture_header_in_slice_header_flag &&
      (p.pps_qp_delta_info_in_ph_flag || p.pps_sao_info_in_ph_flag || p.pps_alf_info_in_ph_flag))
    return c.fail(error(ErrorKind::kCorrupt, "picture header inside a slice that the PPS needs outside"));
  c.flag(LLMC_NAMED(h, sh_no_output_of_prior_pics_flag));
  if (!is_idr(context.nal_type) || s.inter.sps_idr_rpl_present_flag) ref_pic_lists(c, s, p);
  if (!p.pps_qp_delta_info_in_ph_flag) c.se(LLMC_NAMED(h, sh_qp_delta), -128, 128);
  if (c.ok() && (h.slice_qp(p) < -s.qp_bd_offset() || h.slice_qp(p) > kMaxQp))
    c.fail(error(Coder::kReading ? ErrorKind::kCorrupt : ErrorKind::kInvalidArgument,
                 "slice QP is {}, not in [{}, {}]", h.slice_qp(p), -s.qp_bd_offset(), kMaxQp));
  c.fixed("sh_dep_quant_used_flag", 1, 1);
  const uint32_t height =
      p.pps_no_pic_partition_flag ? s.height_in_ctbs() : p.slice_height_in_ctus[h.sh_slice_address];
  entry_points(c, h.entry_point_offsets, count_entry_points(s, height));
  c.trailing_bits();
}

// H.266 (V3, 09/2023) 7.3.6 SEI message syntax: type and size are sums of bytes, 255 meaning more
uint32_t read_sei_number(HeaderReader& c, const char* name) {
  uint32_t sum = 0;
  uint32_t byte = 255;
  while (byte == 255 && c.ok()) {
    c.u(name, byte, 8);
    sum += byte;
  }
  return sum;
}

size_t hash_bytes(HashType type) {
  return type == HashType::kMd5 ? 16 : type == HashType::kCrc ? 2 : 4;
}

// H.274 Decoded picture hash SEI message syntax, one component
template <class Coder>
void decoded_picture_hash(Coder& c, PictureHash& h) {
  c.u("dph_sei_hash_type", h.type, 8, 0, 2);
  c.fixed("dph_sei_single_component_flag", 1, 1);
  c.fixed("dph_sei_reserved_zero_7bits", 7, 0);
  h.value.resize(hash_bytes(h.type));
  for (std::byte& byte : h.value) c.u("dph_sei_picture_hash_byte", byte, 8);
}

}  // namespace

Result<ParameterSets::Active> ParameterSets::activate(uint32_t pps_id) const {
  if (pps_id >= pps.size() || !pps[pps_id])
    return error(ErrorKind::kCorrupt, "picture parameter set {} is missing", pps_id);
  const Pps& p = *pps[pps_id];
  if (!sps[p.pps_seq_parameter_set_id])
    return error(ErrorKind::kCorrupt, "sequence parameter set {} is missing", p.pps_seq_parameter_set_id);
  const Sps& s = *sps[p.pps_seq_parameter_set_id];
  if (p.pps_pic_width_in_luma_samples != s.sps_pic_width_max_in_luma_samples ||
      p.pps_pic_height_in_luma_samples != s.sps_pic_height_max_in_luma_samples)
    return error(ErrorKind::kCorrupt, "picture size {}x{} differs from the sequence's {}x{}",
                 p.pps_pic_width_in_luma_samples, p.pps_pic_height_in_luma_samples,
                 s.sps_pic_width_max_in_luma_samples, s.sps_pic_height_max_in_luma_samples);
  if (!p.pps_no_pic_partition_flag && p.pps_log2_ctu_size_minus5 != s.sps_log2_ctu_size_minus5)
    return error(ErrorKind::kCorrupt, "pps_log2_ctu_size_minus5 is {}, the sequence's is {}",
                 p.pps_log2_ctu_size_minus5, s.sps_log2_ctu_size_minus5);
  return Active{&s, &p};
}

Result<Pps> read_pps(std::span<const std::byte> rbsp, TraceSink* trace) {
  BitReader bits(rbsp);
  HeaderReader reader(bits, trace);
  Pps pps;
  pic_parameter_set_rbsp(reader, pps);
  LLMC_RETURN_IF_ERROR(reader.take_status());
  return pps;
}

Result<std::vector<std::byte>> write_pps(const Pps& pps, TraceSink* trace) {
  BitWriter bits;
  HeaderWriter writer(bits, trace);
  Pps copy = pps;
  pic_parameter_set_rbsp(writer, copy);
  LLMC_RETURN_IF_ERROR(writer.take_status());
  return bits.take();
}

Result<PictureHeader> read_picture_header(std::span<const std::byte> rbsp, const ParameterSets& sets,
                                          TraceSink* trace) {
  BitReader bits(rbsp);
  HeaderReader reader(bits, trace);
  PictureHeader header;
  picture_header_structure(reader, header, sets);
  reader.trailing_bits();
  LLMC_RETURN_IF_ERROR(reader.take_status());
  return header;
}

Result<std::vector<std::byte>> write_picture_header(const PictureHeader& header, const ParameterSets& sets,
                                                    TraceSink* trace) {
  BitWriter bits;
  HeaderWriter writer(bits, trace);
  PictureHeader copy = header;
  picture_header_structure(writer, copy, sets);
  writer.trailing_bits();
  LLMC_RETURN_IF_ERROR(writer.take_status());
  return bits.take();
}

Result<SliceHeader> read_slice_header(BitReader& bits, const SliceContext& context, TraceSink* trace) {
  HeaderReader reader(bits, trace);
  SliceHeader header;
  slice_header(reader, header, context);
  LLMC_RETURN_IF_ERROR(reader.take_status());
  return header;
}

Status write_slice_header(BitWriter& bits, const SliceHeader& header, const SliceContext& context,
                          TraceSink* trace) {
  HeaderWriter writer(bits, trace);
  SliceHeader copy = header;
  slice_header(writer, copy, context);
  return writer.take_status();
}

Result<std::optional<PictureHash>> read_picture_hash(std::span<const std::byte> rbsp, TraceSink* trace) {
  BitReader bits(rbsp);
  HeaderReader reader(bits, trace);
  std::optional<PictureHash> found;
  while (reader.ok() && bits.more_rbsp_data()) {
    const uint32_t type = read_sei_number(reader, "last_payload_type_byte");
    const uint32_t size = read_sei_number(reader, "last_payload_size_byte");
    if (!reader.ok()) break;
    if (bits.rest().size() < size)
      return error(ErrorKind::kCorrupt, "SEI message of {} bytes ends early", size);
    const auto payload = bits.rest().first(size);
    bits = BitReader(bits.rest().subspan(size));
    if (type != kPayloadDecodedPictureHash) continue;
    BitReader payload_bits(payload);
    HeaderReader payload_reader(payload_bits, trace);
    found.emplace();
    decoded_picture_hash(payload_reader, *found);
    LLMC_RETURN_IF_ERROR(payload_reader.take_status());
  }
  reader.trailing_bits();
  LLMC_RETURN_IF_ERROR(reader.take_status());
  return found;
}

std::vector<std::byte> write_picture_hash(const PictureHash& hash, TraceSink* trace) {
  BitWriter bits;
  HeaderWriter writer(bits, trace);
  writer.u("last_payload_type_byte", kPayloadDecodedPictureHash, 8);
  writer.u("last_payload_size_byte", hash_bytes(hash.type) + 2, 8);
  PictureHash copy = hash;
  decoded_picture_hash(writer, copy);
  writer.trailing_bits();
  return bits.take();
}

}  // namespace llmcodec::vvc

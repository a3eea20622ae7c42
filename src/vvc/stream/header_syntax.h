// SPDX-License-Identifier: BSD-3-Clause
// The headers of a stream: sequence and picture parameter sets, picture and slice headers, decoded picture
// hash. One description per header (sps_syntax.cc, header_syntax.cc) reads it, writes it, traces it and
// checks its ranges.
//
// Reading, up to the slice data.
// Example (const NalUnit& sps, const NalUnit& pps, std::span<const std::byte> slice_rbsp):
//
//   ParameterSets sets;
//   LLMC_ASSIGN_OR_RETURN(sets.sps[0], read_sps(unescape(sps.payload)));
//   LLMC_ASSIGN_OR_RETURN(sets.pps[0], read_pps(unescape(pps.payload)));
//   BitReader bits(slice_rbsp);
//   const SliceContext context{.nal_type = NalType::kIdrNoLp, .sets = &sets};
//   LLMC_ASSIGN_OR_RETURN(const SliceHeader header, read_slice_header(bits, context));
//   const std::span<const std::byte> slice_data = bits.rest();
//
// Writing; the encoder's settings are the defaults.
// Example:
//
//   Sps sps;
//   sps.sps_pic_width_max_in_luma_samples = sps.sps_pic_height_max_in_luma_samples = 640;
//   LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> rbsp, write_sps(sps));
//
// Our subset is Main 10 and Main 10 Still Picture, 4:0:0, intra pictures only, no in-loop filter;
// docs/vvc-profile.md lists every flag. Names of fields are the syntax elements of H.266 (V3, 09/2023).
// Failures: Corrupt (ends early, out of range, refers to a missing set), Unsupported (names the element and
// its value), InvalidArgument (a struct to be written holds a value out of range).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "llmcodec/status.h"
#include "vvc/stream/bitstream.h"
#include "vvc/stream/nal.h"
#include "vvc/stream/trace.h"

namespace llmcodec::vvc {

inline constexpr uint32_t kProfileMain10 = 1;
inline constexpr uint32_t kProfileMain10StillPicture = 65;
inline constexpr uint32_t kMaxSlicesPerPicture = 600;  // of level 6.2, the most that VVdeC takes
inline constexpr int kMaxQp = 63;

// Inter tools: read and written back, without effect on intra pictures. The defaults turn all of them off.
struct SpsInterTools {
  bool sps_weighted_pred_flag = false;
  bool sps_weighted_bipred_flag = false;
  bool sps_long_term_ref_pics_flag = false;
  bool sps_idr_rpl_present_flag = false;
  bool sps_rpl1_same_as_rpl0_flag = true;
  std::array<uint32_t, 2> sps_num_ref_pic_lists{};  // all of them empty lists
  bool sps_ref_wraparound_enabled_flag = false;
  bool sps_temporal_mvp_enabled_flag = false;
  bool sps_sbtmvp_enabled_flag = false;
  bool sps_amvr_enabled_flag = false;
  bool sps_bdof_enabled_flag = false;
  bool sps_bdof_control_present_in_ph_flag = false;
  bool sps_smvd_enabled_flag = false;
  bool sps_dmvr_enabled_flag = false;
  bool sps_dmvr_control_present_in_ph_flag = false;
  bool sps_mmvd_enabled_flag = false;
  bool sps_mmvd_fullpel_only_enabled_flag = false;
  uint32_t sps_six_minus_max_num_merge_cand = 5;
  bool sps_sbt_enabled_flag = false;
  bool sps_affine_enabled_flag = false;
  uint32_t sps_five_minus_max_num_subblock_merge_cand = 0;
  bool sps_6param_affine_enabled_flag = false;
  bool sps_affine_amvr_enabled_flag = false;
  bool sps_affine_prof_enabled_flag = false;
  bool sps_prof_control_present_in_ph_flag = false;
  bool sps_bcw_enabled_flag = false;
  bool sps_ciip_enabled_flag = false;
  bool sps_gpm_enabled_flag = false;
  uint32_t sps_max_num_merge_cand_minus_max_num_gpm_cand = 0;
  uint32_t sps_log2_parallel_merge_level_minus2 = 0;
};

// Timing, without hypothetical reference decoder parameters.
struct SpsTiming {
  uint32_t num_units_in_tick = 1;
  uint32_t time_scale = 1;
  bool fixed_pic_rate_general_flag = true;
  bool fixed_pic_rate_within_cvs_flag = true;
  uint32_t elemental_duration_in_tc_minus1 = 0;
};

struct Sps {
  uint32_t sps_seq_parameter_set_id = 0;
  uint32_t sps_log2_ctu_size_minus5 = 2;
  uint32_t general_profile_idc = kProfileMain10StillPicture;
  bool general_tier_flag = false;
  uint32_t general_level_idc = 255;  // 15.5: still pictures of any size
  bool ptl_frame_only_constraint_flag = true;
  bool sps_gdr_enabled_flag = false;
  uint32_t sps_pic_width_max_in_luma_samples = 0;   // a multiple of max(8, min_cb_size())
  uint32_t sps_pic_height_max_in_luma_samples = 0;  // likewise
  bool sps_conformance_window_flag = false;
  uint32_t sps_conf_win_left_offset = 0;  // samples cut off on output
  uint32_t sps_conf_win_right_offset = 0;
  uint32_t sps_conf_win_top_offset = 0;
  uint32_t sps_conf_win_bottom_offset = 0;
  uint32_t sps_bitdepth_minus8 = 0;  // 0..2
  bool sps_entropy_coding_sync_enabled_flag = false;
  bool sps_entry_point_offsets_present_flag = false;
  uint32_t sps_log2_max_pic_order_cnt_lsb_minus4 = 0;
  bool sps_poc_msb_cycle_flag = false;
  uint32_t sps_poc_msb_cycle_len_minus1 = 0;
  uint32_t dpb_max_dec_pic_buffering_minus1 = 0;
  uint32_t dpb_max_latency_increase_plus1 = 0;
  uint32_t sps_log2_min_luma_coding_block_size_minus2 = 3;
  bool sps_partition_constraints_override_enabled_flag = false;
  uint32_t sps_log2_diff_min_qt_min_cb_intra_slice_luma = 0;
  uint32_t sps_max_mtt_hierarchy_depth_intra_slice_luma = 0;
  uint32_t sps_log2_diff_max_bt_min_qt_intra_slice_luma = 0;
  uint32_t sps_log2_diff_max_tt_min_qt_intra_slice_luma = 0;
  uint32_t sps_log2_diff_min_qt_min_cb_inter_slice = 0;
  uint32_t sps_max_mtt_hierarchy_depth_inter_slice = 0;
  uint32_t sps_log2_diff_max_bt_min_qt_inter_slice = 0;
  uint32_t sps_log2_diff_max_tt_min_qt_inter_slice = 0;
  bool sps_max_luma_transform_size_64_flag = false;
  SpsInterTools inter;
  bool sps_mrl_enabled_flag = true;
  std::optional<SpsTiming> timing;
  std::vector<std::byte> vui_payload;  // empty: none; kept, never interpreted

  int ctb_log2() const { return static_cast<int>(sps_log2_ctu_size_minus5) + 5; }
  int ctb_size() const { return 1 << ctb_log2(); }
  int min_cb_log2() const { return static_cast<int>(sps_log2_min_luma_coding_block_size_minus2) + 2; }
  int max_tb_log2() const { return sps_max_luma_transform_size_64_flag ? 6 : 5; }
  int bit_depth() const { return static_cast<int>(sps_bitdepth_minus8) + 8; }
  int qp_bd_offset() const { return 6 * static_cast<int>(sps_bitdepth_minus8); }
  int poc_lsb_bits() const { return static_cast<int>(sps_log2_max_pic_order_cnt_lsb_minus4) + 4; }
  uint32_t width_in_ctbs() const;
  uint32_t height_in_ctbs() const;
  uint32_t output_width() const;
  uint32_t output_height() const;
};

struct Pps {
  uint32_t pps_pic_parameter_set_id = 0;
  uint32_t pps_seq_parameter_set_id = 0;
  uint32_t pps_pic_width_in_luma_samples = 0;  // the SPS's
  uint32_t pps_pic_height_in_luma_samples = 0;
  // false: several slices, each of whole CTU rows, in one tile.
  bool pps_no_pic_partition_flag = true;
  uint32_t pps_log2_ctu_size_minus5 = 2;  // when partitioned: the SPS's
  // When partitioned: one entry per slice, summing to the picture.
  std::vector<uint32_t> slice_height_in_ctus;
  bool pps_loop_filter_across_slices_enabled_flag = false;
  bool pps_cabac_init_present_flag = false;
  std::array<uint32_t, 2> pps_num_ref_idx_default_active_minus1{};
  bool pps_rpl1_idx_present_flag = false;
  int32_t pps_init_qp_minus26 = 0;
  bool pps_cu_qp_delta_enabled_flag = false;
  bool pps_sao_info_in_ph_flag = false;
  bool pps_alf_info_in_ph_flag = false;
  bool pps_qp_delta_info_in_ph_flag = false;

  uint32_t num_slices() const {
    return pps_no_pic_partition_flag ? 1 : uint32_t(slice_height_in_ctus.size());
  }
};

struct PictureHeader {
  bool ph_non_ref_pic_flag = false;
  uint32_t ph_pic_parameter_set_id = 0;
  uint32_t ph_pic_order_cnt_lsb = 0;
  bool ph_poc_msb_cycle_present_flag = false;
  uint32_t ph_poc_msb_cycle_val = 0;
  bool ph_partition_constraints_override_flag = false;
  uint32_t ph_log2_diff_min_qt_min_cb_intra_slice_luma = 0;
  uint32_t ph_max_mtt_hierarchy_depth_intra_slice_luma = 0;
  uint32_t ph_log2_diff_max_bt_min_qt_intra_slice_luma = 0;
  uint32_t ph_log2_diff_max_tt_min_qt_intra_slice_luma = 0;
  uint32_t ph_cu_qp_delta_subdiv_intra_slice = 0;
  int32_t ph_qp_delta = 0;
};

struct SliceHeader {
  bool sh_picture_header_in_slice_header_flag = true;
  PictureHeader picture;  // its own, or a copy of the picture header NAL unit's
  uint32_t sh_slice_address = 0;
  bool sh_no_output_of_prior_pics_flag = false;
  int32_t sh_qp_delta = 0;
  // Bytes of each substream but the last, emulation prevention bytes included; for WPP.
  std::vector<uint32_t> entry_point_offsets;

  // SliceQpY: -qp_bd_offset()..63.
  int slice_qp(const Pps& pps) const {
    return 26 + pps.pps_init_qp_minus26 +
           (pps.pps_qp_delta_info_in_ph_flag ? picture.ph_qp_delta : sh_qp_delta);
  }
};

// The parameter sets met so far. A set with the id of an older one replaces it.
struct ParameterSets {
  std::array<std::optional<Sps>, 16> sps;
  std::array<std::optional<Pps>, 64> pps;
  // The sets that a picture header's ph_pic_parameter_set_id refers to, checked against each other. Corrupt
  // when one is missing or they disagree on sizes.
  struct Active {
    const Sps* sps = nullptr;
    const Pps* pps = nullptr;
  };
  Result<Active> activate(uint32_t pps_id) const;
};

Result<Sps> read_sps(std::span<const std::byte> rbsp, TraceSink* trace = nullptr);
Result<Pps> read_pps(std::span<const std::byte> rbsp, TraceSink* trace = nullptr);
Result<PictureHeader> read_picture_header(std::span<const std::byte> rbsp, const ParameterSets& sets,
                                          TraceSink* trace = nullptr);

// What a slice header's syntax depends on besides the parameter sets.
struct SliceContext {
  NalType nal_type = NalType::kIdrNoLp;
  const ParameterSets* sets = nullptr;
  const PictureHeader* picture = nullptr;  // of the picture header NAL unit; null when there was none
};

// Reads up to and with byte_alignment(): bits.rest() is the slice data.
Result<SliceHeader> read_slice_header(BitReader& bits, const SliceContext& context,
                                      TraceSink* trace = nullptr);

// Whole RBSPs, with trailing bits.
Result<std::vector<std::byte>> write_sps(const Sps& sps, TraceSink* trace = nullptr);
Result<std::vector<std::byte>> write_pps(const Pps& pps, TraceSink* trace = nullptr);
Result<std::vector<std::byte>> write_picture_header(const PictureHeader& header, const ParameterSets& sets,
                                                    TraceSink* trace = nullptr);
// Up to and with byte_alignment(); append the slice data afterwards.
Status write_slice_header(BitWriter& bits, const SliceHeader& header, const SliceContext& context,
                          TraceSink* trace = nullptr);

// Decoded picture hash SEI message (payload type 132, H.274) of a 4:0:0 picture.
enum class HashType : uint8_t { kMd5 = 0, kCrc = 1, kChecksum = 2 };
struct PictureHash {
  HashType type = HashType::kMd5;
  std::vector<std::byte> value;  // 16, 2 or 4 bytes
};
// The hash of a SEI RBSP, or nothing when it holds only other messages.
Result<std::optional<PictureHash>> read_picture_hash(std::span<const std::byte> rbsp,
                                                     TraceSink* trace = nullptr);
std::vector<std::byte> write_picture_hash(const PictureHash& hash, TraceSink* trace = nullptr);

}  // namespace llmcodec::vvc

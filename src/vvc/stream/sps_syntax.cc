// SPDX-License-Identifier: BSD-3-Clause
// The sequence parameter set, for reading and writing.
#include <algorithm>

#include "base/checked_math.h"
#include "base/error.h"
#include "vvc/stream/header_coder.h"
#include "vvc/stream/header_syntax.h"

namespace llmcodec::vvc {
namespace {

constexpr uint32_t kAnyUe = 0xFFFFFFFEu;
// Larger sides overflow nothing here, but no level allows them; limits on the area are the decoder's.
constexpr uint32_t kMaxSide = 1u << 20;

uint32_t sat_sub(int a, int b) {
  return static_cast<uint32_t>(std::max(a - b, 0));
}

// H.266 (V3, 09/2023) 7.3.3.1 General profile, tier, and level syntax
template <class Coder>
void profile_tier_level(Coder& c, Sps& s) {
  c.u(LLMC_NAMED(s, general_profile_idc), 7);
  if (c.ok() && s.general_profile_idc != kProfileMain10 &&
      s.general_profile_idc != kProfileMain10StillPicture)
    c.fail(error(ErrorKind::kUnsupported,
                 "general_profile_idc is {}; only Main 10 (1) and its still picture profile (65)",
                 s.general_profile_idc));
  c.flag(LLMC_NAMED(s, general_tier_flag));
  c.u(LLMC_NAMED(s, general_level_idc), 8);
  c.flag(LLMC_NAMED(s, ptl_frame_only_constraint_flag));
  c.fixed("ptl_multilayer_enabled_flag", 1, 0);
  c.fixed("gci_present_flag", 1, 0);
  c.align_zero("gci_alignment_zero_bit");
  c.fixed("ptl_num_sub_profiles", 8, 0);
}

// Picture size, window and sample depth of 7.3.2.4
template <class Coder>
void picture_format(Coder& c, Sps& s) {
  c.ue(LLMC_NAMED(s, sps_pic_width_max_in_luma_samples), 8, kMaxSide);
  c.ue(LLMC_NAMED(s, sps_pic_height_max_in_luma_samples), 8, kMaxSide);
  c.flag(LLMC_NAMED(s, sps_conformance_window_flag));
  if (s.sps_conformance_window_flag) {
    const uint32_t width = s.sps_pic_width_max_in_luma_samples;
    const uint32_t height = s.sps_pic_height_max_in_luma_samples;
    c.ue(LLMC_NAMED(s, sps_conf_win_left_offset), 0, width - 1);
    c.ue(LLMC_NAMED(s, sps_conf_win_right_offset), 0, width - 1 - s.sps_conf_win_left_offset);
    c.ue(LLMC_NAMED(s, sps_conf_win_top_offset), 0, height - 1);
    c.ue(LLMC_NAMED(s, sps_conf_win_bottom_offset), 0, height - 1 - s.sps_conf_win_top_offset);
  }
  c.fixed("sps_subpic_info_present_flag", 1, 0);
  c.ue(LLMC_NAMED(s, sps_bitdepth_minus8), 0, 8);
  if (c.ok() && s.sps_bitdepth_minus8 > 2)
    c.fail(error(ErrorKind::kUnsupported, "sps_bitdepth_minus8 is {}; Main 10 has 8 to 10 bits",
                 s.sps_bitdepth_minus8));
}

template <class Coder>
void order_and_buffers(Coder& c, Sps& s) {
  c.flag(LLMC_NAMED(s, sps_entropy_coding_sync_enabled_flag));
  c.flag(LLMC_NAMED(s, sps_entry_point_offsets_present_flag));
  c.u(LLMC_NAMED(s, sps_log2_max_pic_order_cnt_lsb_minus4), 4, 0, 12);
  c.flag(LLMC_NAMED(s, sps_poc_msb_cycle_flag));
  if (s.sps_poc_msb_cycle_flag)
    c.ue(LLMC_NAMED(s, sps_poc_msb_cycle_len_minus1), 0, 27 - s.sps_log2_max_pic_order_cnt_lsb_minus4);
  c.fixed("sps_num_extra_ph_bytes", 2, 0);
  c.fixed("sps_num_extra_sh_bytes", 2, 0);
  // H.266 7.3.4 DPB parameters syntax, one sublayer. Without reordering, output order is coding order.
  c.ue(LLMC_NAMED(s, dpb_max_dec_pic_buffering_minus1), 0, 15);
  c.fixed_ue("dpb_max_num_reorder_pics", 0);
  c.ue(LLMC_NAMED(s, dpb_max_latency_increase_plus1), 0, kAnyUe);
}

// Block partitioning of 7.3.2.4
template <class Coder>
void partitioning(Coder& c, Sps& s) {
  const int ctb_log2 = s.ctb_log2();
  const int max_log2 = std::min(6, ctb_log2);
  c.ue(LLMC_NAMED(s, sps_log2_min_luma_coding_block_size_minus2), 0, std::min(4, ctb_log2 - 2));
  const int min_cb_log2 = s.min_cb_log2();
  const uint32_t max_depth = 2 * sat_sub(ctb_log2, min_cb_log2);
  c.flag(LLMC_NAMED(s, sps_partition_constraints_override_enabled_flag));
  c.ue(LLMC_NAMED(s, sps_log2_diff_min_qt_min_cb_intra_slice_luma), 0, sat_sub(max_log2, min_cb_log2));
  c.ue(LLMC_NAMED(s, sps_max_mtt_hierarchy_depth_intra_slice_luma), 0, max_depth);
  if (s.sps_max_mtt_hierarchy_depth_intra_slice_luma != 0) {
    const int min_qt = min_cb_log2 + static_cast<int>(s.sps_log2_diff_min_qt_min_cb_intra_slice_luma);
    c.ue(LLMC_NAMED(s, sps_log2_diff_max_bt_min_qt_intra_slice_luma), 0, sat_sub(ctb_log2, min_qt));
    c.ue(LLMC_NAMED(s, sps_log2_diff_max_tt_min_qt_intra_slice_luma), 0, sat_sub(max_log2, min_qt));
  }
  c.ue(LLMC_NAMED(s, sps_log2_diff_min_qt_min_cb_inter_slice), 0, sat_sub(max_log2, min_cb_log2));
  c.ue(LLMC_NAMED(s, sps_max_mtt_hierarchy_depth_inter_slice), 0, max_depth);
  if (s.sps_max_mtt_hierarchy_depth_inter_slice != 0) {
    const int min_qt = min_cb_log2 + static_cast<int>(s.sps_log2_diff_min_qt_min_cb_inter_slice);
    c.ue(LLMC_NAMED(s, sps_log2_diff_max_bt_min_qt_inter_slice), 0, sat_sub(ctb_log2, min_qt));
    c.ue(LLMC_NAMED(s, sps_log2_diff_max_tt_min_qt_inter_slice), 0, sat_sub(max_log2, min_qt));
  }
  if (ctb_log2 > 5) c.flag(LLMC_NAMED(s, sps_max_luma_transform_size_64_flag));
}

// H.266 (V3, 09/2023) 7.3.10 Reference picture list structure syntax
// Only empty lists occur in intra streams.
template <class Coder>
void reference_lists(Coder& c, SpsInterTools& s) {
  c.flag(LLMC_NAMED(s, sps_long_term_ref_pics_flag));
  c.flag(LLMC_NAMED(s, sps_idr_rpl_present_flag));
  c.flag(LLMC_NAMED(s, sps_rpl1_same_as_rpl0_flag));
  for (int i = 0; i < (s.sps_rpl1_same_as_rpl0_flag ? 1 : 2); ++i) {
    c.ue("sps_num_ref_pic_lists", s.sps_num_ref_pic_lists[i], 0, 64);
    for (uint32_t j = 0; j < s.sps_num_ref_pic_lists[i]; ++j) c.fixed_ue("num_ref_entries", 0);
  }
  if (s.sps_rpl1_same_as_rpl0_flag) s.sps_num_ref_pic_lists[1] = s.sps_num_ref_pic_lists[0];
}

// Motion tools of 7.3.2.4
template <class Coder>
void motion_tools(Coder& c, SpsInterTools& s) {
  c.flag(LLMC_NAMED(s, sps_ref_wraparound_enabled_flag));
  c.flag(LLMC_NAMED(s, sps_temporal_mvp_enabled_flag));
  if (s.sps_temporal_mvp_enabled_flag) c.flag(LLMC_NAMED(s, sps_sbtmvp_enabled_flag));
  c.flag(LLMC_NAMED(s, sps_amvr_enabled_flag));
  c.flag(LLMC_NAMED(s, sps_bdof_enabled_flag));
  if (s.sps_bdof_enabled_flag) c.flag(LLMC_NAMED(s, sps_bdof_control_present_in_ph_flag));
  c.flag(LLMC_NAMED(s, sps_smvd_enabled_flag));
  c.flag(LLMC_NAMED(s, sps_dmvr_enabled_flag));
  if (s.sps_dmvr_enabled_flag) c.flag(LLMC_NAMED(s, sps_dmvr_control_present_in_ph_flag));
  c.flag(LLMC_NAMED(s, sps_mmvd_enabled_flag));
  if (s.sps_mmvd_enabled_flag) c.flag(LLMC_NAMED(s, sps_mmvd_fullpel_only_enabled_flag));
}

// Merge and affine tools of 7.3.2.4
template <class Coder>
void merge_tools(Coder& c, SpsInterTools& s, int ctb_log2) {
  c.ue(LLMC_NAMED(s, sps_six_minus_max_num_merge_cand), 0, 5);
  c.flag(LLMC_NAMED(s, sps_sbt_enabled_flag));
  c.flag(LLMC_NAMED(s, sps_affine_enabled_flag));
  if (s.sps_affine_enabled_flag) {
    c.ue(LLMC_NAMED(s, sps_five_minus_max_num_subblock_merge_cand), 0,
         5 - (s.sps_sbtmvp_enabled_flag ? 1 : 0));
    c.flag(LLMC_NAMED(s, sps_6param_affine_enabled_flag));
    if (s.sps_amvr_enabled_flag) c.flag(LLMC_NAMED(s, sps_affine_amvr_enabled_flag));
    c.flag(LLMC_NAMED(s, sps_affine_prof_enabled_flag));
    if (s.sps_affine_prof_enabled_flag) c.flag(LLMC_NAMED(s, sps_prof_control_present_in_ph_flag));
  }
  c.flag(LLMC_NAMED(s, sps_bcw_enabled_flag));
  c.flag(LLMC_NAMED(s, sps_ciip_enabled_flag));
  const uint32_t max_merge = 6 - s.sps_six_minus_max_num_merge_cand;
  if (max_merge >= 2) {
    c.flag(LLMC_NAMED(s, sps_gpm_enabled_flag));
    if (s.sps_gpm_enabled_flag && max_merge >= 3)
      c.ue(LLMC_NAMED(s, sps_max_num_merge_cand_minus_max_num_gpm_cand), 0, max_merge - 2);
  }
  c.ue(LLMC_NAMED(s, sps_log2_parallel_merge_level_minus2), 0, static_cast<uint32_t>(ctb_log2 - 2));
}

// H.266 (V3, 09/2023) 7.3.5.1 General timing and HRD parameters syntax and 7.3.5.2
// For one sublayer and without hypothetical reference decoder.
template <class Coder>
void timing_hrd(Coder& c, Sps& s) {
  bool sps_timing_hrd_params_present_flag = s.timing.has_value();
  c.flag("sps_timing_hrd_params_present_flag", sps_timing_hrd_params_present_flag);
  if (!sps_timing_hrd_params_present_flag) return;
  if (!s.timing) s.timing.emplace();
  SpsTiming& t = *s.timing;
  c.u(LLMC_NAMED(t, num_units_in_tick), 32);
  c.u(LLMC_NAMED(t, time_scale), 32);
  c.fixed("general_nal_hrd_params_present_flag", 1, 0);
  c.fixed("general_vcl_hrd_params_present_flag", 1, 0);
  c.flag(LLMC_NAMED(t, fixed_pic_rate_general_flag));
  if (t.fixed_pic_rate_general_flag)
    t.fixed_pic_rate_within_cvs_flag = true;
  else
    c.flag(LLMC_NAMED(t, fixed_pic_rate_within_cvs_flag));
  if (t.fixed_pic_rate_within_cvs_flag) c.ue(LLMC_NAMED(t, elemental_duration_in_tc_minus1), 0, 2047);
}

template <class Coder>
void vui(Coder& c, Sps& s) {
  bool sps_vui_parameters_present_flag = !s.vui_payload.empty();
  c.flag("sps_vui_parameters_present_flag", sps_vui_parameters_present_flag);
  if (!sps_vui_parameters_present_flag) return;
  uint32_t sps_vui_payload_size_minus1 = static_cast<uint32_t>(s.vui_payload.size()) - 1;
  c.ue(LLMC_NAMED_VALUE(sps_vui_payload_size_minus1), 0, 1023);
  c.align_zero("sps_vui_alignment_zero_bit");
  if (Coder::kReading) s.vui_payload.resize(sps_vui_payload_size_minus1 + 1);
  for (std::byte& byte : s.vui_payload) c.u("vui_payload_byte", byte, 8);
}

// Tools that change what an intra picture's samples mean:
// all outside the subset but MRL and dependent quantisation.
template <class Coder>
void intra_tools(Coder& c, Sps& s) {
  c.fixed("sps_isp_enabled_flag", 1, 0);
  c.flag(LLMC_NAMED(s, sps_mrl_enabled_flag));
  c.fixed("sps_mip_enabled_flag", 1, 0);
  c.fixed("sps_palette_enabled_flag", 1, 0);
  c.fixed("sps_ibc_enabled_flag", 1, 0);
  c.fixed("sps_ladf_enabled_flag", 1, 0);
  c.fixed("sps_explicit_scaling_list_enabled_flag", 1, 0);
  c.fixed("sps_dep_quant_enabled_flag", 1, 1);
  c.fixed("sps_sign_data_hiding_enabled_flag", 1, 0);
  c.fixed("sps_virtual_boundaries_enabled_flag", 1, 0);
}

// H.266 (V3, 09/2023) 7.3.2.4 Sequence parameter set RBSP syntax
template <class Coder>
void seq_parameter_set_rbsp(Coder& c, Sps& s) {
  c.u(LLMC_NAMED(s, sps_seq_parameter_set_id), 4);
  c.fixed("sps_video_parameter_set_id", 4, 0);
  c.fixed("sps_max_sublayers_minus1", 3, 0);
  c.fixed("sps_chroma_format_idc", 2, 0);
  c.u(LLMC_NAMED(s, sps_log2_ctu_size_minus5), 2, 0, 2);
  c.fixed("sps_ptl_dpb_hrd_params_present_flag", 1, 1);
  profile_tier_level(c, s);
  c.flag(LLMC_NAMED(s, sps_gdr_enabled_flag));
  c.fixed("sps_ref_pic_resampling_enabled_flag", 1, 0);
  picture_format(c, s);
  order_and_buffers(c, s);
  partitioning(c, s);
  for (const char* name :
       {"sps_transform_skip_enabled_flag", "sps_mts_enabled_flag", "sps_lfnst_enabled_flag",
        "sps_sao_enabled_flag", "sps_alf_enabled_flag", "sps_lmcs_enabled_flag"})
    c.fixed(name, 1, 0);
  c.flag(LLMC_NAMED(s.inter, sps_weighted_pred_flag));
  c.flag(LLMC_NAMED(s.inter, sps_weighted_bipred_flag));
  reference_lists(c, s.inter);
  motion_tools(c, s.inter);
  merge_tools(c, s.inter, s.ctb_log2());
  intra_tools(c, s);
  timing_hrd(c, s);
  c.fixed("sps_field_seq_flag", 1, 0);
  vui(c, s);
  c.fixed("sps_extension_flag", 1, 0);
  c.trailing_bits();
}

// Relations between elements that the ranges alone do not state.
Status check_relations(const Sps& s, ErrorKind kind) {
  const uint32_t unit = std::max(8u, 1u << s.min_cb_log2());
  if (s.sps_pic_width_max_in_luma_samples % unit != 0 || s.sps_pic_height_max_in_luma_samples % unit != 0)
    return error(kind, "picture size {}x{} is not a multiple of {}", s.sps_pic_width_max_in_luma_samples,
                 s.sps_pic_height_max_in_luma_samples, unit);
  return Status::ok();
}

}  // namespace

uint32_t Sps::width_in_ctbs() const {
  return static_cast<uint32_t>(
      ceil_div(sps_pic_width_max_in_luma_samples, static_cast<uint32_t>(ctb_size())));
}

uint32_t Sps::height_in_ctbs() const {
  return static_cast<uint32_t>(
      ceil_div(sps_pic_height_max_in_luma_samples, static_cast<uint32_t>(ctb_size())));
}

uint32_t Sps::output_width() const {
  return sps_pic_width_max_in_luma_samples - sps_conf_win_left_offset - sps_conf_win_right_offset;
}

uint32_t Sps::output_height() const {
  return sps_pic_height_max_in_luma_samples - sps_conf_win_top_offset - sps_conf_win_bottom_offset;
}

Result<Sps> read_sps(std::span<const std::byte> rbsp, TraceSink* trace) {
  BitReader bits(rbsp);
  HeaderReader reader(bits, trace);
  Sps sps;
  seq_parameter_set_rbsp(reader, sps);
  LLMC_RETURN_IF_ERROR(reader.take_status());
  LLMC_RETURN_IF_ERROR(check_relations(sps, ErrorKind::kCorrupt));
  return sps;
}

Result<std::vector<std::byte>> write_sps(const Sps& sps, TraceSink* trace) {
  LLMC_RETURN_IF_ERROR(check_relations(sps, ErrorKind::kInvalidArgument));
  BitWriter bits;
  HeaderWriter writer(bits, trace);
  Sps copy = sps;
  seq_parameter_set_rbsp(writer, copy);
  LLMC_RETURN_IF_ERROR(writer.take_status());
  return bits.take();
}

}  // namespace llmcodec::vvc

// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/stream/header_syntax.h"

#include <gtest/gtest.h>

#include "memory_trace.h"
#include "stream_files.h"
#include "vvc/stream/nal.h"

namespace llmcodec::vvc {
namespace {

Sps small_sps() {
  Sps sps;
  sps.sps_pic_width_max_in_luma_samples = 640;
  sps.sps_pic_height_max_in_luma_samples = 416;
  sps.sps_conformance_window_flag = true;
  sps.sps_conf_win_right_offset = 3;
  sps.sps_conf_win_bottom_offset = 31;
  sps.sps_bitdepth_minus8 = 2;
  return sps;
}

Pps small_pps() {
  Pps pps;
  pps.pps_pic_width_in_luma_samples = 640;
  pps.pps_pic_height_in_luma_samples = 416;
  return pps;
}

ParameterSets sets_of(const Sps& sps, const Pps& pps) {
  ParameterSets sets;
  sets.sps[sps.sps_seq_parameter_set_id] = sps;
  sets.pps[pps.pps_pic_parameter_set_id] = pps;
  return sets;
}

// A foreign encoder's headers read and written again must be the same bytes:
// every element is where we think it is.
TEST(HeaderSyntax, foreign_headers_round_trip_byte_for_byte) {
  int checked = 0;
  for (const std::string& name : stream_names()) {
    SCOPED_TRACE(name);
    const auto stream = load_stream(name);
    auto units = split_annexb(stream);
    ASSERT_TRUE(units.is_ok()) << units.error().to_string();
    ParameterSets sets;
    for (const NalUnit& unit : *units) {
      const std::vector<std::byte> rbsp = unescape(unit.payload);
      MemoryTrace read_trace, write_trace;
      if (unit.type == NalType::kSps) {
        auto sps = read_sps(rbsp, &read_trace);
        ASSERT_TRUE(sps.is_ok()) << sps.error().to_string();
        EXPECT_EQ(write_sps(*sps, &write_trace).value(), rbsp);
        sets.sps[sps->sps_seq_parameter_set_id] = *sps;
      } else if (unit.type == NalType::kPps) {
        auto pps = read_pps(rbsp, &read_trace);
        ASSERT_TRUE(pps.is_ok()) << pps.error().to_string();
        EXPECT_EQ(write_pps(*pps, &write_trace).value(), rbsp);
        sets.pps[pps->pps_pic_parameter_set_id] = *pps;
      } else if (is_slice(unit.type)) {
        BitReader bits(rbsp);
        const SliceContext context{unit.type, &sets, nullptr};
        auto header = read_slice_header(bits, context, &read_trace);
        ASSERT_TRUE(header.is_ok()) << header.error().to_string();
        BitWriter out;
        ASSERT_TRUE(write_slice_header(out, *header, context, &write_trace).is_ok());
        const size_t size = rbsp.size() - bits.rest().size();
        EXPECT_EQ(out.bytes(), std::vector(rbsp.begin(), rbsp.begin() + size));
      } else if (unit.type == NalType::kSuffixSei) {
        auto hash = read_picture_hash(rbsp, &read_trace);
        ASSERT_TRUE(hash.is_ok()) << hash.error().to_string();
        ASSERT_TRUE(hash->has_value());
        EXPECT_EQ(write_picture_hash(**hash, &write_trace), rbsp);
      }
      EXPECT_FALSE(read_trace.lines().empty());
      EXPECT_TRUE(read_trace.lines() == write_trace.lines());
      ++checked;
    }
  }
  EXPECT_GE(checked, 24 * 4);
}

TEST(HeaderSyntax, own_sps_round_trip) {
  Sps sps = small_sps();
  sps.timing =
      SpsTiming{.num_units_in_tick = 7, .time_scale = 0xFFFFFFFF, .fixed_pic_rate_general_flag = false};
  sps.vui_payload = std::vector<std::byte>(5, std::byte{0});
  auto rbsp = write_sps(sps);
  ASSERT_TRUE(rbsp.is_ok()) << rbsp.error().to_string();
  auto back = read_sps(*rbsp);
  ASSERT_TRUE(back.is_ok()) << back.error().to_string();
  EXPECT_EQ(write_sps(*back).value(), *rbsp);
  EXPECT_EQ(back->output_width(), 637u);
  EXPECT_EQ(back->output_height(), 385u);
  EXPECT_EQ(back->bit_depth(), 10);
  EXPECT_EQ(back->vui_payload.size(), 5u);
  EXPECT_EQ(back->timing->time_scale, 0xFFFFFFFFu);
}

TEST(HeaderSyntax, slice_layouts_round_trip) {
  const std::vector<std::vector<uint32_t>> layouts = {{4},       {2, 2},    {3, 1},   {1, 1, 1, 1},
                                                      {1, 2, 1}, {2, 1, 1}, {1, 1, 2}};
  for (const auto& heights : layouts) {
    Pps pps = small_pps();
    pps.pps_no_pic_partition_flag = false;
    pps.slice_height_in_ctus = heights;
    auto rbsp = write_pps(pps);
    ASSERT_TRUE(rbsp.is_ok()) << rbsp.error().to_string();
    auto back = read_pps(*rbsp);
    ASSERT_TRUE(back.is_ok()) << back.error().to_string();
    EXPECT_EQ(back->slice_height_in_ctus, heights);
  }
  Pps pps = small_pps();
  pps.pps_no_pic_partition_flag = false;
  pps.slice_height_in_ctus = {2, 3};
  EXPECT_FALSE(write_pps(pps).is_ok());
}

TEST(HeaderSyntax, picture_header_unit_and_entry_points) {
  Sps sps = small_sps();
  sps.sps_entropy_coding_sync_enabled_flag = sps.sps_entry_point_offsets_present_flag = true;
  Pps pps = small_pps();
  pps.pps_no_pic_partition_flag = false;
  pps.slice_height_in_ctus = {3, 1};
  pps.pps_cu_qp_delta_enabled_flag = true;
  const ParameterSets sets = sets_of(sps, pps);
  PictureHeader picture;
  picture.ph_pic_order_cnt_lsb = 9;
  picture.ph_cu_qp_delta_subdiv_intra_slice = 4;
  auto rbsp = write_picture_header(picture, sets);
  ASSERT_TRUE(rbsp.is_ok()) << rbsp.error().to_string();
  auto read = read_picture_header(*rbsp, sets);
  ASSERT_TRUE(read.is_ok()) << read.error().to_string();
  EXPECT_EQ(read->ph_pic_order_cnt_lsb, 9u);
  EXPECT_EQ(read->ph_cu_qp_delta_subdiv_intra_slice, 4u);
  SliceHeader header;
  header.sh_picture_header_in_slice_header_flag = false;
  header.sh_qp_delta = -30;
  header.entry_point_offsets = {1, 70000};
  const SliceContext context{NalType::kIdrNoLp, &sets, &*read};
  BitWriter out;
  const Status written = write_slice_header(out, header, context);
  ASSERT_TRUE(written.is_ok()) << written.error().to_string();
  BitReader in(out.bytes());
  auto back = read_slice_header(in, context);
  ASSERT_TRUE(back.is_ok()) << back.error().to_string();
  EXPECT_EQ(back->entry_point_offsets, header.entry_point_offsets);
  EXPECT_EQ(back->slice_qp(pps), -4);
  EXPECT_EQ(back->picture.ph_pic_order_cnt_lsb, 9u);
}

// 7.4.8: a PPS that moves information into the picture header needs that header outside the slice (found by
// VVdeC, which refuses such streams).
TEST(HeaderSyntax, picture_header_outside_the_slice_where_the_pps_needs_it) {
  Pps pps = small_pps();
  pps.pps_no_pic_partition_flag = false;
  pps.slice_height_in_ctus = {4};
  pps.pps_qp_delta_info_in_ph_flag = true;
  const ParameterSets sets = sets_of(small_sps(), pps);
  SliceHeader header;
  BitWriter out;
  EXPECT_EQ(write_slice_header(out, header, {NalType::kIdrNoLp, &sets, nullptr}).error().kind,
            ErrorKind::kCorrupt);
  const PictureHeader picture;
  header.sh_picture_header_in_slice_header_flag = false;
  BitWriter good;
  EXPECT_TRUE(write_slice_header(good, header, {NalType::kIdrNoLp, &sets, &picture}).is_ok());
}

TEST(HeaderSyntax, unsupported_flags_are_named) {
  const auto stream = load_stream("gauss_8b_q0_ctu32.266");
  const std::vector<std::byte> rbsp = unescape(split_annexb(stream).value()[0].payload);
  // Bits of the SPS as FFmpeg's trace_headers numbers them, less the two header bytes.
  const std::vector<std::pair<int, std::string>> flags = {{133 - 16, "sps_lfnst_enabled_flag"},
                                                          {176 - 16, "sps_isp_enabled_flag"},
                                                          {184 - 16, "sps_sign_data_hiding_enabled_flag"}};
  for (const auto& [bit, name] : flags) {
    auto flipped = rbsp;
    flipped[bit / 8] ^= static_cast<std::byte>(0x80 >> bit % 8);
    auto sps = read_sps(flipped);
    ASSERT_FALSE(sps.is_ok()) << name;
    EXPECT_EQ(sps.error().kind, ErrorKind::kUnsupported);
    EXPECT_NE(sps.error().message.find(name), std::string::npos) << sps.error().message;
  }
}

TEST(HeaderSyntax, every_truncation_is_an_error) {
  const auto sps = write_sps(small_sps()).value();
  for (size_t size = 0; size < sps.size(); ++size) EXPECT_FALSE(read_sps({sps.data(), size}).is_ok()) << size;
  const auto pps = write_pps(small_pps()).value();
  for (size_t size = 0; size < pps.size(); ++size) EXPECT_FALSE(read_pps({pps.data(), size}).is_ok()) << size;
}

TEST(HeaderSyntax, out_of_range_fields_are_not_written) {
  Sps sps = small_sps();
  sps.sps_log2_ctu_size_minus5 = 3;
  EXPECT_EQ(write_sps(sps).error().kind, ErrorKind::kInvalidArgument);
  sps = small_sps();
  sps.sps_conf_win_right_offset = 640;
  EXPECT_EQ(write_sps(sps).error().kind, ErrorKind::kInvalidArgument);
  sps = small_sps();
  sps.sps_pic_width_max_in_luma_samples = 648;  // no multiple of the smallest coding block
  EXPECT_EQ(write_sps(sps).error().kind, ErrorKind::kInvalidArgument);
  SliceHeader header;
  header.sh_qp_delta = 38;
  const ParameterSets sets = sets_of(small_sps(), small_pps());
  BitWriter out;
  EXPECT_EQ(write_slice_header(out, header, {NalType::kIdrNoLp, &sets, nullptr}).error().kind,
            ErrorKind::kInvalidArgument);
}

TEST(HeaderSyntax, missing_parameter_sets_are_corrupt) {
  ParameterSets sets;
  EXPECT_EQ(sets.activate(0).error().kind, ErrorKind::kCorrupt);
  sets.pps[0] = small_pps();
  EXPECT_EQ(sets.activate(0).error().kind, ErrorKind::kCorrupt);
  sets.sps[0] = small_sps();
  EXPECT_TRUE(sets.activate(0).is_ok());
  sets.sps[0]->sps_pic_width_max_in_luma_samples = 608;
  EXPECT_EQ(sets.activate(0).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace llmcodec::vvc

// SPDX-License-Identifier: BSD-3-Clause
#include "random_stream.h"

#include <algorithm>

#include "../unit/vvc/memory_trace.h"
#include "base/error.h"
#include "random.h"
#include "vvc/cabac/cabac_encoder.h"
#include "vvc/picture/reconstruct.h"
#include "vvc/slice/slice_syntax.h"
#include "vvc/stream/hash.h"
#include "vvc/stream/header_syntax.h"
#include "vvc/stream/nal.h"

namespace llmcodec::vvc {
namespace {

// How wild the slice data are; drawn once per stream.
struct Temper {
  int split_odds = 2;     // split when possible: all but one in this many
  int coded_odds = 2;     // transform units coded: all but one in this many
  int zero_percent = 50;  // coefficients that are zero
  int large_odds = 200;   // one coefficient in this many is large
  int largest_log2 = 6;   // of large ones
};

// What SliceSyntax asks, answered by dice.
class RandomBlocks {
 public:
  RandomBlocks(Random& random, const Temper& temper, const SliceParameters& parameters, bool wavefront,
               const CuMap& map, MutablePlaneView picture, int bit_depth)
      : random_(random),
        temper_(temper),
        parameters_(parameters),
        wavefront_(wavefront),
        map_(map),
        reconstructor_(picture, bit_depth) {}

  Split split(const CodingNode&, const AllowedSplits& allowed) {
    if (allowed.none && random_.one_in(temper_.split_odds)) return Split::kNone;
    std::vector<Split> choices;
    if (allowed.quad) choices.push_back(Split::kQuad);
    if (allowed.binary_horizontal) choices.push_back(Split::kBinaryHorizontal);
    if (allowed.binary_vertical) choices.push_back(Split::kBinaryVertical);
    if (allowed.ternary_horizontal) choices.push_back(Split::kTernaryHorizontal);
    if (allowed.ternary_vertical) choices.push_back(Split::kTernaryVertical);
    return choices[static_cast<size_t>(random_.below(static_cast<int>(choices.size())))];
  }

  void coding_unit(CodingUnit& cu) {
    cu.ref_idx = random_.below(3);
    cu.mode = random_.one_in(3) ? random_.below(2) : random_.below(kIntraModes);
    if (random_.one_in(2)) cu.qp = random_.between(-parameters_.qp_bd_offset, kMaxQp);
  }

  void transform_unit(const CodingUnit&, TransformUnit& tu) {
    const int count = scan_order(tu.log2_width, tu.log2_height).count;
    std::fill(std::begin(levels_), std::end(levels_), 0);
    tu.levels = levels_;
    tu.coded = !random_.one_in(temper_.coded_odds);
    if (tu.coded) tu.last = draw_levels(tu, random_.one_in(4) ? count - 1 : random_.below(count));
  }

  void finish(const CodingUnit& cu, const TransformUnit& tu) {
    const int ctb_log2 = parameters_.partition.ctb_log2;
    const NeighbourScope scope{&map_, parameters_.slice,
                               wavefront_ ? ((tu.x >> ctb_log2) + 1) << ctb_log2 : parameters_.picture.width};
    reconstructor_.predict({tu.x, tu.y, tu.log2_width, tu.log2_height, cu.ref_idx}, cu.mode, scope);
    if (tu.coded)
      reconstructor_.add_residual({tu.x, tu.y, tu.log2_width, tu.log2_height, levels_, tu.last, cu.qp});
  }

  void element(const char* name, int value) { trace_.element(name, value); }
  // The slice data's elements; the header, which comes first, is written last.
  const MemoryTrace& trace() const { return trace_; }

 private:
  // Any sequence of AbsLevel is legal; the state turns it into TransCoeffLevel.
  // The last one must not be zero.
  int draw_levels(const TransformUnit& tu, int last) {
    const ScanOrder& scan = scan_order(tu.log2_width, tu.log2_height);
    int state = 0;
    for (int n = last; n >= 0; --n) {
      int magnitude = random_.below(100) < temper_.zero_percent ? 0 : 1 + random_.below(3);
      if (random_.one_in(temper_.large_odds))
        magnitude = random_.below(1 << random_.below(temper_.largest_log2 + 1));
      if (n == last) magnitude = std::max(magnitude, 1);
      if (magnitude > 0) {
        const int level = 2 * magnitude - (state >> 1);
        levels_[scan[n].raster] = random_.one_in(2) ? -level : level;
      }
      state = next_state(state, magnitude & 1);
    }
    return last;
  }

  Random& random_;
  const Temper& temper_;
  const SliceParameters& parameters_;
  bool wavefront_;
  const CuMap& map_;
  BlockReconstructor reconstructor_;
  int32_t levels_[64 * 32];
  MemoryTrace trace_;
};

class Generator {
 public:
  Generator(uint32_t seed, TraceSink* trace) : random_(seed), trace_(trace) {
    draw_sps();
    draw_pps();
    draw_temper();
  }

  RandomStream make() {
    RandomStream out;
    out.description = describe();
    out.foreign_trouble = foreign_trouble();
    out.format = {sps_.output_width(), sps_.output_height(), static_cast<uint32_t>(sps_.bit_depth())};
    append_nal(bytes_, NalType::kSps, write_sps(sps_, trace_).value(), StartCode::kLong);
    append_nal(bytes_, NalType::kPps, write_pps(pps_, trace_).value(), StartCode::kLong);
    const int count = sps_.general_profile_idc == kProfileMain10 ? random_.between(1, 3) : 1;
    for (int i = 0; i < count; ++i) out.pictures.push_back(crop(picture(i)));
    out.bytes = std::move(bytes_);
    return out;
  }

 private:
  void draw_sps() {
    Sps& s = sps_;
    s.general_profile_idc = random_.one_in(2) ? kProfileMain10 : kProfileMain10StillPicture;
    if (s.general_profile_idc == kProfileMain10) s.general_level_idc = 102;
    s.sps_log2_ctu_size_minus5 = static_cast<uint32_t>(random_.below(3));
    s.sps_bitdepth_minus8 = random_.one_in(2) ? 2 : 0;
    s.sps_entropy_coding_sync_enabled_flag = random_.one_in(3);
    s.sps_entry_point_offsets_present_flag = random_.one_in(2);
    s.sps_mrl_enabled_flag = random_.one_in(2);
    draw_partition();
    if (s.ctb_log2() > 5) s.sps_max_luma_transform_size_64_flag = random_.one_in(2);
    const auto unit = static_cast<uint32_t>(std::max(8, 1 << s.min_cb_log2()));
    s.sps_pic_width_max_in_luma_samples =
        unit * static_cast<uint32_t>(random_.between(1, 1 + 280 / static_cast<int>(unit)));
    s.sps_pic_height_max_in_luma_samples =
        unit * static_cast<uint32_t>(random_.between(1, 1 + 280 / static_cast<int>(unit)));
    if (random_.one_in(3)) {
      s.sps_conformance_window_flag = true;
      s.sps_conf_win_left_offset = static_cast<uint32_t>(random_.below(3));
      s.sps_conf_win_right_offset = static_cast<uint32_t>(random_.below(4));
      s.sps_conf_win_top_offset = static_cast<uint32_t>(random_.below(3));
      s.sps_conf_win_bottom_offset = static_cast<uint32_t>(random_.below(4));
    }
  }

  void draw_partition() {
    Sps& s = sps_;
    const int ctb = s.ctb_log2(), top = std::min(6, ctb);
    const int min_cb = random_.between(2, std::min(5, ctb));
    const int min_qt = random_.between(min_cb, top);
    s.sps_log2_min_luma_coding_block_size_minus2 = static_cast<uint32_t>(min_cb - 2);
    s.sps_partition_constraints_override_enabled_flag = random_.one_in(3);
    s.sps_log2_diff_min_qt_min_cb_intra_slice_luma = static_cast<uint32_t>(min_qt - min_cb);
    const int depth = random_.one_in(3) ? 0 : random_.between(0, std::min(4, 2 * (ctb - min_cb)));
    s.sps_max_mtt_hierarchy_depth_intra_slice_luma = static_cast<uint32_t>(depth);
    if (depth == 0) return;
    s.sps_log2_diff_max_bt_min_qt_intra_slice_luma = static_cast<uint32_t>(random_.between(0, ctb - min_qt));
    s.sps_log2_diff_max_tt_min_qt_intra_slice_luma = static_cast<uint32_t>(random_.between(0, top - min_qt));
  }

  void draw_pps() {
    Pps& p = pps_;
    p.pps_pic_width_in_luma_samples = sps_.sps_pic_width_max_in_luma_samples;
    p.pps_pic_height_in_luma_samples = sps_.sps_pic_height_max_in_luma_samples;
    p.pps_log2_ctu_size_minus5 = sps_.sps_log2_ctu_size_minus5;
    p.pps_init_qp_minus26 = random_.between(-10, 10);
    p.pps_cu_qp_delta_enabled_flag = random_.one_in(2);
    if (random_.one_in(2) || sps_.height_in_ctbs() < 2) return;
    p.pps_no_pic_partition_flag = false;
    p.pps_qp_delta_info_in_ph_flag = random_.one_in(3);
    for (uint32_t left = sps_.height_in_ctbs(); left > 0; left -= p.slice_height_in_ctus.back())
      p.slice_height_in_ctus.push_back(static_cast<uint32_t>(random_.between(1, static_cast<int>(left))));
  }

  void draw_temper() {
    temper_.split_odds = random_.between(2, 8);
    temper_.coded_odds = random_.between(2, 20);
    temper_.zero_percent = random_.below(101);
    temper_.large_odds = random_.one_in(2) ? 1000 : random_.between(5, 200);
    temper_.largest_log2 = random_.between(3, 13);
  }

  // FFmpeg 8.0 finds substreams by entry points only. In pictures one CTU wide it now and then predicts a CTU
  // before the one above it is reconstructed, even with one thread. VVdeC 3.3 counts the units of the
  // conformance window as those of 4:2:0 when it checks that something is left. VVC allows all of them.
  std::map<std::string, std::string> foreign_trouble() const {
    std::map<std::string, std::string> trouble;
    if (sps_.sps_entropy_coding_sync_enabled_flag && !sps_.sps_entry_point_offsets_present_flag)
      trouble["ffmpeg"] = "wavefronts without entry points";
    if (sps_.width_in_ctbs() == 1) trouble["ffmpeg"] = "one CTU wide";
    if (2 * sps_.output_width() < sps_.sps_pic_width_max_in_luma_samples ||
        2 * sps_.output_height() < sps_.sps_pic_height_max_in_luma_samples)
      trouble["vvdec"] = "the window cuts more than half";
    return trouble;
  }

  std::string describe() const {
    return fmt::format(
        "{}x{} {} bit, CTU {}, min CB {}, MTT {}, WPP {}, entry points {}, slices {}, MRL {}, TB {}, QP "
        "delta {}",
        sps_.sps_pic_width_max_in_luma_samples, sps_.sps_pic_height_max_in_luma_samples, sps_.bit_depth(),
        sps_.ctb_size(), 1 << sps_.min_cb_log2(), sps_.sps_max_mtt_hierarchy_depth_intra_slice_luma,
        sps_.sps_entropy_coding_sync_enabled_flag, sps_.sps_entry_point_offsets_present_flag,
        pps_.num_slices(), sps_.sps_mrl_enabled_flag, 1 << sps_.max_tb_log2(),
        pps_.pps_cu_qp_delta_enabled_flag);
  }

  PictureHeader draw_picture_header(int index) {
    PictureHeader h;
    h.ph_pic_order_cnt_lsb = static_cast<uint32_t>(index);
    if (sps_.sps_partition_constraints_override_enabled_flag && random_.one_in(2)) {
      h.ph_partition_constraints_override_flag = true;
      h.ph_log2_diff_min_qt_min_cb_intra_slice_luma =
          static_cast<uint32_t>(random_.between(0, std::min(6, sps_.ctb_log2()) - sps_.min_cb_log2()));
      // An MTT depth of 0 keeps the other overrides at their defaults.
    } else {
      h.ph_log2_diff_min_qt_min_cb_intra_slice_luma = sps_.sps_log2_diff_min_qt_min_cb_intra_slice_luma;
      h.ph_max_mtt_hierarchy_depth_intra_slice_luma = sps_.sps_max_mtt_hierarchy_depth_intra_slice_luma;
      h.ph_log2_diff_max_bt_min_qt_intra_slice_luma = sps_.sps_log2_diff_max_bt_min_qt_intra_slice_luma;
      h.ph_log2_diff_max_tt_min_qt_intra_slice_luma = sps_.sps_log2_diff_max_tt_min_qt_intra_slice_luma;
    }
    const int min_qt = sps_.min_cb_log2() + static_cast<int>(h.ph_log2_diff_min_qt_min_cb_intra_slice_luma);
    const int depth =
        sps_.ctb_log2() - min_qt + static_cast<int>(h.ph_max_mtt_hierarchy_depth_intra_slice_luma);
    if (pps_.pps_cu_qp_delta_enabled_flag)
      h.ph_cu_qp_delta_subdiv_intra_slice = static_cast<uint32_t>(random_.between(0, 2 * depth));
    if (pps_.pps_qp_delta_info_in_ph_flag) h.ph_qp_delta = draw_qp_delta();
    return h;
  }

  int draw_qp_delta() {
    return random_.between(-sps_.qp_bd_offset(), kMaxQp) - 26 - pps_.pps_init_qp_minus26;
  }

  Plane picture(int index) {
    ParameterSets sets;
    sets.sps[0] = sps_;
    sets.pps[0] = pps_;
    const PictureHeader header = draw_picture_header(index);
    const bool own_unit = pps_.num_slices() > 1 || random_.one_in(4) || pps_.pps_qp_delta_info_in_ph_flag;
    if (own_unit)
      append_nal(bytes_, NalType::kPictureHeader, write_picture_header(header, sets, trace_).value(),
                 StartCode::kLong);
    Plane samples(sps_.sps_pic_width_max_in_luma_samples, sps_.sps_pic_height_max_in_luma_samples);
    CuMap map(static_cast<int>(sps_.sps_pic_width_max_in_luma_samples),
              static_cast<int>(sps_.sps_pic_height_max_in_luma_samples));
    uint32_t first_row = 0;
    for (uint32_t address = 0; address < pps_.num_slices(); ++address) {
      SliceHeader slice;
      slice.sh_picture_header_in_slice_header_flag = !own_unit;
      slice.picture = header;
      slice.sh_slice_address = address;
      if (!pps_.pps_qp_delta_info_in_ph_flag) slice.sh_qp_delta = draw_qp_delta();
      const uint32_t rows =
          pps_.pps_no_pic_partition_flag ? sps_.height_in_ctbs() : pps_.slice_height_in_ctus[address];
      const std::vector<uint8_t> data = slice_data(slice, first_row, rows, map, samples.view());
      BitWriter bits;
      must_succeed(
          write_slice_header(bits, slice, {NalType::kIdrNoLp, &sets, own_unit ? &header : nullptr}, trace_));
      if (trace_ != nullptr) {
        for (const MemoryTrace::Line& line : data_trace_.lines())
          trace_->element(line.name.c_str(), line.value);
      }
      bits.append(std::as_bytes(std::span(data)));
      append_nal(bytes_, NalType::kIdrNoLp, bits.bytes(), StartCode::kShort);
      first_row += rows;
    }
    const auto type = static_cast<HashType>(random_.below(3));
    append_nal(
        bytes_, NalType::kSuffixSei,
        write_picture_hash(picture_hash(type, std::as_const(samples).view(), sps_.bit_depth()), trace_),
        StartCode::kShort);
    return samples;
  }

  static void must_succeed(const Status& status) {
    if (!status.is_ok()) std::abort();  // the generator itself is wrong
  }

  // Fills in the slice's entry points.
  std::vector<uint8_t> slice_data(SliceHeader& header, uint32_t first_row, uint32_t rows, CuMap& map,
                                  MutablePlaneView samples) {
    const bool wavefront = sps_.sps_entropy_coding_sync_enabled_flag;
    const SliceParameters parameters = slice_parameters(sps_, pps_, header);
    RandomBlocks blocks(random_, temper_, parameters, wavefront, map, samples, sps_.bit_depth());
    CabacEncoder bins(initial_contexts(parameters.slice_qp));
    SliceSyntax<CabacEncoder, RandomBlocks> syntax(bins, parameters, map, blocks);
    ContextSet after_first = bins.contexts();
    std::vector<size_t> ends;
    for (uint32_t row = 0; row < rows; ++row) {
      if (row == 0 || wavefront) syntax.start_substream();
      for (uint32_t x = 0; x < sps_.width_in_ctbs(); ++x) {
        syntax.coding_tree_unit(static_cast<int>(x), static_cast<int>(first_row + row));
        if (x == 0) after_first = bins.contexts();
      }
      if (wavefront && row + 1 < rows) {
        bins.terminate(1);
        ends.push_back(bins.finish_substream());
        bins.contexts() = after_first;
      }
    }
    bins.terminate(1);
    const std::vector<uint8_t> data = bins.finish();
    data_trace_ = blocks.trace();
    size_t begin = 0;
    for (size_t end : ends) {
      if (sps_.sps_entry_point_offsets_present_flag)
        header.entry_point_offsets.push_back(escaped_size(data, begin, end));
      begin = end;
    }
    return data;
  }

  // Bytes of data[begin, end) after emulation prevention, which may act because of zeros before begin.
  // A slice header never ends in two zero bytes here: it ends in a one and at most seven zeros.
  static uint32_t escaped_size(const std::vector<uint8_t>& data, size_t begin, size_t end) {
    const auto size_up_to = [bytes = std::as_bytes(std::span(data))](size_t position) {
      std::vector<std::byte> unit;
      append_nal(unit, NalType::kIdrNoLp, bytes.first(position), StartCode::kShort);
      return unit.size();
    };
    return static_cast<uint32_t>(size_up_to(end) - size_up_to(begin));
  }

  Plane crop(const Plane& full) const {
    const PlaneView view = full.view().block(sps_.sps_conf_win_top_offset, sps_.sps_conf_win_left_offset,
                                             sps_.output_height(), sps_.output_width());
    Plane out(sps_.output_width(), sps_.output_height());
    for (size_t y = 0; y < view.rows; ++y)
      std::copy_n(view.row(y).begin(), view.cols, out.view().row(y).begin());
    return out;
  }

  Random random_;
  Sps sps_;
  Pps pps_;
  Temper temper_;
  std::vector<std::byte> bytes_;
  TraceSink* trace_;
  MemoryTrace data_trace_;  // of the last slice's data
};

}  // namespace

RandomStream random_stream(uint32_t seed, TraceSink* trace) {
  return Generator(seed, trace).make();
}

}  // namespace llmcodec::vvc

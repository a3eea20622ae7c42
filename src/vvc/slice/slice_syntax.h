// SPDX-License-Identifier: BSD-3-Clause
// Slice data down to the transform unit, described once for writing and reading (H.266 7.3.11).
//
// Example (CabacDecoder& bins, const SliceParameters& parameters, CuMap& map, int ctu_columns):
//
//   struct Blocks {
//     int32_t levels[64 * 64];
//     Split split(const CodingNode&, const AllowedSplits&) { return Split::kNone; }
//     void coding_unit(CodingUnit&) {}
//     void transform_unit(const CodingUnit&, TransformUnit& tu) {
//       std::ranges::fill(levels, 0);
//       tu.levels = levels;
//     }
//     void finish(const CodingUnit&, const TransformUnit& tu) { use(tu.levels); }
//     void element(const char*, int) {}
//   } blocks;
//   SliceSyntax syntax(bins, parameters, map, blocks);
//   syntax.start_substream();
//   for (int x = 0; x < ctu_columns; ++x) syntax.coding_tree_unit(x, 0);
//   // In steps, where another reader takes the levels, for instance those of several slices at once:
//   syntax.begin(0, 1);
//   while (syntax.next_levels()) syntax.end_levels(decode_residual(bins, syntax.block()));
//
// Bins is CabacEncoder, CabacDecoder or CabacCost.
// Blocks makes the choices when writing and takes them when reading:
//
//   split            the split wanted (ignored when reading)
//   coding_unit      before its syntax: sets ref_idx, mode and qp (ignored when reading)
//   transform_unit   before its syntax: sets coded, levels and last; when reading, gives levels that are 0
//   finish           after its syntax: reconstructs
//   element          trace; empty when not wanted
//   code_residual    optional: ResidualInfo code_residual(Bins&, const TransformBlock&) stands in for
//                    residual_coding()
//
// After each CTU look at error(): a reader meets values that no conforming stream has.
#pragma once

#include <algorithm>
#include <cstdint>

#include "vvc/cabac/contexts.h"
#include "vvc/picture/intra_pred.h"
#include "vvc/picture/partition.h"
#include "vvc/residual/residual_syntax.h"
#include "vvc/stream/header_syntax.h"
#include "vvc/stream/trace.h"

namespace llmcodec::vvc {

// What slice data depends on, from the headers.
struct SliceParameters {
  PictureSize picture;
  PartitionConstraints partition;
  int max_tb_log2 = 5;
  bool mrl_enabled = true;
  bool cu_qp_delta_enabled = false;
  int cu_qp_delta_subdiv = 0;
  int qp_bd_offset = 0;
  int slice_qp = 26;
  uint16_t slice = 1;  // as in CuInfo
};

SliceParameters slice_parameters(const Sps& sps, const Pps& pps, const SliceHeader& header);

struct CodingUnit {
  int x = 0, y = 0;
  int log2_width = 5, log2_height = 5;
  int qt_depth = 0;
  int ref_idx = 0;       // intra_luma_ref_idx
  int mode = kIntraDc;   // IntraPredModeY
  int qp = 0;            // QpY: the one wanted in coding_unit(), the one in force in finish()
  int predicted_qp = 0;  // QpY without cu_qp_delta
};

struct TransformUnit {
  int x = 0, y = 0;
  int log2_width = 5, log2_height = 5;
  bool coded = false;         // tu_y_coded_flag
  int32_t* levels = nullptr;  // TransCoeffLevel, raster, stride = width; needed when coded
  int last = -1;              // scan position of the last non-zero level, when coded; ignored when reading
};

// H.266 9.3.3.4 Truncated binary binarization of intra_luma_mpm_remainder: 61 values in 5 or 6 bins
template <class Bins>
int mpm_remainder(Bins& bins, int value) {
  constexpr int kShortCodes = 3;  // 64 - 61
  const bool is_short = value < kShortCodes;
  const int high =
      static_cast<int>(bins.bypass(static_cast<uint32_t>(is_short ? value : (value + kShortCodes) >> 1), 5));
  if (high < kShortCodes) return high;
  return 2 * high - kShortCodes +
         static_cast<int>(bins.bypass(static_cast<uint32_t>((value + kShortCodes) & 1), 1));
}

// H.266 9.3.3.6 k-th order Exp-Golomb, k = 0, in bypass bins. -1 when longer than any legal value.
template <class Bins>
int exp_golomb_bypass(Bins& bins, int value) {
  constexpr int kMaxPrefix = 8;
  int prefix = 0, base = 0;
  while (bins.bypass(value >= base + (1 << prefix), 1) != 0) {
    base += 1 << prefix;
    if (++prefix > kMaxPrefix) return -1;
  }
  return base +
         static_cast<int>(bins.bypass(static_cast<uint32_t>(value - base) & ((1u << prefix) - 1), prefix));
}

// The lines that a trace has for a transform unit besides its syntax elements: place, mode, QP and levels.
void trace_transform_unit(TraceSink& trace, const CodingUnit& cu, const TransformUnit& tu);

inline constexpr const char* kLevelOutOfRange = "a transform coefficient level leaves 16 bits";

template <class Bins, class Blocks>
class SliceSyntax {
 public:
  SliceSyntax(Bins& bins, const SliceParameters& parameters, CuMap& map, Blocks& blocks)
      : bins_(bins), p_(parameters), map_(map), blocks_(blocks) {}

  // At the start of the slice and, with wavefronts, of each CTU row.
  void start_substream() { qp_ = p_.slice_qp; }

  // H.266 7.3.11.2 Coding tree unit syntax
  void coding_tree_unit(int ctu_x, int ctu_y) {
    begin(ctu_x, ctu_y);
    while (next_levels()) end_levels(residual(block(), std::max(tu_.last, 0)));
  }

  // The same in steps: the tree is walked with a stack of nodes still to come, so that it can stop where the
  // levels of a block are due.
  void begin(int ctu_x, int ctu_y) {
    CodingNode root;
    root.log2_width = root.log2_height = p_.partition.ctb_log2;
    root.x = ctu_x << p_.partition.ctb_log2;
    root.y = ctu_y << p_.partition.ctb_log2;
    nodes_[0] = root;
    node_count_ = 1;
  }
  // Goes on up to the levels of block(); false when the CTU has no more.
  // Between the two calls the caller has them coded.
  bool next_levels() {
    for (;;) {
      if (part_count_ > 0) {
        if (transform_unit(parts_[--part_count_])) return true;
        end_unit();
      } else if (node_count_ > 0) {
        coding_tree(nodes_[--node_count_]);
      } else {
        return false;
      }
    }
  }
  TransformBlock block() const { return {tu_.log2_width, tu_.log2_height, true, tu_.levels}; }
  void end_levels(const ResidualInfo& info) {
    tu_.last = info.last_scan_position;
    blocks_.element("last_scan_position", tu_.last);
    if (!info.level_in_range) error_ = kLevelOutOfRange;
    end_unit();
  }

  // Null, or what is wrong with the stream. Once set, the rest of the CTU holds arbitrary legal values.
  const char* error() const { return error_; }

 private:
  struct Part {
    int x, y, log2_width, log2_height;
  };

  // H.266 7.3.11.4 Coding tree syntax
  void coding_tree(CodingNode node) {
    if (p_.cu_qp_delta_enabled && node.quantisation_group) {
      group_starts_ = true;
      qp_delta_coded_ = false;
    }
    const AllowedSplits allowed = allowed_splits(p_.partition, node, p_.picture);
    const Split split = split_mode(node, allowed);
    if (split == Split::kNone) return coding_unit(node);
    const ChildNodes children = split_node(node, split, !allowed.none, p_.cu_qp_delta_subdiv);
    for (int i = children.count - 1; i >= 0; --i) {
      const CodingNode& child = children.node[i];
      if (child.x < p_.picture.width && child.y < p_.picture.height) nodes_[node_count_++] = child;
    }
  }

  // split_cu_flag, split_qt_flag, mtt_split_cu_vertical_flag,
  // mtt_split_cu_binary_flag: only those that are a choice
  Split split_mode(const CodingNode& node, const AllowedSplits& allowed) {
    const int horizontal = allowed.horizontal(), vertical = allowed.vertical();
    const int choices = 2 * static_cast<int>(allowed.quad) + horizontal + vertical;
    if (choices == 0) return Split::kNone;
    const Split wanted = blocks_.split(node, allowed);
    const CuInfo* left = map_.find(node.x - 1, node.y, p_.slice);
    const CuInfo* above = map_.find(node.x, node.y - 1, p_.slice);
    if (allowed.none && !split_cu_flag(node, left, above, choices, wanted)) return Split::kNone;
    if (allowed.quad && (choices == 2 || split_qt_flag(node, left, above, wanted))) return Split::kQuad;
    bool vertical_split = vertical > 0;
    if (vertical_split && horizontal > 0) {
      vertical_split = is_vertical(wanted);
      const int inc = vertical_context(node, left, above, horizontal, vertical);
      vertical_split = bins_.bin(vertical_split, ctx::kMttSplitCuVerticalFlag + inc) != 0;
      blocks_.element("mtt_split_cu_vertical_flag", vertical_split);
    }
    bool is_binary = vertical_split ? allowed.binary_vertical : allowed.binary_horizontal;
    const bool ternary_allowed = vertical_split ? allowed.ternary_vertical : allowed.ternary_horizontal;
    if (is_binary && ternary_allowed) {
      // H.266 table 132: 2 * mtt_split_cu_vertical_flag + (mttDepth <= 1)
      const int inc = 2 * static_cast<int>(vertical_split) + static_cast<int>(node.mtt_depth <= 1);
      is_binary = bins_.bin(!is_ternary(wanted), ctx::kMttSplitCuBinaryFlag + inc) != 0;
      blocks_.element("mtt_split_cu_binary_flag", is_binary);
    }
    if (vertical_split) return is_binary ? Split::kBinaryVertical : Split::kTernaryVertical;
    return is_binary ? Split::kBinaryHorizontal : Split::kTernaryHorizontal;
  }

  // H.266 9.3.4.2.2 Derivation process of ctxInc using left and above syntax elements
  bool split_cu_flag(const CodingNode& node, const CuInfo* left, const CuInfo* above, int choices,
                     Split wanted) {
    const int inc = static_cast<int>(left != nullptr && left->log2_height < node.log2_height) +
                    static_cast<int>(above != nullptr && above->log2_width < node.log2_width) +
                    3 * ((choices - 1) / 2);
    const bool flag = bins_.bin(wanted != Split::kNone, ctx::kSplitCuFlag + inc) != 0;
    blocks_.element("split_cu_flag", flag);
    return flag;
  }
  bool split_qt_flag(const CodingNode& node, const CuInfo* left, const CuInfo* above, Split wanted) {
    const int inc = static_cast<int>(left != nullptr && left->qt_depth > node.qt_depth) +
                    static_cast<int>(above != nullptr && above->qt_depth > node.qt_depth) +
                    3 * static_cast<int>(node.qt_depth >= 2);
    const bool flag = bins_.bin(wanted == Split::kQuad, ctx::kSplitQtFlag + inc) != 0;
    blocks_.element("split_qt_flag", flag);
    return flag;
  }
  // H.266 9.3.4.2.3 Derivation process of ctxInc for the syntax element mtt_split_cu_vertical_flag
  static int vertical_context(const CodingNode& node, const CuInfo* left, const CuInfo* above, int horizontal,
                              int vertical) {
    if (vertical != horizontal) return vertical < horizontal ? 3 : 4;
    if (left == nullptr || above == nullptr) return 0;
    const int above_ratio = node.width() >> above->log2_width,
              left_ratio = node.height() >> left->log2_height;
    return above_ratio == left_ratio ? 0 : above_ratio < left_ratio ? 1 : 2;
  }

  // H.266 7.3.11.5 Coding unit syntax
  void coding_unit(const CodingNode& node) {
    CodingUnit& cu = cu_ = {};
    cu.x = node.x, cu.y = node.y;
    cu.log2_width = node.log2_width, cu.log2_height = node.log2_height;
    cu.qt_depth = node.qt_depth;
    if (group_starts_) {
      group_starts_ = false;
      qp_ = predict_qp(cu.x, cu.y);
    }
    cu.qp = cu.predicted_qp = qp_;
    blocks_.coding_unit(cu);
    wanted_qp_ = cu.qp;
    cu.qp = qp_;
    intra_luma_pred_mode(cu);
    transform_tree(cu.x, cu.y, cu.log2_width, cu.log2_height);
  }

  CuInfo info_of(const CodingUnit& cu) const {
    return {p_.slice,
            static_cast<uint8_t>(cu.log2_width),
            static_cast<uint8_t>(cu.log2_height),
            static_cast<uint8_t>(cu.qt_depth),
            static_cast<uint8_t>(cu.mode),
            static_cast<int8_t>(qp_)};
  }

  // intra_luma_ref_idx .. intra_luma_mpm_remainder
  void intra_luma_pred_mode(CodingUnit& cu) {
    const bool ctu_top = (cu.y & ((1 << p_.partition.ctb_log2) - 1)) == 0;
    cu.ref_idx = p_.mrl_enabled && !ctu_top ? intra_luma_ref_idx(cu.ref_idx) : 0;
    const MostProbableModes list = candidates(cu);
    int index = static_cast<int>(std::find(list.mode, list.mode + 6, cu.mode) - list.mode);
    bool mpm = index < 6;
    if (cu.ref_idx == 0) {
      mpm = bins_.bin(mpm, ctx::kIntraLumaMpmFlag) != 0;
      blocks_.element("intra_luma_mpm_flag", mpm);
    } else {
      mpm = true;
    }
    if (!mpm) {
      cu.mode = remaining_mode(list, cu.mode);
      return;
    }
    bool not_planar = true;
    if (cu.ref_idx == 0) {
      not_planar = bins_.bin(index != 0, ctx::kIntraLumaNotPlanarFlag + 1) != 0;
      blocks_.element("intra_luma_not_planar_flag", not_planar);
    }
    if (not_planar) {
      index = 1 + bins_.unary_bypass(std::clamp(index - 1, 0, 4), 4);
      blocks_.element("intra_luma_mpm_idx", index - 1);
    }
    cu.mode = list.mode[not_planar ? index : 0];
  }

  int intra_luma_ref_idx(int wanted) {
    int ref_idx = bins_.bin(wanted > 0, ctx::kIntraLumaRefIdx);
    if (ref_idx > 0) ref_idx += bins_.bin(wanted > 1, ctx::kIntraLumaRefIdx + 1);
    blocks_.element("intra_luma_ref_idx", ref_idx);
    return ref_idx;
  }

  MostProbableModes candidates(const CodingUnit& cu) const {
    const CuInfo* left = map_.find(cu.x - 1, cu.y + (1 << cu.log2_height) - 1, p_.slice);
    const bool same_ctu = (cu.y & ((1 << p_.partition.ctb_log2) - 1)) != 0;
    const CuInfo* above = same_ctu ? map_.find(cu.x + (1 << cu.log2_width) - 1, cu.y - 1, p_.slice) : nullptr;
    return most_probable_modes(left != nullptr ? left->intra_mode : kIntraPlanar,
                               above != nullptr ? above->intra_mode : kIntraPlanar);
  }

  // The modes outside the list, numbered in ascending order. H.266 8.4.2
  int remaining_mode(MostProbableModes list, int mode) {
    std::sort(list.mode, list.mode + 6);
    int number = mode;
    for (int i = 5; i >= 0; --i) number -= static_cast<int>(number > list.mode[i]);
    number = mpm_remainder(bins_, number);
    blocks_.element("intra_luma_mpm_remainder", number);
    for (int candidate : list.mode) number += static_cast<int>(number >= candidate);
    return number;
  }

  // H.266 7.3.11.9 Transform tree syntax: its parts, all of one size, onto their stack.
  void transform_tree(int x, int y, int log2_width, int log2_height) {
    const bool too_wide = log2_width > p_.max_tb_log2;
    if (!too_wide && log2_height <= p_.max_tb_log2) {
      parts_[part_count_++] = {x, y, log2_width, log2_height};
      return;
    }
    const bool vertical = too_wide && log2_width > log2_height;  // verSplitFirst
    --(vertical ? log2_width : log2_height);
    transform_tree(vertical ? x + (1 << log2_width) : x, vertical ? y : y + (1 << log2_height), log2_width,
                   log2_height);
    transform_tree(x, y, log2_width, log2_height);
  }

  // H.266 7.3.11.10 Transform unit syntax, up to its levels. True if it has any.
  bool transform_unit(const Part& part) {
    tu_ = {};
    tu_.x = part.x, tu_.y = part.y, tu_.log2_width = part.log2_width, tu_.log2_height = part.log2_height;
    blocks_.transform_unit(cu_, tu_);
    tu_.coded = bins_.bin(tu_.coded, ctx::kTuYCodedFlag) != 0;
    blocks_.element("tu_y_coded_flag", tu_.coded);
    const bool large = cu_.log2_width > 6 || cu_.log2_height > 6;
    if (p_.cu_qp_delta_enabled && !qp_delta_coded_ && (tu_.coded || large)) {
      qp_delta_coded_ = true;
      qp_ = cu_qp_delta(cu_.predicted_qp, wanted_qp_);
    }
    cu_.qp = qp_;
    return tu_.coded;
  }

  void end_unit() {
    blocks_.finish(cu_, tu_);
    map_.fill(tu_.x, tu_.y, 1 << tu_.log2_width, 1 << tu_.log2_height, info_of(cu_));
    // The parts were marked one by one, with the QP known then; a later part may have changed it.
    if (part_count_ == 0 && std::max(cu_.log2_width, cu_.log2_height) > p_.max_tb_log2)
      map_.fill(cu_.x, cu_.y, 1 << cu_.log2_width, 1 << cu_.log2_height, info_of(cu_));
  }

  ResidualInfo residual(const TransformBlock& block, int last) {
    if constexpr (requires { blocks_.code_residual(bins_, block); }) {
      return blocks_.code_residual(bins_, block);
    } else {
      return residual_coding(bins_, block, last);
    }
  }

  // cu_qp_delta_abs, cu_qp_delta_sign_flag; the QP. H.266 8.7.1
  int cu_qp_delta(int predicted, int wanted) {
    const int offset = p_.qp_bd_offset, range = 64 + offset;
    const int lowest = -(32 + offset / 2), highest = 31 + offset / 2;
    int delta = wanted - predicted;
    if (delta < lowest) delta += range;
    if (delta > highest) delta -= range;
    const int magnitude = cu_qp_delta_abs(std::abs(delta));
    blocks_.element("cu_qp_delta_abs", magnitude);
    const bool negative = magnitude != 0 && bins_.bypass(delta < 0, 1) != 0;
    delta = negative ? -magnitude : magnitude;
    if (magnitude < 0 || delta < lowest || delta > highest) {
      error_ = "CuQpDeltaVal is out of range";
      return predicted;
    }
    return (predicted + delta + 64 + 2 * offset) % range - offset;
  }
  int cu_qp_delta_abs(int value) {
    constexpr int kPrefixMax = 5;
    int prefix = 0;
    while (prefix < kPrefixMax &&
           bins_.bin(value > prefix, ctx::kCuQpDeltaAbs + static_cast<int>(prefix > 0)))
      ++prefix;
    if (prefix < kPrefixMax) return prefix;
    const int suffix = exp_golomb_bypass(bins_, value - kPrefixMax);
    return suffix < 0 ? -1 : prefix + suffix;
  }

  // H.266 8.7.1 Derivation process for quantization parameters, qPY_PRED
  int predict_qp(int x, int y) const {
    const int ctb_mask = (1 << p_.partition.ctb_log2) - 1;
    const CuInfo* above = map_.find(x, y - 1, p_.slice);
    if (x == 0 && (y & ctb_mask) == 0 && above != nullptr) return above->qp;
    const CuInfo* left = map_.find(x - 1, y, p_.slice);
    const int a = (y & ctb_mask) != 0 && above != nullptr ? above->qp : qp_;
    const int b = (x & ctb_mask) != 0 && left != nullptr ? left->qp : qp_;
    return (a + b + 1) >> 1;
  }

  Bins& bins_;
  const SliceParameters& p_;
  CuMap& map_;
  Blocks& blocks_;
  int qp_ = 0;         // of the last coding unit
  int wanted_qp_ = 0;  // of the current one, when writing
  CodingUnit cu_;      // the current one
  TransformUnit tu_;
  // Still to come, the next one last. A split makes blocks at least half as large: from 128x128 to 4x4 at
  // most ten times, each leaving at most three siblings.
  CodingNode nodes_[3 * 10 + 1];
  Part parts_[16];  // of the current coding unit: at most 128x128 in 32x32
  int node_count_ = 0, part_count_ = 0;
  bool group_starts_ = false;
  bool qp_delta_coded_ = false;
  const char* error_ = nullptr;
};

}  // namespace llmcodec::vvc

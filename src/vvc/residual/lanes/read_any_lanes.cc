// SPDX-License-Identifier: BSD-3-Clause
// In one step every lane reads one sub-block of 4x4, its own next one: what lanes share is the position
// inside the sub-block. Where a lane has nothing to read there, it is masked.
#include "vvc/residual/lanes/read_any_lanes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vvc/residual/lanes/read_any_lanes.cc"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cstring>

#include "vvc/residual/lanes/lane_levels-inl.h"
#include "vvc/residual/lanes/lane_windows-inl.h"
#include "vvc/residual/residual_decoder.h"

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
namespace {

void read_alone(ResidualSource& source) {
  while (source.next(decode_residual(source.bins(), source.block()))) {
  }
}

#if LLMC_HAS_LANES

class AnyShapeReader {
 public:
  explicit AnyShapeReader(std::span<ResidualSource* const> sources) : waiting_(sources) {}

  void read() {
    for (size_t lane = 0; lane < kN; ++lane) make_idle(lane);
    for (size_t lane = 0; lane < kN; ++lane) take_source(lane);
    streams_.load();
    while (lanes_in_use_ > 0) {
      step();
      advance();
    }
  }

 private:
  struct Block {
    ResidualSource* source = nullptr;  // null: the lane is idle
    TransformBlock block;
    const ScanOrder* scan = nullptr;
    LastLevel last;
    int subblock = 0;
  };

  // --- streams in and out of lanes

  void make_idle(size_t lane) {
    blocks_[lane].source = nullptr;
    end_[lane] = inner_[lane] = 0;
    levels_.clear(lane);
    streams_.clear(lane);
    contexts_.enter(lane, 0, 0);
  }
  void take_source(size_t lane) {
    while (!waiting_.empty() && blocks_[lane].source == nullptr) {
      ResidualSource* source = waiting_.front();
      waiting_ = waiting_.subspan(1);
      contexts_.exchange(lane, source->bins().contexts(), kTakeModel);
      blocks_[lane].source = source;
      ++lanes_in_use_;
      start(lane);
    }
  }
  void leave(size_t lane) {
    contexts_.exchange(lane, blocks_[lane].source->bins().contexts(), kHandBackModel);
    make_idle(lane);
    --lanes_in_use_;
  }

  // Starts the block that is due. A stream that has overrun goes on alone:
  // what was read ahead need not be in it.
  void start(size_t lane) {
    Block& b = blocks_[lane];
    ResidualSource* source = b.source;
    CabacDecoder& bins = source->bins();
    if (bins.overrun() || (lanes_in_use_ < kFewestLanes && waiting_.empty())) {
      leave(lane);
      return read_alone(*source);
    }
    b.block = source->block();
    b.scan = &scan_order(b.block.log2_width, b.block.log2_height);
    b.last = read_last_level(bins, b.block.log2_width, b.block.log2_height);
    b.subblock = b.last.position >> 4;
    levels_.start_block(lane, b.last.level, context_bin_budget(b.block.log2_width, b.block.log2_height));
    contexts_.clear(lane, b.block.log2_width, b.block.log2_height);
    place(lane);
    end_[lane] = static_cast<uint32_t>(b.last.position & 15);
    inner_[lane] = 0;
    streams_.take(lane, bins);
  }
  void place(size_t lane) {
    const Block& b = blocks_[lane];
    contexts_.enter(lane, b.scan->subblock_x[b.subblock], b.scan->subblock_y[b.subblock]);
    end_[lane] = 16;
    inner_[lane] = b.subblock > 0 ? ~0u : 0;
  }

  // Every lane's next sub-block, block or stream.
  void advance() {
    bool has_changed = streams_.must_move();
    if (has_changed) streams_.store(), streams_.move();
    for (size_t lane = 0; lane < kN; ++lane) {
      if (blocks_[lane].source == nullptr) continue;
      if (--blocks_[lane].subblock >= 0) {
        place(lane);
        continue;
      }
      if (!has_changed) streams_.store();
      has_changed = true;
      end_block(lane);
    }
    if (has_changed) streams_.load();
  }
  void end_block(size_t lane) {
    Block& b = blocks_[lane];
    streams_.hand_back(lane, b.source->bins());
    if (b.source->next({b.last.position, levels_.level_in_range(lane)})) return start(lane);
    leave(lane);
    take_source(lane);
  }

  // --- one sub-block in every lane

  void step() {
    contexts_.load_borders();
    levels_.clear_subblock();
    const V has_last = put_last_levels();
    contexts_.leave_all(levels_.read({has_last, load(inner_), load(end_)}));
    for (int y = 0; y < 4; ++y) write_row(y);
  }

  // Lanes whose sub-block holds the block's last level, which is put in its place.
  V put_last_levels() {
    alignas(64) Row has_last = {};
    for (size_t lane = 0; lane < kN; ++lane) {
      const Block& b = blocks_[lane];
      if (b.source == nullptr || b.subblock != b.last.position >> 4) continue;
      has_last[lane] = ~0u;
      levels_.put_last(lane, b.last);
    }
    return load(has_last);
  }

  HWY_INLINE void write_row(int y) {
    alignas(64) uint32_t by_lane[kN][4];
    const auto at = [&](int x) HWY_ATTR { return levels_.level(kSubblockScan.at[y][x]); };
    hn::StoreInterleaved4(at(0), at(1), at(2), at(3), d, by_lane[0]);
    for (size_t lane = 0; lane < kN; ++lane) {
      const Block& b = blocks_[lane];
      if (b.source == nullptr) continue;
      const int row = 4 * b.scan->subblock_y[b.subblock] + y, column = 4 * b.scan->subblock_x[b.subblock];
      std::memcpy(b.block.trans_coeff_level + (row << b.block.log2_width) + column, by_lane[lane], 16);
    }
  }

  std::span<ResidualSource* const> waiting_;
  size_t lanes_in_use_ = 0;
  Block blocks_[kN];
  alignas(64) Row end_;  // levels are read below this position of the sub-block
  Row inner_;            // not the sub-block of the last level, nor that of position 0
  LaneLevels<LaneWindows> levels_;
  LaneWindows& contexts_ = levels_.contexts;
  LaneStreams& streams_ = levels_.streams;
};

}  // namespace

void read_here(std::span<ResidualSource* const> sources) {
  if (sources.size() >= kFewestLanes) return AnyShapeReader(sources).read();
  for (ResidualSource* source : sources) read_alone(*source);
}

#else
}  // namespace

void read_here(std::span<ResidualSource* const> sources) {
  for (ResidualSource* source : sources) read_alone(*source);
}

#endif
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llmcodec::vvc {

HWY_EXPORT(read_here);

void decode_all_residuals(std::span<ResidualSource* const> sources) {
  HWY_DYNAMIC_DISPATCH(read_here)(sources);
}

}  // namespace llmcodec::vvc
#endif

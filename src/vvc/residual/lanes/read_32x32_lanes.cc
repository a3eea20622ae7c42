// SPDX-License-Identifier: BSD-3-Clause
// All lanes stand at the same scan position; a lane that has nothing to read there is masked.
#include "vvc/residual/lanes/read_32x32_lanes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vvc/residual/lanes/read_32x32_lanes.cc"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cstring>

#include "vvc/residual/lanes/lane_levels-inl.h"
#include "vvc/residual/residual_decoder.h"

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
namespace {

void decode_alone(LaneBlock& block) {
  block.info = decode_residual_in_scan_order(*block.bins, 5, 5, block.levels);
}

#if LLMC_HAS_LANES

// One 32x32 block of each of up to kN streams.
class LaneReader {
 public:
  LaneReader(LaneBlock* const* blocks, size_t count) : blocks_(blocks), count_(count) {}

  void read() {
    for (size_t lane = 0; lane < kN; ++lane) last_[lane] = ~0u;
    for (size_t lane = 0; lane < count_; ++lane) start(lane);
    streams_.load();
    for (int i = highest_last_ >> 4; i >= 0; --i) {
      subblock(i);
      if (streams_.must_move()) streams_.store(), streams_.move(), streams_.load();
    }
    streams_.store();
    for (size_t lane = 0; lane < count_; ++lane) finish(lane);
  }

 private:
  void start(size_t lane) {
    CabacDecoder& bins = *blocks_[lane]->bins;
    last_levels_[lane] = read_last_level(bins, 5, 5);
    last_[lane] = static_cast<uint32_t>(last_levels_[lane].position);
    highest_last_ = std::max(highest_last_, last_levels_[lane].position);
    levels_.start_block(lane, last_levels_[lane].level, context_bin_budget(5, 5));
    streams_.take(lane, bins);
    contexts_.exchange(lane, bins.contexts(), kTakeModel);
  }
  void finish(size_t lane) {
    CabacDecoder& bins = *blocks_[lane]->bins;
    contexts_.exchange(lane, bins.contexts(), kHandBackModel);
    streams_.hand_back(lane, bins);
    blocks_[lane]->info = {last_levels_[lane].position, levels_.level_in_range(lane)};
  }

  void subblock(int i) {
    const V subblock_of_last = hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(di, load(last_))));
    const V here = set(static_cast<uint32_t>(i));
    contexts_.enter(i);
    levels_.clear_subblock();
    for (size_t lane = 0; lane < count_; ++lane)
      if (last_levels_[lane].position >> 4 == i) levels_.put_last(lane, last_levels_[lane]);
    const V is_inner = i > 0 ? yes(is_less(here, subblock_of_last)) : set(0);
    const V coded = levels_.read(
        {yes(subblock_of_last == here), is_inner, load(last_) - set(static_cast<uint32_t>(16 * i))});
    contexts_.set_coded(coded);
    if (!any(coded)) return;
    for (int n = 0; n < 16; n += 4) write_levels(i, n);
  }
  HWY_INLINE void write_levels(int i, int n) {
    alignas(64) uint32_t by_lane[kN][4];
    hn::StoreInterleaved4(levels_.level(n), levels_.level(n + 1), levels_.level(n + 2), levels_.level(n + 3),
                          d, by_lane[0]);
    for (size_t lane = 0; lane < count_; ++lane)
      std::memcpy(blocks_[lane]->levels + 16 * i + n, by_lane[lane], 16);
  }

  LaneBlock* const* blocks_;
  size_t count_;
  int highest_last_ = 0;
  LastLevel last_levels_[kN];
  alignas(64) Row last_;  // scan position of the last coefficient, or -1
  LaneLevels<LaneContexts> levels_;
  LaneContexts& contexts_ = levels_.contexts;
  LaneStreams& streams_ = levels_.streams;
};

}  // namespace

// Streams that have overrun are left to the plain decoder: what it read ahead need not be in the stream.
void decode_here(std::span<LaneBlock> blocks) {
  LaneBlock* group[kN];
  size_t count = 0;
  for (LaneBlock& block : blocks) {
    if (block.bins->overrun()) {
      decode_alone(block);
      continue;
    }
    group[count++] = &block;
    if (count < kN) continue;
    LaneReader(group, count).read();
    count = 0;
  }
  if (count >= kFewestLanes) return LaneReader(group, count).read();
  for (size_t i = 0; i < count; ++i) decode_alone(*group[i]);
}

#else
}  // namespace

void decode_here(std::span<LaneBlock> blocks) {
  for (LaneBlock& block : blocks) decode_alone(block);
}

#endif
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llmcodec::vvc {

HWY_EXPORT(decode_here);

void decode_residuals_in_scan_order(std::span<LaneBlock> blocks) {
  HWY_DYNAMIC_DISPATCH(decode_here)(blocks);
}

}  // namespace llmcodec::vvc
#endif

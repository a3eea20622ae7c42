// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/slice/slice_decoder.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "vvc/cabac/cabac_decoder.h"
#include "vvc/picture/reconstruct.h"
#include "vvc/residual/lanes/read_any_lanes.h"
#include "vvc/residual/residual_decoder.h"

namespace llmcodec::vvc {
namespace {

// What SliceSyntax calls while it parses: gives room for levels, reconstructs, traces.
template <bool kTrace>
class DecoderBlocks {
 public:
  DecoderBlocks(const SliceJob& job, const CuMap& map, MutablePlaneView picture)
      : job_(job), map_(map), reconstructor_(picture, job.bit_depth) {}

  Split split(const CodingNode&, const AllowedSplits&) const { return Split::kNone; }
  void coding_unit(CodingUnit&) const {}
  // levels_ is all zero between transform units.
  void transform_unit(const CodingUnit&, TransformUnit& tu) { tu.levels = levels_; }

  void finish(const CodingUnit& cu, const TransformUnit& tu) {
    if constexpr (kTrace) trace_transform_unit(*job_.trace, cu, tu);
    const PredictionBlock block{tu.x, tu.y, tu.log2_width, tu.log2_height, cu.ref_idx};
    reconstructor_.predict(block, cu.mode, scope(tu));
    if (!tu.coded) return;
    reconstructor_.add_residual({tu.x, tu.y, tu.log2_width, tu.log2_height, tu.levels, tu.last, cu.qp});
    std::fill_n(levels_, 1 << (tu.log2_width + std::min(tu.log2_height, 5)), 0);
  }

  void element([[maybe_unused]] const char* name, [[maybe_unused]] int value) const {
    if constexpr (kTrace) job_.trace->element(name, value);
  }

 private:
  NeighbourScope scope(const TransformUnit& tu) const {
    const int ctb_log2 = job_.parameters.partition.ctb_log2;
    const int ctu_end = ((tu.x >> ctb_log2) + 1) << ctb_log2;
    return {&map_, job_.parameters.slice, job_.extent.wavefront ? ctu_end : job_.parameters.picture.width};
  }

  const SliceJob& job_;
  const CuMap& map_;
  BlockReconstructor reconstructor_;
  int32_t levels_[64 * 32] = {};
};

std::span<const uint8_t> as_bytes(std::span<const std::byte> data) {
  return {reinterpret_cast<const uint8_t*>(data.data()), data.size()};
}

// H.266 (V3, 09/2023) 7.3.11.1 General slice data syntax, in steps from block of levels to block of levels.
template <bool kTrace>
class SliceDecoder final : public ResidualSource {
 public:
  SliceDecoder(const SliceJob& job, CuMap& map, MutablePlaneView picture)
      : job_(job),
        data_(as_bytes(job.data)),
        bins_(data_, initial_contexts(job.parameters.slice_qp)),
        blocks_(job_, map, picture),
        syntax_(bins_, job_.parameters, map, blocks_) {}
  SliceDecoder(const SliceDecoder&) = delete;  // its parts refer to each other
  SliceDecoder& operator=(const SliceDecoder&) = delete;

  // Goes on up to the next block of levels. False at the end of the slice,
  // or when status() says what is wrong.
  bool next_levels() {
    while (status_.is_ok() && row_ < job_.extent.ctu_rows) {
      if (!in_ctu_) begin_ctu();
      if (syntax_.next_levels()) return true;
      end_ctu();
    }
    return false;
  }
  Status take_status() { return std::move(status_); }

  CabacDecoder& bins() override { return bins_; }
  TransformBlock block() const override { return syntax_.block(); }
  bool next(const ResidualInfo& info) override {
    syntax_.end_levels(info);
    return next_levels();
  }

 private:
  void begin_ctu() {
    if (x_ == 0 && (row_ == 0 || job_.extent.wavefront)) syntax_.start_substream();
    syntax_.begin(x_, job_.extent.first_ctu_row + row_);
    in_ctu_ = true;
  }

  void end_ctu() {
    in_ctu_ = false;
    const int y = job_.extent.first_ctu_row + row_;
    const bool wavefront = job_.extent.wavefront;
    if (syntax_.error() != nullptr) {
      status_ = error(ErrorKind::kCorrupt, "CTU ({}, {}): {}", x_, y, syntax_.error());
    } else if (bins_.overrun()) {
      status_ = error(ErrorKind::kCorrupt, "CTU ({}, {}): slice data ends early", x_, y);
    }
    if (!status_.is_ok()) return;
    // The row below starts from the contexts after this row's first unit.
    if (x_ == 0 && wavefront) saved_ = bins_.contexts();
    if (++x_ < job_.extent.ctu_columns) return;
    x_ = 0;
    const bool last_row = ++row_ == job_.extent.ctu_rows;
    if (last_row || wavefront) end_substream();
    if (!last_row && wavefront && status_.is_ok()) next_substream();
  }

  // end_of_slice_one_bit or end_of_subset_one_bit, byte_alignment()
  void end_substream() {
    if (bins_.terminate(0) == 0 || !bins_.ends_cleanly())
      status_ = error(ErrorKind::kCorrupt, "slice data does not end after its last CTU");
  }

  void next_substream() {
    data_ = data_.subspan(std::min(bins_.bytes_used(), data_.size()));
    bins_ = CabacDecoder(data_, saved_);
  }

  const SliceJob job_;
  ContextSet saved_;
  std::span<const uint8_t> data_;
  CabacDecoder bins_;
  DecoderBlocks<kTrace> blocks_;
  SliceSyntax<CabacDecoder, DecoderBlocks<kTrace>> syntax_;
  Status status_ = Status::ok();
  int row_ = 0, x_ = 0;  // CTU to come, or at work
  bool in_ctu_ = false;
};

template <bool kTrace>
Status decode_alone(const SliceJob& job, CuMap& map, MutablePlaneView picture) {
  SliceDecoder<kTrace> decoder(job, map, picture);
  for (bool has_levels = decoder.next_levels(); has_levels;)
    has_levels = decoder.next(decode_residual(decoder.bins(), decoder.block()));
  return decoder.take_status();
}

}  // namespace

Status decode_slice(const SliceJob& job, CuMap& map, MutablePlaneView picture) {
  if (job.trace != nullptr) return decode_alone<true>(job, map, picture);
  return decode_alone<false>(job, map, picture);
}

// Substreams start from models of the middle of others, and a trace is one sequence: those slices go alone.
void decode_slices(std::span<SliceWork> slices) {
  constexpr size_t kAtOnce = 64;  // a slice at work takes some 12 KB
  for (; slices.size() > kAtOnce; slices = slices.subspan(kAtOnce)) decode_slices(slices.first(kAtOnce));
  std::vector<std::unique_ptr<SliceDecoder<false>>> decoders(slices.size());
  std::vector<ResidualSource*> sources;
  for (size_t i = 0; i < slices.size(); ++i) {
    SliceWork& work = slices[i];
    if (work.job.trace != nullptr || work.job.extent.wavefront) {
      work.status = decode_slice(work.job, *work.map, work.picture);
      continue;
    }
    decoders[i] = std::make_unique<SliceDecoder<false>>(work.job, *work.map, work.picture);
    if (decoders[i]->next_levels()) sources.push_back(decoders[i].get());
  }
  decode_all_residuals(sources);
  for (size_t i = 0; i < slices.size(); ++i)
    if (decoders[i] != nullptr) slices[i].status = decoders[i]->take_status();
}

}  // namespace llmcodec::vvc

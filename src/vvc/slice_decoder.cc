// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/slice_decoder.h"

#include <algorithm>

#include "vvc/cabac_decoder.h"
#include "vvc/reconstruct.h"
#include "vvc/residual_decoder.h"

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

  ResidualInfo code_residual(CabacDecoder& bins, const TransformBlock& block) const {
    return decode_residual(bins, block);
  }

  void finish(const CodingUnit& cu, const TransformUnit& tu) {
    trace_unit(cu, tu);
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

  void trace_unit(const CodingUnit& cu, const TransformUnit& tu) const {
    if constexpr (kTrace) {
      for (const auto& [name, value] :
           {std::pair{"TU x", tu.x}, {"TU y", tu.y}, {"IntraPredModeY", cu.mode}, {"QpY", cu.qp}})
        job_.trace->element(name, value);
      const ScanOrder& scan = scan_order(tu.log2_width, tu.log2_height);
      for (int n = tu.coded ? tu.last : -1; n >= 0; --n)
        job_.trace->element("TransCoeffLevel", tu.levels[scan[n].raster]);
    }
  }

  const SliceJob& job_;
  const CuMap& map_;
  BlockReconstructor reconstructor_;
  int32_t levels_[64 * 32] = {};
};

std::span<const uint8_t> as_bytes(std::span<const std::byte> data) {
  return {reinterpret_cast<const uint8_t*>(data.data()), data.size()};
}

// H.266 (V3, 09/2023) 7.3.11.1 General slice data syntax
template <bool kTrace>
class SliceDecoder {
 public:
  SliceDecoder(const SliceJob& job, CuMap& map, MutablePlaneView picture)
      : job_(job),
        initial_(initial_contexts(job.parameters.slice_qp)),
        data_(as_bytes(job.data)),
        bins_(data_, initial_),
        blocks_(job, map, picture),
        syntax_(bins_, job.parameters, map, blocks_) {}

  Status decode() {
    for (int row = 0; row < job_.extent.ctu_rows; ++row) {
      if (row == 0 || job_.extent.wavefront) syntax_.start_substream();
      const bool last_row = row + 1 == job_.extent.ctu_rows;
      for (int x = 0; x < job_.extent.ctu_columns; ++x) {
        LLMC_RETURN_IF_ERROR(decode_ctu(x, job_.extent.first_ctu_row + row));
        // The row below starts from the contexts after this row's first unit.
        if (x == 0 && job_.extent.wavefront) saved_ = bins_.contexts();
      }
      if (last_row || job_.extent.wavefront) LLMC_RETURN_IF_ERROR(end_substream());
      if (!last_row && job_.extent.wavefront) next_substream();
    }
    return Status::ok();
  }

 private:
  Status decode_ctu(int x, int y) {
    syntax_.coding_tree_unit(x, y);
    if (syntax_.error() != nullptr)
      return error(ErrorKind::kCorrupt, "CTU ({}, {}): {}", x, y, syntax_.error());
    if (bins_.overrun()) return error(ErrorKind::kCorrupt, "CTU ({}, {}): slice data ends early", x, y);
    return Status::ok();
  }

  // end_of_slice_one_bit or end_of_subset_one_bit, byte_alignment()
  Status end_substream() {
    if (bins_.terminate(0) == 0 || !bins_.ends_cleanly())
      return error(ErrorKind::kCorrupt, "slice data does not end after its last CTU");
    return Status::ok();
  }

  void next_substream() {
    data_ = data_.subspan(std::min(bins_.bytes_used(), data_.size()));
    bins_ = CabacDecoder(data_, saved_);
  }

  const SliceJob& job_;
  ContextSet initial_;
  ContextSet saved_;
  std::span<const uint8_t> data_;
  CabacDecoder bins_;
  DecoderBlocks<kTrace> blocks_;
  SliceSyntax<CabacDecoder, DecoderBlocks<kTrace>> syntax_;
};

}  // namespace

Status decode_slice(const SliceJob& job, CuMap& map, MutablePlaneView picture) {
  if (job.trace != nullptr) return SliceDecoder<true>(job, map, picture).decode();
  return SliceDecoder<false>(job, map, picture).decode();
}

}  // namespace llmcodec::vvc

// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spectral/spectral_decoder.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/error.h"
#include "vvc/cabac/cabac_decoder.h"
#include "vvc/residual/lanes/lane_models.h"
#include "vvc/residual/lanes/read_32x32_lanes.h"
#include "vvc/slice/slice_syntax.h"
#include "vvc/stream/header_syntax.h"
#include "vvc/stream/nal.h"

namespace llmcodec::vvc {
namespace {

// The one slice of a spectral stream.
struct SpectralSlice {
  Sps sps;
  Pps pps;
  SliceHeader header;
  std::vector<std::byte> rbsp;  // of the slice
  size_t data_offset = 0;       // of the slice data in rbsp
};

Result<SpectralSlice> read_headers(std::span<const std::byte> stream) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<NalUnit> units, split_annexb(stream));
  ParameterSets sets;
  std::optional<SpectralSlice> slice;
  for (const NalUnit& nal : units) {
    if (nal.type != NalType::kSps && nal.type != NalType::kPps && !is_slice(nal.type)) continue;
    if (slice)
      return error(ErrorKind::kUnsupported, "more than one slice in a spectral stream").at_offset(nal.offset);
    std::vector<std::byte> rbsp = unescape(nal.payload);
    if (nal.type == NalType::kSps) {
      LLMC_ASSIGN_OR_RETURN(Sps sps, read_sps(rbsp));
      sets.sps[sps.sps_seq_parameter_set_id] = std::move(sps);
    } else if (nal.type == NalType::kPps) {
      LLMC_ASSIGN_OR_RETURN(Pps pps, read_pps(rbsp));
      sets.pps[pps.pps_pic_parameter_set_id] = std::move(pps);
    } else {
      BitReader bits(rbsp);
      LLMC_ASSIGN_OR_RETURN(SliceHeader header, read_slice_header(bits, {nal.type, &sets, nullptr}));
      LLMC_ASSIGN_OR_RETURN(const auto active, sets.activate(header.picture.ph_pic_parameter_set_id));
      const size_t offset = rbsp.size() - bits.rest().size();
      slice = SpectralSlice{*active.sps, *active.pps, std::move(header), std::move(rbsp), offset};
    }
  }
  if (!slice) return error(ErrorKind::kCorrupt, "no slice in the stream");
  return *std::move(slice);
}

// True when every block must be one 32x32 transform unit, so that nothing but its mode and levels is coded.
bool is_spectral(const SpectralSlice& s) {
  const PartitionConstraints partition = partition_constraints(s.sps, s.header.picture);
  return s.sps.ctb_log2() == 5 && partition.min_qt_log2 == 5 && partition.max_mtt_depth == 0 &&
         s.pps.num_slices() == 1 && !s.sps.sps_entropy_coding_sync_enabled_flag &&
         s.sps.sps_pic_width_max_in_luma_samples % 32 == 0 &&
         s.sps.sps_pic_height_max_in_luma_samples % 32 == 0 && !s.sps.sps_conformance_window_flag;
}

// What SliceSyntax calls. A block's levels come last in its syntax, so they can wait: code_residual() only
// notes that they are due.
class DeferredBlocks {
 public:
  Split split(const CodingNode&, const AllowedSplits&) const { return Split::kNone; }
  void coding_unit(CodingUnit&) const {}
  void transform_unit(const CodingUnit&, TransformUnit&) { levels_due_ = false; }
  void element(const char*, int) const {}
  ResidualInfo code_residual(CabacDecoder&, const TransformBlock&) {
    levels_due_ = true;
    return {};
  }
  void finish(const CodingUnit&, const TransformUnit&) const {}

  bool levels_due() const { return levels_due_; }  // of the last block

 private:
  bool levels_due_ = false;
};

std::span<const uint8_t> slice_data(const SpectralSlice& slice) {
  const auto data = std::span(slice.rbsp).subspan(slice.data_offset);
  return {reinterpret_cast<const uint8_t*>(data.data()), data.size()};
}

}  // namespace

struct SpectralDecoder::State {
  State(SpectralSlice slice_in, const SpectralFormat& format_in)
      : slice(std::move(slice_in)),
        format(format_in),
        parameters(slice_parameters(slice.sps, slice.pps, slice.header)),
        map(parameters.picture.width, parameters.picture.height),
        cabac(slice_data(slice), initial_contexts(parameters.slice_qp)),
        syntax(cabac, parameters, map, blocks) {
    syntax.start_substream();
  }

  // The next block up to its levels, if it has any: the caller then has them read.
  bool begin_block() {
    if (x == format.blocks_x) x = 0;
    syntax.coding_tree_unit(static_cast<int>(x), static_cast<int>(strip));
    return blocks.levels_due();
  }
  // Takes the levels over, of which position 0 carries no weight.
  Status end_block(const ResidualInfo& info) {
    const char* problem = info.level_in_range ? syntax.error() : kLevelOutOfRange;
    if (cabac.overrun()) problem = "slice data ends early";
    if (info.last_scan_position > static_cast<int>(format.coefficients))
      problem = "coefficients behind the last weight";
    if (problem != nullptr) return error(ErrorKind::kCorrupt, "block ({}, {}): {}", x, strip, problem);
    indices = std::copy_n(levels + 1, format.coefficients, indices);
    std::fill_n(levels, info.last_scan_position + 1, 0);
    strip += static_cast<uint32_t>(++x == format.blocks_x);
    return Status::ok();
  }
  // Goes on to the next block with levels. False when there is none: the picture is over, or `status` says
  // what is wrong with it.
  bool next_levels(Status& status) {
    while (status.is_ok() && strip < format.blocks_y) {
      if (begin_block()) return true;
      status = end_block({});
    }
    if (status.is_ok()) status = finish();
    return false;
  }
  Status finish() {
    if (cabac.terminate(0) != 0 && cabac.ends_cleanly()) return Status::ok();
    return error(ErrorKind::kCorrupt, "slice data does not end after its last block");
  }

  SpectralSlice slice;
  SpectralFormat format;
  SliceParameters parameters;
  CuMap map;
  CabacDecoder cabac;
  DeferredBlocks blocks;
  SliceSyntax<CabacDecoder, DeferredBlocks> syntax;
  uint32_t strip = 0, x = 0;              // next block
  int32_t* indices = nullptr;             // of the next block
  alignas(32) int32_t levels[1024] = {};  // in scan order; all zero between blocks
};

SpectralDecoder::SpectralDecoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
SpectralDecoder::~SpectralDecoder() = default;
SpectralDecoder::SpectralDecoder(SpectralDecoder&&) noexcept = default;
SpectralDecoder& SpectralDecoder::operator=(SpectralDecoder&&) noexcept = default;

const SpectralFormat& SpectralDecoder::format() const {
  return state_->format;
}

Result<SpectralDecoder> SpectralDecoder::open(std::span<const std::byte> stream, uint32_t coefficients) {
  LLMC_ASSIGN_OR_RETURN(SpectralSlice slice, read_headers(stream));
  if (!is_spectral(slice))
    return error(ErrorKind::kUnsupported, "not a picture of 32x32 blocks in one slice");
  SpectralFormat format;
  format.blocks_x = slice.sps.width_in_ctbs();
  format.blocks_y = slice.sps.height_in_ctbs();
  format.coefficients = coefficients;
  format.bit_depth = slice.sps.bit_depth();
  format.qp = slice.header.slice_qp(slice.pps);
  LLMC_RETURN_IF_ERROR(check(format));
  return SpectralDecoder(std::make_unique<State>(std::move(slice), format));
}

// As many lanes as there are, and a picture that is over makes way for the next one.
void SpectralDecoder::decode_pictures(std::span<SpectralPicture> pictures) {
  const auto goes_on = [](SpectralPicture* p) { return p->decoder->state_->next_levels(p->status); };
  std::vector<SpectralPicture*> at_work;
  std::vector<LaneBlock> blocks;
  for (size_t next = 0;;) {
    std::erase_if(at_work, [&](SpectralPicture* p) { return !goes_on(p); });
    while (at_work.size() < kMaxLanes && next < pictures.size()) {
      SpectralPicture* picture = &pictures[next++];
      picture->status = picture->decoder->begin_picture(picture->indices);
      if (goes_on(picture)) at_work.push_back(picture);
    }
    if (at_work.empty()) return;
    blocks.clear();
    for (SpectralPicture* p : at_work)
      blocks.push_back({&p->decoder->state_->cabac, p->decoder->state_->levels, {}});
    decode_residuals_in_scan_order(blocks);
    for (size_t i = 0; i < blocks.size(); ++i)
      at_work[i]->status = at_work[i]->decoder->state_->end_block(blocks[i].info);
  }
}

Status SpectralDecoder::begin_picture(std::span<int32_t> indices) {
  State& s = *state_;
  if (s.strip != 0 || indices.size() != s.format.blocks_y * s.format.strip_coefficients())
    return error(ErrorKind::kInvalidArgument, "{} of {} strips decoded before, {} indices asked for", s.strip,
                 s.format.blocks_y, indices.size());
  s.indices = indices.data();
  return Status::ok();
}

}  // namespace llmcodec::vvc

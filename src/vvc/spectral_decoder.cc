// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spectral_decoder.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "vvc/cabac_decoder.h"
#include "vvc/header_syntax.h"
#include "vvc/nal.h"
#include "vvc/residual_decoder.h"
#include "vvc/slice_syntax.h"

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
    Rbsp rbsp = unescape(nal.payload);
    if (nal.type == NalType::kSps) {
      LLMC_ASSIGN_OR_RETURN(Sps sps, read_sps(rbsp.bytes));
      sets.sps[sps.sps_seq_parameter_set_id] = std::move(sps);
    } else if (nal.type == NalType::kPps) {
      LLMC_ASSIGN_OR_RETURN(Pps pps, read_pps(rbsp.bytes));
      sets.pps[pps.pps_pic_parameter_set_id] = std::move(pps);
    } else {
      BitReader bits(rbsp.bytes);
      LLMC_ASSIGN_OR_RETURN(SliceHeader header, read_slice_header(bits, {nal.type, &sets, nullptr}));
      LLMC_ASSIGN_OR_RETURN(const auto active, sets.activate(header.picture.ph_pic_parameter_set_id));
      const size_t offset = rbsp.bytes.size() - bits.rest().size();
      slice = SpectralSlice{*active.sps, *active.pps, std::move(header), std::move(rbsp.bytes), offset};
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

// What SliceSyntax calls: room for levels, and taking them in scan order.
class IndexBlocks {
 public:
  explicit IndexBlocks(uint32_t coefficients) : coefficients_(coefficients) {}

  void set_output(int32_t* indices) { indices_ = indices; }
  bool too_long() const { return too_long_; }

  Split split(const CodingNode&, const AllowedSplits&) const { return Split::kNone; }
  void coding_unit(CodingUnit&) const {}
  void transform_unit(const CodingUnit&, TransformUnit& tu) { tu.levels = levels_; }
  void element(const char*, int) const {}

  ResidualInfo code_residual(CabacDecoder& bins, const TransformBlock& block) const {
    return decode_residual_in_scan_order(bins, block.log2_width, block.log2_height, block.trans_coeff_level);
  }

  // Position 0 carries no weight.
  void finish(const CodingUnit&, const TransformUnit& tu) {
    too_long_ |= tu.coded && tu.last > static_cast<int>(coefficients_);
    std::copy_n(levels_ + 1, coefficients_, indices_);
    indices_ += coefficients_;
    if (tu.coded) std::fill_n(levels_, tu.last + 1, 0);
  }

 private:
  uint32_t coefficients_;
  int32_t* indices_ = nullptr;
  bool too_long_ = false;
  alignas(32) int32_t levels_[32 * 32] = {};  // in scan order; all zero between blocks
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
        blocks(format.coefficients),
        syntax(cabac, parameters, map, blocks) {
    syntax.start_substream();
  }

  SpectralSlice slice;
  SpectralFormat format;
  SliceParameters parameters;
  CuMap map;
  CabacDecoder cabac;
  IndexBlocks blocks;
  SliceSyntax<CabacDecoder, IndexBlocks> syntax;
  uint32_t strip = 0;
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

Status SpectralDecoder::decode_strip(std::span<int32_t> indices) {
  State& s = *state_;
  if (indices.size() != s.format.strip_coefficients() || s.strip >= s.format.blocks_y)
    return error(ErrorKind::kInvalidArgument, "strip {} of {}: {} indices asked for, a strip has {}", s.strip,
                 s.format.blocks_y, indices.size(), s.format.strip_coefficients());
  s.blocks.set_output(indices.data());
  for (uint32_t x = 0; x < s.format.blocks_x; ++x) {
    s.syntax.coding_tree_unit(static_cast<int>(x), static_cast<int>(s.strip));
    const char* problem = s.syntax.error();
    if (s.cabac.overrun()) problem = "slice data ends early";
    if (s.blocks.too_long()) problem = "coefficients behind the last weight";
    if (problem != nullptr) return error(ErrorKind::kCorrupt, "block ({}, {}): {}", x, s.strip, problem);
  }
  ++s.strip;
  return Status::ok();
}

Status SpectralDecoder::finish() {
  State& s = *state_;
  if (s.strip != s.format.blocks_y)
    return error(ErrorKind::kInvalidArgument, "{} of {} strips decoded", s.strip, s.format.blocks_y);
  if (s.cabac.terminate(0) == 0 || !s.cabac.ends_cleanly())
    return error(ErrorKind::kCorrupt, "slice data does not end after its last block");
  return Status::ok();
}

}  // namespace llmcodec::vvc

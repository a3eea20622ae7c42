// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/encoder_stream.h"

#include <algorithm>

#include "vvc/hash.h"
#include "vvc/residual_syntax.h"
#include "vvc/transform.h"

namespace llmcodec::vvc {

Result<EncoderStream> EncoderStream::start(const Sps& sps, const Pps& pps) {
  EncoderStream stream;
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> sps_rbsp, write_sps(sps));
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> pps_rbsp, write_pps(pps));
  append_nal(stream.bytes_, NalType::kSps, sps_rbsp, StartCode::kLong);
  append_nal(stream.bytes_, NalType::kPps, pps_rbsp, StartCode::kLong);
  stream.sets_.sps[0] = sps;
  stream.sets_.pps[0] = pps;
  return stream;
}

Status EncoderStream::add_slice(const SliceHeader& header, std::span<const uint8_t> data,
                                bool opens_access_unit) {
  BitWriter bits;
  const SliceContext context{
      .nal_type = NalType::kIdrNoLp,
      .sets = &sets_,
      .picture = header.sh_picture_header_in_slice_header_flag ? nullptr : &header.picture};
  LLMC_RETURN_IF_ERROR(write_slice_header(bits, header, context));
  bits.append(std::as_bytes(data));
  append_nal(bytes_, NalType::kIdrNoLp, bits.bytes(),
             opens_access_unit ? StartCode::kLong : StartCode::kShort);
  return Status::ok();
}

Status EncoderStream::add_picture_header(const PictureHeader& header) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> rbsp, write_picture_header(header, sets_));
  append_nal(bytes_, NalType::kPictureHeader, rbsp, StartCode::kLong);
  return Status::ok();
}

void EncoderStream::add_hash(PlaneView picture, int bit_depth) {
  const std::vector<std::byte> rbsp = write_picture_hash(picture_hash(HashType::kMd5, picture, bit_depth));
  append_nal(bytes_, NalType::kSuffixSei, rbsp, StartCode::kShort);
}

void residual_of_levels(const int32_t* levels, int last, const Scaler& scaler, int bit_depth,
                        int16_t* residual) {
  const ScanOrder& scan = scan_order(5, 5);
  alignas(32) int32_t coefficients[32 * 32] = {};
  TransformSize size{.log2_width = 5, .log2_height = 5, .columns = 1, .rows = 1};
  for (int n = 0; n <= last; ++n) {
    const ScanEntry& place = scan[n];
    if (levels[place.raster] == 0) continue;
    coefficients[place.raster] = scaler(levels[place.raster]);
    size.columns = std::max(size.columns, place.x + 1);
    size.rows = std::max(size.rows, place.y + 1);
  }
  inverse_dct(coefficients, size, bit_depth, residual);
}

}  // namespace llmcodec::vvc

// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/slice/encoder_stream.h"

#include <algorithm>

#include "vvc/stream/hash.h"

namespace llmcodec::vvc {

Result<EncoderStream> EncoderStream::start(const Sps& sps, const Pps& pps, TraceSink* trace) {
  EncoderStream stream;
  stream.trace_ = trace;
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> sps_rbsp, write_sps(sps, trace));
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> pps_rbsp, write_pps(pps, trace));
  append_nal(stream.bytes_, NalType::kSps, sps_rbsp, StartCode::kLong);
  append_nal(stream.bytes_, NalType::kPps, pps_rbsp, StartCode::kLong);
  stream.sets_.sps[0] = sps;
  stream.sets_.pps[0] = pps;
  return stream;
}

Status EncoderStream::add_picture_header(const PictureHeader& header) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> rbsp, write_picture_header(header, sets_, trace_));
  append_nal(bytes_, NalType::kPictureHeader, rbsp, StartCode::kLong);
  return Status::ok();
}

Status EncoderStream::begin_slice(const SliceHeader& header) {
  slice_opens_access_unit_ = header.sh_picture_header_in_slice_header_flag;
  const SliceContext context{.nal_type = NalType::kIdrNoLp,
                             .sets = &sets_,
                             .picture = slice_opens_access_unit_ ? nullptr : &header.picture};
  slice_ = BitWriter();
  return write_slice_header(slice_, header, context, trace_);
}

void EncoderStream::end_slice(std::span<const uint8_t> data) {
  slice_.append(std::as_bytes(data));
  append_nal(bytes_, NalType::kIdrNoLp, slice_.bytes(),
             slice_opens_access_unit_ ? StartCode::kLong : StartCode::kShort);
}

void EncoderStream::add_hash(PlaneView picture, int bit_depth) {
  const std::vector<std::byte> rbsp =
      write_picture_hash(picture_hash(HashType::kMd5, picture, bit_depth), trace_);
  add_suffix_sei(rbsp);
}

void EncoderStream::add_suffix_sei(std::span<const std::byte> rbsp) {
  append_nal(bytes_, NalType::kSuffixSei, rbsp, StartCode::kShort);
}

}  // namespace llmcodec::vvc

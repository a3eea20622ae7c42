// SPDX-License-Identifier: BSD-3-Clause
// What both encoders do outside slice data: parameter sets, headers and SEI
// messages, as a stream of NAL units.
//
// Example (const Sps& sps, const Pps& pps, const SliceHeader& header, std::span<const uint8_t> slice_data):
//
//   LLMC_ASSIGN_OR_RETURN(EncoderStream stream, EncoderStream::start(sps, pps, nullptr));
//   LLMC_RETURN_IF_ERROR(stream.begin_slice(header));
//   stream.end_slice(slice_data);
//   const std::vector<std::byte> bytes = stream.take();         // Annex B byte stream
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "llmcodec/plane.h"
#include "llmcodec/status.h"
#include "vvc/stream/header_syntax.h"
#include "vvc/stream/trace.h"

namespace llmcodec::vvc {

class EncoderStream {
 public:
  // Writes both parameter sets. InvalidArgument for values that they cannot hold. `trace` (may be null) gets
  // every header element, in the order of the stream.
  static Result<EncoderStream> start(const Sps& sps, const Pps& pps, TraceSink* trace);

  // Picture header of a picture with several slices; opens the access unit.
  Status add_picture_header(const PictureHeader& header);
  // The header of an IDR slice; its data follow with end_slice().
  Status begin_slice(const SliceHeader& header);
  void end_slice(std::span<const uint8_t> data);
  // Hash SEI message: the MD5 of the picture just coded (its whole coded size).
  void add_hash(PlaneView picture, int bit_depth);
  // SEI message about the picture just coded.
  void add_suffix_sei(std::span<const std::byte> rbsp);

  const Sps& sps() const { return *sets_.sps[0]; }
  const Pps& pps() const { return *sets_.pps[0]; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  ParameterSets sets_;
  TraceSink* trace_ = nullptr;
  BitWriter slice_;                      // header of the slice that is being coded
  bool slice_opens_access_unit_ = true;  // it does unless a picture header stands before it
  std::vector<std::byte> bytes_;
};

}  // namespace llmcodec::vvc

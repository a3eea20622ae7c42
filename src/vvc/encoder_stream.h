// SPDX-License-Identifier: BSD-3-Clause
// What both encoders do outside slice data: the stream of NAL units, and the intra mode and coefficients of
// one block.
//
//   LLMC_ASSIGN_OR_RETURN(EncoderStream stream, EncoderStream::start(sps, pps));
//   LLMC_RETURN_IF_ERROR(stream.add_slice(slice_header, slice_data));
//   std::vector<std::byte> bytes = stream.take();               // Annex B byte stream
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "llmcodec/plane.h"
#include "llmcodec/status.h"
#include "vvc/header_syntax.h"
#include "vvc/scaling.h"

namespace llmcodec::vvc {

class EncoderStream {
 public:
  // Writes both parameter sets. InvalidArgument for values that they cannot hold.
  static Result<EncoderStream> start(const Sps& sps, const Pps& pps);

  // An IDR slice. The first one of a picture opens the access unit, unless a picture header did.
  Status add_slice(const SliceHeader& header, std::span<const uint8_t> data, bool opens_access_unit);
  // Picture header of a picture with several slices; opens the access unit.
  Status add_picture_header(const PictureHeader& header);

  // Hash SEI message: the MD5 of the picture just coded (its whole coded size).
  void add_hash(PlaneView picture, int bit_depth);

  const Sps& sps() const { return *sets_.sps[0]; }
  const Pps& pps() const { return *sets_.pps[0]; }
  size_t size() const { return bytes_.size(); }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  ParameterSets sets_;
  std::vector<std::byte> bytes_;
};

// Levels of a 32x32 block (raster) to its residual in samples (row-major, stride 32). `last` bounds the scan
// positions that may be non-zero; -1 gives zeros.
void residual_of_levels(const int32_t* levels, int last, const Scaler& scaler, int bit_depth,
                        int16_t* residual);

}  // namespace llmcodec::vvc

// SPDX-License-Identifier: BSD-3-Clause
// Spatial encoder: planes of samples in, an ordinary VVC intra stream out (Main 10, 4:0:0, dependent
// quantisation), made for noise-like content. It takes CTU row by CTU row and gives every row's
// reconstruction back at once, so that a caller can correct the rows still to come.
//
// Example (PlaneView picture):
//
//   const SpatialFormat format{.width = 640, .height = 300, .qp = 30};
//   LLMC_ASSIGN_OR_RETURN(SpatialEncoder encoder, SpatialEncoder::create(format, {}));
//   for (uint32_t y = 0; y < format.height; y += kCtuSize) {
//     const PlaneView rows = picture.block(y, 0, std::min(kCtuSize, format.height - y), format.width);
//     PlaneView decoded;                                               // what decoders will show
//     LLMC_RETURN_IF_ERROR(encoder.encode_row(rows, &decoded));
//   }
//   LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> stream, encoder.finish());
//
//   // Or whole pictures at once:
//   LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> all, encode_spatial({&picture, 1}, format, {}));
//
// How it works. CTUs of 128 are split into 32x32, and those once or twice more or not at all, whichever is
// cheapest (partition_search.h), with one transform block for each coding unit. Nothing predicts noise, so
// the encoder only avoids making it worse. Wherever the standard allows it, it predicts by DC from the line
// behind the adjacent one (multi-reference-line DC), which shifts one coefficient. In the first row of a CTU
// only plain DC is allowed, whose position-dependent combination pastes decoded noise into the block. The
// levels come from the trellis.
//
// One encoder makes one stream. Not thread-safe; use one per thread. Deterministic: same input, same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "llmcodec/plane.h"
#include "llmcodec/status.h"
#include "vvc/stream/trace.h"

namespace llmcodec::vvc {

inline constexpr uint32_t kCtuSize = 128;
inline constexpr uint32_t kMaxSpatialSide = 16384;

struct SpatialFormat {
  // Samples, 1..kMaxSpatialSide. Coded sides are multiples of 32; the conformance window cuts to these.
  uint32_t width = 0, height = 0;
  int bit_depth = 8;            // 8 or 10
  int qp = 30;                  // slice QP: -6 * (bit_depth - 8) .. 63
  uint32_t pictures = 1;        // of this size, one after the other
  uint32_t slice_ctu_rows = 0;  // CTU rows in each slice; 0: one slice a picture
};

struct SpatialOptions {
  // See TrellisOptions. Least gap with this layout: 0.45 at 1.5 bits, 0.40 at 2 to 2.5, 0.35 at 3; flat.
  double lambda = 0.40;
  bool qp_per_ctu = false;     // cu_qp_delta is present: encode_row() may be given a QP for every CTU
  bool picture_hash = false;   // MD5 of every picture in the stream, for decoders to check
  TraceSink* trace = nullptr;  // every syntax element, as the decoder's trace has them
};

class SpatialEncoder {
 public:
  // InvalidArgument, naming the value, for a format out of range.
  static Result<SpatialEncoder> create(const SpatialFormat& format, const SpatialOptions& options);
  ~SpatialEncoder();
  SpatialEncoder(SpatialEncoder&&) noexcept;
  SpatialEncoder& operator=(SpatialEncoder&&) noexcept;

  uint32_t ctu_rows() const;  // of one picture

  // The next CTU row: format.width samples by kCtuSize rows (the picture's rest in the last row), each below
  // 2^bit_depth. `reconstruction` (may be null) is set to a view of the same shape, valid until the next
  // call. `ctu_qp`: empty, or one QP for each CTU of the row (options.qp_per_ctu). InvalidArgument for other
  // shapes, values out of range, and rows behind the last picture.
  Status encode_row(PlaneView samples, PlaneView* reconstruction, std::span<const int> ctu_qp = {});

  // The Annex B stream. Precondition: all rows of all pictures are coded (else InvalidArgument). Call once.
  Result<std::vector<std::byte>> finish();

 private:
  struct State;
  explicit SpatialEncoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Whole pictures (format.pictures is ignored, their number counts).
// `reconstructions`: empty, or one view for each.
Result<std::vector<std::byte>> encode_spatial(std::span<const PlaneView> pictures,
                                              const SpatialFormat& format, const SpatialOptions& options,
                                              std::span<const MutablePlaneView> reconstructions = {});

}  // namespace llmcodec::vvc

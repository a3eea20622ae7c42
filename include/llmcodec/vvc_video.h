// SPDX-License-Identifier: BSD-3-Clause
// Our VVC codec on files: raw luma video in, an ordinary H.266 stream out, and back. For using and testing
// the codec alone; archives do not need it.
//
// Example:
//
//   VvcEncodeOptions options;
//   options.input = "noise.yuv";
//   options.output = "noise.266";
//   options.format = {.width = 640, .height = 300, .bit_depth = 10};
//   options.qp = 30;
//   LLMC_ASSIGN_OR_RETURN(const VvcEncodeReport report, vvc_encode(options));
//   LLMC_ASSIGN_OR_RETURN(const VvcDecodeReport back,
//                         vvc_decode({.input = "noise.266", .output = "noise.dec.yuv"}));
//   use(report.bits_per_sample, back.hashes_checked);
//
// Raw video is luma only, picture after picture, rows from top to bottom: one byte a sample at 8 bits, two
// bytes, little-endian, above. Outputs appear only when complete. One thread; deterministic. Memory: the
// stream and one picture.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "llmcodec/plane.h"
#include "llmcodec/status.h"

namespace llmcodec {

struct VvcControl {
  std::function<void(uint64_t samples_done, uint64_t samples_in_all)> progress = {};  // encoder only
  // Looked at between rows of blocks (encoder) or pictures (decoder); true ends the call with Interrupted.
  std::function<bool()> cancelled = {};
};

struct VvcEncodeOptions {
  std::string input, output;
  PictureFormat format;         // sides 1..16384; 8 or 10 bits
  int qp = 30;                  // slice QP: 0..63 at 8 bits, -12..63 at 10
  uint64_t pictures = 0;        // the first so many of the file; 0: all
  uint32_t slice_ctu_rows = 0;  // rows of 128x128 blocks in each slice; 0: one slice a picture
  std::string trace;            // file for "NAME VALUE" lines, one per syntax element; empty: none
  VvcControl control = {};
};

struct VvcEncodeReport {
  PictureFormat format;
  uint64_t pictures = 0;
  uint64_t samples = 0;  // of all pictures
  uint64_t bytes = 0;    // of the stream
  double bits_per_sample = 0;
  double mse = 0;      // mean squared error of a sample
  double psnr_db = 0;  // 10 log10((2^bit_depth - 1)^2 / mse); infinite for an exact copy
  double seconds = 0;  // processor time of the encoder
};

// The stream carries the MD5 of every picture, which decoders may check. Errors: InvalidArgument for values
// out of range, for a file that is no whole number of pictures (when all are asked for) or holds fewer than
// asked for, and for samples of more than bit_depth bits; Io.
Result<VvcEncodeReport> vvc_encode(const VvcEncodeOptions& options);

struct VvcDecodeOptions {
  std::string input;
  std::string output = {};  // empty: the pictures are decoded and checked only
  bool md5 = false;         // of all bytes of the raw video
  std::string trace = {};   // as in VvcEncodeOptions
  VvcControl control = {};
};

struct VvcDecodeReport {
  PictureFormat format;  // after the conformance window
  uint64_t pictures = 0;
  uint64_t samples = 0;
  uint64_t bytes = 0;           // of the stream
  uint64_t hashes_checked = 0;  // pictures whose hash in the stream agreed
  std::string md5;              // 32 hex digits; empty unless asked for
  double seconds = 0;           // processor time of the decoder
};

// Takes our subset of H.266 (docs/vvc-profile.md). Errors name the file and the byte offset of the NAL unit:
// Corrupt (also a picture that its hash denies, and a stream without pictures), Unsupported (a tool outside
// the subset, or pictures of several formats), Limit; Io.
Result<VvcDecodeReport> vvc_decode(const VvcDecodeOptions& options);

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// Decodes the slice data of one slice into a picture under reconstruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "llmcodec/plane.h"
#include "llmcodec/status.h"
#include "vvc/picture/partition.h"
#include "vvc/slice/slice_syntax.h"
#include "vvc/stream/trace.h"

namespace llmcodec::vvc {

// Which CTUs a slice holds and how its substreams are cut.
struct SliceExtent {
  int first_ctu_row = 0;
  int ctu_rows = 0;
  int ctu_columns = 0;
  bool wavefront = false;  // sps_entropy_coding_sync_enabled_flag: one substream per CTU row
};

struct SliceJob {
  SliceParameters parameters;
  SliceExtent extent;
  int bit_depth = 8;
  std::span<const std::byte> data;  // after the slice header, without emulation prevention
  TraceSink* trace = nullptr;
};

// Writes the slice's samples into `picture` (whole coded size) and marks its units in `map`.
// Corrupt: data ends early, a value is out of range, the end is not where it must be.
Status decode_slice(const SliceJob& job, CuMap& map, MutablePlaneView picture);

// Slices of different pictures (or of one: nothing of a slice depends on others) side by side, which is
// faster from four on (read_any_lanes.h). Each as alone; one that fails does not disturb the others.
struct SliceWork {
  SliceJob job;
  CuMap* map = nullptr;
  MutablePlaneView picture;
  Status status = Status::ok();  // result: what decode_slice() would say
};
void decode_slices(std::span<SliceWork> slices);

}  // namespace llmcodec::vvc

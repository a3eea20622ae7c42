// SPDX-License-Identifier: BSD-3-Clause
// residual_coding() for reading, blocks of any shapes of several streams at once: one stream in each lane of
// a vector, sub-block by sub-block. A stream whose block ends goes on with its next block at once.
//
// Example (ResidualSource& a, ResidualSource& b, ResidualSource& c, ResidualSource& d):
//
//   ResidualSource* sources[] = {&a, &b, &c, &d};        // each stands at a block whose levels are due
//   decode_all_residuals(sources);                       // all of them are read up to their ends
//
// Each stream gets what decode_residual() would give it, bit for bit, whatever its bytes are. Where there are
// no vectors, or too few streams left to gain from them, decode_residual() is what is called.
#pragma once

#include <span>

#include "vvc/cabac/cabac_decoder.h"
#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {

// One stream: what stands between its blocks of levels.
class ResidualSource {
 public:
  virtual ~ResidualSource() = default;
  // Always the same one. While the stream is read, models from ctx::kSbCodedFlag on are kept elsewhere; they
  // come back when it ends.
  virtual CabacDecoder& bins() = 0;
  // The block whose levels are due: all zero so far.
  virtual TransformBlock block() const = 0;
  // Called when block() has its levels: goes on up to the next block with levels. False when there is none;
  // then the source is not asked again.
  virtual bool next(const ResidualInfo& info) = 0;
};

void decode_all_residuals(std::span<ResidualSource* const> sources);

}  // namespace llmcodec::vvc

// SPDX-License-Identifier: BSD-3-Clause
// residual_coding() for reading, blocks of any shapes of several streams at once: one stream in each lane of
// a vector, sub-block by sub-block, and a stream whose block ends goes on with its next one at once.
//
//   class Stream : public ResidualSource { ... };
//   ResidualSource* sources[16] = {&a, &b, ...};             // each stands at a block whose levels are due
//   decode_all_residuals(sources);                           // all of them read up to their ends
//
// Each stream gets what decode_residual() would give it, bit for bit, whatever its bytes are; without
// vectors, or where too few streams are left to gain, that is what is called.
#pragma once

#include <span>

#include "vvc/cabac/cabac_decoder.h"
#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {

// One stream: what stands between its blocks of levels.
class ResidualSource {
 public:
  virtual ~ResidualSource() = default;
  // Always the same one. Models from ctx::kSbCodedFlag on are not in it while the stream is read, but when it
  // ends.
  virtual CabacDecoder& bins() = 0;
  // The block whose levels are due: all zero so far.
  virtual TransformBlock block() const = 0;
  // The levels are there: goes on up to the next block with levels. False when there is none; then the source
  // is not asked again.
  virtual bool next(const ResidualInfo& info) = 0;
};

void decode_all_residuals(std::span<ResidualSource* const> sources);

}  // namespace llmcodec::vvc

// SPDX-License-Identifier: BSD-3-Clause
// The spectral half of picture_coder.h; see there. Weights are VVC coefficient levels (docs/format.md 2.4).
#pragma once

#include "coding/picture_coder.h"

namespace llmcodec {

// Segments of one picture each, side by side. With matrix.feedback, the error of every strip is fed into the
// strips still to come.
void encode_spectral(std::span<SegmentEncoding* const> segments);
void decode_spectral(std::span<SegmentDecoding* const> segments);
// `matrix`: whose pictures they are: the segment's, or the folded one.
void restore_spectral(const MatrixContext& matrix, const SegmentDecoding& segment, const DecodedRows& out);

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// The spatial half of picture_coder.h; see there.
#pragma once

#include "coding/picture_coder.h"

namespace llmcodec {

Status encode_spatial(SegmentEncoding* segment);
// Sets the status of each.
void decode_spatial(std::span<SegmentDecoding* const> segments);
void restore_spatial(const SegmentDecoding& segment, const DecodedRows& out);

}  // namespace llmcodec

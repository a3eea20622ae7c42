// SPDX-License-Identifier: BSD-3-Clause
// The spatial half of picture_coder.h; see there.
#pragma once

#include "pipeline/picture_coder.h"

namespace llmcodec {

Result<CodedPictures> encode_spatial(const CodedTensor& tensor, const Codec& codec,
                                     const MatrixContext& matrix, PictureRange range);
Status decode_spatial(const SegmentDecoding& segment);

}  // namespace llmcodec

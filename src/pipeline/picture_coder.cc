// SPDX-License-Identifier: BSD-3-Clause
#include "pipeline/picture_coder.h"

#include "pipeline/spatial_pictures.h"
#include "pipeline/spectral_pictures.h"

namespace llmcodec {

Result<CodedPictures> encode_pictures(const CodedTensor& tensor, const Codec* codec,
                                      const MatrixContext& matrix, PictureRange range) {
  return tensor.is_spectral() ? encode_spectral(tensor, matrix, range)
                              : encode_spatial(tensor, *codec, matrix, range);
}

void decode_pictures(std::span<SegmentDecoding> segments) {
  std::vector<SegmentDecoding*> spectral;
  for (SegmentDecoding& segment : segments) {
    if (segment.tensor->is_spectral()) {
      spectral.push_back(&segment);
    } else {
      segment.status = decode_spatial(segment);
    }
  }
  decode_spectral(spectral);
}

}  // namespace llmcodec

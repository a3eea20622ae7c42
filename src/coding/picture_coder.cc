// SPDX-License-Identifier: BSD-3-Clause
#include "coding/picture_coder.h"

#include "coding/spatial_pictures.h"
#include "coding/spectral_pictures.h"

namespace llmcodec {

void encode_pictures(std::span<SegmentEncoding> segments) {
  std::vector<SegmentEncoding*> spectral;
  for (SegmentEncoding& segment : segments) {
    if (segment.tensor->is_spectral()) {
      spectral.push_back(&segment);
    } else {
      segment.status = encode_spatial(&segment);
    }
  }
  encode_spectral(spectral);
}

Result<CodedPictures> encode_pictures(const TensorRecipe& tensor, const Codec* codec,
                                      const MatrixContext& matrix, PictureRange range) {
  SegmentEncoding segment{&tensor, codec, matrix, range};
  encode_pictures({&segment, 1});
  LLMC_RETURN_IF_ERROR(std::move(segment.status));
  return std::move(segment.coded);
}

void decode_pictures(std::span<SegmentDecoding> segments) {
  std::vector<SegmentDecoding*> spectral, spatial;
  for (SegmentDecoding& segment : segments)
    (segment.tensor->is_spectral() ? spectral : spatial).push_back(&segment);
  decode_spatial(spatial);
  decode_spectral(spectral);
}

void restore_weights(const SegmentDecoding& segment, const DecodedRows& out) {
  segment.tensor->is_spectral() ? restore_spectral(segment, out) : restore_spatial(segment, out);
}

}  // namespace llmcodec

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

Status decode_pictures(const CodedTensor& tensor, const Codec* codec, const MatrixContext& matrix,
                       PictureRange range, std::span<const std::byte> stream, const DecodedRows& out) {
  return tensor.is_spectral() ? decode_spectral(tensor, matrix, range, stream, out)
                              : decode_spatial(tensor, *codec, matrix, range, stream, out);
}

}  // namespace llmcodec

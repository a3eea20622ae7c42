// SPDX-License-Identifier: BSD-3-Clause
#include "codec/picture_check.h"

#include <algorithm>

#include "base/error.h"
#include "base/limits.h"

namespace llmcodec {
namespace {

Status check_format(const PictureFormat& format, const CodecInfo& info) {
  if (format.width == 0 || format.height == 0 || format.width > info.max_width ||
      format.height > info.max_height || format.samples() > kMaxPictureSamples) {
    return error(ErrorKind::kInvalidArgument,
                 "codec '{}' takes pictures of 1x1 to {}x{} and {} samples, not {}x{}", info.name,
                 info.max_width, info.max_height, kMaxPictureSamples, format.width, format.height);
  }
  if (std::find(info.bit_depths.begin(), info.bit_depths.end(), format.bit_depth) == info.bit_depths.end()) {
    return error(ErrorKind::kInvalidArgument, "codec '{}' takes samples of {} bits, not {}", info.name,
                 fmt::join(info.bit_depths, ", "), format.bit_depth);
  }
  return Status::ok();
}

template <class View>
Status check_sizes(std::span<const View> pictures, const PictureFormat& format) {
  if (pictures.empty()) return error(ErrorKind::kInvalidArgument, "no picture given to the codec");
  for (const View& picture : pictures) {
    if (picture.rows != format.height || picture.cols != format.width) {
      return error(ErrorKind::kInvalidArgument, "picture of {}x{} given as {}x{}", picture.cols, picture.rows,
                   format.width, format.height);
    }
  }
  return Status::ok();
}

Status check_samples(PlaneView picture, uint32_t bit_depth) {
  const uint32_t largest = (1u << bit_depth) - 1;
  for (size_t y = 0; y < picture.rows; ++y) {
    const std::span<const uint16_t> row = picture.row(y);
    const uint16_t found = *std::max_element(row.begin(), row.end());
    if (found > largest) {
      return error(ErrorKind::kInvalidArgument, "sample {} in row {} does not fit {} bits", found, y,
                   bit_depth);
    }
  }
  return Status::ok();
}

}  // namespace

Status check_encode_request(std::span<const PlaneView> pictures, const PictureFormat& format,
                            const CodecInfo& info) {
  LLMC_RETURN_IF_ERROR(check_format(format, info));
  LLMC_RETURN_IF_ERROR(check_sizes(pictures, format));
  for (const PlaneView& picture : pictures) LLMC_RETURN_IF_ERROR(check_samples(picture, format.bit_depth));
  return Status::ok();
}

Status check_decode_request(std::span<const MutablePlaneView> pictures, const PictureFormat& format,
                            const CodecInfo& info) {
  LLMC_RETURN_IF_ERROR(check_format(format, info));
  return check_sizes(pictures, format);
}

}  // namespace llmcodec

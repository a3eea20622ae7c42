// SPDX-License-Identifier: BSD-3-Clause
#include "codec/vvc_adapter.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "codec/codec_spec.h"
#include "codec/picture_check.h"
#include "llmcodec/version.h"
#include "vvc/spatial/spatial_encoder.h"
#include "vvc/spatial/stream_decoder.h"

namespace llmcodec {
namespace {

Result<double> parse_option(const CodecOption& option, double min, double max) {
  const auto& [key, text] = option;
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || !(value >= min && value <= max)) {
    return error(ErrorKind::kInvalidArgument, "codec 'vvc': {}={} is no number from {} to {}", key, text, min,
                 max);
  }
  return value;
}

Result<vvc::SpatialOptions> parse_options(const CodecSpec& spec) {
  vvc::SpatialOptions options;
  for (const CodecOption& option : spec.options) {
    if (option.first == "lambda") {
      LLMC_ASSIGN_OR_RETURN(options.lambda, parse_option(option, 0, 10));
    } else if (option.first == "hash") {
      LLMC_ASSIGN_OR_RETURN(const double hash, parse_option(option, 0, 1));
      options.picture_hash = hash != 0;
    } else {
      return error(ErrorKind::kInvalidArgument, "codec 'vvc' has no option '{}'", option.first);
    }
  }
  return options;
}

class VvcCodec final : public Codec {
 public:
  VvcCodec(vvc::SpatialOptions options, std::string spec) : options_(options), spec_(std::move(spec)) {}

  const CodecInfo& info() const override { return info_; }
  const std::string& spec() const override { return spec_; }

  Result<std::vector<std::byte>> encode(std::span<const PlaneView> pictures, const PictureFormat& format,
                                        double quality) const override {
    LLMC_RETURN_IF_ERROR(check_encode_request(pictures, format, info_));
    if (!(quality >= info_.quality.min && quality <= info_.quality.max) || quality != std::round(quality)) {
      return error(ErrorKind::kInvalidArgument, "codec 'vvc' takes whole qualities from {} to {}, not {}",
                   info_.quality.min, info_.quality.max, quality);
    }
    vvc::SpatialFormat spatial;
    spatial.width = format.width;
    spatial.height = format.height;
    spatial.bit_depth = static_cast<int>(format.bit_depth);
    spatial.qp = static_cast<int>(quality);
    return vvc::encode_spatial(pictures, spatial, options_);
  }

  Status decode(std::span<const std::byte> stream, const PictureFormat& format,
                std::span<const MutablePlaneView> pictures) const override {
    PicturesToDecode one{this, stream, format, {pictures.begin(), pictures.end()}};
    decode_together({&one, 1});
    return std::move(one.status);
  }

  // To decode a stream: what decode() checks before, and what takes its pictures.
  Result<vvc::StreamDecoding> begin_decoding(const PicturesToDecode& wanted, size_t* count) const {
    LLMC_RETURN_IF_ERROR(check_decode_request(wanted.pictures, wanted.format, info_));
    vvc::DecodeOptions options;
    // The stream's pictures are padded to whole CTUs.
    options.limits.max_picture_samples = uint64_t{wanted.format.width + 256u} * (wanted.format.height + 256u);
    options.limits.max_pictures = wanted.pictures.size() + 1;
    return vvc::StreamDecoding{wanted.stream, options, [&wanted, count](const vvc::DecodedPicture& picture) {
                                 return take_picture(picture, wanted.format, wanted.pictures, (*count)++);
                               }};
  }

 private:
  static Status take_picture(const vvc::DecodedPicture& picture, const PictureFormat& format,
                             std::span<const MutablePlaneView> targets, size_t index) {
    if (picture.format.width != format.width || picture.format.height != format.height ||
        picture.format.bit_depth != format.bit_depth || index >= targets.size()) {
      return error(ErrorKind::kCorrupt,
                   "h266 stream: picture {} is {}x{} at {} bits, {} of {}x{} at {} expected", index,
                   picture.format.width, picture.format.height, picture.format.bit_depth, targets.size(),
                   format.width, format.height, format.bit_depth);
    }
    for (size_t y = 0; y < format.height; ++y) {
      const std::span<const uint16_t> row = picture.samples.row(y);
      std::copy(row.begin(), row.end(), targets[index].row(y).begin());
    }
    return Status::ok();
  }

  const CodecInfo info_ = vvc_codec_info();
  vvc::SpatialOptions options_;
  std::string spec_;
};

}  // namespace

void decode_together(std::span<PicturesToDecode> all) {
  std::vector<size_t> counts(all.size());
  std::vector<vvc::StreamDecoding> streams;
  std::vector<size_t> of_stream;  // index in `all`
  for (size_t i = 0; i < all.size(); ++i) {
    PicturesToDecode& one = all[i];
    const auto* ours = dynamic_cast<const VvcCodec*>(one.codec);
    if (ours == nullptr) {
      one.status = one.codec->decode(one.stream, one.format, one.pictures);
      continue;
    }
    Result<vvc::StreamDecoding> stream = ours->begin_decoding(one, &counts[i]);
    if (!stream.is_ok()) {
      one.status = std::move(stream).error();
      continue;
    }
    streams.push_back(std::move(stream).value());
    of_stream.push_back(i);
  }
  vvc::decode_streams(streams);
  for (size_t s = 0; s < streams.size(); ++s) {
    PicturesToDecode& one = all[of_stream[s]];
    const size_t count = counts[of_stream[s]];
    one.status = std::move(streams[s].status);
    if (one.status.is_ok() && count != one.pictures.size())
      one.status = error(ErrorKind::kCorrupt, "h266 stream holds {} pictures, {} expected", count,
                         one.pictures.size());
  }
}

CodecInfo vvc_codec_info() {
  CodecInfo info{.name = "vvc", .version = "llmcodec " LLMCODEC_VERSION, .stream_format = "h266"};
  info.bit_depths = {8, 10};
  info.max_width = info.max_height = vvc::kMaxSpatialSide;
  // Below -8 (10 bits) the level of a flat white or black block no longer fits 16 bits, and
  // it comes out grey.
  info.quality = {.min = -8, .max = 63};
  return info;
}

Result<std::unique_ptr<Codec>> open_vvc_codec(const std::string& spec) {
  LLMC_ASSIGN_OR_RETURN(const CodecSpec parsed, parse_codec_spec(spec));
  LLMC_ASSIGN_OR_RETURN(const vvc::SpatialOptions options, parse_options(parsed));
  return std::unique_ptr<Codec>(new VvcCodec(options, format_codec_spec(parsed)));
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "codec/raw_codec.h"

#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"
#include "codec/codec_spec.h"
#include "codec/picture_check.h"

namespace llmcodec {
namespace {

uint64_t stream_bytes(const PictureFormat& format, uint64_t pictures) {
  return ceil_div(format.samples() * pictures * format.bit_depth, 8);
}

class BitPacker {
 public:
  explicit BitPacker(std::vector<std::byte>* stream) : stream_(stream) {}
  void put(uint16_t sample, uint32_t bits) {
    held_ |= uint64_t{sample} << held_bits_;
    for (held_bits_ += bits; held_bits_ >= 8; held_bits_ -= 8, held_ >>= 8) {
      stream_->push_back(static_cast<std::byte>(held_ & 0xff));
    }
  }
  void finish() {
    if (held_bits_ > 0) stream_->push_back(static_cast<std::byte>(held_));
  }

 private:
  std::vector<std::byte>* stream_;
  uint64_t held_ = 0;  // bits not yet written, lowest first
  uint32_t held_bits_ = 0;
};

// Precondition: the stream is long enough for what is taken.
class BitUnpacker {
 public:
  explicit BitUnpacker(std::span<const std::byte> stream) : stream_(stream) {}
  uint16_t take(uint32_t bits) {
    for (; held_bits_ < bits; held_bits_ += 8)
      held_ |= std::to_integer<uint64_t>(stream_[next_++]) << held_bits_;
    const auto sample = static_cast<uint16_t>(held_ & ((uint64_t{1} << bits) - 1));
    held_ >>= bits;
    held_bits_ -= bits;
    return sample;
  }
  bool rest_is_zero() const { return held_ == 0; }

 private:
  std::span<const std::byte> stream_;
  size_t next_ = 0;
  uint64_t held_ = 0;
  uint32_t held_bits_ = 0;
};

class RawCodec final : public Codec {
 public:
  const CodecInfo& info() const override { return info_; }
  const std::string& spec() const override { return info_.name; }

  Result<std::vector<std::byte>> encode(std::span<const PlaneView> pictures, const PictureFormat& format,
                                        double /*quality*/) const override {
    LLMC_RETURN_IF_ERROR(check_encode_request(pictures, format, info_));
    std::vector<std::byte> stream;
    stream.reserve(stream_bytes(format, pictures.size()));
    BitPacker packer(&stream);
    for (const PlaneView& picture : pictures) {
      for (size_t y = 0; y < picture.rows; ++y) {
        for (const uint16_t sample : picture.row(y)) packer.put(sample, format.bit_depth);
      }
    }
    packer.finish();
    return stream;
  }

  Status decode(std::span<const std::byte> stream, const PictureFormat& format,
                std::span<const MutablePlaneView> pictures) const override {
    LLMC_RETURN_IF_ERROR(check_decode_request(pictures, format, info_));
    const uint64_t expected = stream_bytes(format, pictures.size());
    if (stream.size() != expected) {
      return error(ErrorKind::kCorrupt, "raw stream of {} bytes, {} expected", stream.size(), expected);
    }
    BitUnpacker unpacker(stream);
    for (const MutablePlaneView& picture : pictures) {
      for (size_t y = 0; y < picture.rows; ++y) {
        for (uint16_t& sample : picture.row(y)) sample = unpacker.take(format.bit_depth);
      }
    }
    if (!unpacker.rest_is_zero()) {
      return error(ErrorKind::kCorrupt, "raw stream has set bits after its last sample")
          .at_offset(expected - 1);
    }
    return Status::ok();
  }

 private:
  const CodecInfo info_ = raw_codec_info();
};

}  // namespace

CodecInfo raw_codec_info() {
  CodecInfo info{.name = "raw", .version = "1", .stream_format = "raw"};
  for (uint32_t depth = 1; depth <= 16; ++depth) info.bit_depths.push_back(depth);
  info.max_width = info.max_height = static_cast<uint32_t>(kMaxPictureSamples);
  info.lossless = true;
  info.quality = {.min = 0, .max = 0, .step = 1, .lossless_only = true, .per_octave = 6};
  return info;
}

Result<std::unique_ptr<Codec>> open_raw_codec(const std::string& spec) {
  LLMC_ASSIGN_OR_RETURN(const CodecSpec parsed, parse_codec_spec(spec));
  if (!parsed.options.empty()) {
    return error(ErrorKind::kInvalidArgument, "codec 'raw' has no option '{}'", parsed.options[0].first);
  }
  return std::unique_ptr<Codec>(new RawCodec());
}

}  // namespace llmcodec

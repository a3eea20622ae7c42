// SPDX-License-Identifier: BSD-3-Clause
#include "codec/frame_format.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"

namespace llmcodec {
namespace {

constexpr PixelFormat kPixelFormats[] = {
    {"gray", 8, false},        {"gray9le", 9, false},     {"gray10le", 10, false},
    {"gray12le", 12, false},   {"gray14le", 14, false},   {"gray16le", 16, false},
    {"yuv420p", 8, true},      {"yuv420p9le", 9, true},   {"yuv420p10le", 10, true},
    {"yuv420p12le", 12, true}, {"yuv420p14le", 14, true}, {"yuv420p16le", 16, true},
    {"p010le", 10, true, 6},  // chroma samples interleaved: all the same here
};

void append_sample(uint32_t value, uint32_t sample_bytes, std::vector<std::byte>* out) {
  out->push_back(static_cast<std::byte>(value & 0xff));
  if (sample_bytes == 2) out->push_back(static_cast<std::byte>(value >> 8));
}

void append_row(std::span<const uint16_t> row, uint32_t shift, const FrameLayout& layout,
                std::vector<std::byte>* out) {
  const uint32_t sample_bytes = layout.pixel_format.sample_bytes();
  for (const uint16_t sample : row) append_sample(uint32_t{sample} << shift, sample_bytes, out);
  for (size_t x = row.size(); x < layout.width; ++x)
    append_sample(uint32_t{row.back()} << shift, sample_bytes, out);
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<uint32_t> parse_number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Y4M colour words: 420jpeg, 420mpeg2, 420paldv, 420p10, ..., mono, mono10, ...
std::optional<PixelFormat> parse_colour(std::string_view word) {
  PixelFormat format;
  if (word.starts_with("mono")) {
    word.remove_prefix(4);
  } else if (word.starts_with("420")) {
    format.chroma_420 = true;
    word.remove_prefix(3);
    if (word == "jpeg" || word == "mpeg2" || word == "paldv") word = {};
    if (word.starts_with("p")) word.remove_prefix(1);
  } else {
    return std::nullopt;
  }
  if (word.empty()) return format;
  const std::optional<uint32_t> depth = parse_number(word);
  if (!depth || *depth < 8 || *depth > 16) return std::nullopt;
  format.depth = *depth;
  return format;
}

Result<FrameLayout> parse_y4m_header(std::string_view line) {
  FrameLayout layout;
  bool colour_known = true;  // a header without C means 4:2:0 at 8 bits
  layout.pixel_format.chroma_420 = true;
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    if (word.starts_with("W")) layout.width = parse_number(word.substr(1)).value_or(0);
    if (word.starts_with("H")) layout.height = parse_number(word.substr(1)).value_or(0);
    if (!word.starts_with("C")) continue;
    const std::optional<PixelFormat> format = parse_colour(word.substr(1));
    colour_known = format.has_value();
    layout.pixel_format = format.value_or(PixelFormat{});
  }
  if (layout.width == 0 || layout.height == 0 ||
      uint64_t{layout.width} * layout.height > 2 * kMaxPictureSamples) {
    return error(ErrorKind::kCorrupt, "decoder gave frames of {}x{}", layout.width, layout.height);
  }
  if (!colour_known) return error(ErrorKind::kCorrupt, "decoder gave frames that are neither grey nor 4:2:0");
  return layout;
}

}  // namespace

const PixelFormat* find_pixel_format(std::string_view name) {
  const auto* found = std::find_if(std::begin(kPixelFormats), std::end(kPixelFormats),
                                   [&](const auto& f) { return f.name == name; });
  return found == std::end(kPixelFormats) ? nullptr : found;
}

uint64_t FrameLayout::bytes() const {
  const uint64_t luma = uint64_t{width} * height;
  const uint64_t chroma = pixel_format.chroma_420 ? 2 * ceil_div(width, 2) * ceil_div(height, 2) : 0;
  return (luma + chroma) * pixel_format.sample_bytes();
}

void append_frame(PlaneView picture, uint32_t plane_depth, const FrameLayout& layout,
                  std::vector<std::byte>* frames) {
  const PixelFormat& format = layout.pixel_format;
  frames->reserve(frames->size() + layout.bytes());
  const uint32_t shift = format.depth - plane_depth + format.padding_bits;
  for (uint32_t y = 0; y < layout.height - layout.grey_rows; ++y) {
    append_row(picture.row(std::min<size_t>(y, picture.rows - 1)), shift, layout, frames);
  }
  const uint32_t mid_grey = 1u << (format.depth - 1 + format.padding_bits);
  uint64_t grey_samples = uint64_t{layout.grey_rows} * layout.width;
  if (format.chroma_420) grey_samples += 2 * ceil_div(layout.width, 2) * ceil_div(layout.height, 2);
  for (uint64_t i = 0; i < grey_samples; ++i) append_sample(mid_grey, format.sample_bytes(), frames);
}

Result<DecodedVideo> parse_y4m(std::span<const std::byte> stream) {
  constexpr std::string_view kMagic = "YUV4MPEG2 ";
  constexpr size_t kMaxLine = 256;
  const std::string_view head = as_text(stream.first(std::min(stream.size(), kMaxLine)));
  const size_t header_end = head.find('\n');
  if (!head.starts_with(kMagic) || header_end == std::string_view::npos) {
    return error(ErrorKind::kCorrupt, "decoder gave no picture");
  }
  DecodedVideo video;
  LLMC_ASSIGN_OR_RETURN(video.layout,
                        parse_y4m_header(head.substr(kMagic.size(), header_end - kMagic.size())));
  const uint64_t frame_bytes = video.layout.bytes();
  for (size_t at = header_end + 1; at < stream.size(); at += frame_bytes) {
    const std::string_view line = as_text(stream.subspan(at, std::min(stream.size() - at, kMaxLine)));
    const size_t line_end = line.find('\n');
    if (!line.starts_with("FRAME") || line_end == std::string_view::npos ||
        stream.size() - at - line_end - 1 < frame_bytes) {
      return error(ErrorKind::kCorrupt, "decoder gave an incomplete picture after {} whole ones",
                   video.frames.size());
    }
    at += line_end + 1;
    video.frames.push_back(stream.subspan(at, frame_bytes));
  }
  return video;
}

Status extract_picture(std::span<const std::byte> frame, const FrameLayout& layout, uint32_t plane_depth,
                       MutablePlaneView picture) {
  const uint32_t frame_depth = layout.pixel_format.depth;
  if (layout.width < picture.cols || layout.height < picture.rows || frame_depth < plane_depth) {
    return error(ErrorKind::kCorrupt, "decoded pictures are {}x{} at {} bits, {}x{} at {} bits expected",
                 layout.width, layout.height, frame_depth, picture.cols, picture.rows, plane_depth);
  }
  const uint32_t shift = frame_depth - plane_depth;
  const uint32_t half = shift == 0 ? 0 : 1u << (shift - 1);
  const uint32_t largest = (1u << plane_depth) - 1;
  const uint32_t sample_bytes = layout.pixel_format.sample_bytes();
  for (size_t y = 0; y < picture.rows; ++y) {
    const std::byte* in = frame.data() + y * layout.width * sample_bytes;
    for (uint16_t& sample : picture.row(y)) {
      uint32_t value = std::to_integer<uint32_t>(in[0]);
      if (sample_bytes == 2) value |= std::to_integer<uint32_t>(in[1]) << 8;
      in += sample_bytes;
      sample = static_cast<uint16_t>(std::min((value + half) >> shift, largest));
    }
  }
  return Status::ok();
}

}  // namespace llmcodec

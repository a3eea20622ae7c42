// SPDX-License-Identifier: BSD-3-Clause
// A codec of planes: pictures of one size and bit depth to bytes and back. Knows samples, never
// tensors. Implementations: raw, ffmpeg (any encoder of the user's FFmpeg), vvc (ours). All methods
// are const and may be called from several threads at once; each call is single-threaded where the
// codec allows and deterministic.
//
// Example (std::span<const PlaneView> pictures, std::span<const MutablePlaneView> out, PictureFormat format):
//
//   LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, open_codec("libx265:preset=medium", {}));
//   LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> stream, codec->encode(pictures, format, 28));
//   LLMC_RETURN_IF_ERROR(codec->decode(stream, format, out));
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "llmcodec/plane.h"
#include "llmcodec/status.h"

namespace llmcodec {

// Every codec has exactly one quality parameter, and it is logarithmic: raising it by `per_octave` doubles
// the quantiser's step (at least roughly), which saves about one bit per sample. Where an encoder's own
// parameter is not logarithmic (JPEG XL's distance, JPEG 2000's ratio), the adapter translates. Where the
// parameter comes in coarse steps only, the scale of the planes makes up for it.
struct QualityRange {
  double min = 0, max = 0;     // finest and coarsest value the codec takes
  double step = 1;             // granularity: 1 for an integer QP, smaller for a distance
  bool lossless_only = false;  // quality is ignored (raw, ffv1)
  // The rate depends on quality alone, whatever the plane's scale: it is about 8 - quality / 6 bits per
  // sample, and the steps are small enough to hit a rate (libopenjpeg).
  bool fixed_rate = false;
  double per_octave = 6;
};

struct CodecInfo {
  std::string name;           // "raw", "vvc", or FFmpeg's encoder name
  std::string version;        // of the library that writes the bytes
  std::string stream_format;  // what the bytes are: "h266", "hevc", "obu", "ivf", "nut", "raw", ...
  std::vector<uint32_t> bit_depths = {};  // accepted plane depths, ascending
  uint32_t min_width = 1, min_height = 1, max_width = 0, max_height = 0;
  uint32_t size_multiple = 1;  // sides the encoder takes; the codec pads and crops by itself
  bool chroma_420 = false;     // codes two constant chroma planes besides ours
  bool lossless = false;
  // Every conforming decoder gives the same samples (JPEG 2000's and JPEG XL's do not promise that).
  bool exact_decoder = true;
  QualityRange quality = {};
};

// How pictures of one format lie in a codec's stream: for readers that decode it by other means. The
// stream's pictures are at least width x height; ours is the top left corner of each. Stream samples
// are ours times 2^shift.
struct StreamLayout {
  std::string pixel_format;  // FFmpeg's name; "gray16le"-like for codecs of our own
  uint32_t width = 0, height = 0;
  uint32_t shift = 0;
};

class Codec {
 public:
  virtual ~Codec() = default;
  virtual const CodecInfo& info() const = 0;
  // The normalised specification "name:key=value,..." that open_codec() takes; written to archives.
  virtual const std::string& spec() const = 0;

  // InvalidArgument for a depth outside info(). The default says: as given, grey, no shift.
  virtual Result<StreamLayout> layout(const PictureFormat& format) const;

  // `pictures` all have format.width x format.height. Errors: InvalidArgument for sizes
  // or depths outside info().
  virtual Result<std::vector<std::byte>> encode(std::span<const PlaneView> pictures,
                                                const PictureFormat& format, double quality) const = 0;
  // Decodes exactly pictures.size() pictures of `format`; a stream with other sizes, depth
  // or count is Corrupt.
  virtual Status decode(std::span<const std::byte> stream, const PictureFormat& format,
                        std::span<const MutablePlaneView> pictures) const = 0;
};

struct CodecEnvironment {
  std::string ffmpeg;             // path of the ffmpeg program; empty: $LLMCODEC_FFMPEG, then PATH
  double timeout_seconds = 3600;  // of one process of the ffmpeg program
  // For specs that come with an archive: their options are not looked at, and no encoder is needed or tried.
  // encode() may then fail; decode() works.
  bool decode_only = false;
};

// Opens "name[:key=value,...]". Unsupported, with the reason, for a codec that is not to be had here;
// InvalidArgument for a spec that cannot be parsed or an option that the encoder does not know.
Result<std::unique_ptr<Codec>> open_codec(const std::string& spec, const CodecEnvironment& environment);

// One row of `llmcodec codecs`: what could be, what is, and why not.
struct CodecStatus {
  CodecInfo info;
  bool can_encode = false;
  bool can_decode = false;
  std::string missing_reason;  // empty when both
};
std::vector<CodecStatus> list_codecs(const CodecEnvironment& environment);

// How FFmpeg's processes are confined on this machine: "landlock+seccomp", or "none: REASON"
// (docs/security.md).
std::string codec_sandbox();

}  // namespace llmcodec

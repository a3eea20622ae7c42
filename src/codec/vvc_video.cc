// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/vvc_video.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/byte_source.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/output_guard.h"
#include "vvc/spatial/spatial_encoder.h"
#include "vvc/spatial/stream_decoder.h"
#include "vvc/stream/hash.h"

namespace llmcodec {
namespace {

size_t bytes_per_sample(const PictureFormat& format) {
  return format.bit_depth > 8 ? 2 : 1;
}

double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

Status check_cancelled(const VvcControl& control) {
  if (control.cancelled && control.cancelled()) return error(ErrorKind::kInterrupted, "interrupted");
  return Status::ok();
}

// The trace of a run, for people who look for a mistake: what was written before an error stays.
class TraceFile {
 public:
  // `inputs`: what must not be written over.
  static Result<TraceFile> open(const std::string& path, std::span<const std::string> inputs) {
    TraceFile trace;
    if (path.empty()) return trace;
    LLMC_RETURN_IF_ERROR(check_output_file(path, inputs));
    LLMC_ASSIGN_OR_RETURN(OutputLock lock, OutputLock::file(path));
    trace.lock_.emplace(std::move(lock));
    trace.path_ = path;
    trace.file_.reset(std::fopen(path.c_str(), "w"));
    if (!trace.file_) return errno_error("cannot write").in_file(path);
    trace.text_.emplace(trace.file_.get());
    return trace;
  }
  vvc::TraceSink* sink() { return text_ ? &*text_ : nullptr; }
  Status close() {
    if (!file_) return Status::ok();
    errno = 0;
    const bool failed = std::ferror(file_.get()) != 0;
    if (std::fclose(file_.release()) != 0 || failed) return errno_error("cannot write").in_file(path_);
    return Status::ok();
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::optional<OutputLock> lock_;
  std::unique_ptr<std::FILE, Close> file_;
  std::optional<vvc::TextTrace> text_;
};

// --- encoding
// --------------------------------------------------------------------------------------------------

// Pictures to code: those asked for, or all of the file.
Result<uint64_t> count_pictures(const VvcEncodeOptions& options, uint64_t file_bytes) {
  const PictureFormat& format = options.format;
  const uint64_t picture_bytes = format.samples() * bytes_per_sample(format);
  if (picture_bytes == 0) return error(ErrorKind::kInvalidArgument, "pictures without samples");
  const uint64_t whole = file_bytes / picture_bytes;
  const bool enough =
      options.pictures == 0 ? whole > 0 && file_bytes % picture_bytes == 0 : options.pictures <= whole;
  if (enough) return options.pictures == 0 ? whole : options.pictures;
  return error(ErrorKind::kInvalidArgument,
               "{} bytes are {} whole pictures of {}x{} at {} bits ({} bytes each) and {} bytes more; {} "
               "expected",
               file_bytes, whole, format.width, format.height, format.bit_depth, picture_bytes,
               file_bytes % picture_bytes,
               options.pictures == 0 ? "a whole number of pictures"
                                     : fmt::format("at least {} pictures", options.pictures))
      .in_file(options.input);
}

void unpack_samples(std::span<const std::byte> bytes, size_t sample_bytes, std::span<uint16_t> samples) {
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto low = std::to_integer<uint16_t>(bytes[i * sample_bytes]);
    const auto high = sample_bytes == 2 ? std::to_integer<uint16_t>(bytes[2 * i + 1]) : uint16_t{0};
    samples[i] = static_cast<uint16_t>(low | high << 8);
  }
}

uint64_t squared_error(PlaneView a, PlaneView b) {
  uint64_t sum = 0;
  for (size_t y = 0; y < a.rows; ++y) {
    for (size_t x = 0; x < a.cols; ++x) {
      const int64_t difference = int64_t{a.at(y, x)} - b.at(y, x);
      sum += static_cast<uint64_t>(difference * difference);
    }
  }
  return sum;
}

// Codes rows of CTUs straight from the file.
class FileEncoder {
 public:
  FileEncoder(const VvcEncodeOptions& options, const ByteSource& file, uint64_t pictures,
              vvc::SpatialEncoder encoder)
      : options_(options), file_(file), pictures_(pictures), encoder_(std::move(encoder)) {}

  Status encode() {
    for (uint64_t picture = 0; picture < pictures_; ++picture)
      for (uint32_t row = 0; row < encoder_.ctu_rows(); ++row) {
        LLMC_RETURN_IF_ERROR(check_cancelled(options_.control));
        LLMC_RETURN_IF_ERROR(encode_row(picture, row * vvc::kCtuSize));
      }
    return Status::ok();
  }
  Result<std::vector<std::byte>> finish() { return encoder_.finish(); }
  uint64_t squared_error_sum() const { return squared_error_; }
  uint64_t samples_done() const { return samples_done_; }
  double seconds() const { return seconds_; }

 private:
  Status encode_row(uint64_t picture, uint32_t y) {
    const PictureFormat& format = options_.format;
    const uint32_t rows = std::min(vvc::kCtuSize, format.height - y);
    const size_t sample_bytes = bytes_per_sample(format);
    samples_.resize(size_t{rows} * format.width);
    const uint64_t offset = (picture * format.samples() + uint64_t{y} * format.width) * sample_bytes;
    bytes_.resize(samples_.size() * sample_bytes);
    LLMC_RETURN_IF_ERROR(file_.read_at(offset, bytes_));
    unpack_samples(bytes_, sample_bytes, samples_);
    const PlaneView source(samples_.data(), rows, format.width);
    PlaneView decoded;
    const double start = processor_seconds();
    Status status = encoder_.encode_row(source, &decoded);
    if (!status.is_ok()) return std::move(std::move(status).error()).in_file(options_.input);
    seconds_ += processor_seconds() - start;
    squared_error_ += squared_error(source, decoded);
    samples_done_ += samples_.size();
    if (options_.control.progress) options_.control.progress(samples_done_, pictures_ * format.samples());
    return Status::ok();
  }

  const VvcEncodeOptions& options_;
  const ByteSource& file_;
  uint64_t pictures_;
  vvc::SpatialEncoder encoder_;
  std::vector<std::byte> bytes_;
  std::vector<uint16_t> samples_;
  uint64_t squared_error_ = 0, samples_done_ = 0;
  double seconds_ = 0;
};

Result<vvc::SpatialFormat> spatial_format(const VvcEncodeOptions& options, uint64_t pictures) {
  if (pictures > std::numeric_limits<uint32_t>::max())
    return error(ErrorKind::kLimit, "{} pictures in one stream", pictures);
  vvc::SpatialFormat format;
  format.width = options.format.width;
  format.height = options.format.height;
  format.bit_depth = static_cast<int>(options.format.bit_depth);
  format.qp = options.qp;
  format.pictures = static_cast<uint32_t>(pictures);
  format.slice_ctu_rows = options.slice_ctu_rows;
  return format;
}

VvcEncodeReport report_of(const VvcEncodeOptions& options, const FileEncoder& encoder, uint64_t pictures,
                          uint64_t bytes) {
  VvcEncodeReport report{.format = options.format, .pictures = pictures, .bytes = bytes};
  report.samples = encoder.samples_done();
  report.bits_per_sample = 8.0 * static_cast<double>(bytes) / static_cast<double>(report.samples);
  report.mse = static_cast<double>(encoder.squared_error_sum()) / static_cast<double>(report.samples);
  const double peak = (1u << options.format.bit_depth) - 1u;
  report.psnr_db = 10 * std::log10(peak * peak / report.mse);
  report.seconds = encoder.seconds();
  return report;
}

// --- decoding
// --------------------------------------------------------------------------------------------------

void pack_samples(std::span<const uint16_t> samples, size_t sample_bytes, std::byte* bytes) {
  for (const uint16_t sample : samples) {
    *bytes++ = static_cast<std::byte>(sample & 0xFF);
    if (sample_bytes == 2) *bytes++ = static_cast<std::byte>(sample >> 8);
  }
}

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

// Takes decoded pictures: into the file, the hash and the report.
class PictureWriter {
 public:
  PictureWriter(const VvcDecodeOptions& options, std::optional<AtomicFile> out)
      : options_(options), out_(std::move(out)) {}

  Status take(const vvc::DecodedPicture& picture) {
    LLMC_RETURN_IF_ERROR(check_cancelled(options_.control));
    LLMC_RETURN_IF_ERROR(check_format(picture.format));
    const double start = processor_seconds();
    if (out_ || options_.md5) LLMC_RETURN_IF_ERROR(write(picture));
    seconds_ += processor_seconds() - start;
    ++report_.pictures;
    report_.samples += picture.format.samples();
    report_.hashes_checked += picture.hash_checked ? 1 : 0;
    return Status::ok();
  }

  // Processor time spent in here, which is not the decoder's.
  double seconds() const { return seconds_; }

  Result<VvcDecodeReport> finish() {
    if (report_.pictures == 0)
      return error(ErrorKind::kCorrupt, "no picture in the stream").in_file(options_.input);
    if (options_.md5) report_.md5 = hex(hash_.finish());
    if (out_) LLMC_RETURN_IF_ERROR(out_->commit());
    return report_;
  }

 private:
  Status check_format(const PictureFormat& format) {
    if (report_.pictures == 0) report_.format = format;
    const PictureFormat& first = report_.format;
    if (format.width == first.width && format.height == first.height && format.bit_depth == first.bit_depth)
      return Status::ok();
    return error(ErrorKind::kUnsupported, "picture {} is {}x{} at {} bits, those before it {}x{} at {}",
                 report_.pictures, format.width, format.height, format.bit_depth, first.width, first.height,
                 first.bit_depth);
  }

  Status write(const vvc::DecodedPicture& picture) {
    const size_t sample_bytes = bytes_per_sample(picture.format);
    bytes_.resize(picture.format.samples() * sample_bytes);
    for (size_t y = 0; y < picture.format.height; ++y)
      pack_samples(picture.samples.row(y), sample_bytes,
                   bytes_.data() + y * picture.format.width * sample_bytes);
    if (options_.md5) hash_.update(bytes_);
    return out_ ? out_->write(bytes_) : Status::ok();
  }

  const VvcDecodeOptions& options_;
  std::optional<AtomicFile> out_;
  VvcDecodeReport report_;
  vvc::Md5 hash_;
  std::vector<std::byte> bytes_;
  double seconds_ = 0;
};

}  // namespace

Result<VvcEncodeReport> vvc_encode(const VvcEncodeOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(options.input));
  LLMC_ASSIGN_OR_RETURN(const uint64_t pictures, count_pictures(options, file->size()));
  LLMC_ASSIGN_OR_RETURN(const vvc::SpatialFormat format, spatial_format(options, pictures));
  LLMC_RETURN_IF_ERROR(check_output_file(options.output, {&options.input, 1}));
  LLMC_ASSIGN_OR_RETURN(TraceFile trace, TraceFile::open(options.trace, {&options.input, 1}));
  vvc::SpatialOptions settings;
  settings.picture_hash = true;
  settings.trace = trace.sink();
  LLMC_ASSIGN_OR_RETURN(vvc::SpatialEncoder spatial, vvc::SpatialEncoder::create(format, settings));
  LLMC_ASSIGN_OR_RETURN(AtomicFile out, AtomicFile::create(options.output));
  FileEncoder encoder(options, *file, pictures, std::move(spatial));
  LLMC_RETURN_IF_ERROR(encoder.encode());
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> stream, encoder.finish());
  LLMC_RETURN_IF_ERROR(trace.close());
  LLMC_RETURN_IF_ERROR(out.write(stream));
  LLMC_RETURN_IF_ERROR(out.commit());
  return report_of(options, encoder, pictures, stream.size());
}

Result<VvcDecodeReport> vvc_decode(const VvcDecodeOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> stream, read_file(options.input, kMaxWholeFileBytes));
  if (!options.output.empty()) LLMC_RETURN_IF_ERROR(check_output_file(options.output, {&options.input, 1}));
  LLMC_ASSIGN_OR_RETURN(TraceFile trace, TraceFile::open(options.trace, {&options.input, 1}));
  std::optional<AtomicFile> out;
  if (!options.output.empty()) {
    LLMC_ASSIGN_OR_RETURN(out, AtomicFile::create(options.output));
  }
  PictureWriter writer(options, std::move(out));
  const double start = processor_seconds();
  Status status = vvc::decode_each(stream, {.limits = {}, .check_hash = true, .trace = trace.sink()},
                                   [&](const vvc::DecodedPicture& picture) { return writer.take(picture); });
  if (!status.is_ok()) return std::move(std::move(status).error()).in_file(options.input);
  const double seconds = processor_seconds() - start - writer.seconds();
  LLMC_RETURN_IF_ERROR(trace.close());
  LLMC_ASSIGN_OR_RETURN(VvcDecodeReport report, writer.finish());
  report.bytes = stream.size();
  report.seconds = seconds;
  return report;
}

}  // namespace llmcodec

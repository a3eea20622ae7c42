// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/decoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/checked_math.h"
#include "vvc/hash.h"
#include "vvc/header_syntax.h"
#include "vvc/nal.h"
#include "vvc/slice_decoder.h"

namespace llmcodec::vvc {
namespace {

// One picture while its slices arrive. Holds copies of the parameter sets: nothing that comes later can
// change them.
struct OpenPicture {
  Sps sps;
  Pps pps;
  Plane samples;
  CuMap map;
  uint32_t slices_decoded = 0;
  uint32_t first_ctu_row = 0;  // of the next slice
  bool hash_checked = false;

  bool complete() const { return slices_decoded == pps.num_slices(); }
};

class Decoder {
 public:
  Decoder(const DecodeOptions& options, const PictureSink& sink) : options_(options), sink_(sink) {}

  Status unit(const NalUnit& nal) {
    if (nal.layer_id != 0) return Status::ok();  // other layers are not for a single-layer decoder
    if (is_slice(nal.type)) return slice(nal);
    const Rbsp rbsp = unescape(nal.payload);
    switch (nal.type) {
      case NalType::kSps:
        return sequence_parameters(rbsp);
      case NalType::kPps:
        return picture_parameters(rbsp);
      case NalType::kPictureHeader:
        return picture_header(rbsp);
      case NalType::kSuffixSei:
        return suffix_sei(rbsp);
      default:
        return Status::ok();  // delimiters, other SEI, and sets that only unsupported tools refer to
    }
  }

  // Hands over the picture that is still open.
  Status finish_picture() {
    header_.reset();
    if (!picture_) return Status::ok();
    if (!picture_->complete())
      return error(ErrorKind::kCorrupt, "picture {} has {} of its {} slices", pictures_done_,
                   picture_->slices_decoded, picture_->pps.num_slices());
    const Sps& sps = picture_->sps;
    DecodedPicture out;
    out.format = {sps.output_width(), sps.output_height(), static_cast<uint32_t>(sps.bit_depth())};
    out.samples = std::as_const(picture_->samples)
                      .view()
                      .block(sps.sps_conf_win_top_offset, sps.sps_conf_win_left_offset, out.format.height,
                             out.format.width);
    out.hash_checked = picture_->hash_checked;
    ++pictures_done_;
    Status status = sink_(out);
    picture_.reset();
    return status;
  }

 private:
  Status sequence_parameters(const Rbsp& rbsp) {
    LLMC_RETURN_IF_ERROR(finish_picture());
    LLMC_ASSIGN_OR_RETURN(Sps sps, read_sps(rbsp.bytes, options_.trace));
    sets_.sps[sps.sps_seq_parameter_set_id] = std::move(sps);
    return Status::ok();
  }

  Status picture_parameters(const Rbsp& rbsp) {
    LLMC_RETURN_IF_ERROR(finish_picture());
    LLMC_ASSIGN_OR_RETURN(Pps pps, read_pps(rbsp.bytes, options_.trace));
    sets_.pps[pps.pps_pic_parameter_set_id] = std::move(pps);
    return Status::ok();
  }

  Status picture_header(const Rbsp& rbsp) {
    LLMC_RETURN_IF_ERROR(finish_picture());
    LLMC_ASSIGN_OR_RETURN(header_, read_picture_header(rbsp.bytes, sets_, options_.trace));
    return Status::ok();
  }

  Status suffix_sei(const Rbsp& rbsp) {
    LLMC_ASSIGN_OR_RETURN(std::optional<PictureHash> hash, read_picture_hash(rbsp.bytes, options_.trace));
    if (!hash || !options_.check_hash || !picture_ || !picture_->complete()) return Status::ok();
    const PictureHash own =
        picture_hash(hash->type, std::as_const(picture_->samples).view(), picture_->sps.bit_depth());
    if (own.value != hash->value)
      return error(ErrorKind::kCorrupt, "picture {} does not match its hash", pictures_done_);
    picture_->hash_checked = true;
    return Status::ok();
  }

  Status slice(const NalUnit& nal) {
    if (!is_idr(nal.type) && nal.type != NalType::kCra)
      return error(ErrorKind::kUnsupported, "NAL unit type {}: only IDR and CRA pictures",
                   static_cast<unsigned>(nal.type));
    const Rbsp rbsp = unescape(nal.payload);
    BitReader bits(rbsp.bytes);
    // A slice with its own picture header starts a picture; so does the first one after a picture header
    // unit.
    if (picture_ && picture_->complete()) LLMC_RETURN_IF_ERROR(finish_picture());
    const SliceContext context{nal.type, &sets_, header_ ? &*header_ : nullptr};
    LLMC_ASSIGN_OR_RETURN(const SliceHeader header, read_slice_header(bits, context, options_.trace));
    if (!picture_) LLMC_RETURN_IF_ERROR(open_picture(header));
    if (header.sh_slice_address != picture_->slices_decoded)
      return error(ErrorKind::kCorrupt, "slice {} where slice {} must be", header.sh_slice_address,
                   picture_->slices_decoded);
    return decode_data(header, bits.rest());
  }

  Status open_picture(const SliceHeader& header) {
    LLMC_ASSIGN_OR_RETURN(const ParameterSets::Active active,
                          sets_.activate(header.picture.ph_pic_parameter_set_id));
    const Sps& sps = *active.sps;
    const uint64_t samples =
        uint64_t{sps.sps_pic_width_max_in_luma_samples} * sps.sps_pic_height_max_in_luma_samples;
    if (samples > options_.limits.max_picture_samples)
      return error(ErrorKind::kLimit, "picture of {} samples exceeds {}", samples,
                   options_.limits.max_picture_samples);
    if (pictures_done_ >= options_.limits.max_pictures)
      return error(ErrorKind::kLimit, "more than {} pictures", options_.limits.max_pictures);
    picture_.emplace();
    picture_->sps = sps;
    picture_->pps = *active.pps;
    picture_->samples = Plane(sps.sps_pic_width_max_in_luma_samples, sps.sps_pic_height_max_in_luma_samples);
    picture_->map = CuMap(static_cast<int>(sps.sps_pic_width_max_in_luma_samples),
                          static_cast<int>(sps.sps_pic_height_max_in_luma_samples));
    return Status::ok();
  }

  Status decode_data(const SliceHeader& header, std::span<const std::byte> data) {
    const Sps& sps = picture_->sps;
    const Pps& pps = picture_->pps;
    SliceJob job;
    job.parameters = slice_parameters(sps, pps, header);
    const uint32_t rows = pps.pps_no_pic_partition_flag ? sps.height_in_ctbs()
                                                        : pps.slice_height_in_ctus[header.sh_slice_address];
    job.extent = {static_cast<int>(picture_->first_ctu_row), static_cast<int>(rows),
                  static_cast<int>(sps.width_in_ctbs()), sps.sps_entropy_coding_sync_enabled_flag};
    job.bit_depth = sps.bit_depth();
    job.data = data;
    job.trace = options_.trace;
    LLMC_RETURN_IF_ERROR(decode_slice(job, picture_->map, picture_->samples.view()));
    ++picture_->slices_decoded;
    picture_->first_ctu_row += rows;
    return Status::ok();
  }

  const DecodeOptions& options_;
  const PictureSink& sink_;
  ParameterSets sets_;
  std::optional<PictureHeader> header_;  // of the picture header NAL unit of the picture to come or under way
  std::optional<OpenPicture> picture_;
  uint64_t pictures_done_ = 0;
};

Plane copy_plane(PlaneView from) {
  Plane plane(static_cast<uint32_t>(from.cols), static_cast<uint32_t>(from.rows));
  const MutablePlaneView to = plane.view();
  for (size_t y = 0; y < from.rows; ++y) std::copy_n(from.row(y).begin(), from.cols, to.row(y).begin());
  return plane;
}

bool same_format(const PictureFormat& a, const PictureFormat& b) {
  return a.width == b.width && a.height == b.height && a.bit_depth == b.bit_depth;
}

}  // namespace

Status decode_each(std::span<const std::byte> stream, const DecodeOptions& options, const PictureSink& sink) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<NalUnit> units, split_annexb(stream));
  Decoder decoder(options, sink);
  for (const NalUnit& nal : units) {
    Status status = decoder.unit(nal);
    if (!status.is_ok()) return std::move(std::move(status).error()).at_offset(nal.offset);
  }
  return decoder.finish_picture();
}

Result<DecodedVideo> decode(std::span<const std::byte> stream, const DecodeOptions& options) {
  DecodedVideo video;
  uint64_t total = 0;
  const auto keep = [&](const DecodedPicture& picture) -> Status {
    if (video.pictures.empty()) video.format = picture.format;
    if (!same_format(video.format, picture.format))
      return error(ErrorKind::kUnsupported, "picture format changes within the stream");
    total += picture.format.samples();
    if (total > options.limits.max_total_samples)
      return error(ErrorKind::kLimit, "more than {} samples", options.limits.max_total_samples);
    video.pictures.push_back(copy_plane(picture.samples));
    video.hashes_checked += picture.hash_checked ? 1 : 0;
    return Status::ok();
  };
  LLMC_RETURN_IF_ERROR(decode_each(stream, options, keep));
  return video;
}

}  // namespace llmcodec::vvc

// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spatial/stream_decoder.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "base/checked_math.h"
#include "base/error.h"
#include "vvc/slice/slice_decoder.h"
#include "vvc/stream/hash.h"
#include "vvc/stream/header_syntax.h"
#include "vvc/stream/nal.h"

namespace llmcodec::vvc {
namespace {

// Pictures that are decoded side by side, and the samples that they may have together.
constexpr size_t kGroupPictures = 16;
constexpr uint64_t kGroupSamples = uint64_t{1} << 24;

// A slice, or a hash to be compared, and where it stands in the stream.
struct PendingSlice {
  SliceHeader header;
  std::vector<std::byte> rbsp;
  std::span<const std::byte> data;  // of rbsp
  uint32_t first_ctu_row = 0, ctu_rows = 0;
  uint64_t offset = 0;
  bool is_decoded = false;
};
struct PendingHash {
  PictureHash hash;
  uint64_t offset = 0;
};

// One picture while its slices arrive. Holds copies of the parameter sets:
// nothing that comes later can change them.
struct OpenPicture {
  Sps sps;
  Pps pps;
  Plane samples;
  CuMap map;
  std::vector<PendingSlice> slices;
  std::vector<PendingHash> hashes;
  uint32_t first_ctu_row = 0;  // of the next slice
  bool is_closed = false;
  std::optional<uint64_t> closed_at;  // the unit behind its last one; none at the end of the stream

  bool complete() const { return slices.size() == pps.num_slices(); }
  uint64_t size() const {
    return uint64_t{sps.sps_pic_width_max_in_luma_samples} * sps.sps_pic_height_max_in_luma_samples;
  }
};

class StreamDecoder {
 public:
  StreamDecoder(const DecodeOptions& options, const PictureSink& sink) : options_(options), sink_(sink) {}

  // Reads all units, or up to the first problem. The slices of the last pictures
  // are held back, for add_work().
  void read_stream(std::span<const std::byte> stream) {
    read_status_ = read_units(stream);
    if (picture_) group_.push_back(std::move(*picture_));  // its slices so far; it is not handed over
    picture_.reset();
  }

  uint64_t samples_held() const {
    return std::accumulate(group_.begin(), group_.end(), uint64_t{0},
                           [](uint64_t sum, const OpenPicture& p) { return sum + p.size(); });
  }
  void add_work(std::vector<SliceWork>* work) {
    for (OpenPicture& picture : group_)
      for (const PendingSlice& slice : picture.slices)
        if (!slice.is_decoded)
          work->push_back({job_of(picture, slice), &picture.map, picture.samples.view(), Status::ok()});
  }
  // The work that add_work() added is done: it is taken from the front of `work`. What was held back stands
  // before the place where reading stopped, so what is wrong with that is the error.
  Status finish(std::span<SliceWork>* work) {
    LLMC_RETURN_IF_ERROR(hand_over_group(work));
    return std::move(read_status_);
  }

 private:
  // No offset, or one that is there already, changes nothing.
  static Status at_offset(std::optional<uint64_t> offset, Status status) {
    if (status.is_ok() || !offset) return status;
    return std::move(status).error().at_offset(*offset);
  }

  Status read_units(std::span<const std::byte> stream) {
    LLMC_ASSIGN_OR_RETURN(const std::vector<NalUnit> units, split_annexb(stream));
    for (const NalUnit& nal : units) LLMC_RETURN_IF_ERROR(at_offset(nal.offset, read(nal)));
    return close_picture(std::nullopt);
  }

  Status read(const NalUnit& nal) {
    if (nal.layer_id != 0) return Status::ok();  // other layers are not for a single-layer decoder
    if (is_slice(nal.type)) return slice(nal);
    switch (nal.type) {
      case NalType::kSps:
        return sequence_parameters(nal);
      case NalType::kPps:
        return picture_parameters(nal);
      case NalType::kPictureHeader:
        return picture_header(nal);
      case NalType::kSuffixSei:
        return suffix_sei(nal);
      default:
        return Status::ok();  // delimiters, other SEI, and sets that only unsupported tools refer to
    }
  }

  Status sequence_parameters(const NalUnit& nal) {
    LLMC_RETURN_IF_ERROR(close_picture(nal.offset));
    LLMC_ASSIGN_OR_RETURN(Sps sps, read_sps(unescape(nal.payload), options_.trace));
    sets_.sps[sps.sps_seq_parameter_set_id] = std::move(sps);
    return Status::ok();
  }

  Status picture_parameters(const NalUnit& nal) {
    LLMC_RETURN_IF_ERROR(close_picture(nal.offset));
    LLMC_ASSIGN_OR_RETURN(Pps pps, read_pps(unescape(nal.payload), options_.trace));
    sets_.pps[pps.pps_pic_parameter_set_id] = std::move(pps);
    return Status::ok();
  }

  Status picture_header(const NalUnit& nal) {
    LLMC_RETURN_IF_ERROR(close_picture(nal.offset));
    LLMC_ASSIGN_OR_RETURN(header_, read_picture_header(unescape(nal.payload), sets_, options_.trace));
    return Status::ok();
  }

  Status suffix_sei(const NalUnit& nal) {
    LLMC_ASSIGN_OR_RETURN(std::optional<PictureHash> hash,
                          read_picture_hash(unescape(nal.payload), options_.trace));
    if (hash && options_.check_hash && picture_ && picture_->complete())
      picture_->hashes.push_back({*hash, nal.offset});
    return Status::ok();
  }

  Status slice(const NalUnit& nal) {
    if (!is_idr(nal.type) && nal.type != NalType::kCra)
      return error(ErrorKind::kUnsupported, "NAL unit type {}: only IDR and CRA pictures",
                   static_cast<unsigned>(nal.type));
    std::vector<std::byte> rbsp = unescape(nal.payload);
    BitReader bits(rbsp);
    // A slice with its own picture header starts a picture;
    // so does the first one after a picture header unit.
    if (picture_ && picture_->complete()) LLMC_RETURN_IF_ERROR(close_picture(nal.offset));
    const SliceContext context{nal.type, &sets_, header_ ? &*header_ : nullptr};
    LLMC_ASSIGN_OR_RETURN(SliceHeader header, read_slice_header(bits, context, options_.trace));
    if (!picture_) LLMC_RETURN_IF_ERROR(open_picture(header));
    if (header.sh_slice_address != picture_->slices.size())
      return error(ErrorKind::kCorrupt, "slice {} where slice {} must be", header.sh_slice_address,
                   picture_->slices.size());
    const uint32_t rows = picture_->pps.pps_no_pic_partition_flag
                              ? picture_->sps.height_in_ctbs()
                              : picture_->pps.slice_height_in_ctus[header.sh_slice_address];
    const std::span<const std::byte> data = bits.rest();
    picture_->slices.push_back(
        {std::move(header), std::move(rbsp), data, picture_->first_ctu_row, rows, nal.offset});
    picture_->first_ctu_row += rows;
    if (options_.trace == nullptr) return Status::ok();
    // A trace is in the order of the stream.
    PendingSlice& slice = picture_->slices.back();
    slice.is_decoded = true;
    return decode_slice(job_of(*picture_, slice), picture_->map, picture_->samples.view());
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
    if (pictures_done_ + group_.size() >= options_.limits.max_pictures)
      return error(ErrorKind::kLimit, "more than {} pictures", options_.limits.max_pictures);
    picture_.emplace();
    picture_->sps = sps;
    picture_->pps = *active.pps;
    picture_->samples = Plane(sps.sps_pic_width_max_in_luma_samples, sps.sps_pic_height_max_in_luma_samples);
    picture_->map = CuMap(static_cast<int>(sps.sps_pic_width_max_in_luma_samples),
                          static_cast<int>(sps.sps_pic_height_max_in_luma_samples));
    return Status::ok();
  }

  // The open picture joins the group; a full group is decoded.
  // `next_unit`: where the unit behind its last one stands; none at the end of the stream.
  Status close_picture(std::optional<uint64_t> next_unit) {
    header_.reset();
    if (!picture_) return Status::ok();
    if (!picture_->complete())
      return error(ErrorKind::kCorrupt, "picture {} has {} of its {} slices", pictures_done_ + group_.size(),
                   picture_->slices.size(), picture_->pps.num_slices());
    picture_->closed_at = next_unit;
    picture_->is_closed = true;
    group_samples_ += picture_->size();
    group_.push_back(std::move(*picture_));
    picture_.reset();
    const bool is_full =
        group_.size() == kGroupPictures || group_samples_ + group_.back().size() > kGroupSamples;
    return is_full || options_.trace != nullptr ? decode_group() : Status::ok();
  }

  Status decode_group() {
    std::vector<SliceWork> work;
    add_work(&work);
    decode_slices(work);
    std::span<SliceWork> done(work);
    return hand_over_group(&done);
  }

  // Each picture in its turn: what is wrong with it, or its samples.
  Status hand_over_group(std::span<SliceWork>* work) {
    const std::vector<OpenPicture> group = std::exchange(group_, {});
    group_samples_ = 0;
    Status first_problem = Status::ok();
    for (const OpenPicture& picture : group) {
      Status status = Status::ok();
      for (const PendingSlice& slice : picture.slices) {
        if (slice.is_decoded) continue;
        if (status.is_ok()) status = at_offset(slice.offset, std::move(work->front().status));
        *work = work->subspan(1);
      }
      if (!first_problem.is_ok()) continue;
      first_problem = status.is_ok() ? check_and_hand_over(picture) : std::move(status);
    }
    return first_problem;
  }

  Status check_and_hand_over(const OpenPicture& picture) {
    for (const PendingHash& hash : picture.hashes)
      LLMC_RETURN_IF_ERROR(at_offset(hash.offset, compare_hash(picture, hash.hash)));
    return picture.is_closed ? at_offset(picture.closed_at, hand_over(picture)) : Status::ok();
  }

  SliceJob job_of(const OpenPicture& picture, const PendingSlice& slice) const {
    SliceJob job;
    job.parameters = slice_parameters(picture.sps, picture.pps, slice.header);
    job.extent = {static_cast<int>(slice.first_ctu_row), static_cast<int>(slice.ctu_rows),
                  static_cast<int>(picture.sps.width_in_ctbs()),
                  picture.sps.sps_entropy_coding_sync_enabled_flag};
    job.bit_depth = picture.sps.bit_depth();
    job.data = slice.data;
    job.trace = options_.trace;
    return job;
  }

  Status compare_hash(const OpenPicture& picture, const PictureHash& hash) const {
    const PictureHash own = picture_hash(hash.type, picture.samples.view(), picture.sps.bit_depth());
    if (own.value == hash.value) return Status::ok();
    return error(ErrorKind::kCorrupt, "picture {} does not match its hash", pictures_done_);
  }

  Status hand_over(const OpenPicture& picture) {
    const Sps& sps = picture.sps;
    DecodedPicture out;
    out.format = {sps.output_width(), sps.output_height(), static_cast<uint32_t>(sps.bit_depth())};
    out.samples = picture.samples.view().block(sps.sps_conf_win_top_offset, sps.sps_conf_win_left_offset,
                                               out.format.height, out.format.width);
    out.hash_checked = !picture.hashes.empty();
    ++pictures_done_;
    return sink_(out);
  }

  const DecodeOptions& options_;
  const PictureSink& sink_;
  ParameterSets sets_;
  std::optional<PictureHeader> header_;  // of the picture header NAL unit of the picture to come or under way
  std::optional<OpenPicture> picture_;
  std::vector<OpenPicture> group_;  // complete ones, not decoded yet
  uint64_t group_samples_ = 0;
  Status read_status_ = Status::ok();  // how read_stream() ended
  uint64_t pictures_done_ = 0;
};

}  // namespace

void decode_streams(std::span<StreamDecoding> streams) {
  for (size_t first = 0; first < streams.size();) {
    std::vector<std::unique_ptr<StreamDecoder>> decoders;
    std::vector<SliceWork> work;
    uint64_t samples = 0;
    const std::span<StreamDecoding> rest = streams.subspan(first);
    while (decoders.size() < std::min(rest.size(), kGroupPictures) && samples < kGroupSamples) {
      const StreamDecoding& stream = rest[decoders.size()];
      StreamDecoder& decoder =
          *decoders.emplace_back(std::make_unique<StreamDecoder>(stream.options, stream.sink));
      decoder.read_stream(stream.stream);
      samples += decoder.samples_held();
      decoder.add_work(&work);
    }
    decode_slices(work);
    std::span<SliceWork> done(work);
    for (size_t i = 0; i < decoders.size(); ++i) rest[i].status = decoders[i]->finish(&done);
    first += decoders.size();
  }
}

Status decode_each(std::span<const std::byte> stream, const DecodeOptions& options, const PictureSink& sink) {
  StreamDecoding one{stream, options, sink};
  decode_streams({&one, 1});
  return std::move(one.status);
}

}  // namespace llmcodec::vvc

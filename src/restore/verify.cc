// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <set>

#include "archive/carry_over.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "llmcodec/model.h"
#include "report/tensor_report.h"
#include "restore/product_errors.h"
#include "restore/restored_model.h"
#include "scheme/quantised_model.h"
#include "tensor/model_source.h"
#include "tensor/null_sink.h"

namespace llmcodec {
namespace {

class Verification {
 public:
  explicit Verification(const VerifyOptions& options)
      : options_(options), codecs_(CodecSet::for_decoding(options.control.environment)) {}

  Result<VerifyReport> run() {
    LLMC_ASSIGN_OR_RETURN(archive_, ArchiveReader::open(options_.input));
    report_.compared = !options_.against.empty();
    report_.sandbox = codec_sandbox();
    if (report_.compared) {
      LLMC_RETURN_IF_ERROR(open_original());
    }
    report_.tensors = describe_tensors(*archive_);
    for (const TensorReport& tensor : report_.tensors) report_.parameters += tensor.elements;
    LLMC_ASSIGN_OR_RETURN(const RestoredModel model, RestoredModel::plan(*archive_, {}));
    LLMC_RETURN_IF_ERROR(model.check_headers());
    LLMC_RETURN_IF_ERROR(check_carried(model));
    const Stopwatch watch;
    LLMC_RETURN_IF_ERROR(check_tensors(model));
    report_.decode_seconds = watch.seconds();
    return finish();
  }

 private:
  // With quantised tensors as the archive has them: in their parts, or as what they stand for.
  Status open_original() {
    LLMC_ASSIGN_OR_RETURN(original_, open_model(options_.against));
    LLMC_ASSIGN_OR_RETURN(QuantisedModel quantised, QuantisedModel::open(&original_));
    std::set<std::string> names;
    for (const auto& [name, record] : archive_->description().tensors) names.insert(name);
    for (const auto& [name, record] : archive_->description().exact) names.insert(name);
    for (const auto& [name, copy] : archive_->description().same_as) names.insert(name);
    quantised.keep_parts_in(names, &original_);
    return Status::ok();
  }

  Status check_carried(const RestoredModel& model) {
    const Description& description = archive_->description();
    if (!model.carries_files(options_.input)) {
      report_.carried_files = model.is_folder() ? "not given" : "none";
      return Status::ok();
    }
    LLMC_RETURN_IF_ERROR(check_carried_files(description, options_.input));
    report_.carried_files = description.format_version < 3 ? "not covered" : "checked";
    report_.carried_checked = description.carried.size();
    return Status::ok();
  }

  Status check_tensors(const RestoredModel& model) {
    RestoreWatch watch;
    if (report_.compared) {
      watch.coded = [this](const RestoredTensor& tensor, uint64_t first, std::span<const float> weights) {
        return compare(tensor.info, first, weights);
      };
      watch.exact = [this](const std::string& tensor, std::span<const std::byte> piece) {
        return compare_exact(tensor, piece);
      };
      LLMC_RETURN_IF_ERROR(find_exact(model));
    }
    const std::unique_ptr<TensorSink> nowhere = create_null_sink(model.infos());
    LLMC_RETURN_IF_ERROR(model.write(*nowhere, codecs_, options_.control, watch));
    LLMC_RETURN_IF_ERROR(nowhere->finish());
    if (!model.is_gguf() && archive_->description().exact.contains(kGgufHeaderName))
      LLMC_RETURN_IF_ERROR(archive_->exact(kGgufHeaderName));
    LLMC_RETURN_IF_ERROR(check_equal());
    if (!report_.compared) return Status::ok();
    LLMC_ASSIGN_OR_RETURN(report_.products,
                          product_errors(options_.input, *original_.source, options_.control));
    return Status::ok();
  }

  Result<BlockTaker> compare(const TensorInfo& info, uint64_t first, std::span<const float> weights) {
    const TensorSource& source = *original_.source;
    LLMC_ASSIGN_OR_RETURN(const size_t index, source.find(info.name));
    if (source.tensors()[index].shape != info.shape)
      return error(ErrorKind::kInvalidArgument, "has another shape in the original").in_tensor(info.name);
    std::vector<float> original(weights.size());
    LLMC_RETURN_IF_ERROR(source.read_f32(index, first, original));
    ErrorMetrics metrics;
    metrics.add(original, weights);
    return BlockTaker([this, &name = info.name, metrics] {
      metrics_[name].merge(metrics);
      return Status::ok();
    });
  }

  // Tensors stored exactly, against the original, of which they must be copies.
  struct ExactCopy {
    size_t index = 0;  // in the original
    uint64_t done = 0;
    bool equal = true;
  };

  Status find_exact(const RestoredModel& model) {
    for (const RestoredTensor& tensor : model.tensors()) {
      if (tensor.coded) continue;
      LLMC_ASSIGN_OR_RETURN(copies_[tensor.info.name].index, original_.source->find(tensor.info.name));
    }
    return Status::ok();
  }

  // That a copy differs is said in the end: a wrong checksum is the worse news.
  Status compare_exact(const std::string& name, std::span<const std::byte> piece) {
    const TensorSource& source = *original_.source;
    ExactCopy& copy = copies_.at(name);
    copy.equal = copy.equal && copy.done + piece.size() <= source.byte_size(copy.index);
    if (!copy.equal) return Status::ok();
    std::vector<std::byte> original(piece.size());
    LLMC_RETURN_IF_ERROR(source.read(copy.index, copy.done, original));
    copy.equal = std::ranges::equal(piece, original);
    copy.done += piece.size();
    return Status::ok();
  }

  Status check_equal() const {
    for (const auto& [name, copy] : copies_) {
      if (copy.equal && copy.done == original_.source->byte_size(copy.index)) continue;
      return error(ErrorKind::kCorrupt, "stored exactly, but differs from the original")
          .in_tensor(name)
          .in_file(options_.input);
    }
    return Status::ok();
  }

  VerifyReport finish() {
    ErrorMetrics all;
    for (TensorReport& tensor : report_.tensors) {
      const auto found = metrics_.find(tensor.name);
      if (found == metrics_.end()) continue;
      set_errors(found->second, &tensor);
      all.merge(found->second);
    }
    report_.relative_mse = all.relative_mse();
    report_.snr_db = all.snr_db();
    report_.max_abs_error = all.max_abs_error();
    report_.cosine = all.cosine();
    return std::move(report_);
  }

  VerifyOptions options_;
  CodecSet codecs_;
  std::unique_ptr<ArchiveReader> archive_;
  Model original_;
  std::map<std::string, ErrorMetrics> metrics_;
  std::map<std::string, ExactCopy> copies_;
  VerifyReport report_;
};

}  // namespace

Result<VerifyReport> verify(const VerifyOptions& options) {
  return Verification(options).run();
}

bool is_archive(const std::string& path) {
  return ArchiveReader::is_archive(path);
}

Result<InspectReport> inspect(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> archive, ArchiveReader::open(path));
  InspectReport report;
  report.tensors = describe_tensors(*archive);
  for (const TensorReport& tensor : report.tensors) report.parameters += tensor.elements;
  report.parts = sum_parts(report.tensors, archive->description());
  report.bytes = archive->total_bytes();
  report.carried_bytes = carried_bytes(*archive);
  report.carried_files = count_carried_files(archive->description().carried);
  report.writer = archive->description().writer;
  report.command = archive->description().command;
  report.source_kind = archive->description().source_kind;
  set_bpw(report.bytes, report.carried_bytes, report.parameters, &report.bpw, &report.bpw_weights);
  return report;
}

}  // namespace llmcodec

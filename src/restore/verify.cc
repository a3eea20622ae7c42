// SPDX-License-Identifier: BSD-3-Clause
#include "archive/part_names.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "llmcodec/model.h"
#include "report/tensor_report.h"
#include "restore/parallel_decode.h"
#include "tensor/model_source.h"

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
      LLMC_ASSIGN_OR_RETURN(original_, open_model(options_.against));
    }
    report_.tensors = describe_tensors(*archive_);
    for (const TensorReport& tensor : report_.tensors) report_.parameters += tensor.elements;
    const Stopwatch watch;
    LLMC_RETURN_IF_ERROR(check_coded());
    report_.decode_seconds = watch.seconds();
    LLMC_RETURN_IF_ERROR(check_exact());
    return finish();
  }

 private:
  Status check_coded() {
    std::vector<DecodeTask> tasks;
    for (const TensorReport& tensor : report_.tensors) {
      if (tensor.coded) tasks.push_back({.name = tensor.name});
    }
    return decode_tensors(*archive_, tasks, codecs_, options_.control,
                          [&](const TensorDecoder& tensor, uint64_t first,
                              std::span<const float> weights) -> Result<BlockTaker> {
                            if (!report_.compared) return BlockTaker([] { return Status::ok(); });
                            return compare(tensor.name(), first, weights);
                          });
  }

  Result<BlockTaker> compare(const std::string& name, uint64_t first, std::span<const float> weights) {
    const TensorSource& source = *original_.source;
    LLMC_ASSIGN_OR_RETURN(const size_t index, source.find(name));
    if (source.tensors()[index].shape != archive_->description().tensors.at(name).shape)
      return error(ErrorKind::kInvalidArgument, "has another shape in the original").in_tensor(name);
    std::vector<float> original(weights.size());
    LLMC_RETURN_IF_ERROR(source.read_f32(index, first, original));
    ErrorMetrics metrics;
    metrics.add(original, weights);
    return BlockTaker([this, &name, metrics] {
      metrics_[name].merge(metrics);
      return Status::ok();
    });
  }

  // Exact tensors: their bytes are the file's; against the original they must be equal.
  Status check_exact() {
    for (const auto& [name, record] : archive_->description().tensors) {
      if (!is_verbatim(record)) continue;
      LLMC_RETURN_IF_ERROR(compare_exact(name, [&](const PieceVisitor& visit) {
        return archive_->visit_part(name, part_name::kData, visit);
      }));
    }
    for (const auto& [name, record] : archive_->description().exact) {
      LLMC_RETURN_IF_ERROR(
          compare_exact(name, [&](const PieceVisitor& visit) { return archive_->visit_exact(name, visit); }));
    }
    return Status::ok();
  }

  // `each_piece` reads and checks the tensor.
  Status compare_exact(const std::string& name,
                       const std::function<Status(const PieceVisitor&)>& each_piece) {
    if (!report_.compared || name.starts_with(kOwnPrefix))
      return each_piece([](std::span<const std::byte>) { return Status::ok(); });
    const TensorSource& source = *original_.source;
    LLMC_ASSIGN_OR_RETURN(const size_t index, source.find(name));
    uint64_t done = 0;
    bool equal = true;
    std::vector<std::byte> original;
    LLMC_RETURN_IF_ERROR(each_piece([&](std::span<const std::byte> piece) -> Status {
      equal = equal && done + piece.size() <= source.byte_size(index);
      if (!equal) return Status::ok();  // a wrong checksum is the worse news, and known at the end only
      original.resize(piece.size());
      LLMC_RETURN_IF_ERROR(source.read(index, done, original));
      equal = std::ranges::equal(piece, original);
      done += piece.size();
      return Status::ok();
    }));
    if (equal && done == source.byte_size(index)) return Status::ok();
    return error(ErrorKind::kCorrupt, "stored exactly, but differs from the original")
        .in_tensor(name)
        .in_file(options_.input);
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
  VerifyReport report_;
};

}  // namespace

Result<VerifyReport> verify(const VerifyOptions& options) {
  return Verification(options).run();
}

Result<InspectReport> inspect(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> archive, ArchiveReader::open(path));
  InspectReport report;
  report.tensors = describe_tensors(*archive);
  for (const TensorReport& tensor : report.tensors) report.parameters += tensor.elements;
  report.bytes = archive->total_bytes();
  report.carried_bytes = carried_bytes(*archive);
  report.writer = archive->description().writer;
  report.command = archive->description().command;
  report.source_kind = archive->description().source_kind;
  set_bpw(report.bytes, report.carried_bytes, report.parameters, &report.bpw, &report.bpw_weights);
  return report;
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "restore/source_format_sink.h"

#include <set>

#include "base/error.h"
#include "scheme/written_back.h"

namespace llmcodec {
namespace {

class SourceFormatSink final : public TensorSink {
 public:
  SourceFormatSink(SourceFormatPlan plan, std::unique_ptr<TensorSink> sink)
      : plan_(std::move(plan)), sink_(std::move(sink)) {}

  Status write(size_t index, std::span<const std::byte> bytes) override {
    if (plan_.formats[index] == nullptr) return sink_->write(plan_.first[index], bytes);
    held_.insert(held_.end(), bytes.begin(), bytes.end());
    const TensorInfo& info = plan_.restored[index];
    if (held_.size() < dtype_bytes(info.dtype, info.elements()).value_or(0)) return Status::ok();
    const std::vector<std::byte> whole = std::move(held_);
    held_.clear();
    Status status = write_whole(index, whole);
    if (!status.is_ok()) return std::move(status).error().in_tensor(info.name);
    return status;
  }

  Status finish() override { return sink_->finish(); }

 private:
  Status write_whole(size_t index, std::span<const std::byte> bf16) {
    const SourceFormat& format = *plan_.formats[index];
    LLMC_ASSIGN_OR_RETURN(const CodesAndScales written,
                          write_back_e4m3(*format.scales, plan_.restored[index].shape, bf16));
    size_t at = plan_.first[index];
    LLMC_RETURN_IF_ERROR(sink_->write(at++, written.codes));
    LLMC_RETURN_IF_ERROR(sink_->write(at++, written.scales));
    for (const auto& [name, beside] : format.beside) LLMC_RETURN_IF_ERROR(sink_->write(at++, beside.bytes));
    return Status::ok();
  }

  SourceFormatPlan plan_;
  std::unique_ptr<TensorSink> sink_;
  std::vector<std::byte> held_;  // of the tensor that is on its way
};

Error not_written_back(const TensorInfo& info, const SourceFormat& format) {
  return error(
             ErrorKind::kUnsupported,
             "--as-source: its source was quantised as '{}' in a way that is not written back (E4M3 codes "
             "with "
             "a scale for all, for each row or for each block are); without the option it comes back as BF16",
             source_scheme_name(format.scheme))
      .in_tensor(info.name);
}

Status check_fits(const TensorInfo& info, const SourceFormat& format) {
  if (info.dtype == Dtype::kBF16 && scale_grid(*format.scales, info.shape)) return Status::ok();
  return error(ErrorKind::kCorrupt, "description: 'quantised' does not fit the tensor's dtype or shape")
      .in_tensor(info.name);
}

Status check_names(const std::vector<TensorInfo>& written) {
  std::set<std::string_view> names;
  for (const TensorInfo& info : written) {
    if (!names.insert(info.name).second || info.name.starts_with(kOwnPrefix))
      return error(ErrorKind::kCorrupt, "description: 'quantised' uses a name that is taken")
          .in_tensor(info.name);
  }
  return Status::ok();
}

}  // namespace

Result<SourceFormatPlan> plan_source_format(const std::vector<TensorInfo>& restored,
                                            const Description& description) {
  if (description.quantised.empty())
    return error(
        ErrorKind::kInvalidArgument,
        "--as-source: the archive does not say that its source was quantised; without the option the "
        "model comes back as it is");
  SourceFormatPlan plan{restored, {}, {}, {}};
  for (const TensorInfo& info : restored) {
    const auto found = description.quantised.find(info.name);
    plan.formats.push_back(found == description.quantised.end() ? nullptr : &found->second);
    plan.first.push_back(plan.written.size());
    plan.written.push_back(info);
    if (plan.formats.back() == nullptr) continue;
    const SourceFormat& format = *plan.formats.back();
    if (!format.scales) return not_written_back(info, format);
    LLMC_RETURN_IF_ERROR(check_fits(info, format));
    plan.written.back().dtype = Dtype::kF8E4M3;
    plan.written.push_back(format.scales->scale);
    for (const auto& [name, beside] : format.beside)
      plan.written.push_back({name, beside.dtype, beside.shape});
  }
  LLMC_RETURN_IF_ERROR(check_names(plan.written));
  return plan;
}

std::unique_ptr<TensorSink> create_source_format_sink(SourceFormatPlan plan,
                                                      std::unique_ptr<TensorSink> sink) {
  return std::make_unique<SourceFormatSink>(std::move(plan), std::move(sink));
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "compress/pushed_tensors.h"

#include <algorithm>

#include "base/error.h"
#include "tensor/safetensors.h"

namespace llmcodec {

// The tensors that have come and are still needed.
class PushedTensors::Source final : public TensorSource {
 public:
  explicit Source(std::vector<TensorInfo> tensors) : tensors_(std::move(tensors)) {}
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override {
    const auto held = held_.find(index);
    if (held == held_.end() || held->second.size() < first + out.size())
      return error(ErrorKind::kInternal, "was read before it came").in_tensor(tensors_[index].name);
    std::ranges::copy(std::span(held->second).subspan(first, out.size()), out.begin());
    return Status::ok();
  }
  const std::string& file(size_t) const override { return no_file_; }
  uint64_t offset(size_t) const override { return 0; }

  uint64_t missing(size_t index) const {
    const auto held = held_.find(index);
    return byte_size(index) - (held == held_.end() ? 0 : held->second.size());
  }
  void append(size_t index, std::span<const std::byte> bytes) {
    std::vector<std::byte>& held = held_[index];
    held.reserve(byte_size(index));
    held.insert(held.end(), bytes.begin(), bytes.end());
  }
  void forget(size_t index) { held_.erase(index); }

 private:
  std::vector<TensorInfo> tensors_;
  std::map<size_t, std::vector<std::byte>> held_;
  std::string no_file_;
};

Result<std::unique_ptr<PushedTensors>> PushedTensors::open(std::vector<TensorInfo> tensors,
                                                           SafetensorsMetadata metadata,
                                                           const CompressOptions& options) {
  Model model;
  model.metadata = std::move(metadata);
  auto source = std::make_unique<Source>(std::move(tensors));
  Source* const borrowed = source.get();
  model.source = std::move(source);
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<CompressState> state, decide(std::move(model), options));
  if (state->model.source->tensors().size() != borrowed->tensors().size())
    return error(
        ErrorKind::kUnsupported,
        "a layer of a quantised model is computed from several tensors, which do not come together when they "
        "are pushed; compress the model's files, or push its dequantised weights");
  if (!state->moments.given) state->notes.push_back("inputs not estimated: the tensors are pushed");
  LLMC_RETURN_IF_ERROR(describe_source(*state));
  for (size_t i = 0; i < state->plan.tensors.size(); ++i) {
    if (state->plan.tensors[i].code)
      state->tensors.push_back(unfitted_tensor(borrowed->tensors()[i], i, state->plan.tensors[i]));
  }
  state->octaves = octaves_of(*state);
  LLMC_ASSIGN_OR_RETURN(std::vector<TensorSettings> settings, given_settings(*state));
  std::unique_ptr<PushedTensors> pushed(new PushedTensors(std::move(state)));
  pushed->source_ = borrowed;
  LLMC_ASSIGN_OR_RETURN(pushed->run_, ArchiveRun::open(*pushed->state_, std::move(settings)));
  LLMC_RETURN_IF_ERROR(pushed->skip_complete());
  return pushed;
}

PushedTensors::~PushedTensors() {
  if (run_) run_->give_up(error(ErrorKind::kInterrupted, "destroyed"));
}

Status PushedTensors::push(size_t index, std::span<const std::byte> bytes) {
  if (!run_) return error(ErrorKind::kInvalidArgument, "the archive is finished or has failed");
  Status status = take(index, bytes);
  if (!status.is_ok()) return fail(std::move(status).error());
  return status;
}

Status PushedTensors::take(size_t index, std::span<const std::byte> bytes) {
  if (bytes.empty()) return Status::ok();
  const std::vector<TensorInfo>& tensors = source_->tensors();
  if (next_ == tensors.size()) return error(ErrorKind::kInvalidArgument, "all tensors are there already");
  if (index != next_)
    return error(ErrorKind::kInvalidArgument,
                 "{} of its bytes are missing, but bytes of tensor number {} came", source_->missing(next_),
                 index)
        .in_tensor(tensors[next_].name);
  if (bytes.size() > source_->missing(index))
    return error(ErrorKind::kInvalidArgument, "{} bytes came, {} are missing", bytes.size(),
                 source_->missing(index))
        .in_tensor(tensors[index].name);
  source_->append(index, bytes);
  return skip_complete();
}

// Goes on to the next tensor that has bytes to come.
Status PushedTensors::skip_complete() {
  for (; next_ < source_->tensors().size() && source_->missing(next_) == 0; ++next_)
    LLMC_RETURN_IF_ERROR(complete());
  return Status::ok();
}

Status PushedTensors::complete() {
  const TensorPlan& plan = state_->plan.tensors[next_];
  if (plan.code) {
    FittedTensor& tensor = state_->tensors[fitted_++];
    LLMC_ASSIGN_OR_RETURN(tensor, fit_tensor(*source_, next_, plan, state_->moments));
    LLMC_RETURN_IF_ERROR(run_->code(std::span(&tensor, 1)));
  } else if (!run_->can_stand_anywhere(next_)) {
    return Status::ok();
  } else {
    LLMC_RETURN_IF_ERROR(run_->store(next_));
  }
  source_->forget(next_);
  return Status::ok();
}

Result<CompressReport> PushedTensors::finish() {
  if (!run_) return error(ErrorKind::kInvalidArgument, "the archive is finished or has failed");
  if (next_ < source_->tensors().size())
    return fail(error(ErrorKind::kInvalidArgument, "{} of its bytes are missing", source_->missing(next_))
                    .in_tensor(source_->tensors()[next_].name));
  if (Status status = run_->write_rest(); !status.is_ok()) return fail(std::move(status).error());
  note_fits(*state_);
  const std::unique_ptr<ArchiveRun> run = std::move(run_);
  return run->finish();
}

Error PushedTensors::fail(Error error) {
  run_->give_up(error);
  run_.reset();
  return error;
}

}  // namespace llmcodec

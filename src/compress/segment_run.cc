// SPDX-License-Identifier: BSD-3-Clause
#include "compress/segment_run.h"

#include <algorithm>

#include "base/error.h"
#include "base/ordered_run.h"
#include "base/stopwatch.h"
#include "quant/tensor_row_reader.h"

namespace llmcodec {
namespace {

// An encoder takes some 700 KB however small its picture is, as much as this many weights on their way. So it is
// counted: a model of a thousand matrices of 8 x 8 weights would else be one group of a thousand encoders.
constexpr uint64_t kLeastCounted = 1 << 16;

}  // namespace

uint64_t SegmentTask::weights() const {
  if (recipe->is_spectral()) return recipe->spectral().layout.picture_coefficients() * range.count;
  const SpatialLayout& layout = recipe->spatial().layout;
  return layout.rows * layout.cols * range.count / recipe->pictures_per_matrix();
}

std::vector<SegmentTask> segments_of(const FittedTensor& tensor, const Codec* codec,
                                     const std::shared_ptr<const TensorRecipe>& recipe, uint64_t matrix,
                                     uint64_t first_row) {
  std::vector<SegmentTask> segments;
  const uint64_t pictures = recipe->pictures_per_matrix(), most = recipe->codec.pictures_per_segment;
  for (uint64_t first = 0; first < pictures; first += most)
    segments.push_back(
        {&tensor, codec, recipe, matrix, first_row, {first, std::min(most, pictures - first)}});
  return segments;
}

Status SegmentRun::run(uint64_t weights) {
  // Small enough that every thread gets some.
  const uint64_t enough = std::min(weights / thread_count(control.threads), group_weights);
  OrderedRun<Group> work;
  work.make = [&] { return next_group(enough); };
  work.work = [&](Group& group) { return encode(group); };
  work.take = [&](Group& group) -> Status {
    for (SegmentTask& task : group) LLMC_RETURN_IF_ERROR(take(task));
    return Status::ok();
  };
  return work.run(control.threads);
}

// Consecutive spectral segments, of one tensor or of several; or one spatial segment, which gains nothing.
Result<std::optional<SegmentRun::Group>> SegmentRun::next_group(uint64_t enough) {
  if (control.cancelled && control.cancelled())
    return error(ErrorKind::kInterrupted, "interrupted; the same command goes on where this one stopped");
  Group group;
  for (uint64_t weights = 0; group.empty() || (weights < enough && group.back().recipe->is_spectral());) {
    LLMC_ASSIGN_OR_RETURN(std::optional<SegmentTask> task, next());
    if (!task) break;
    weights += std::max(task->weights(), kLeastCounted);
    if (task->range.first == 0) weights += feedback_bytes(*task->tensor) / sizeof(float);  // as large itself
    group.push_back(*std::move(task));
  }
  return group.empty() ? std::nullopt : std::optional(std::move(group));
}

Status SegmentRun::encode(Group& group) const {
  std::vector<std::unique_ptr<TensorRowReader>> readers;
  std::vector<std::shared_ptr<const Feedback>> loops;
  std::vector<SegmentEncoding> work;
  for (const SegmentTask& task : group) {
    const FittedTensor& tensor = *task.tensor;
    LLMC_ASSIGN_OR_RETURN(std::shared_ptr<const Feedback> loop, feedback->get(tensor, task.matrix));
    loops.push_back(std::move(loop));
    readers.push_back(std::make_unique<TensorRowReader>(source, tensor.index, tensor.shape, task.matrix));
    const MatrixContext matrix{readers.back().get(), &tensor.scales[task.matrix], tensor.order[task.matrix],
                               loops.back().get(), task.first_row};
    work.push_back({task.recipe.get(), task.codec, matrix, task.range});
  }
  const Stopwatch watch;
  encode_pictures(work);
  const double seconds = watch.seconds() / static_cast<double>(group.size());
  for (size_t i = 0; i < group.size(); ++i) {
    const FittedTensor& tensor = *group[i].tensor;
    if (!work[i].status.is_ok())
      return std::move(work[i].status)
          .error()
          .in_tensor(tensor.plan->name)
          .in_file(source.file(tensor.index));
    group[i].coded = std::move(work[i].coded);
    group[i].seconds = seconds;
  }
  return Status::ok();
}

}  // namespace llmcodec

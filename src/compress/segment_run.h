// SPDX-License-Identifier: BSD-3-Clause
// Segments of tensors (streams that are decoded alone), coded in groups on all threads: by the rate search
// for samples, by compress() for the archive.
//
// Example (const TensorSource& source, FeedbackCache* cache, std::vector<SegmentTask> tasks, uint64_t total):
//
//   const Control control{};
//   SegmentRun run{source, cache, control};
//   auto task = tasks.begin();
//   run.next = [&]() -> Result<std::optional<SegmentTask>> {   // in order
//     return task == tasks.end() ? std::nullopt : std::optional(*task++);
//   };
//   run.take = [](SegmentTask& coded) {                        // in the same order, coded
//     use(coded.coded.stream);
//     return Status::ok();
//   };
//   LLMC_RETURN_IF_ERROR(run.run(total));
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "coding/picture_coder.h"
#include "compress/feedback_cache.h"
#include "llmcodec/model.h"

namespace llmcodec {

// One segment of one matrix.
struct SegmentTask {
  const FittedTensor* tensor = nullptr;
  const Codec* codec = nullptr;
  std::shared_ptr<const TensorRecipe> recipe;
  uint64_t matrix = 0;
  uint64_t first_row = 0;  // of the matrix: where the recipe's rows begin
  PictureRange range;
  // Results:
  CodedPictures coded = {};
  double seconds = 0;  // of one thread

  uint64_t weights() const;  // about how many; of spectral pictures, padding included
};

// The segments of matrix `matrix` of a tensor, or of the rows of it that `recipe` is for.
std::vector<SegmentTask> segments_of(const FittedTensor& tensor, const Codec* codec,
                                     const std::shared_ptr<const TensorRecipe>& recipe, uint64_t matrix,
                                     uint64_t first_row);

struct SegmentRun {
  const TensorSource& source;
  FeedbackCache* feedback;
  const Control& control;
  std::function<Result<std::optional<SegmentTask>>()> next = {};  // serial; nullopt: no more
  std::function<Status(SegmentTask&)> take = {};                  // serial, in order
  uint64_t group_weights = kWeightsAtOnce;                        // of spectral segments coded side by side

  // `weights`: about how many there are in all. Errors name tensor and file; Interrupted when cancelled.
  Status run(uint64_t weights);

 private:
  using Group = std::vector<SegmentTask>;
  Result<std::optional<Group>> next_group(uint64_t enough);
  Status encode(Group& group) const;
};

}  // namespace llmcodec

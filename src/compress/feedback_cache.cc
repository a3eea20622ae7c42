// SPDX-License-Identifier: BSD-3-Clause
#include "compress/feedback_cache.h"

namespace llmcodec {

uint64_t feedback_bytes(const FittedTensor& tensor) {
  return tensor.hessian_group ? sizeof(float) * tensor.shape.cols * tensor.shape.cols : 0;
}

Result<std::shared_ptr<const Feedback>> FeedbackCache::get(const FittedTensor& tensor, uint64_t matrix) {
  if (!tensor.hessian_group) return std::shared_ptr<const Feedback>();
  Entry* entry = nullptr;
  {
    const std::lock_guard lock(mutex_);
    entry = &entries_[{tensor.index, matrix}];
  }
  const std::lock_guard making(entry->mutex);
  std::shared_ptr<const Feedback> feedback = entry->feedback.lock();
  if (feedback == nullptr) {
    LLMC_ASSIGN_OR_RETURN(Feedback made, make_feedback(tensor, matrix, moments_));
    feedback = std::make_shared<const Feedback>(std::move(made));
    entry->feedback = feedback;
    keep(feedback);
  }
  return feedback;
}

void FeedbackCache::keep(const std::shared_ptr<const Feedback>& feedback) {
  const uint64_t bytes = sizeof(float) * feedback->cols() * feedback->cols();
  const std::lock_guard lock(mutex_);
  latest_ = feedback;
  if (kept_bytes_ + bytes > max_kept_bytes_) return;
  kept_bytes_ += bytes;
  kept_.push_back(feedback);
}

}  // namespace llmcodec

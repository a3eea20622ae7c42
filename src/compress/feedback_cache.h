// SPDX-License-Identifier: BSD-3-Clause
// The closed loop's factors, made by the first thread that asks for them. The latest ones are always kept, so
// that pictures of one matrix share them; others as long as they fit.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "compress/fitted_tensor.h"

namespace llmcodec {

class FeedbackCache {
 public:
  // `max_kept_bytes`: of factors kept besides the latest. Those that come first stay: a pass over all tensors
  // that is made again finds at least them.
  FeedbackCache(const InputMoments& moments, uint64_t max_kept_bytes)
      : moments_(moments), max_kept_bytes_(max_kept_bytes) {}

  // nullptr for a tensor without a closed loop. Thread-safe.
  Result<std::shared_ptr<const Feedback>> get(const FittedTensor& tensor, uint64_t matrix);

 private:
  struct Entry {
    std::mutex mutex;  // held while the factors are made
    std::weak_ptr<const Feedback> feedback;
  };
  void keep(const std::shared_ptr<const Feedback>& feedback);

  const InputMoments& moments_;
  const uint64_t max_kept_bytes_;
  std::mutex mutex_;
  std::map<std::pair<size_t, uint64_t>, Entry> entries_;  // by tensor and matrix
  std::vector<std::shared_ptr<const Feedback>> kept_;
  uint64_t kept_bytes_ = 0;
  std::shared_ptr<const Feedback> latest_;
};

// Bytes of the factors of a tensor with a closed loop; 0 for one without.
uint64_t feedback_bytes(const FittedTensor& tensor);

}  // namespace llmcodec

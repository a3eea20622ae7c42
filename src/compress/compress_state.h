// SPDX-License-Identifier: BSD-3-Clause
// What compress() and plan() share: the open model, its plan, the fitted tensors.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "archive/description.h"
#include "coding/codec_set.h"
#include "compress/archive_plan.h"
#include "compress/fitted_tensor.h"
#include "compress/rate_search.h"

namespace llmcodec {

// The closed loop's factors, computed by the first thread that needs them and kept while pictures of the
// matrix are under way.
class LazyFeedback {
 public:
  Result<const Feedback*> get(const TensorJob& job, uint64_t matrix, const InputMoments& moments);

 private:
  std::mutex mutex_;
  bool made_ = false;
  std::unique_ptr<Feedback> feedback_;
};

struct CompressRun {
  explicit CompressRun(const CompressOptions& options_in)
      : options(options_in), codecs(options.control.environment) {}

  // Opens and checks everything, makes or reads the plan, fits all scales.
  static Result<std::unique_ptr<CompressRun>> prepare(const CompressOptions& options);
  // Rate search, unless the plan came from a file.
  Status choose_steps();
  Result<ArchivePlan> archive_plan();  // for the steps as they are
  // Checksum of plan and source: what a resumed run must share.
  std::string key() const;
  Status check_cancelled() const;
  void add_progress(const char* phase, uint64_t weights, const std::string& tensor);
  CompressReport report(const ArchivePlan& plan) const;
  PlanReport plan_report() const;
  uint64_t coded_weights() const;

  CompressOptions options;
  CodecSet codecs;
  Model model;
  Plan plan;
  bool plan_given = false;
  InputMoments moments;
  std::vector<TensorJob> jobs;         // of coded tensors, in source order
  Description description;             // without tensors
  std::vector<std::byte> gguf_header;  // packed; empty unless the source is GGUF
  std::vector<std::string> notes;
  std::map<std::string, ErrorMetrics> measured;  // of coded tensors
  bool resumed = false;
  RateFound found;
  double fit_seconds = 0, rate_seconds = 0, encode_seconds = 0;
  std::string progress_phase;
  uint64_t progress_done = 0;

 private:
  Status open_moments();
  bool moments_given() const;  // by a file
  Status load_plan();
  Status resolve_codecs();
  Status estimate_missing_moments();
  Status choose_scales();
  Status describe_source();
  Status fit_all();
  void allocate();
  Target default_target();
  ArchivePlanInput archive_input();
  Result<uint64_t> fixed_bytes();

  // How large headers and descriptions get hangs on the number of shards; on steps only by a digit here and
  // there, which is not worth packing the descriptions anew at every step that the rate search tries.
  std::vector<size_t> overhead_shards_;
  uint64_t overhead_bytes_ = 0;
};

}  // namespace llmcodec

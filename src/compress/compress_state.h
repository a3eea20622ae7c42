// SPDX-License-Identifier: BSD-3-Clause
// What compress() and plan() work on: everything that is decided and known before the first segment is coded.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "archive/description.h"
#include "compress/archive_plan.h"
#include "compress/rate_search.h"

namespace llmcodec {

// Tells the caller how far a phase is, and ends the call when the caller wants it to.
class PhaseProgress {
 public:
  PhaseProgress(const Control& control, uint64_t total) : control_(control), total_(total) {}
  void add(const char* phase, uint64_t weights, const std::string& tensor);  // not thread-safe
  Status check_cancelled() const;

 private:
  const Control& control_;
  uint64_t total_;
  std::string phase_;
  uint64_t done_ = 0;
};

struct CompressState {
  CompressState(Model model_in, const CompressOptions& options_in)
      : options(options_in), codecs(options.control.environment), model(std::move(model_in)) {}

  const CompressOptions options;
  CodecSet codecs;
  Model model;
  InputMoments moments;
  Plan plan;
  std::optional<std::vector<TensorSettings>> given_settings;  // of a plan file, which is used as it is
  std::vector<FittedTensor> tensors;                          // those to be coded, in source order
  std::vector<double> octaves;                                // of every tensor of the source
  Description description;                                    // without tensors
  std::vector<std::byte> gguf_header;                         // packed; empty unless the source is GGUF
  std::vector<std::string> notes;
  double fit_seconds = 0;

  ArchiveContent content();
};

// Opens and checks everything, makes or reads the plan, fits all scales. Errors name file and tensor.
Result<std::unique_ptr<CompressState>> prepare(Model model, const CompressOptions& options);

// The steps of every tensor: those of the plan file, or what the search finds.
Result<RateFound> find_settings(CompressState& state);

// Checksum of plan, settings and source: what a resumed run must share.
std::string resume_key(const CompressState& state, const std::vector<TensorSettings>& settings);

}  // namespace llmcodec

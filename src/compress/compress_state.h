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
#include "scheme/quantised_model.h"

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
  std::optional<QuantisedModel> quantised;  // from decide() on
  InputMoments moments;
  std::vector<TensorDraft> drafts;  // what was asked for
  Plan plan;
  std::optional<std::vector<TensorSettings>> given_settings;  // of a plan file, which is used as it is
  std::vector<FittedTensor> tensors;                          // those to be coded, in source order
  std::vector<double> octaves;                                // of every tensor of the source
  Description description;                                    // without tensors
  std::vector<std::byte> gguf_header;                         // packed; empty unless the source is GGUF
  std::vector<std::string> notes;
  double fit_seconds = 0;

  ArchiveContent content();
  std::vector<std::string> inputs() const;  // files that no output may replace
};

// What options, moments of the user's, names and shapes decide: checks them, makes or reads the plan. No tensor is read.
// Errors name file and tensor. `ordered_plan`: the text of a plan that was made with these options (work_order.h), in place
// of a new one; empty: none.
Result<std::unique_ptr<CompressState>> decide(Model model, const CompressOptions& options,
                                              const std::string& ordered_plan = {});

// decide(), and all that the weights say besides: estimated moments, scales of all tensors.
Result<std::unique_ptr<CompressState>> prepare(Model model, const CompressOptions& options);

// Who made the archive, of what, by which command: into the description.
Status describe_source(CompressState& state);

// step_octaves of every tensor of the source, by what is known of `tensors` so far.
std::vector<double> octaves_of(const CompressState& state);

// What the fitted tensors tell the user, into the notes: where the moments that were given do not reach, and which
// weights no narrower dtype holds.
void note_fits(CompressState& state);

// The steps of every tensor: those of the plan file, or what the search finds.
Result<RateFound> find_settings(CompressState& state);
// The same where no search is needed: a plan file, or one step for all. InvalidArgument for another target.
Result<std::vector<TensorSettings>> given_settings(CompressState& state);

// Checksum of plan, settings and source: what a resumed run must share.
std::string resume_key(const CompressState& state, const std::vector<TensorSettings>& settings);

}  // namespace llmcodec

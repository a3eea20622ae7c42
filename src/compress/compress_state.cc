// SPDX-License-Identifier: BSD-3-Clause
#include "compress/compress_state.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <ranges>

#include "archive/checksum.h"
#include "archive/packing.h"
#include "base/checked_math.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/ordered_run.h"
#include "estimate/moment_estimate.h"
#include "plan/codec_settings.h"
#include "quant/portable_math.h"
#include "quant/tensor_names.h"

namespace llmcodec {
namespace {

constexpr std::string_view kNoImportance = "none";

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Fills in what "auto" means for the codec, and checks what the user chose.
Status resolve(const CodecInfo& codec, const Target& target, TensorPlan* plan) {
  if (plan->layout == "auto") plan->layout = codec.name == "vvc" ? "spectral" : "spatial";
  if (plan->layout != "spectral" && plan->layout != "spatial")
    return error(ErrorKind::kInvalidArgument, "layout '{}' is not known (auto, spatial, spectral)",
                 plan->layout);
  if (plan->layout == "spectral" && codec.name != "vvc")
    return error(ErrorKind::kInvalidArgument, "the spectral layout needs codec vvc, not {}", codec.name);
  if (plan->bit_depth == 0) {
    // Raw samples have no other knob: as deep as the target pays for, one bit left for everything else.
    const bool sized = target.kind == TargetKind::kBpw && codec.name == "raw";
    const uint32_t wanted = sized ? static_cast<uint32_t>(std::clamp(target.value, 8.0, 16.0)) : 10;
    for (uint32_t depth : codec.bit_depths) plan->bit_depth = depth <= wanted ? depth : plan->bit_depth;
  }
  if (std::ranges::find(codec.bit_depths, plan->bit_depth) == codec.bit_depths.end())
    return error(ErrorKind::kInvalidArgument, "{} takes planes of {} bits, not {}", codec.name,
                 fmt::join(codec.bit_depths, ", "), plan->bit_depth);
  return Status::ok();
}

std::string importance_file_of(const CompressOptions& options) {
  return options.importance == kNoImportance ? "" : options.importance;
}

std::string default_command(const CompressOptions& options) {
  return options.command.empty() ? "llmcodec compress " + options.input : options.command;
}

}  // namespace

Result<const Feedback*> LazyFeedback::get(const TensorJob& job, uint64_t matrix,
                                          const InputMoments& moments) {
  const std::lock_guard lock(mutex_);
  if (!made_) {
    LLMC_ASSIGN_OR_RETURN(feedback_, make_feedback(job, matrix, moments));
    made_ = true;
  }
  return static_cast<const Feedback*>(feedback_.get());
}

Result<std::unique_ptr<CompressRun>> CompressRun::prepare(const CompressOptions& options) {
  auto run = std::make_unique<CompressRun>(options);
  LLMC_ASSIGN_OR_RETURN(run->model, open_model(options.input));
  // A GGUF header holds the tokenizer, and packing it takes as long as all that is done up to the rate
  // search.
  const unsigned threads = thread_count(options.control.threads);
  auto packing =
      std::async(threads > 1 ? std::launch::async | std::launch::deferred : std::launch::deferred,
                 [model = &run->model] {
                   return model->gguf != nullptr ? pack(model->gguf->bytes()) : std::vector<std::byte>();
                 });
  LLMC_RETURN_IF_ERROR(run->open_moments());
  LLMC_RETURN_IF_ERROR(run->load_plan());
  LLMC_RETURN_IF_ERROR(run->resolve_codecs());
  LLMC_RETURN_IF_ERROR(run->estimate_missing_moments());
  LLMC_RETURN_IF_ERROR(run->choose_scales());
  LLMC_RETURN_IF_ERROR(run->describe_source());
  LLMC_RETURN_IF_ERROR(run->fit_all());
  if (!run->plan_given) run->allocate();
  run->gguf_header = packing.get();
  return run;
}

Status CompressRun::open_moments() {
  const std::string importance_file = importance_file_of(options);
  if (!importance_file.empty()) {
    auto importance = Importance::load(importance_file);
    if (!importance.is_ok()) return std::move(importance).error().in_file(importance_file);
    moments.importance = std::move(importance).value();
  }
  if (!options.hessian.empty()) {
    auto hessian = MomentFile::open(options.hessian);
    if (!hessian.is_ok()) return std::move(hessian).error().in_file(options.hessian);
    moments.hessian = std::move(hessian).value();
  }
  return Status::ok();
}

bool CompressRun::moments_given() const {
  return !importance_file_of(options).empty() || moments.hessian;
}

// What the weights themselves say where no file does, if any tensor's scales ask for it: about the inputs and
// outputs, or about the outputs alone beside an imatrix or second moments that know only the inputs.
Status CompressRun::estimate_missing_moments() {
  const auto asks = [](const TensorPlan& tensor) {
    return tensor.code && (tensor.auto_scales || tensor.scales.kind == ScaleKind::kDual);
  };
  if ((moments.importance && moments.importance->has_outputs()) || options.importance == kNoImportance ||
      std::ranges::none_of(plan.tensors, asks))
    return Status::ok();
  const auto layer_done = [this](uint64_t weights) {
    add_progress("estimate", weights, "");
    return check_cancelled();
  };
  LLMC_ASSIGN_OR_RETURN(MomentEstimate estimate,
                        estimate_moments(model, options.control.threads, layer_done));
  if (!estimate.importance) {
    notes.push_back((moments_given() ? "outputs not estimated: " : "inputs not estimated: ") +
                    estimate.why_not);
    return Status::ok();
  }
  if (moments_given()) {
    if (!moments.importance) moments.importance.emplace();
    moments.importance->adopt_outputs(std::move(*estimate.importance));
  } else {
    moments.importance = std::move(estimate.importance);
  }
  moments.estimated = true;
  return Status::ok();
}

Status CompressRun::load_plan() {
  plan_given = !options.plan.empty();
  if (!plan_given) {
    LLMC_ASSIGN_OR_RETURN(plan, draft_plan(model, options));
    return Status::ok();
  }
  if (!options.set.empty() || !options.keep.empty())
    return error(ErrorKind::kInvalidArgument,
                 "--set and --keep change a plan that is being made; edit the given plan instead");
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(options.plan, kMaxJsonBytes));
  auto given = plan_from_text(text, model);
  if (!given.is_ok()) return std::move(given).error().in_file(options.plan);
  plan = std::move(given).value();
  return Status::ok();
}

Status CompressRun::resolve_codecs() {
  for (TensorPlan& tensor : plan.tensors) {
    if (!tensor.code) continue;
    LLMC_ASSIGN_OR_RETURN(const Codec* codec, codecs.get(tensor.codec));
    Status status = resolve(codec->info(), options.target, &tensor);
    if (!status.is_ok()) return std::move(status).error().in_tensor(tensor.name);
  }
  return Status::ok();
}

// Output heads (and embeddings, often the same tensor) read hidden states of which a few dimensions are
// hundreds of times as strong as the rest; dual scales take just these for coarse ones. Row scales do not,
// until the inputs are known. Then most of a head's columns are nearly empty, and at the step of the others
// it would get a bit less than it is worth (docs/decisions/022-embedding-bits.md).
Status CompressRun::choose_scales() {
  constexpr double kRowExponent = 0.5;                               // docs/decisions/021-row-scales.md
  constexpr double kRowExponentBesideOutputs = 0.25;                 // docs/decisions/024-output-moments.md
  const double known_head_octaves = moments.hessian ? -0.75 : -0.8;  // docs/decisions/022, 025
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    TensorPlan& tensor = plan.tensors[i];
    if (!tensor.code || !tensor.auto_scales) continue;
    LLMC_ASSIGN_OR_RETURN(const bool known, knows_inputs(moments, model.source->tensors()[i]));
    const bool vocabulary = is_vocabulary(tensor.name);
    tensor.scales = {vocabulary && !known ? ScaleKind::kRow : ScaleKind::kDual, 0};
    LLMC_ASSIGN_OR_RETURN(const bool weighed, knows_outputs(moments, model.source->tensors()[i]));
    const double row_exponent = weighed ? kRowExponentBesideOutputs : kRowExponent;
    if (tensor.row_exponent < 0) tensor.row_exponent = vocabulary && !known ? 1 : row_exponent;
    if (vocabulary && known && tensor.auto_octaves) tensor.step_octaves = known_head_octaves;
  }
  return Status::ok();
}

Status CompressRun::describe_source() {
  description.writer = std::string("llmcodec ") + LLMCODEC_VERSION;
  description.command = default_command(options);
  description.source_kind = model_kind_name(model.kind);
  description.source_metadata = model.metadata;
  description.source_files.resize(model.weight_files.size());
  LLMC_RETURN_IF_ERROR(for_all(options.control.threads, model.weight_files.size(), [&](size_t i) -> Status {
    SourceFileRecord& file = description.source_files[i];
    file.name = std::filesystem::path(model.weight_files[i]).filename().string();
    std::error_code code;
    file.bytes = std::filesystem::file_size(model.weight_files[i], code);
    LLMC_ASSIGN_OR_RETURN(file.xxh3_128, xxh3_128_of_file(model.weight_files[i]));
    return Status::ok();
  }));
  for (const std::string& skipped : model.skipped_files) notes.push_back("not carried over: " + skipped);
  return Status::ok();
}

Status CompressRun::fit_all() {
  const Stopwatch watch;
  std::vector<size_t> coded;
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    if (plan.tensors[i].code) coded.push_back(i);
  }
  jobs.resize(coded.size());
  std::mutex mutex;
  const auto fit = [&](size_t i) -> Status {
    LLMC_RETURN_IF_ERROR(check_cancelled());
    LLMC_ASSIGN_OR_RETURN(jobs[i], fit_tensor(*model.source, coded[i], plan.tensors[coded[i]], moments));
    const std::lock_guard lock(mutex);
    add_progress("fit", jobs[i].shape.weights(), plan.tensors[coded[i]].name);
    return Status::ok();
  };
  LLMC_RETURN_IF_ERROR(for_all(options.control.threads, coded.size(), fit));
  if (moments_given()) {
    for (const TensorJob& job : jobs) {
      if (job.order[0].empty()) notes.push_back("no input moments for " + job.plan->name);
    }
    const auto weighed = [](const TensorJob& job) { return job.damage.has_value(); };
    if (!moments.estimated && moments.importance && moments.importance->has_outputs() &&
        std::ranges::none_of(jobs, weighed))
      notes.push_back("output moments not used: their names are not spelled as the model's");
  }
  fit_seconds = watch.seconds();
  return Status::ok();
}

// Equal slope of the damage to the model, half-way: its octaves are what the linear theory asks for, at two
// or three bits half of them is better (docs/decisions/024-output-moments.md). The mean over the weights
// stays.
void CompressRun::allocate() {
  constexpr double kShare = 0.5;
  const auto wanted = [](const TensorJob& job) { return -kShare / 2 * portable_log2(*job.damage); };
  const auto asks = [this](const TensorJob& job) {
    return job.damage.value_or(0) > 0 && plan.tensors[job.index].auto_octaves &&
           !is_vocabulary(job.plan->name);
  };
  double octaves = 0, weights = 0;
  for (const TensorJob& job : jobs | std::views::filter(asks)) {
    octaves += wanted(job) * static_cast<double>(job.shape.weights());
    weights += static_cast<double>(job.shape.weights());
  }
  for (const TensorJob& job : jobs | std::views::filter(asks))
    plan.tensors[job.index].step_octaves = wanted(job) - octaves / weights;
}

Status CompressRun::choose_steps() {
  const Stopwatch watch;
  RateSearch search{.source = model.source.get(),
                    .moments = &moments,
                    .codecs = &codecs,
                    .jobs = &jobs,
                    .plans = &plan.tensors,
                    .fixed_bytes = [this] { return fixed_bytes(); },
                    .target = options.target,
                    .control = &options.control};
  for (const TensorInfo& info : model.source->tensors()) search.parameters += info.elements();
  if (search.target.kind == TargetKind::kDefault) search.target = default_target();
  if (plan_given) {
    LLMC_ASSIGN_OR_RETURN(found.predicted_bytes, fixed_bytes());
    for (const TensorJob& job : jobs) found.predicted_bytes += job.plan->predicted_bytes;
  } else {
    LLMC_ASSIGN_OR_RETURN(found, find_steps(search));
  }
  rate_seconds = watch.seconds();
  return Status::ok();
}

Result<uint64_t> CompressRun::fixed_bytes() {
  if (std::vector<size_t> shards = assign_shards(archive_input()); shards != overhead_shards_) {
    LLMC_ASSIGN_OR_RETURN(const ArchivePlan archive, archive_plan());
    overhead_bytes_ = archive.overhead_bytes;
    overhead_shards_ = std::move(shards);
  }
  uint64_t bytes = overhead_bytes_ + exact_bytes(model, jobs) + align_up(gguf_header.size(), 8);
  for (const TensorJob& job : jobs) {
    for (const ScalePart& part : job.scale_parts) bytes += align_up(part.bytes.size(), 8);
  }
  return bytes;
}

// 3 bits per weight, unless every codec is lossless: then the plane step at which (almost) nothing is
// clipped.
Target CompressRun::default_target() {
  for (const TensorJob& job : jobs) {
    const Codec* codec = *codecs.get(job.plan->codec);
    if (!codec->info().quality.lossless_only || job.plan->layout == "spectral")
      return {TargetKind::kBpw, 3.0};
  }
  return {TargetKind::kStep, jobs.empty() ? 1.0 : nominal_step(jobs[0].plan->bit_depth)};
}

ArchivePlanInput CompressRun::archive_input() {
  return {&model, &jobs, &codecs, &description, gguf_header.size(), options.output, options.shard_bytes};
}

Result<ArchivePlan> CompressRun::archive_plan() {
  return plan_archive(archive_input());
}

std::string CompressRun::key() const {
  Checksum checksum;
  const auto add = [&](const std::string& text) { checksum.update(std::as_bytes(std::span(text))); };
  add(to_text(description));
  add(plan_to_text(plan));
  for (const std::string& path : {importance_file_of(options), options.hessian}) {
    if (path.empty()) continue;
    auto hash = xxh3_128_of_file(path);
    add(hash.is_ok() ? hash.value() : path);
  }
  add(moments.estimated ? "estimated moments" : "");
  add(fmt::format("{}", options.shard_bytes));
  return checksum.hex();
}

Status CompressRun::check_cancelled() const {
  if (options.control.cancelled && options.control.cancelled())
    return error(ErrorKind::kInterrupted, "interrupted; the same command goes on where this one stopped");
  return Status::ok();
}

void CompressRun::add_progress(const char* phase, uint64_t weights, const std::string& tensor) {
  if (progress_phase != phase) progress_done = 0;
  progress_phase = phase;
  progress_done += weights;
  if (!options.control.progress) return;
  options.control.progress({phase, progress_done, coded_weights(), tensor});
}

uint64_t CompressRun::coded_weights() const {
  uint64_t weights = 0;
  for (const TensorPlan& tensor : plan.tensors) {
    if (!tensor.code) continue;
    weights += model.source->tensors()[static_cast<size_t>(&tensor - plan.tensors.data())].elements();
  }
  return weights;
}

}  // namespace llmcodec

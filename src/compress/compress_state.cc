// SPDX-License-Identifier: BSD-3-Clause
#include "compress/compress_state.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <set>

#include "archive/carry_over.h"
#include "archive/checksum.h"
#include "archive/packing.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/ordered_run.h"
#include "base/stopwatch.h"
#include "base/utf8.h"
#include "compress/folder_files.h"
#include "compress/range_notes.h"
#include "compress/stored_once.h"
#include "llmcodec/version.h"
#include "plan/codec_settings.h"
#include "plan/draft.h"
#include "plan/plan_file.h"
#include "plan/resolve.h"
#include "scheme/quantised_model.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

// Names that an archive gives to tensors of its own would be lost on the way back, or take their place.
Status check_names(const Model& model) {
  if (is_archive(model.metadata))
    return error(ErrorKind::kInvalidArgument, "is an llmcodec archive already; decompress it first")
        .in_file(model.path);
  for (const TensorInfo& info : model.source->tensors()) {
    if (info.name.starts_with(kOwnPrefix))
      return error(ErrorKind::kInvalidArgument,
                   "names that begin with '{}' are the archive's own; rename the tensor", kOwnPrefix)
          .in_tensor(info.name)
          .in_file(model.path);
  }
  return Status::ok();
}

// Limits far from anything that has a use: past them the search would count with infinite numbers.
Status check_target(const Target& target) {
  constexpr double kMaxBitsPerWeight = 1000;  // the headers of a tiny model count too
  constexpr double kMaxDecibels = 1000;       // binary64 reaches 330 dB
  const double value = target.value;
  switch (target.kind) {
    case TargetKind::kDefault:
      return Status::ok();
    case TargetKind::kStep:
      return check_step(value);
    case TargetKind::kBpw:
      if (value > 0 && value <= kMaxBitsPerWeight) return Status::ok();
      return error(ErrorKind::kInvalidArgument, "{:.4g} bits per weight: must be over 0 and at most {}",
                   value, kMaxBitsPerWeight);
    case TargetKind::kSnr:
      if (std::abs(value) <= kMaxDecibels) return Status::ok();
      return error(ErrorKind::kInvalidArgument, "a signal-to-noise ratio of {:.4g} dB: must be from {} to {}",
                   value, -kMaxDecibels, kMaxDecibels);
    case TargetKind::kSize:
      if (value >= 1 && value <= 0x1p63) return Status::ok();
      return error(ErrorKind::kInvalidArgument, "a size of {:.4g} bytes: must be from 1 to 2^63", value);
  }
  return error(ErrorKind::kInvalidArgument, "a target of a kind that is not known");
}

Result<std::vector<TensorDraft>> drafts_of_plan(const std::string& text, CompressState& state,
                                                QuantisedModel& quantised) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> names, plan_tensor_names(text));
  quantised.keep_parts_in({names.begin(), names.end()}, &state.model);
  LLMC_ASSIGN_OR_RETURN(PlanFile file, plan_from_text(text, state.model.source->tensors()));
  state.given_settings = std::move(file.settings);
  return std::move(file.drafts);
}

// What was asked for, by options and rules or by a plan file.
Result<std::vector<TensorDraft>> read_drafts(CompressState& state, QuantisedModel& quantised) {
  const CompressOptions& options = state.options;
  if (options.plan.empty()) return draft_plan(state.model.source->tensors(), options);
  if (!options.set.empty() || !options.code.empty() || !options.keep.empty())
    return error(ErrorKind::kInvalidArgument,
                 "--set, --code and --keep change a plan that is being made; edit the given plan instead");
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(options.plan, kMaxJsonBytes));
  auto drafts = drafts_of_plan(text, state, quantised);
  if (!drafts.is_ok()) return std::move(drafts).error().in_file(options.plan);
  return drafts;
}

double asked_bits(const Target& target) {
  constexpr double kDefaultBits = 3.0;
  if (target.kind == TargetKind::kDefault) return kDefaultBits;
  return target.kind == TargetKind::kBpw ? target.value : 0;
}

// What is kept of a quantised model is kept as it is stored, and not as what it stands for.
Status keep_in_parts(CompressState& state, QuantisedModel& quantised) {
  const std::vector<TensorDraft> drafts = std::move(state.drafts);
  std::set<std::string> coded;
  for (size_t i = 0; i < drafts.size(); ++i) {
    if (drafts[i].code) coded.emplace(state.model.source->tensors()[i].folder());
  }
  LLMC_RETURN_IF_ERROR(quantised.check_known(coded));
  std::vector<bool> kept;
  for (const TensorDraft& draft : drafts) kept.push_back(draft.keep_asked);
  LLMC_ASSIGN_OR_RETURN(const std::vector<size_t> origin, quantised.keep(kept, &state.model));
  state.drafts.clear();
  for (size_t i = 0; i < origin.size(); ++i) {
    state.drafts.push_back(drafts[origin[i]]);
    state.drafts.back().name = state.model.source->tensors()[i].name;
  }
  for (std::string& note : quantised.notes(asked_bits(state.options.target)))
    state.notes.push_back(std::move(note));
  return Status::ok();
}

// A plan names a codec for each tensor, options one for many.
Error unusable_codec(Error failure, const std::string& tensor, const std::string& plan) {
  return plan.empty() ? failure : std::move(failure).in_tensor(tensor).in_file(plan);
}

Result<PlanFacts> known_facts(CompressState& state) {
  const std::vector<TensorDraft>& drafts = state.drafts;
  PlanFacts facts;
  facts.target = state.options.target;
  facts.closed_loop = state.moments.hessian != nullptr;
  facts.tensors.resize(drafts.size());
  for (size_t i = 0; i < drafts.size(); ++i) {
    if (!drafts[i].code) continue;
    const TensorInfo& info = state.model.source->tensors()[i];
    TensorFacts& tensor = facts.tensors[i];
    const auto codec = state.codecs.get(drafts[i].codec);
    if (!codec.is_ok()) return unusable_codec(codec.error(), info.name, state.options.plan);
    tensor.codec = &(*codec)->info();
    tensor.shape = *tensor_matrices(info);
    LLMC_ASSIGN_OR_RETURN(tensor.inputs_known, state.moments.knows_inputs(info));
    LLMC_ASSIGN_OR_RETURN(tensor.outputs_known, state.moments.knows_outputs(info));
    facts.outputs_measured |= tensor.outputs_known && !state.moments.estimated;
    tensor.factor = state.moments.factors.contains(info.name);
    tensor.folder_bytes = info.folder_bytes;
  }
  return facts;
}

Result<Plan> resolved(CompressState& state) {
  LLMC_ASSIGN_OR_RETURN(const PlanFacts facts, known_facts(state));
  return resolve(state.drafts, facts);
}

// Whether its scales depend on moments. A plan file gives factors of low-rank updates row and column scales.
bool uses_moments(const TensorDraft& draft, const TensorInfo& info) {
  return draft.code && (!draft.scales || draft.scales->kind == ScaleKind::kDual ||
                        tensor_role(info) == TensorRole::kAdapter);
}

bool any_uses_moments(const CompressState& state) {
  for (size_t i = 0; i < state.drafts.size(); ++i) {
    if (uses_moments(state.drafts[i], state.model.source->tensors()[i])) return true;
  }
  return false;
}

uint64_t coded_weights(const CompressState& state) {
  uint64_t weights = 0;
  for (size_t i = 0; i < state.drafts.size(); ++i) {
    const TensorInfo& info = state.model.source->tensors()[i];
    if (state.drafts[i].code && !state.description.same_as.contains(info.name)) weights += info.elements();
  }
  return weights;
}

Status fit_all(CompressState& state, PhaseProgress& progress) {
  const Stopwatch watch;
  const std::vector<TensorPlan>& plans = state.plan.tensors;
  std::vector<size_t> coded;
  for (size_t i = 0; i < plans.size(); ++i) {
    if (plans[i].code && !state.description.same_as.contains(plans[i].name)) coded.push_back(i);
  }
  state.tensors.resize(coded.size());
  std::mutex mutex;
  LLMC_RETURN_IF_ERROR(for_all(state.options.control.threads, coded.size(), [&](size_t i) -> Status {
    LLMC_RETURN_IF_ERROR(progress.check_cancelled());
    LLMC_ASSIGN_OR_RETURN(state.tensors[i],
                          fit_tensor(*state.model.source, coded[i], plans[coded[i]], state.moments));
    const std::lock_guard lock(mutex);
    progress.add("fit", state.tensors[i].shape.weights(), plans[coded[i]].name);
    return Status::ok();
  }));
  std::map<std::string_view, uint64_t> copies;
  for (const auto& [name, copy] : state.description.same_as) ++copies[copy.original];
  for (FittedTensor& tensor : state.tensors) tensor.copies = copies[tensor.plan->name];
  state.fit_seconds = watch.seconds();
  return Status::ok();
}

bool is_adapter(const CompressState& state) {
  const auto coded = [&](const FittedTensor& tensor) {
    return tensor_role(state.model.source->tensors()[tensor.index]) == TensorRole::kAdapter;
  };
  return !state.tensors.empty() && std::ranges::all_of(state.tensors, coded);
}

// 3 bits per weight, unless every codec is lossless: then the plane step at which (almost) nothing is
// clipped. Adapters get a step too: their headers and scales may take more than 3 bits, and a step gives the same quality
// whatever these take (docs/decisions/048-adapters.md).
Result<Target> default_target(CompressState& state) {
  constexpr double kAdapterStep = 0.15;
  for (const FittedTensor& tensor : state.tensors) {
    LLMC_ASSIGN_OR_RETURN(const Codec* codec, state.codecs.get(tensor.plan->codec));
    if (!codec->info().quality.lossless_only || tensor.plan->layout == Layout::kSpectral)
      return is_adapter(state) ? Target{TargetKind::kStep, kAdapterStep} : Target{TargetKind::kBpw, 3.0};
  }
  return Target{TargetKind::kStep,
                state.tensors.empty() ? 1.0 : nominal_step(state.tensors[0].plan->bit_depth)};
}

// A plan file leaves layout, folding and depth to resolve(), and by these its qualities are judged.
Result<std::vector<TensorSettings>> settings_of_plan_file(CompressState& state) {
  std::vector<TensorSettings> settings = *state.given_settings;
  for (const FittedTensor& tensor : state.tensors) {
    settings[tensor.index].pictures.layout = tensor.plan->layout;
    settings[tensor.index].pictures.lines = tensor.plan->lines;
    settings[tensor.index].pictures.bit_depth = tensor.plan->bit_depth;
    LLMC_ASSIGN_OR_RETURN(const Codec* codec, state.codecs.get(tensor.plan->codec));
    if (Status status = check_quality(settings[tensor.index].pictures, codec->info()); !status.is_ok())
      return std::move(status).error().in_tensor(tensor.plan->name).in_file(state.options.plan);
  }
  return settings;
}

Result<RateFound> found_in_plan_file(CompressState& state, FixedBytes& fixed_bytes) {
  RateFound found;
  LLMC_ASSIGN_OR_RETURN(found.settings, settings_of_plan_file(state));
  for (const FittedTensor& tensor : state.tensors)
    found.predicted_bytes += found.settings[tensor.index].predicted_bytes;
  LLMC_ASSIGN_OR_RETURN(const uint64_t fixed, fixed_bytes.get(found.settings));
  found.predicted_bytes += fixed;
  return found;
}

RateProblem rate_problem(CompressState& state, FixedBytes* fixed_bytes) {
  return {.source = state.model.source.get(),
          .moments = &state.moments,
          .codecs = &state.codecs,
          .tensors = &state.tensors,
          .octaves = &state.octaves,
          .fixed_bytes = fixed_bytes,
          .target = state.options.target,
          .control = &state.options.control};
}

void note_unused_moments(CompressState& state) {
  const InputMoments& moments = state.moments;
  if (!moments.given) return;
  for (const FittedTensor& tensor : state.tensors) {
    if (tensor.order[0].empty()) state.notes.push_back("no input moments for " + tensor.plan->name);
  }
  const bool outputs_given = !moments.estimated && moments.importance && moments.importance->has_outputs();
  const auto weighed = [](const FittedTensor& tensor) { return tensor.damage.has_value(); };
  if (outputs_given && std::ranges::none_of(state.tensors, weighed))
    state.notes.push_back("output moments not used: their names are not spelled as the model's");
}

Result<RateFound> find_settings_of_stored(CompressState& state) {
  FixedBytes fixed_bytes(state.content());
  if (state.given_settings) return found_in_plan_file(state, fixed_bytes);
  RateProblem problem = rate_problem(state, &fixed_bytes);
  if (problem.target.kind != TargetKind::kDefault && state.tensors.empty())
    state.notes.push_back("no tensor is coded, all are stored exactly; --code REGEX has tensors coded");
  if (problem.target.kind == TargetKind::kDefault) {
    LLMC_ASSIGN_OR_RETURN(problem.target, default_target(state));
    if (problem.target.kind == TargetKind::kStep && is_adapter(state))
      state.notes.push_back(fmt::format("an adapter without a target: --step {}", problem.target.value));
  }
  LLMC_ASSIGN_OR_RETURN(RateFound found, find_steps(problem));
  const bool by_size = problem.target.kind == TargetKind::kBpw || problem.target.kind == TargetKind::kSize;
  if (by_size && !state.tensors.empty() && std::isinf(found.predicted_snr_db))
    state.notes.push_back("every coded weight comes back as it was, at fewer bits than were asked for");
  return found;
}

}  // namespace

void PhaseProgress::add(const char* phase, uint64_t weights, const std::string& tensor) {
  if (phase_ != phase) done_ = 0;
  phase_ = phase;
  done_ += weights;
  if (control_.progress) control_.progress({phase, done_, total_, tensor});
}

Status PhaseProgress::check_cancelled() const {
  if (control_.cancelled && control_.cancelled())
    return error(ErrorKind::kInterrupted, "interrupted; the same command goes on where this one stopped");
  return Status::ok();
}

ArchiveContent CompressState::content() {
  return {&model, &tensors, &codecs, &description, gguf_header.size(), options.output, options.shard_bytes};
}

Status describe_source(CompressState& state) {
  const Model& model = state.model;
  Description& description = state.description;
  description.writer = std::string("llmcodec ") + LLMCODEC_VERSION;
  description.command =
      state.options.command.empty() ? "llmcodec compress " + state.options.input : state.options.command;
  description.source_kind = model_kind_name(model.kind);
  description.source_metadata = model.metadata;
  description.source_files.resize(model.weight_files.size());
  const std::vector<std::string> names = model.weight_names();
  return for_all(state.options.control.threads, model.weight_files.size(), [&](size_t i) -> Status {
    SourceFileRecord& file = description.source_files[i];
    file.name = names[i];
    std::error_code code;
    file.bytes = std::filesystem::file_size(model.weight_files[i], code);
    LLMC_ASSIGN_OR_RETURN(file.xxh3_128, xxh3_128_of_file(model.weight_files[i]));
    return Status::ok();
  });
}

std::vector<std::string> CompressState::inputs() const {
  std::vector<std::string> files = model.all_files();
  files.insert(files.end(), {options.plan, options.importance, options.hessian});
  return files;
}

std::vector<double> octaves_of(const CompressState& state) {
  const auto info = [&](const FittedTensor& tensor) -> const TensorInfo& {
    return state.model.source->tensors()[tensor.index];
  };
  std::vector<TensorCost> costs(state.plan.tensors.size());
  for (const FittedTensor& tensor : state.tensors)
    costs[tensor.index] = {.weights = static_cast<double>(tensor.shape.weights()),
                           .damage = tensor.damage,
                           .factor = state.moments.factors.contains(tensor.plan->name),
                           .vocabulary = is_vocabulary(info(tensor).local_name()),
                           .part = info(tensor).folder()};
  return octaves_by_damage(state.plan, costs);
}

void note_fits(CompressState& state) {
  note_unused_moments(state);
  for (std::string& note : range_notes(state.tensors, *state.model.source))
    state.notes.push_back(std::move(note));
}

Result<std::unique_ptr<CompressState>> decide(Model model, const CompressOptions& options,
                                              const std::string& ordered_plan) {
  LLMC_RETURN_IF_ERROR(check_target(options.target));
  LLMC_RETURN_IF_ERROR(check_names(model));
  auto state = std::make_unique<CompressState>(std::move(model), options);
  LLMC_ASSIGN_OR_RETURN(state->quantised, QuantisedModel::open(&state->model));
  LLMC_ASSIGN_OR_RETURN(state->moments, open_moments(options, state->model));
  LLMC_ASSIGN_OR_RETURN(state->drafts, ordered_plan.empty()
                                           ? read_drafts(*state, *state->quantised)
                                           : drafts_of_plan(ordered_plan, *state, *state->quantised));
  LLMC_RETURN_IF_ERROR(keep_in_parts(*state, *state->quantised));
  LLMC_ASSIGN_OR_RETURN(state->plan, resolved(*state));
  LLMC_RETURN_IF_ERROR(ask_to_carry(options.carry, &state->model));
  for (std::string& note : notes_on_files(state->model)) state->notes.push_back(std::move(note));
  for (const ModelPart& part : state->model.parts)
    state->description.source_parts[part.folder] = part.metadata;
  // Last, for it reads these files.
  LLMC_ASSIGN_OR_RETURN(state->description.carried, list_carried_files(state->model));
  return state;
}

namespace {

// A GGUF file may have any bytes in its names; an archive's stand in JSON.
Status check_names_are_utf8(const TensorSource& source) {
  for (size_t i = 0; i < source.tensors().size(); ++i) {
    const std::string& name = source.tensors()[i].name;
    if (!is_utf8(name))
      return error(ErrorKind::kInvalidArgument,
                   "the name is not UTF-8, as names in an archive are: rename the tensor")
          .in_file(source.file(i))
          .in_tensor(name);
  }
  return Status::ok();
}

}  // namespace

Result<std::unique_ptr<CompressState>> prepare(Model model, const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<CompressState> state, decide(std::move(model), options));
  LLMC_RETURN_IF_ERROR(check_names_are_utf8(*state->model.source));
  LLMC_ASSIGN_OR_RETURN(state->description.quantised, state->quantised->source_formats());
  // A GGUF header holds the tokenizer, and packing it takes as long as all that is done up to the rate
  // search.
  const bool beside = thread_count(options.control.threads) > 1;
  auto packing = std::async(beside ? std::launch::async | std::launch::deferred : std::launch::deferred,
                            [gguf = state->model.gguf] {
                              return gguf != nullptr ? pack(gguf->bytes()) : std::vector<std::byte>();
                            });
  PhaseProgress progress(state->options.control, coded_weights(*state));
  if (any_uses_moments(*state)) {
    const auto layer_done = [&](uint64_t weights) {
      progress.add("estimate", weights, "");
      return progress.check_cancelled();
    };
    LLMC_ASSIGN_OR_RETURN(const std::string note,
                          estimate_missing(state->model, options, layer_done, &state->moments));
    if (!note.empty()) state->notes.push_back(note);
    LLMC_ASSIGN_OR_RETURN(state->plan, resolved(*state));
  }
  LLMC_RETURN_IF_ERROR(describe_source(*state));
  LLMC_RETURN_IF_ERROR(store_equal_tensors_once(*state));
  PhaseProgress fitting(state->options.control, coded_weights(*state));
  LLMC_RETURN_IF_ERROR(fit_all(*state, fitting));
  note_fits(*state);
  state->octaves = octaves_of(*state);
  state->gguf_header = packing.get();
  return state;
}

Result<RateFound> find_settings(CompressState& state) {
  LLMC_ASSIGN_OR_RETURN(RateFound found, find_settings_of_stored(state));
  // Copies have those of the tensor that is stored for them: a plan file says of both what happens to both.
  std::map<std::string_view, size_t> index;
  for (size_t i = 0; i < state.plan.tensors.size(); ++i) index[state.plan.tensors[i].name] = i;
  for (const auto& [name, copy] : state.description.same_as)
    found.settings[index.at(name)] = found.settings[index.at(copy.original)];
  return found;
}

Result<std::vector<TensorSettings>> given_settings(CompressState& state) {
  if (state.given_settings) return settings_of_plan_file(state);
  if (state.options.target.kind != TargetKind::kStep)
    return error(ErrorKind::kInvalidArgument,
                 "steps must be given, by a plan file or as the target: they are searched for in weights "
                 "that can be read "
                 "again and again");
  return settings_at_step(rate_problem(state, nullptr));
}

std::string resume_key(const CompressState& state, const std::vector<TensorSettings>& settings) {
  Checksum checksum;
  const auto add = [&](const std::string& text) { checksum.update(std::as_bytes(std::span(text))); };
  add(to_text(state.description));
  add(plan_to_text(state.plan, settings));
  for (const std::string& path : {importance_file(state.options), state.options.hessian}) {
    if (path.empty()) continue;
    auto hash = xxh3_128_of_file(path);
    add(hash.is_ok() ? hash.value() : path);
  }
  add(state.moments.estimated ? "estimated moments" : "");
  add(fmt::format("{}", state.options.shard_bytes));
  return checksum.hex();
}

}  // namespace llmcodec

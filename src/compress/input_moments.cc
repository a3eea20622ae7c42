// SPDX-License-Identifier: BSD-3-Clause
#include "compress/input_moments.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "estimate/moment_estimate.h"
#include "estimate/product_moments.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

constexpr std::string_view kNoImportance = "none";

}  // namespace

std::string importance_file(const CompressOptions& options) {
  return options.importance == kNoImportance ? "" : options.importance;
}

Error InputMoments::of_another_model(Error failure) const {
  failure.message += ": the file was made for another model";
  return std::move(failure).in_file(file);
}

Result<bool> InputMoments::knows_inputs(const TensorInfo& info) const {
  if (hessian && hessian->find(info.name)) return true;
  if (!importance) return false;
  const auto shape = tensor_matrices(info);
  const auto entry = importance->find(info.name, shape->cols, shape->matrices);
  if (!entry.is_ok()) return of_another_model(entry.error());
  const auto zero = [](float moment) { return moment == 0; };
  if (entry->found() && std::ranges::all_of(entry->moments, zero))
    return error(ErrorKind::kInvalidArgument,
                 "all {} second moments are zero: the text never reached this tensor; use a longer one, or "
                 "--keep the tensor",
                 entry->moments.size())
        .in_tensor(info.name)
        .in_file(file);
  return entry->found();
}

Result<bool> InputMoments::knows_outputs(const TensorInfo& info) const {
  if (!importance) return false;
  const auto shape = tensor_matrices(info);
  const auto entry = importance->find_outputs(info.name, shape->rows, shape->matrices);
  if (!entry.is_ok()) return of_another_model(entry.error());
  return entry->found();
}

namespace {

// Moments of one part, which were collected of that part alone, have its names without the folder.
Status check_knows_pipeline(const InputMoments& moments, const CompressOptions& options, const Model& model) {
  if (model.parts.empty()) return Status::ok();
  bool by_importance = false, by_hessian = false;
  for (const TensorInfo& info : model.source->tensors()) {
    by_hessian = by_hessian || (moments.hessian && moments.hessian->find(info.name));
    const auto shape = tensor_matrices(info);
    if (!moments.importance || !shape) continue;
    const auto entry = moments.importance->find(info.name, shape->cols, shape->matrices);
    const auto outputs = moments.importance->find_outputs(info.name, shape->rows, shape->matrices);
    const auto knows = [](const auto& found) { return !found.is_ok() || found->found(); };
    by_importance = by_importance || knows(entry) || knows(outputs);
  }
  const auto unknown = [&](const std::string& file) {
    return error(ErrorKind::kInvalidArgument,
                 "knows no tensor of this pipeline: names in it begin with the folder of the part, '{}'",
                 model.source->tensors().front().name)
        .in_file(file);
  };
  if (moments.importance && !by_importance) return unknown(moments.file);
  if (moments.hessian && !by_hessian) return unknown(options.hessian);
  return Status::ok();
}

}  // namespace

Result<InputMoments> open_moments(const CompressOptions& options, const Model& model) {
  InputMoments moments;
  const std::string file = importance_file(options);
  if (!file.empty()) {
    auto importance = Importance::load(file);
    if (!importance.is_ok()) return std::move(importance).error().in_file(file);
    moments.importance = std::move(importance).value();
    moments.file = file;
  }
  if (!options.hessian.empty()) {
    auto hessian = MomentFile::open(options.hessian);
    if (!hessian.is_ok()) return std::move(hessian).error().in_file(options.hessian);
    moments.hessian = std::move(hessian).value();
  }
  moments.given = moments.importance || moments.hessian;
  LLMC_RETURN_IF_ERROR(check_knows_pipeline(moments, options, model));
  return moments;
}

namespace {

Status estimate_products(const Model& model, InputMoments* moments) {
  const TensorSource& source = *model.source;
  for (const AdapterPair& pair : adapter_pairs(source.tensors())) {
    if (!moments->importance) moments->importance.emplace();
    LLMC_ASSIGN_OR_RETURN(const bool known, append_product_moments(source, pair, &*moments->importance));
    if (!known) continue;
    for (const size_t factor : {pair.down, pair.up}) moments->factors.insert(source.tensors()[factor].name);
  }
  moments->estimated = moments->estimated || !moments->factors.empty();
  return Status::ok();
}

struct EstimateByParts {
  std::optional<Importance> importance;
  // What is not known of the inputs of a part, and why, by its folder; of a model that is no pipeline, under "".
  std::map<std::string, std::string> notes;
};

// Of a pipeline, each part as a model by itself.
Result<EstimateByParts> estimate_by_parts(const Model& model, unsigned threads,
                                          const std::function<Status(uint64_t weights)>& layer_done) {
  EstimateByParts all;
  if (model.parts.empty()) {
    LLMC_ASSIGN_OR_RETURN(MomentEstimate own, estimate_moments(model, threads, layer_done));
    all.importance = std::move(own.importance);
    if (!own.note.empty()) all.notes[""] = own.note;
  }
  for (const ModelPart& part : model.parts) {
    LLMC_ASSIGN_OR_RETURN(MomentEstimate own,
                          estimate_moments(part_of_pipeline(model, part), threads, layer_done));
    if (own.importance) {
      if (!all.importance) all.importance.emplace();
      all.importance->adopt_part(std::move(*own.importance), part_prefix(part.folder));
    }
    if (!own.note.empty()) all.notes[part.folder] = own.note;
  }
  return all;
}

// Whether all that is coded in a part are factors of low-rank updates, whose moments come from their products.
bool has_only_factors(const Model& model, const std::string& folder, const std::set<std::string>& factors) {
  bool any = false;
  for (const TensorInfo& info : model.source->tensors()) {
    if (info.folder() != part_prefix(folder) || kept_because(tensor_role(info)) != nullptr) continue;
    if (!factors.contains(info.name)) return false;
    any = true;
  }
  return any;
}

// What is not known of some parts is said beside what is known of others.
std::string note_on(const Model& model, const EstimateByParts& estimate, const InputMoments& moments) {
  std::map<std::string, std::string> parts_by_reason;
  for (const auto& [folder, reason] : estimate.notes) {
    if (has_only_factors(model, folder, moments.factors)) continue;
    std::string& parts = parts_by_reason[reason];
    parts += fmt::format("{}{}", parts.empty() ? "" : ", ", folder.empty() ? "the root" : folder);
  }
  std::string note;
  for (const auto& [reason, parts] : parts_by_reason) {
    note += note.empty() ? "" : "; ";
    note += model.parts.empty() ? reason : fmt::format("{} ({})", reason, parts);
  }
  if (note.empty()) return note;
  return (moments.given ? "outputs not estimated: " : "inputs not estimated: ") + note;
}

}  // namespace

Result<std::string> estimate_missing(const Model& model, const CompressOptions& options,
                                     const std::function<Status(uint64_t weights)>& layer_done,
                                     InputMoments* moments) {
  if ((moments->importance && moments->importance->has_outputs()) || options.importance == kNoImportance)
    return std::string();
  LLMC_ASSIGN_OR_RETURN(EstimateByParts estimate,
                        estimate_by_parts(model, options.control.threads, layer_done));
  moments->estimated = moments->estimated || estimate.importance;
  if (!moments->given) {
    if (estimate.importance) moments->importance = std::move(estimate.importance);
    LLMC_RETURN_IF_ERROR(estimate_products(model, moments));
  } else if (estimate.importance) {
    if (!moments->importance) moments->importance.emplace();
    moments->importance->adopt_outputs(std::move(*estimate.importance));
  }
  return note_on(model, estimate, *moments);
}

}  // namespace llmcodec

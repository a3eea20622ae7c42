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

Result<InputMoments> open_moments(const CompressOptions& options) {
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

// Of a pipeline, each part as a model by itself; what is not known of some is said beside what is known of others.
Result<MomentEstimate> estimate_by_parts(const Model& model, unsigned threads,
                                         const std::function<Status(uint64_t weights)>& layer_done) {
  if (model.parts.empty()) return estimate_moments(model, threads, layer_done);
  MomentEstimate all;
  std::map<std::string, std::string> parts_by_reason;
  for (const ModelPart& part : model.parts) {
    LLMC_ASSIGN_OR_RETURN(MomentEstimate own,
                          estimate_moments(part_of_pipeline(model, part), threads, layer_done));
    if (own.importance) {
      if (!all.importance) all.importance.emplace();
      all.importance->adopt_part(std::move(*own.importance), part_prefix(part.folder));
    }
    if (own.note.empty()) continue;
    std::string& parts = parts_by_reason[own.note];
    parts += fmt::format("{}{}", parts.empty() ? "" : ", ", part.folder.empty() ? "the root" : part.folder);
  }
  for (const auto& [reason, parts] : parts_by_reason)
    all.note += fmt::format("{}{} ({})", all.note.empty() ? "" : "; ", reason, parts);
  return all;
}

}  // namespace

Result<std::string> estimate_missing(const Model& model, const CompressOptions& options,
                                     const std::function<Status(uint64_t weights)>& layer_done,
                                     InputMoments* moments) {
  if ((moments->importance && moments->importance->has_outputs()) || options.importance == kNoImportance)
    return std::string();
  LLMC_ASSIGN_OR_RETURN(MomentEstimate estimate,
                        estimate_by_parts(model, options.control.threads, layer_done));
  if (!estimate.importance && !moments->given) {
    LLMC_RETURN_IF_ERROR(estimate_products(model, moments));
    if (!moments->factors.empty()) return std::string();
  }
  const std::string note =
      estimate.note.empty()
          ? ""
          : (moments->given ? "outputs not estimated: " : "inputs not estimated: ") + estimate.note;
  if (!estimate.importance) return note;
  if (moments->given) {
    if (!moments->importance) moments->importance.emplace();
    moments->importance->adopt_outputs(std::move(*estimate.importance));
  } else {
    moments->importance = std::move(estimate.importance);
    LLMC_RETURN_IF_ERROR(estimate_products(model, moments));
  }
  moments->estimated = true;
  return note;
}

}  // namespace llmcodec

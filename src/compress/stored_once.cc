// SPDX-License-Identifier: BSD-3-Clause
#include "compress/stored_once.h"

#include <algorithm>

#include "base/error.h"
#include "compress/equal_tensors.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

class SameSettings {
 public:
  explicit SameSettings(const CompressState& state)
      : state_(state), tensors_(state.model.source->tensors()) {}

  // How a tensor is coded is asked for by rules and files, or found out by this program. Only what is asked for
  // can keep two apart: a tensor that is coded once has one of the two estimates.
  bool alike(size_t a, size_t b) const {
    if (state_.drafts[a].code != state_.drafts[b].code) return false;
    if (!state_.drafts[a].code) return true;  // nothing can differ in what is stored exactly
    return kind(a) == kind(b) && same_draft(a, b) && same_given_settings(a, b) && same_given_moments(a, b);
  }

  // Whether anything is known of what its errors do.
  bool is_known(size_t tensor) const {
    if (!state_.drafts[tensor].code) return false;
    if (state_.moments.factors.contains(tensors_[tensor].name)) return true;
    const auto known = state_.moments.knows_inputs(tensors_[tensor]);
    return known.is_ok() && *known;  // what is wrong with the moments was said when the plan was resolved
  }

 private:
  // An embedding that is the head as well is one tensor in most models.
  TensorRole kind(size_t tensor) const {
    const TensorRole role = tensor_role(tensors_[tensor]);
    return role == TensorRole::kHead ? TensorRole::kEmbedding : role;
  }

  bool same_draft(size_t a, size_t b) const {
    TensorDraft renamed = state_.drafts[a];
    renamed.name = state_.drafts[b].name;
    renamed.reason = state_.drafts[b].reason;
    return renamed == state_.drafts[b];
  }

  bool same_given_settings(size_t a, size_t b) const {
    if (!state_.given_settings) return true;
    const TensorSettings &one = (*state_.given_settings)[a], &other = (*state_.given_settings)[b];
    return one.octaves == other.octaves && one.pictures == other.pictures;
  }

  // What a file says of one of the two alone is no contradiction: it often knows a tied head, and not its embedding.
  bool same_given_moments(size_t a, size_t b) const {
    const InputMoments& moments = state_.moments;
    if (moments.hessian) {
      const auto one = moments.hessian->find(tensors_[a].name),
                 other = moments.hessian->find(tensors_[b].name);
      if (one && other && *one != *other) return false;
    }
    if (!moments.importance || moments.file.empty()) return true;
    const MatrixShape shape = *tensor_matrices(tensors_[a]);  // the other's as well
    const auto inputs = [&](size_t tensor) {
      return moments.importance->find(tensors_[tensor].name, shape.cols, shape.matrices);
    };
    const auto outputs = [&](size_t tensor) {
      return moments.importance->find_outputs(tensors_[tensor].name, shape.rows, shape.matrices);
    };
    return agree(inputs(a), inputs(b)) && (moments.estimated || agree(outputs(a), outputs(b)));
  }

  static bool agree(const Result<ImportanceEntry>& a, const Result<ImportanceEntry>& b) {
    if (!a.is_ok() || !b.is_ok() || !a->found() || !b->found()) return true;
    return std::ranges::equal(a->moments, b->moments);
  }

  const CompressState& state_;
  const std::vector<TensorInfo>& tensors_;
};

}  // namespace

Status store_equal_tensors_once(CompressState& state) {
  const SameSettings settings(state);
  const EqualTensorRules rules{[&](size_t a, size_t b) { return settings.alike(a, b); },
                               [&](size_t tensor) { return settings.is_known(tensor); }};
  const TensorSource& source = *state.model.source;
  LLMC_ASSIGN_OR_RETURN(const std::vector<TensorCopy> copies,
                        find_equal_tensors(source, rules, state.options.control.threads));
  uint64_t bytes = 0;
  for (const TensorCopy& copy : copies) {
    const TensorInfo& info = source.tensors()[copy.index];
    const std::string& original = source.tensors()[copy.original].name;
    state.description.same_as[info.name] = {dtype_info(info.dtype).name, info.shape, original};
    state.plan.tensors[copy.index] = state.plan.tensors[copy.original];
    state.plan.tensors[copy.index].name = info.name;
    bytes += source.byte_size(copy.index);
  }
  if (!copies.empty())
    state.notes.push_back(
        fmt::format("{} of the tensors, {} bytes, are equal to others and stored once: {} as {}{}",
                    copies.size(), bytes, source.tensors()[copies[0].index].name,
                    source.tensors()[copies[0].original].name, copies.size() > 1 ? ", ..." : ""));
  return Status::ok();
}

}  // namespace llmcodec

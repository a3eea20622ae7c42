// SPDX-License-Identifier: BSD-3-Clause
// A model that may be quantised, as compress() sees it: first with every quantised layer as one BF16 tensor, then, when
// it is decided which of them are kept, with these in their own parts again, and with a config that says so.
//
// Example (Model& model, const std::vector<bool>& kept, const std::set<std::string>& coded):
//
//   LLMC_ASSIGN_OR_RETURN(QuantisedModel quantised, QuantisedModel::open(&model));  // model.source is BF16 now
//   LLMC_RETURN_IF_ERROR(quantised.check_known(coded));
//   LLMC_RETURN_IF_ERROR(quantised.keep(kept, &model));                             // of model.source's tensors
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "scheme/claims.h"
#include "tensor/model_source.h"

namespace llmcodec {

class QuantisedModel {
 public:
  // Replaces model->source where something is quantised in a way that is known. Corrupt for JSON beside the weights that
  // is none. What is not known is said by check_known(): a model that is kept as it is needs no knowledge. Parts of
  // pipelines are not dequantised, and none of their schemes is known.
  static Result<QuantisedModel> open(Model* model);

  // Unsupported, naming the scheme, where weights would be coded of a model whose scheme is not known. `coded`: where any
  // tensor is coded, by TensorInfo::folder().
  Status check_known(const std::set<std::string>& coded) const;
  // The quantised tensors whose parts are all in `names` are kept in parts: of an archive or plan that has them so.
  void keep_parts_in(const std::set<std::string>& names, Model* model);
  // Keeps tensors of model->source, one flag for each, in their own parts, and makes the config and the list of files
  // that go with them. Unsupported where the scheme cannot be of some layers only. Returns, for each tensor that
  // model->source has now, the one it was or was a part of.
  Result<std::vector<size_t>> keep(const std::vector<bool>& kept, Model* model);

  // How the tensors that are not kept in their parts were stored, by their names. Reads the small tensors beside them.
  Result<std::map<std::string, SourceFormat>> source_formats() const;

  // What the user should know of what was dequantised, in sentences; `target_bits`: asked of each weight, 0: unknown.
  std::vector<std::string> notes(double target_bits) const;

 private:
  static Result<QuantisedModel> open_parts(const Model& pipeline);
  Status rewrite_files(Model* model) const;
  Status remember_configs(Model* model) const;
  void show(Model* model) const;

  std::shared_ptr<const TensorSource> stored_;  // null: nothing is quantised
  DeclaredScheme declared_;
  Claims claims_;
  std::vector<bool> in_parts_;            // of claims_.logical
  std::map<std::string, Error> unknown_;  // by TensorInfo::folder() of the tensors concerned
};

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// What is known about the inputs and outputs of the model's layers: from an imatrix and second moments that
// the user gave, and, where these are silent, from the weights themselves.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "llmcodec/model.h"
#include "quant/importance.h"
#include "quant/moment_file.h"
#include "tensor/model_source.h"

namespace llmcodec {

struct InputMoments {
  std::optional<Importance> importance;
  std::unique_ptr<MomentFile> hessian;
  std::string file;               // of `importance`, where it was given
  bool given = false;             // something came from a file
  std::set<std::string> factors;  // tensors whose moments are those of a product (estimate/product_moments.h)
  bool estimated = false;  // what `importance` knows about outputs comes from the weights, not from a file

  // Whether anything is known about the inputs of a tensor that can be coded; about how much its outputs
  // matter. InvalidArgument, naming the file, when what is known is of another size or zero throughout.
  Result<bool> knows_inputs(const TensorInfo& info) const;
  Result<bool> knows_outputs(const TensorInfo& info) const;

 private:
  Error of_another_model(Error failure) const;
};

// The files named in the options. Errors name them; InvalidArgument for one that knows none of the tensors of a pipeline,
// whose names begin with folders.
Result<InputMoments> open_moments(const CompressOptions& options, const Model& model);

// Fills in from the weights what no file said: inputs and outputs, or the outputs alone beside an imatrix or
// second moments that know only the inputs; where nothing was given, what factors of low-rank updates do to their
// product too. Returns why it could not, as a note; empty otherwise.
// `layer_done` as in estimate_moments().
Result<std::string> estimate_missing(const Model& model, const CompressOptions& options,
                                     const std::function<Status(uint64_t weights)>& layer_done,
                                     InputMoments* moments);

// The imatrix file of the options; empty for none, and for "none", which also forbids the estimate.
std::string importance_file(const CompressOptions& options);

}  // namespace llmcodec

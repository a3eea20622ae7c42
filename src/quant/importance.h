// SPDX-License-Identifier: BSD-3-Clause
// What is known about the inputs of linear layers: the diagonal of their second moments, E[x_j^2], as
// llama.cpp's imatrix files hold it, in both formats:
//   .gguf  per weight NAME the F32 tensors NAME.in_sum2 [matrices, cols] and NAME.counts [matrices, 1];
//          others are ignored
//   .dat   i32 entries; per entry i32 name length, name, i32 calls, i32 values, float sums[values]
//          (mean * calls); what follows is ignored. All little-endian. The number of matrices is not stored.
// Tensors are found by their GGUF or Hugging Face name alike.
//
// A .gguf file may also tell how much each output of a weight matters: NAME.out_sum2 [matrices, rows], sums
// over the same tokens of g_i^2, g = gradient of -log p(token drawn from the model) by the weight's outputs
// (docs/importance.md). llama.cpp ignores them; its own files have none.
//
// Example (const std::string& name, uint64_t cols):
//
//   LLMC_ASSIGN_OR_RETURN(const Importance importance, Importance::load("model.imatrix.gguf"));
//   LLMC_ASSIGN_OR_RETURN(const ImportanceEntry entry, importance.find(name, cols));
//   if (entry.found()) use(entry.matrix(0));  // cols values, for importance_column_steps
//
// A tied embedding acts as output head too; a file made with llama-imatrix --process-output may call that
// input "output.weight": whoever knows that the model is tied asks for this name next.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec {

// A view into an Importance; empty when the file has nothing for the tensor.
struct ImportanceEntry {
  std::span<const float> moments;  // matrices x cols (rows, for outputs)
  uint64_t cols = 0;
  bool found() const { return !moments.empty(); }
  std::span<const float> matrix(uint64_t index) const { return moments.subspan(index * cols, cols); }
};

class Importance {
 public:
  // Reads either format, told apart by content. Errors name the file: Io; Corrupt (truncation, sums that are
  // negative or not finite, an entry without its counterpart, a name twice, no entry at all). An expert that
  // was never used gets the mean of the other experts' moments.
  static Result<Importance> load(const std::string& path);

  // Appends the moments of one matrix of the weight `name` (GGUF spelling): finite, not negative; matrices of
  // stacked experts one after the other.
  void append(const std::string& name, std::span<const float> moments);

  // Appends E[g_i^2] of one matrix's outputs, as append() does; `name` as the model spells it.
  void append_outputs(const std::string& name, std::span<const float> moments);
  // Takes over what `other` knows about outputs; nothing was known before.
  void adopt_outputs(Importance&& other) { outputs_ = std::move(other.outputs_); }

  // Takes over what `part` knows of a part of a pipeline, for names that begin with `prefix`.
  void adopt_part(Importance&& part, const std::string& prefix);

  // `name` in either spelling, behind whatever folders of a pipeline, a tensor of `matrices` matrices with `cols` columns. One Hugging Face
  // expert (of many 2-D tensors) finds its part of the GGUF entry of all. InvalidArgument when the sizes
  // differ from the file's.
  Result<ImportanceEntry> find(std::string_view name, uint64_t cols, uint64_t matrices = 1) const;

  // E[g_i^2] of the outputs of the weight `name`, `matrices` x `rows`; empty when the file has none. By the
  // file's own spelling only: Hugging Face and GGUF order the rows of queries and keys differently.
  Result<ImportanceEntry> find_outputs(std::string_view name, uint64_t rows, uint64_t matrices = 1) const;

  size_t size() const { return entries_.size(); }
  bool has_outputs() const { return !outputs_.empty(); }
  std::vector<std::string> names() const;  // as in the file, sorted

 private:
  using Entries = std::map<std::string, std::vector<float>, std::less<>>;  // all matrices of a weight
  Entries entries_;
  Entries outputs_;
};

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// What is known about the inputs of linear layers: the diagonal of their second moments (llama.cpp's imatrix
// files, both formats) or the full matrix (a safetensors file, docs/importance.md). Tensors are found by
// their GGUF or Hugging Face name alike.
//
//   LLMC_ASSIGN_OR_RETURN(Importance importance, Importance::load("model.imatrix.gguf"));
//   LLMC_ASSIGN_OR_RETURN(ImportanceEntry entry, importance.find("model.layers.0.self_attn.q_proj.weight",
//   cols, matrices)); if (!entry.found()) report_missing(name); entry.matrix(m)        // E[x_j^2], cols
//   values, for fit_scales through importance_column_steps
//
//   LLMC_ASSIGN_OR_RETURN(auto moments, MomentFile::open("model.hessian.safetensors"));
//   if (auto group = moments->find(name)) LLMC_ASSIGN_OR_RETURN(auto h, moments->read(*group));   // cols x
//   cols
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmcodec/matrix_view.h"
#include "llmcodec/status.h"
#include "tensor/safetensors.h"

namespace llmcodec {

// A view into an Importance; empty when the file has nothing for the tensor.
struct ImportanceEntry {
  std::span<const float> moments;  // matrices x cols
  uint64_t cols = 0;
  bool found() const { return !moments.empty(); }
  std::span<const float> matrix(uint64_t index) const { return moments.subspan(index * cols, cols); }
};

class Importance {
 public:
  // Reads either format, told apart by content. Errors: Io; Corrupt with the byte offset (truncation,
  // non-finite or negative sums); Limit. An expert that was never used gets the mean of the others' moments.
  static Result<Importance> load(const std::string& path);

  // `name` in either spelling, of a tensor of `matrices` matrices with `cols` columns. A Hugging Face expert
  // (one of many 2-D tensors) finds its part of the 3-D entry. InvalidArgument when the sizes differ from the
  // file's.
  Result<ImportanceEntry> find(std::string_view name, uint64_t cols, uint64_t matrices = 1) const;

  size_t size() const { return entries_.size(); }
  std::vector<std::string> names() const;  // GGUF spelling, sorted

 private:
  friend class ImportanceBuilder;
  struct Stored {
    uint64_t matrices = 1;
    std::vector<float> moments;
  };
  std::map<std::string, Stored, std::less<>> entries_;  // by GGUF name
};

// Full second moments: one F32 [n, n] tensor per group of linear layers that share inputs.
class MomentFile {
 public:
  // Corrupt: not the format of docs/importance.md (metadata missing, members that name no tensor, a tensor
  // that is not square F32, a layer in two groups). Unsupported: a later version.
  static Result<std::unique_ptr<MomentFile>> open(const std::string& path);

  // The group that holds the inputs of tensor `name`, in either spelling; nullopt when there is none.
  std::optional<size_t> find(std::string_view name) const;
  uint64_t cols(size_t group) const;
  const std::string& group_name(size_t group) const;
  // cols x cols floats, row-major (memory: 4 cols^2 bytes, the caller's). InvalidArgument for NaN or Inf.
  Result<std::vector<float>> read(size_t group) const;
  // Its diagonal alone, for importance_column_steps.
  Result<std::vector<float>> read_diagonal(size_t group) const;

 private:
  MomentFile() = default;
  std::unique_ptr<SafetensorsFile> file_;
  std::map<std::string, size_t, std::less<>> groups_;  // GGUF name of a layer's weight -> tensor index
};

}  // namespace llmcodec

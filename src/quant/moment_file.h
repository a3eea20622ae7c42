// SPDX-License-Identifier: BSD-3-Clause
// Full second moments of the inputs of linear layers, E[x x^T], from a safetensors file: one F32 [n, n]
// tensor per group of layers that read the same inputs, and in the metadata which weights these are
// (docs/importance.md; written by python -m llmcodec.calibrate). Weights are found by their GGUF or
// Hugging Face name alike.
//
// Example (const std::string& path):
//
//   LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<MomentFile> moments, MomentFile::open(path));
//   if (const std::optional<size_t> group = moments->find("model.layers.0.mlp.up_proj.weight")) {
//     LLMC_ASSIGN_OR_RETURN(const std::vector<float> h, moments->read(*group));
//     use(MatrixView<const float>(h.data(), moments->cols(*group), moments->cols(*group)));
//   }
//
// One group is in memory at a time. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmcodec/status.h"
#include "tensor/safetensors.h"

namespace llmcodec {

class MomentFile {
 public:
  // Corrupt: metadata missing or not as documented, members of a tensor that does not exist, a tensor that is
  // not F32 [n, n], a weight in two groups. Unsupported: a later format_version. Errors name the file.
  static Result<std::unique_ptr<MomentFile>> open(const std::string& path);

  // The group whose inputs the weight `name` reads; nullopt when there is none.
  std::optional<size_t> find(std::string_view name) const;
  uint64_t cols(size_t group) const { return file_->tensors()[group].shape[0]; }
  const std::string& group_name(size_t group) const { return file_->tensors()[group].name; }
  std::vector<std::string> names() const;  // of all weights, sorted

  // cols x cols floats, row-major. InvalidArgument for a NaN or Inf, with its index.
  Result<std::vector<float>> read(size_t group) const;

 private:
  MomentFile() = default;
  Status read_members(const std::string& description);
  Status check_groups() const;
  std::unique_ptr<SafetensorsFile> file_;
  std::map<std::string, size_t, std::less<>> groups_;  // weight -> tensor index
};

}  // namespace llmcodec

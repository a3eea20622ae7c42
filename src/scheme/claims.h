// SPDX-License-Identifier: BSD-3-Clause
// Which tensors of a checkpoint are codes, scales and zeros of one layer. Names and shapes tell nearly all; the declared
// scheme adds the version of GPTQ, and bits where several numbers of them would fit. Of the contents, a few small tensors are read that say a shape.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "scheme/declared_scheme.h"
#include "scheme/dequantised_source.h"

namespace llmcodec {

struct Claims {
  std::vector<LogicalTensor> logical;
  std::vector<std::string> schemes;  // of each, in words for the user
};

// Unsupported, naming tensor and shapes, for codes with scales beside them that fit no known scheme.
// `stored` must live as long as what is returned.
Result<Claims> find_claims(const TensorSource& stored, const DeclaredScheme& declared);

// --- for the files that know one family each

// A checkpoint by names.
class StoredNames {
 public:
  explicit StoredNames(const TensorSource& source);
  const TensorSource& source() const { return source_; }
  const TensorInfo& info(size_t i) const { return source_.tensors()[i]; }
  std::optional<size_t> find(const std::string& name) const;
  // Of the names given, the first that there is.
  std::optional<size_t> first(std::initializer_list<std::string> names) const;
  // That the tensor's shape is of no layout that is known.
  Error misfit(size_t tensor, const std::string& why) const;

 private:
  const TensorSource& source_;
  std::unordered_map<std::string_view, size_t> index_;
};

struct Claim {
  LogicalTensor tensor;
  std::string scheme;
};
using MaybeClaim = Result<std::optional<Claim>>;

// `name` up to its last point, which is left out; the whole name where there is none.
std::string module_of(const std::string& name);
// The tensors that schemes keep beside a module's weights for activations, or to say a shape.
void add_companions(const StoredNames& names, const std::string& module, std::vector<size_t>* parts);

// The grid of a tensor of scales for weights of `shape`: one for all, one for each row, or one for each block.
// nullopt where the shapes do not go together.
std::optional<Grid> fit_grid(const std::vector<uint64_t>& scales, const std::vector<uint64_t>& shape);

MaybeClaim claim_byte_codes(const StoredNames& names, size_t codes);       // F8 and I8
MaybeClaim claim_four_bit_floats(const StoredNames& names, size_t codes);  // NVFP4, MXFP4
MaybeClaim claim_gpt_oss(const StoredNames& names, size_t codes);          // MXFP4 in `_blocks`
// compressed-tensors
MaybeClaim claim_packed_integers(const StoredNames& names, size_t codes, const DeclaredScheme& declared);
MaybeClaim claim_gptq_or_awq(const StoredNames& names, size_t codes, const DeclaredScheme& declared);
MaybeClaim claim_mlx(const StoredNames& names, size_t codes, const DeclaredScheme& declared);
MaybeClaim claim_bitsandbytes(const StoredNames& names, size_t codes);  // NF4 and FP4

}  // namespace llmcodec

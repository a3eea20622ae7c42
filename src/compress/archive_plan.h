// SPDX-License-Identifier: BSD-3-Clause
// Where everything will stand in the archive, before anything is coded: which shard, and how large each
// header can get.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "archive/archive_writer.h"
#include "coding/codec_set.h"
#include "compress/fitted_tensor.h"
#include "tensor/model_source.h"

namespace llmcodec {

// What does not change while steps are searched for. Everything is borrowed.
struct ArchiveContent {
  const Model* model = nullptr;
  const std::vector<FittedTensor>* tensors = nullptr;
  CodecSet* codecs = nullptr;
  const Description* description = nullptr;  // without tensors
  uint64_t gguf_header_bytes = 0;            // packed; 0 unless the source is GGUF
  std::string output;
  uint64_t shard_bytes = 0;
};

struct ArchivePlan {
  ArchiveLayout layout;
  std::vector<size_t> shard_of;  // per source tensor
  // Source tensors stored exactly: by shard, then falling alignment, then position.
  std::vector<size_t> exact_order;
  // What is neither weights nor carried over: headers, descriptions (what they will most likely take) and the
  // index.
  uint64_t overhead_bytes = 0;
};
Result<ArchivePlan> plan_archive(const ArchiveContent& content, const std::vector<TensorSettings>& settings);

// Bytes of the archive besides streams and outliers.
class FixedBytes {
 public:
  explicit FixedBytes(ArchiveContent content) : content_(std::move(content)) {}
  // The number of shards, and with it the headers, follows from what `settings` predict. How large headers
  // and descriptions get hangs on steps only by a digit here and there, which is not worth packing the
  // descriptions anew at every step that the rate search tries.
  Result<uint64_t> get(const std::vector<TensorSettings>& settings);

 private:
  ArchiveContent content_;
  std::vector<size_t> shard_of_;  // for which overhead_bytes_ was found
  uint64_t overhead_bytes_ = 0;
};

// True when safetensors has no name for the dtype, so that an exact copy is stored as bytes.
bool needs_verbatim(Dtype dtype);

}  // namespace llmcodec

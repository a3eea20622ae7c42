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

namespace llmcodec {

struct ArchivePlan {
  ArchiveLayout layout;
  std::vector<size_t> shard_of;  // per source tensor
  std::vector<size_t>
      exact_order;  // source tensors stored exactly, by shard, then falling alignment, then position
  // What is neither weights nor carried over: headers, descriptions (what they will most likely take) and the
  // index.
  uint64_t overhead_bytes = 0;
};

struct ArchivePlanInput {
  const Model* model = nullptr;
  const std::vector<TensorJob>* jobs = nullptr;  // coded tensors; steps need not be known yet
  CodecSet* codecs = nullptr;
  const Description* description = nullptr;  // without tensors
  uint64_t gguf_header_bytes = 0;            // packed; 0 unless the source is GGUF
  std::string output;
  uint64_t shard_bytes = 0;
};
Result<ArchivePlan> plan_archive(const ArchivePlanInput& input);
// The plan's `shard_of` alone.
std::vector<size_t> assign_shards(const ArchivePlanInput& input);

// Bytes of the tensors stored exactly.
uint64_t exact_bytes(const Model& model, const std::vector<TensorJob>& jobs);

// True when safetensors has no name for the dtype, so that an exact copy is stored as bytes.
bool needs_verbatim(Dtype dtype);

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "compress/archive_plan.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "archive/packing.h"
#include "base/checked_math.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

// Stand for what is not known yet: no shorter when packed.
std::string any_checksum(const std::string& name) {
  return xxh3_128(std::as_bytes(std::span(name)));
}
uint64_t any_number(const std::string& name, uint64_t index) {
  return std::stoull(any_checksum(fmt::format("{} {}", name, index)).substr(0, 8), nullptr, 16);
}

uint64_t largest_like(uint64_t bytes) {  // 999..9 with as many digits
  uint64_t nines = 9;
  while (nines < bytes) nines = nines * 10 + 9;
  return nines;
}

SafetensorsEntry largest_entry(const std::string& name, uint64_t total_bytes) {
  const uint64_t size = largest_like(total_bytes);
  return {{name, Dtype::kU8, {size}}, size, size};
}

// The entries that the tensor may come to, and a description as long as its own will be: steps and lengths
// are not known yet.
Status add_coded(const ArchivePlanInput& input, const TensorJob& job, uint64_t total_bytes,
                 Description* description, std::vector<SafetensorsEntry>* entries) {
  const TensorInfo& info = input.model->source->tensors()[job.index];
  LLMC_ASSIGN_OR_RETURN(const Codec* codec, input.codecs->get(job.plan->codec));
  TensorPlan any = *job.plan;
  any.step = 0.12345678;
  if (any.outputs_per_block == 0) any.outputs_per_block = 16;
  TensorJob likely = job;
  likely.plan = &any;
  LLMC_ASSIGN_OR_RETURN(CodedTensor stages, make_stages(likely, job.shape.rows, *codec));
  const uint64_t pictures = stages.pictures_per_matrix();
  const uint64_t segments = ceil_div(pictures, stages.codec.pictures_per_segment) * job.shape.matrices;
  const uint64_t segment = ceil_div(job.shape.weights(), segments) * 3 / 8;
  std::vector<std::string> samples;
  for (uint64_t i = 0; i < segments; ++i) {
    stages.codec.segment_bytes.push_back(segment - any_number(info.name, i) % (segment / 16 + 1));
    samples.push_back(any_checksum(fmt::format("{} {}", info.name, i)));
  }
  TensorRecord record{
      dtype_info(info.dtype).name, info.shape, job.shape.matrices, job.shape.rows, job.shape.cols,
      stages_to_json(stages),      {},         std::move(samples)};
  std::vector<std::string> parts = {"bitstream", "outliers"};
  for (const ScalePart& part : job.scale_parts) parts.push_back(part.name);
  for (const std::string& part : parts) {
    entries->push_back(largest_entry(info.name + "." + part, total_bytes));
    if (part == "outliers") continue;  // few tensors have any
    record.parts[part] = {any_number(part + info.name, 0) % (job.shape.weights() + 1),
                          any_checksum(part + info.name)};
  }
  description->tensors[info.name] = std::move(record);
  return Status::ok();
}

void add_exact(const TensorInfo& info, uint64_t total_bytes, Description* description,
               std::vector<SafetensorsEntry>* entries) {
  const std::string checksum = any_checksum(info.name);
  if (needs_verbatim(info.dtype)) {
    entries->push_back(largest_entry(info.name + ".data", total_bytes));
    description->tensors[info.name] = {
        dtype_info(info.dtype).name,         info.shape, 1, info.elements(), 1, {verbatim_stage()},
        {{"data", {total_bytes, checksum}}}, {}};
  } else {
    entries->push_back({info, largest_like(total_bytes), largest_like(total_bytes)});
    description->exact[info.name] = {dtype_info(info.dtype).name, info.shape, checksum};
  }
}

uint64_t tensor_bytes(const TensorInfo& info) {
  return *dtype_bytes(info.dtype, info.elements());
}

// Every name that will stand in the file, once.
Status check_names(const std::vector<std::vector<SafetensorsEntry>>& entries) {
  std::set<std::string> seen;
  for (const auto& shard : entries) {
    for (const SafetensorsEntry& entry : shard) {
      if (!seen.insert(entry.info.name).second)
        return error(ErrorKind::kInvalidArgument,
                     "two parts of the archive would be called '{}'; rename the tensor", entry.info.name);
    }
  }
  return Status::ok();
}

void name_files(const ArchivePlanInput& input, size_t shards, ArchiveLayout* layout) {
  const bool folder = input.model->kind == ModelKind::kFolder || shards > 1 || fs::is_directory(input.output);
  const fs::path base = input.output;
  for (size_t i = 0; i < shards; ++i) {
    const std::string name =
        shards == 1 ? kSingleFileName : fmt::format("model-{:05d}-of-{:05d}.safetensors", i + 1, shards);
    layout->shards.push_back({folder ? (base / name).string() : input.output, 0});
  }
  if (shards > 1) layout->index_path = (base / kIndexFileName).string();
  layout->journal_path = folder ? (base / ".llmcodec-journal").string() : input.output + ".journal";
}

// What the index will have, most likely: few tensors have outliers.
uint64_t index_bytes(const ArchiveLayout& layout, const std::vector<std::vector<SafetensorsEntry>>& entries,
                     uint64_t total_bytes) {
  std::vector<TensorInfo> infos;
  std::vector<Shard> shards;
  for (size_t i = 0; i < entries.size(); ++i) {
    const size_t first = infos.size();
    for (const SafetensorsEntry& entry : entries[i]) {
      const std::string& name = entry.info.name;
      if (!name.ends_with(".outliers")) infos.push_back(entry.info);
    }
    shards.push_back({fs::path(layout.shards[i].path).filename().string(), first, infos.size() - first,
                      total_bytes / entries.size()});
  }
  return safetensors_index(infos, shards).size();
}

}  // namespace

bool needs_verbatim(Dtype dtype) {
  return dtype_info(dtype).block_elements > 1;
}

uint64_t exact_bytes(const Model& model, const std::vector<TensorJob>& jobs) {
  uint64_t bytes = 0;
  for (const TensorInfo& info : model.source->tensors()) bytes += tensor_bytes(info);
  for (const TensorJob& job : jobs) bytes -= tensor_bytes(model.source->tensors()[job.index]);
  return bytes;
}

// Tensors go to shards in order, by what the plan predicts (or a third of F16, before there is a prediction).
std::vector<size_t> assign_shards(const ArchivePlanInput& input) {
  std::vector<uint64_t> bytes;
  for (const TensorInfo& info : input.model->source->tensors()) bytes.push_back(tensor_bytes(info));
  for (const TensorJob& job : *input.jobs) {
    const uint64_t predicted = job.plan->predicted_bytes + job.plan->predicted_bytes / 20;
    bytes[job.index] = (predicted > 0 ? predicted : job.shape.weights() * 5 / 8) + job.side_bytes();
  }
  std::vector<size_t> shard_of(bytes.size());
  uint64_t filled = 0;
  size_t shard = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (input.shard_bytes > 0 && filled > 0 && filled + bytes[i] > input.shard_bytes) {
      ++shard;
      filled = 0;
    }
    filled += bytes[i];
    shard_of[i] = shard;
  }
  return shard_of;
}

Result<ArchivePlan> plan_archive(const ArchivePlanInput& input) {
  const std::vector<TensorInfo>& tensors = input.model->source->tensors();
  ArchivePlan plan;
  plan.shard_of = assign_shards(input);
  const size_t shards = plan.shard_of.empty() ? 1 : plan.shard_of.back() + 1;
  name_files(input, shards, &plan.layout);

  uint64_t total_bytes = 1 << 20;
  for (const TensorInfo& info : tensors) total_bytes += tensor_bytes(info);
  std::vector<Description> descriptions(shards, *input.description);
  std::vector<std::vector<SafetensorsEntry>> entries(shards);
  std::vector<bool> coded(tensors.size(), false);
  for (const TensorJob& job : *input.jobs) {
    const size_t shard = plan.shard_of[job.index];
    coded[job.index] = true;
    LLMC_RETURN_IF_ERROR(add_coded(input, job, total_bytes, &descriptions[shard], &entries[shard]));
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (coded[i]) continue;
    plan.exact_order.push_back(i);
    add_exact(tensors[i], total_bytes, &descriptions[plan.shard_of[i]], &entries[plan.shard_of[i]]);
  }
  std::stable_sort(plan.exact_order.begin(), plan.exact_order.end(), [&](size_t a, size_t b) {
    if (plan.shard_of[a] != plan.shard_of[b]) return plan.shard_of[a] < plan.shard_of[b];
    const auto alignment = [&](size_t i) {
      return needs_verbatim(tensors[i].dtype) ? 8u : dtype_info(tensors[i].dtype).block_bytes;
    };
    return alignment(a) > alignment(b);
  });
  if (input.gguf_header_bytes > 0) {
    add_exact({kGgufHeaderName, Dtype::kU8, {align_up(input.gguf_header_bytes, 8)}}, total_bytes,
              &descriptions[0], &entries[0]);
  }
  LLMC_RETURN_IF_ERROR(check_names(entries));
  for (size_t i = 0; i < shards; ++i) {
    descriptions[i].shard = i;
    descriptions[i].shards = shards;
    entries[i].push_back(largest_entry(description_name(i), total_bytes));
    const std::string text = to_text(descriptions[i]);
    LLMC_ASSIGN_OR_RETURN(const std::string header, safetensors_header(entries[i], archive_metadata(text)));
    plan.layout.shards[i].header_bytes = header.size();
    plan.overhead_bytes += header.size() + align_up(pack(std::as_bytes(std::span(text))).size(), 8);
  }
  if (shards > 1) plan.overhead_bytes += index_bytes(plan.layout, entries, total_bytes);
  return plan;
}

}  // namespace llmcodec

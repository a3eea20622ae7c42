// SPDX-License-Identifier: BSD-3-Clause
#include "pipeline/archive_plan.h"

#include <zstd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/checked_math.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

// Stands for a checksum or a number of that many digits while the header's size is worked out.
const std::string kAnyChecksum(32, 'f');
uint64_t largest_like(uint64_t bytes) {  // 999..9 with as many digits
  uint64_t nines = 9;
  while (nines < bytes) nines = nines * 10 + 9;
  return nines;
}

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

// The largest description and entries that the tensor can come to.
Status add_largest(const ArchivePlanInput& input, const TensorJob& job, uint64_t total_bytes,
                   Description* description, std::vector<SafetensorsEntry>* entries) {
  const TensorInfo& info = input.model->source->tensors()[job.index];
  LLMC_ASSIGN_OR_RETURN(const Codec* codec, input.codecs->get(job.plan->codec));
  TensorPlan any = *job.plan;
  any.step = 1.2345679e-38;  // as long as a binary32 gets
  any.quality = -100.125;
  if (any.outputs_per_block == 0) any.outputs_per_block = 1;  // most pictures
  TensorJob largest = job;
  largest.plan = &any;
  LLMC_ASSIGN_OR_RETURN(CodedTensor stages, make_stages(largest, job.shape.rows, *codec));
  const uint64_t pictures = stages.pictures_per_matrix();
  const uint64_t segments = ceil_div(pictures, stages.codec.pictures_per_segment) * job.shape.matrices;
  const uint64_t raw = 4 * ceil_div(job.shape.weights(), segments) + 65536;
  stages.codec.segment_bytes.assign(segments, largest_like(raw));
  TensorRecord record{
      dtype_info(info.dtype).name, info.shape, job.shape.matrices, job.shape.rows, job.shape.cols,
      stages_to_json(stages),      {},         kAnyChecksum};
  std::vector<std::string> parts = {"bitstream", "outlier_index", "outlier_value"};
  for (const ScalePart& part : scale_parts(job)) parts.push_back(part.name);
  for (const std::string& part : parts) {
    record.parts[part] = {largest_like(raw * segments), kAnyChecksum};
    TensorInfo entry{
        info.name + "." + part, part == "bitstream" ? Dtype::kU8 : Dtype::kBF16, {largest_like(total_bytes)}};
    entries->push_back({entry, largest_like(total_bytes), largest_like(total_bytes)});
  }
  description->tensors[info.name] = std::move(record);
  return Status::ok();
}

void add_exact(const TensorInfo& info, uint64_t total_bytes, Description* description,
               std::vector<SafetensorsEntry>* entries) {
  TensorInfo entry = info;
  if (needs_verbatim(info.dtype)) {
    entry.name += ".data";
    entry.dtype = Dtype::kU8;
    entry.shape = {largest_like(total_bytes)};
    description->tensors[info.name] = {dtype_info(info.dtype).name,
                                       info.shape,
                                       1,
                                       info.elements(),
                                       1,
                                       {verbatim_stage()},
                                       {{"data", {largest_like(total_bytes), kAnyChecksum}}},
                                       ""};
  } else {
    description->exact[info.name] = {dtype_info(info.dtype).name, info.shape, kAnyChecksum};
  }
  entries->push_back({entry, largest_like(total_bytes), largest_like(total_bytes)});
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
      if (!name.ends_with(".outlier_index") && !name.ends_with(".outlier_value")) infos.push_back(entry.info);
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

std::vector<std::byte> pack_gguf_header(std::span<const std::byte> header) {
  std::vector<std::byte> out(ZSTD_compressBound(header.size()));
  const size_t size = ZSTD_compress(out.data(), out.size(), header.data(), header.size(), 19);
  out.resize(ZSTD_isError(size) ? 0 : size);
  return out;
}

uint64_t exact_bytes(const Model& model, const std::vector<TensorJob>& jobs) {
  uint64_t bytes = 0;
  for (const TensorInfo& info : model.source->tensors()) bytes += tensor_bytes(info);
  for (const TensorJob& job : jobs) bytes -= tensor_bytes(model.source->tensors()[job.index]);
  return bytes;
}

std::vector<ScalePart> scale_parts(const TensorJob& job) {
  std::vector<uint8_t> rows, cols, groups;
  std::vector<uint16_t> zeros;
  for (const MatrixScales& scales : job.scales) {
    rows.insert(rows.end(), scales.row_codes.begin(), scales.row_codes.end());
    cols.insert(cols.end(), scales.col_codes.begin(), scales.col_codes.end());
    groups.insert(groups.end(), scales.group_codes.begin(), scales.group_codes.end());
    zeros.insert(zeros.end(), scales.zeros.begin(), scales.zeros.end());
  }
  std::vector<ScalePart> parts;
  if (!rows.empty()) parts.push_back({"row_scale", Dtype::kU8, bytes_of(rows)});
  if (!cols.empty()) parts.push_back({"col_scale", Dtype::kU8, bytes_of(cols)});
  if (!groups.empty()) parts.push_back({"group_scale", Dtype::kU8, bytes_of(groups)});
  if (!zeros.empty()) parts.push_back({"zero", Dtype::kF16, bytes_of(zeros)});
  return parts;
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
    LLMC_RETURN_IF_ERROR(add_largest(input, job, total_bytes, &descriptions[shard], &entries[shard]));
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
    const TensorInfo info{kGgufHeaderName, Dtype::kU8, {largest_like(input.gguf_header_bytes + 8)}};
    add_exact(info, total_bytes, &descriptions[0], &entries[0]);
  }
  LLMC_RETURN_IF_ERROR(check_names(entries));
  for (size_t i = 0; i < shards; ++i) {
    descriptions[i].shard = i;
    descriptions[i].shards = shards;
    LLMC_ASSIGN_OR_RETURN(const std::string header,
                          safetensors_header(entries[i], archive_metadata(descriptions[i])));
    plan.layout.shards[i].header_bytes = header.size();
    plan.header_bytes += header.size();
  }
  if (shards > 1) plan.header_bytes += index_bytes(plan.layout, entries, total_bytes);
  return plan;
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "compress/archive_plan.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "archive/part_names.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"
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

// What the header and the description of one shard will hold.
struct HeaderContent {
  uint64_t total_bytes = 0;  // no entry lies behind it
  Description description;
  std::vector<SafetensorsEntry> entries;

  // An entry of bytes, with the longest numbers that it can have.
  void add_largest(const std::string& name) {
    const uint64_t size = largest_like(total_bytes);
    entries.push_back({{name, Dtype::kU8, {size}}, size, size});
  }
};

// The recipe with what is not known yet filled in, as long as it will be: digits of the step, lengths of the
// segments.
Result<TensorRecipe> likely_recipe(const ArchiveContent& content, const FittedTensor& tensor,
                                   const PictureSettings& settings) {
  LLMC_ASSIGN_OR_RETURN(const Codec* codec, content.codecs->get(tensor.plan->codec));
  PictureSettings likely = settings;
  likely.step = 0.12345678;
  LLMC_ASSIGN_OR_RETURN(TensorRecipe recipe, tensor.recipe(tensor.shape.rows, likely, *codec));
  const uint64_t segments = recipe.segments_per_matrix() * tensor.shape.matrices;
  const uint64_t bytes = ceil_div(tensor.shape.weights(), segments) * 3 / 8;
  for (uint64_t i = 0; i < segments; ++i)
    recipe.codec.segment_bytes.push_back(bytes - any_number(tensor.plan->name, i) % (bytes / 16 + 1));
  return recipe;
}

// The largest entries that the tensor may come to, and a description as long as its own will most likely be.
Status add_coded(const ArchiveContent& content, const FittedTensor& tensor, const PictureSettings& settings,
                 HeaderContent* header) {
  const TensorInfo& info = content.model->source->tensors()[tensor.index];
  LLMC_ASSIGN_OR_RETURN(const TensorRecipe recipe, likely_recipe(content, tensor, settings));
  TensorRecord record = coded_record(info, tensor.shape, recipe);
  if (Status status = check_block_size(record, recipe); !status.is_ok())
    return std::move(status).error().in_tensor(info.name);
  for (uint64_t i = 0; i < recipe.codec.segment_bytes.size(); ++i)
    record.samples.push_back(any_checksum(fmt::format("{} {}", info.name, i)));
  std::vector<std::string> parts = {part_name::kBitstream};
  for (const Part& part : tensor.scale_parts) parts.push_back(part.name);
  for (const std::string& part : parts) {
    header->add_largest(info.name + "." + part);
    record.parts[part] = {any_number(part + info.name, 0) % (tensor.shape.weights() + 1),
                          any_checksum(part + info.name)};
  }
  header->add_largest(info.name + "." + part_name::kOutliers);  // few tensors have any: not described
  header->description.tensors[info.name] = std::move(record);
  return Status::ok();
}

void add_exact(const TensorInfo& info, HeaderContent* header) {
  const std::string checksum = any_checksum(info.name);
  if (needs_verbatim(info.dtype)) {
    header->add_largest(info.name + "." + part_name::kData);
    TensorRecord record = verbatim_record(info);
    record.parts[part_name::kData] = {header->total_bytes, checksum};
    header->description.tensors[info.name] = std::move(record);
  } else {
    const uint64_t size = largest_like(header->total_bytes);
    header->entries.push_back({info, size, size});
    header->description.exact[info.name] = {dtype_info(info.dtype).name, info.shape, checksum};
  }
}

// Whether the archive holds nothing of the tensor, for it is the same as another.
bool is_copy(const ArchiveContent& content, size_t index) {
  return content.description->same_as.contains(content.model->source->tensors()[index].name);
}

uint64_t tensor_bytes(const TensorInfo& info) {
  return *dtype_bytes(info.dtype, info.elements());
}

// Every name that will stand in the file or that only the description knows, once.
Status check_names(const std::vector<HeaderContent>& shards, const Description& description) {
  std::set<std::string> seen;
  for (const auto& [name, copy] : description.same_as) seen.insert(name);
  for (const HeaderContent& shard : shards) {
    for (const SafetensorsEntry& entry : shard.entries) {
      if (!seen.insert(entry.info.name).second)
        return error(ErrorKind::kInvalidArgument,
                     "two parts of the archive would be called '{}'; rename the tensor", entry.info.name);
    }
  }
  return Status::ok();
}

ArchiveLayout name_files(const ArchiveContent& content, size_t shards) {
  std::error_code code;  // what cannot be looked at cannot be created either, which says why
  const bool folder =
      is_folder_kind(content.model->kind) || shards > 1 || fs::is_directory(content.output, code);
  const fs::path base = content.output;
  ArchiveLayout layout;
  for (size_t i = 0; i < shards; ++i) {
    const std::string name =
        shards == 1 ? kSingleFileName : fmt::format("model-{:05d}-of-{:05d}.safetensors", i + 1, shards);
    layout.shards.push_back({folder ? (base / name).string() : content.output, 0});
  }
  if (folder) layout.folder = content.output;
  if (shards > 1) layout.index_path = (base / kIndexFileName).string();
  layout.journal_path = folder ? (base / ".llmcodec-journal").string() : content.output + ".journal";
  return layout;
}

// What the index will have, most likely: few tensors have outliers.
uint64_t index_bytes(const ArchiveLayout& layout, const std::vector<HeaderContent>& shards) {
  const std::string outliers = std::string(".") + part_name::kOutliers;
  std::vector<TensorInfo> infos;
  std::vector<Shard> files;
  for (size_t i = 0; i < shards.size(); ++i) {
    const size_t first = infos.size();
    for (const SafetensorsEntry& entry : shards[i].entries) {
      if (!entry.info.name.ends_with(outliers)) infos.push_back(entry.info);
    }
    files.push_back({fs::path(layout.shards[i].path).filename().string(), first, infos.size() - first,
                     shards[i].total_bytes / shards.size()});
  }
  return safetensors_index(infos, files).size();
}

// Tensors go to shards in order, by what is predicted (or a third of F16, before there is a prediction).
std::vector<size_t> assign_shards(const ArchiveContent& content,
                                  const std::vector<TensorSettings>& settings) {
  std::vector<uint64_t> bytes;
  for (const TensorInfo& info : content.model->source->tensors()) bytes.push_back(tensor_bytes(info));
  for (const FittedTensor& tensor : *content.tensors) {
    const uint64_t predicted = settings[tensor.index].predicted_bytes;
    const uint64_t roomy = predicted > 0 ? predicted + predicted / 20 : tensor.shape.weights() * 5 / 8;
    bytes[tensor.index] = roomy + tensor.side_bytes();
  }
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (is_copy(content, i)) bytes[i] = 0;
  }
  std::vector<size_t> shard_of(bytes.size());
  uint64_t filled = 0;
  size_t shard = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (content.shard_bytes > 0 && filled > 0 && filled + bytes[i] > content.shard_bytes) {
      ++shard;
      filled = 0;
    }
    filled += bytes[i];
    shard_of[i] = shard;
  }
  return shard_of;
}

std::vector<size_t> exact_tensors(const ArchiveContent& content) {
  std::vector<bool> coded(content.model->source->tensors().size(), false);
  for (const FittedTensor& tensor : *content.tensors) coded[tensor.index] = true;
  std::vector<size_t> exact;
  for (size_t i = 0; i < coded.size(); ++i) {
    if (!coded[i] && !is_copy(content, i)) exact.push_back(i);
  }
  return exact;
}

// By shard, and inside one by falling alignment, so that the file has no holes.
void sort_for_writing(const std::vector<TensorInfo>& tensors, const std::vector<size_t>& shard_of,
                      std::vector<size_t>* exact) {
  const auto alignment = [&](size_t i) {
    return needs_verbatim(tensors[i].dtype) ? 8u : dtype_info(tensors[i].dtype).block_bytes;
  };
  std::ranges::stable_sort(*exact, [&](size_t a, size_t b) {
    return shard_of[a] != shard_of[b] ? shard_of[a] < shard_of[b] : alignment(a) > alignment(b);
  });
}

Result<std::vector<HeaderContent>> fill_headers(const ArchiveContent& content,
                                                const std::vector<TensorSettings>& settings,
                                                const ArchivePlan& plan) {
  const std::vector<TensorInfo>& tensors = content.model->source->tensors();
  uint64_t total_bytes = 1 << 20;
  for (const TensorInfo& info : tensors) total_bytes += tensor_bytes(info);
  std::vector<HeaderContent> headers(plan.layout.shards.size(), {total_bytes, *content.description, {}});
  for (const FittedTensor& tensor : *content.tensors)
    LLMC_RETURN_IF_ERROR(
        add_coded(content, tensor, settings[tensor.index].pictures, &headers[plan.shard_of[tensor.index]]));
  for (const size_t i : exact_tensors(content)) add_exact(tensors[i], &headers[plan.shard_of[i]]);
  if (content.gguf_header_bytes > 0)
    add_exact({kGgufHeaderName, Dtype::kU8, {align_up(content.gguf_header_bytes, 8)}}, &headers[0]);
  LLMC_RETURN_IF_ERROR(check_names(headers, *content.description));
  return headers;
}

std::map<std::string, PlannedTensor> planned_tensors(const ArchiveContent& content, const ArchivePlan& plan) {
  const std::vector<TensorInfo>& tensors = content.model->source->tensors();
  std::map<std::string, PlannedTensor> planned;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!is_copy(content, i))
      planned[tensors[i].name] = {tensors[i], plan.shard_of[i], needs_verbatim(tensors[i].dtype)};
  }
  for (const FittedTensor& tensor : *content.tensors) planned[tensor.plan->name].has_parts = true;
  if (content.gguf_header_bytes > 0)
    planned[kGgufHeaderName] = {
        {kGgufHeaderName, Dtype::kU8, {align_up(content.gguf_header_bytes, 8)}}, 0, false};
  return planned;
}

}  // namespace

bool needs_verbatim(Dtype dtype) {
  return dtype_info(dtype).block_elements > 1;
}

Result<ArchivePlan> plan_archive(const ArchiveContent& content, const std::vector<TensorSettings>& settings) {
  ArchivePlan plan;
  plan.shard_of = assign_shards(content, settings);
  const size_t shards = plan.shard_of.empty() ? 1 : plan.shard_of.back() + 1;
  plan.layout = name_files(content, shards);
  plan.exact_order = exact_tensors(content);
  sort_for_writing(content.model->source->tensors(), plan.shard_of, &plan.exact_order);
  LLMC_ASSIGN_OR_RETURN(std::vector<HeaderContent> headers, fill_headers(content, settings, plan));
  for (size_t i = 0; i < shards; ++i) {
    headers[i].description.shard = i;
    headers[i].description.shards = shards;
    if (shards > 1) headers[i].description.archive_id = any_checksum("archive");
    if (i > 0) headers[i].description.carried.clear();
    keep_own_entries(&headers[i].description);
    headers[i].add_largest(description_name(i));
    const std::string text = to_text(headers[i].description);
    if (text.size() > kMaxJsonBytes)
      return error(ErrorKind::kLimit, "the description would have {} bytes, readers accept {}", text.size(),
                   kMaxJsonBytes)
          .in_file(plan.layout.shards[i].path);
    LLMC_ASSIGN_OR_RETURN(const std::string header,
                          safetensors_header(headers[i].entries, archive_metadata(text)));
    plan.layout.shards[i].header_bytes = header.size();
    plan.overhead_bytes += header.size() + align_up(pack_description(text).size(), 8);
  }
  if (shards > 1) plan.overhead_bytes += index_bytes(plan.layout, headers);
  plan.layout.tensors = planned_tensors(content, plan);
  return plan;
}

Result<uint64_t> FixedBytes::get(const std::vector<TensorSettings>& settings) {
  if (std::vector<size_t> shards = assign_shards(content_, settings); shards != shard_of_) {
    LLMC_ASSIGN_OR_RETURN(const ArchivePlan plan, plan_archive(content_, settings));
    overhead_bytes_ = plan.overhead_bytes;
    shard_of_ = std::move(shards);
  }
  uint64_t bytes = overhead_bytes_ + align_up(content_.gguf_header_bytes, 8);
  const std::vector<TensorInfo>& tensors = content_.model->source->tensors();
  for (const size_t i : exact_tensors(content_)) bytes += tensor_bytes(tensors[i]);
  for (const FittedTensor& tensor : *content_.tensors) {
    for (const Part& part : tensor.scale_parts) bytes += align_up(part.bytes.size(), 8);
  }
  return bytes;
}

}  // namespace llmcodec

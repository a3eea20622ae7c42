// SPDX-License-Identifier: BSD-3-Clause
#include "quant/moment_file.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "quant/tensor_names.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "llmcodec-moments";
constexpr const char* kDescriptionKey = "llmcodec_moments";
constexpr uint64_t kVersion = 1;

Error broken(const std::string& what) {
  return error(ErrorKind::kCorrupt, "second moments: {}", what);
}

}  // namespace

Result<std::unique_ptr<MomentFile>> MomentFile::open(const std::string& path) {
  std::unique_ptr<MomentFile> moments(new MomentFile);
  LLMC_ASSIGN_OR_RETURN(moments->file_, SafetensorsFile::open(path));
  const SafetensorsMetadata& metadata = moments->file_->metadata();
  const auto format = metadata.find("format");
  const auto description = metadata.find(kDescriptionKey);
  if (format == metadata.end() || format->second != kFormat || description == metadata.end()) {
    return broken(fmt::format("the metadata has no \"format\": \"{}\" with \"{}\"", kFormat, kDescriptionKey))
        .in_file(path);
  }
  if (Status status = moments->read_members(description->second); !status) {
    return std::move(status).error().in_file(path);
  }
  if (Status status = moments->check_groups(); !status) return std::move(status).error().in_file(path);
  return moments;
}

Status MomentFile::read_members(const std::string& description) {
  LLMC_ASSIGN_OR_RETURN(const json root, parse_json_value<json>(description, RepeatedKeys::kRefuse));
  if (!root.is_object()) return broken("the description is not a JSON object");
  const auto version = root.find("format_version");
  if (version == root.end() || !version->is_number_unsigned()) return broken("format_version is missing");
  if (version->get<uint64_t>() != kVersion) {
    return error(ErrorKind::kUnsupported, "second moments of format_version {}; this program reads {}",
                 version->get<uint64_t>(), kVersion);
  }
  const auto members = root.find("members");
  if (members == root.end() || !members->is_object()) return broken("members is missing or no object");
  for (const auto& [group, names] : members->items()) {
    const auto index = file_->find(group);
    if (!index.is_ok()) return broken("members of a tensor that the file lacks").in_tensor(group);
    if (!names.is_array()) return broken("members are not a list of names").in_tensor(group);
    for (const json& name : names) {
      if (!name.is_string()) return broken("a member is not a name").in_tensor(group);
      const auto& text = name.get_ref<const std::string&>();
      const auto gguf = gguf_name_in_folder(text);
      if (!groups_.emplace(gguf && !gguf->expert ? gguf->name : text, *index).second) {
        return broken(fmt::format("weight '{}' is in two groups", text)).in_tensor(group);
      }
    }
  }
  return Status::ok();
}

Status MomentFile::check_groups() const {
  for (const auto& [name, index] : groups_) {
    const TensorInfo& info = file_->tensors()[index];
    const bool square = info.shape.size() == 2 && info.shape[0] == info.shape[1] && info.shape[0] > 0;
    if (info.dtype != Dtype::kF32 || !square)
      return broken("a group's tensor must be F32 [n, n]").in_tensor(info.name);
  }
  return Status::ok();
}

std::optional<size_t> MomentFile::find(std::string_view name) const {
  auto entry = groups_.find(name);
  if (entry == groups_.end()) {
    const auto gguf = gguf_name_in_folder(name);
    if (gguf && !gguf->expert) entry = groups_.find(gguf->name);
  }
  if (entry == groups_.end()) return std::nullopt;
  return entry->second;
}

std::vector<std::string> MomentFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, index] : groups_) names.push_back(name);
  return names;
}

Result<std::vector<float>> MomentFile::read(size_t group) const {
  std::vector<float> values(file_->tensors()[group].elements());
  LLMC_RETURN_IF_ERROR(file_->read_f32(group, 0, values));
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return error(ErrorKind::kInvalidArgument, "second moment [{}, {}] is not finite", i / cols(group),
                 i % cols(group))
        .in_tensor(group_name(group))
        .in_file(file_->path());
  }
  return values;
}

}  // namespace llmcodec

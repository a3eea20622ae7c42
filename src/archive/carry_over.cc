// SPDX-License-Identifier: BSD-3-Clause
#include "archive/carry_over.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "archive/carried_name.h"
#include "archive/checksum.h"
#include "base/byte_source.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/output_guard.h"
#include "tensor/file_kind.h"
#include "tensor/json_text.h"
#include "tensor/model_files.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr char kConfigName[] = "config.json";
constexpr char kQuantisation[] = "quantization_config";
constexpr char kOfSource[] = "source_quantization_config";  // within ours: what stood in its place
constexpr char kSourceConfigs[] = "source_configs";         // within ours: JSON files of a quantised source
// The names that these may have.
constexpr auto kSourceConfigNames = std::to_array<std::string_view>(
    {kConfigName, "hf_quant_config.json", "quantize_config.json", "quant_config.json"});
// The name of the file of weights, for transformers. Without this package's quantiser that library would take weights that it
// cannot read for missing, and fill the model with random ones; a name that is none makes it stop, and print the name.
constexpr char kWeights[] = "transformers_weights";
constexpr char kWeightsOfSource[] = "source_transformers_weights";
constexpr std::string_view kOurs = "this model is compressed by llmcodec";
constexpr std::string_view kRemedy =
    "this model is compressed by llmcodec: pip install llmcodec, and put `import llmcodec.transformers` "
    "before "
    "from_pretrained(), or restore the model by `llmcodec decompress`";
// Of a model of several kinds of input transformers may load the language model alone, whose settings these are.
constexpr char kTextConfig[] = "text_config";

// The file as it is, and copied to `out` where there is one.
Result<CarriedFile> read_through(const ByteSource& from, AtomicFile* out) {
  Checksum checksum;
  const ReadFunction read = [&](uint64_t offset, std::span<std::byte> piece) {
    return from.read_at(offset, piece);
  };
  LLMC_RETURN_IF_ERROR(visit_pieces(from.size(), 1, read, [&](std::span<const std::byte> piece) {
    checksum.update(piece);
    return out != nullptr ? out->write(piece) : Status::ok();
  }));
  return CarriedFile{from.size(), checksum.hex()};
}

CarriedFile described(const std::string& text) {
  return {text.size(), xxh3_128(std::as_bytes(std::span(text)))};
}

Result<ordered_json> parse_config(const std::string& text, const std::string& path) {
  auto parsed = parse_json_value<ordered_json>(text);
  if (!parsed.is_ok()) return std::move(parsed).error().in_file(path);
  if (!parsed->is_object()) return error(ErrorKind::kCorrupt, "is no JSON object").in_file(path);
  return parsed;
}

std::string config_text(const ordered_json& config) {
  return config.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

// config.json as it lies in the archive's folder: other keys and their order stay.
Result<std::string> archive_config(const std::string& text, const std::string& path, const Model& model) {
  LLMC_ASSIGN_OR_RETURN(ordered_json config, parse_config(text, path));
  ordered_json ours = {{"quant_method", "llmcodec"}, {"format_version", kFormatVersion}};
  if (config.contains(kQuantisation)) ours[kOfSource] = config[kQuantisation];
  for (const auto& [name, source] : model.source_configs) {
    LLMC_ASSIGN_OR_RETURN(ours[kSourceConfigs][name], parse_config(source, name));
  }
  if (config.contains(kWeights)) ours[kWeightsOfSource] = config[kWeights];
  config[kQuantisation] = std::move(ours);
  config[kWeights] = kRemedy;
  const auto text_config = config.find(kTextConfig);
  if (text_config != config.end() && text_config->is_object() && !text_config->contains(kWeights))
    (*text_config)[kWeights] = kRemedy;
  return config_text(config);
}

// `key` gets back what the source had there, which is inside `ours`, or goes.
void put_back(ordered_json& config, const char* key, const ordered_json& ours, const char* of_source) {
  if (ours.is_object() && ours.contains(of_source)) {
    config[key] = ours[of_source];
  } else {
    config.erase(key);
  }
}

bool has_our_weights(const ordered_json& config) {
  const auto weights = config.find(kWeights);
  return weights != config.end() && weights->is_string() &&
         weights->get_ref<const std::string&>().starts_with(kOurs);
}

// Undoes archive_config(). Archives of before `transformers_weights` have none of ours.
void undo_archive_config(ordered_json& config) {
  const ordered_json ours = config.value(kQuantisation, ordered_json());
  if (has_our_weights(config)) put_back(config, kWeights, ours, kWeightsOfSource);
  put_back(config, kQuantisation, ours, kOfSource);
  const auto text_config = config.find(kTextConfig);
  if (text_config != config.end() && text_config->is_object() && has_our_weights(*text_config))
    text_config->erase(kWeights);
}

// What archive_config() put there of a quantised source's JSON files, by name; null where there is nothing.
Result<const ordered_json*> source_configs_in(const ordered_json& config, const std::string& path) {
  const auto ours = config.find(kQuantisation);
  if (ours == config.end() || !ours->is_object() || !ours->contains(kSourceConfigs)) return nullptr;
  const ordered_json& configs = (*ours)[kSourceConfigs];
  bool valid = configs.is_object() && configs.contains(kConfigName);
  if (valid) {
    for (const auto& [name, own] : configs.items())
      valid =
          valid && std::ranges::find(kSourceConfigNames, name) != kSourceConfigNames.end() && own.is_object();
  }
  if (!valid) return error(ErrorKind::kCorrupt, "its '{}' is no valid one", kSourceConfigs).in_file(path);
  return &configs;
}

Result<std::vector<std::string>> names_of_source_configs(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxJsonBytes));
  LLMC_ASSIGN_OR_RETURN(const ordered_json config, parse_config(text, path));
  LLMC_ASSIGN_OR_RETURN(const ordered_json* configs, source_configs_in(config, path));
  std::vector<std::string> names;
  if (configs == nullptr) return names;
  for (const auto& [name, own] : configs->items()) names.push_back(name);
  return names;
}

// The file `name` on its way to the archive's folder; `out` may be none.
Result<CarriedFile> file_for_archive(const Model& model, const std::string& name, AtomicFile* out) {
  const fs::path path = fs::path(model.path) / name;
  if (name == kConfigName) {
    std::string text;
    if (const auto rewritten = model.rewritten_files.find(name); rewritten != model.rewritten_files.end()) {
      text = rewritten->second;
    } else {
      LLMC_ASSIGN_OR_RETURN(text, read_text_file(path.string(), kMaxJsonBytes));
    }
    LLMC_ASSIGN_OR_RETURN(text, archive_config(text, path.string(), model));
    if (out != nullptr) LLMC_RETURN_IF_ERROR(out->write(std::as_bytes(std::span(text))));
    return described(text);
  }
  LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(path.string()));
  return read_through(*file, out);
}

bool is_link(const fs::path& path) {
  std::error_code code;
  return fs::is_symlink(fs::symlink_status(path, code));
}

// Whether a link in an archive's folder is one of those of which Hugging Face's cache is made:
// models--OWNER--NAME/snapshots/REVISION/FILE leads to models--OWNER--NAME/blobs/HASH, which is a plain file there. Such
// a link leads to nothing that did not come with the archive. `folder` has no links on the way to it, `link` is in it.
bool leads_to_own_blob(const fs::path& folder, const fs::path& link) {
  const fs::path snapshots = folder.parent_path(), model = snapshots.parent_path();
  if (snapshots.filename() != "snapshots" || !model.filename().string().starts_with("models--")) return false;
  std::error_code code;
  const fs::path target = fs::read_symlink(link, code);
  if (code || target.is_absolute()) return false;
  const fs::path blob = (link.parent_path() / target).lexically_normal();
  return blob.parent_path() == model / "blobs" && !is_link(model / "blobs") &&
         fs::is_regular_file(fs::symlink_status(blob, code));
}

// Neither the file nor a folder on the way to it may be a link, but for the links of Hugging Face's cache.
Status check_no_link(const fs::path& folder, const std::string& name) {
  fs::path path = folder;
  for (const fs::path& component : fs::path(name)) {
    path /= component;
    std::error_code code;
    const fs::file_status status = fs::symlink_status(path, code);
    if (!fs::exists(status))
      return error(ErrorKind::kIo, "is missing; it belongs to the archive").in_file(path.string());
    if (fs::is_symlink(status) &&
        !leads_to_own_blob(fs::canonical(folder, code),
                           fs::canonical(path.parent_path(), code) / path.filename()))
      return error(ErrorKind::kUnsupported,
                   "is a link, and in the folder of an archive no links are followed but those of Hugging "
                   "Face's "
                   "cache, for they could lead to any of your files; if you trust this one, copy the folder "
                   "with "
                   "its links resolved (cp -rL, or hf download with --local-dir)")
          .in_file(path.string());
  }
  return Status::ok();
}

Status check_listed(const CarriedFile& found, const CarriedFile& listed, const std::string& path) {
  if (found.bytes != listed.bytes)
    return error(ErrorKind::kCorrupt, "has {} bytes, the archive says {}", found.bytes, listed.bytes)
        .in_file(path);
  if (found.xxh3_128 != listed.xxh3_128)
    return error(ErrorKind::kCorrupt, "fails its checksum in the archive").in_file(path);
  return Status::ok();
}

// The files of an archive's folder on their way out.
class RestoredFiles {
 public:
  // Without `output` they are looked at only.
  RestoredFiles(fs::path folder, ModelFolder* output, ConfigOf config)
      : folder_(std::move(folder)), output_(output), config_(config) {}

  // `listed` is none in version 2.
  Status restore(const std::string& name, const CarriedFile* listed) const {
    LLMC_RETURN_IF_ERROR(check_no_link(folder_, name));
    const std::string from = (folder_ / name).string();
    LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(from));
    if (listed != nullptr && file->size() != listed->bytes)
      return check_listed({file->size(), ""}, *listed, from);
    std::optional<AtomicFile> out;
    if (output_ != nullptr) {
      LLMC_ASSIGN_OR_RETURN(out, output_->create(name));
    }
    LLMC_RETURN_IF_ERROR(name == kConfigName ? restore_config(*file, listed, out ? &*out : nullptr)
                                             : copy(*file, listed, out ? &*out : nullptr));
    return out ? output_->add(std::move(*out)) : Status::ok();
  }

 private:
  static Status copy(const ByteSource& file, const CarriedFile* listed, AtomicFile* out) {
    LLMC_ASSIGN_OR_RETURN(const CarriedFile found, read_through(file, out));
    return listed != nullptr ? check_listed(found, *listed, file.name()) : Status::ok();
  }

  // The checksum is that of the file as it lies there.
  Status restore_config(const ByteSource& file, const CarriedFile* listed, AtomicFile* out) const {
    LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(file.name(), kMaxJsonBytes));
    if (listed != nullptr) LLMC_RETURN_IF_ERROR(check_listed(described(text), *listed, file.name()));
    LLMC_ASSIGN_OR_RETURN(ordered_json config, parse_config(text, file.name()));
    if (config_ == ConfigOf::kSource) {
      LLMC_ASSIGN_OR_RETURN(const ordered_json* configs, source_configs_in(config, file.name()));
      if (configs != nullptr) return restore_source_configs(*configs, out);
    }
    undo_archive_config(config);
    const std::string restored = config_text(config);
    return out != nullptr ? out->write(std::as_bytes(std::span(restored))) : Status::ok();
  }

  Status restore_source_configs(const ordered_json& configs, AtomicFile* out) const {
    if (out == nullptr) return Status::ok();
    for (const auto& [name, config] : configs.items()) {
      const std::string text = config_text(config);
      const auto bytes = std::as_bytes(std::span(text));
      if (name == kConfigName) {
        LLMC_RETURN_IF_ERROR(out->write(bytes));
        continue;
      }
      LLMC_ASSIGN_OR_RETURN(AtomicFile own, output_->create(name));
      LLMC_RETURN_IF_ERROR(own.write(bytes));
      LLMC_RETURN_IF_ERROR(output_->add(std::move(own)));
    }
    return Status::ok();
  }

  fs::path folder_;
  ModelFolder* output_;
  ConfigOf config_;
};

// Whoever gave files of a model alone sees to the others.
bool carries_files(const Model& model) {
  return is_folder_kind(model.kind);
}

}  // namespace

Status check_carried_outputs(const std::vector<std::string>& names, const std::vector<std::string>& inputs,
                             const std::string& folder) {
  std::vector<std::string> outputs;
  for (const std::string& name : names) outputs.push_back((fs::path(folder) / name).string());
  LLMC_RETURN_IF_ERROR(check_ways(folder, names));
  return check_output_files(outputs, inputs);
}

namespace {

// The files that lie beside the archive.
Result<std::vector<std::string>> names_beside(const Description& description, const std::string& folder) {
  std::vector<std::string> names;
  if (description.format_version >= 3) {
    for (const auto& [name, listed] : description.carried) names.push_back(name);
    return names;
  }
  LLMC_ASSIGN_OR_RETURN(const std::string place, resolve_hub_folder(folder));
  LLMC_ASSIGN_OR_RETURN(const ModelFiles beside, list_model_files(place));
  for (const auto& list : {beside.all, beside.dangling}) {
    for (const std::string& name : list) {
      if (!is_own_weights(name) && !is_left_out(name, kSingleFileName)) names.push_back(name);
    }
  }
  return names;
}

Status restore_all(const Description& description, const std::string& folder, ModelFolder* output,
                   ConfigOf config) {
  LLMC_ASSIGN_OR_RETURN(const std::string place, resolve_hub_folder(folder));
  const RestoredFiles files(place, output, config);
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> names, names_beside(description, folder));
  for (const std::string& name : names) {
    const auto listed = description.carried.find(name);
    const bool described = listed != description.carried.end();
    if (!described) LLMC_RETURN_IF_ERROR(check_no_lfs_pointer((fs::path(place) / name).string()));
    LLMC_RETURN_IF_ERROR(files.restore(name, described ? &listed->second : nullptr));
  }
  return Status::ok();
}

}  // namespace

Result<std::vector<std::string>> carried_names(const Description& description, const std::string& folder,
                                               ConfigOf config) {
  LLMC_ASSIGN_OR_RETURN(std::vector<std::string> names, names_beside(description, folder));
  if (config == ConfigOf::kRestored || std::ranges::find(names, kConfigName) == names.end()) return names;
  LLMC_ASSIGN_OR_RETURN(const std::string place, resolve_hub_folder(folder));
  LLMC_RETURN_IF_ERROR(check_no_link(place, kConfigName));
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> configs,
                        names_of_source_configs((fs::path(place) / kConfigName).string()));
  for (const std::string& name : configs) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

Status check_output(const Model& model, const std::vector<std::string>& inputs, const std::string& output,
                    const ArchiveLayout& layout) {
  std::error_code code;
  LLMC_RETURN_IF_ERROR(check_output_name(output));
  if (fs::equivalent(model.path, output, code))
    return error(ErrorKind::kInvalidArgument, "output is the input").in_file(output);
  LLMC_RETURN_IF_ERROR(check_output_file(layout.journal_path, inputs));
  if (!layout.index_path.empty()) LLMC_RETURN_IF_ERROR(check_output_file(layout.index_path, inputs));
  for (const ArchiveShard& shard : layout.shards) {
    LLMC_RETURN_IF_ERROR(check_output_file(shard.path, inputs));
    LLMC_RETURN_IF_ERROR(check_output_file(AtomicFile::partial_path(shard.path), inputs));
  }
  if (carries_files(model) && !layout.folder.empty())
    LLMC_RETURN_IF_ERROR(check_carried_outputs(model.other_files, inputs, layout.folder));
  if (!layout.folder.empty()) LLMC_RETURN_IF_ERROR(check_marks(layout.folder, model.other_files));
  const fs::file_status status = fs::status(output, code);
  if (!layout.folder.empty() && fs::exists(status) && !fs::is_directory(status))
    return error(ErrorKind::kInvalidArgument, "must be a folder for this input").in_file(output);
  return Status::ok();
}

Result<std::vector<std::string>> files_of(const ArchiveReader& archive, const std::string& input) {
  std::vector<std::string> files = archive.all_files();
  std::error_code code;
  fs::path folder = input;
  if (!fs::is_directory(folder, code)) {
    if (!is_own_weights(folder.filename().string())) return files;
    folder = folder.has_parent_path() ? folder.parent_path() : ".";
  }
  LLMC_ASSIGN_OR_RETURN(folder, resolve_hub_folder(folder.string()));
  LLMC_ASSIGN_OR_RETURN(const ModelFiles beside, list_model_files(folder.string()));
  for (const std::string& name : beside.all) files.push_back((folder / name).string());
  return files;
}

Result<CarriedFiles> list_carried_files(const Model& model) {
  CarriedFiles listed;
  if (!carries_files(model)) return listed;
  const CarriedNames names(model.kind == ModelKind::kPipeline
                               ? model.parts
                               : ModelParts{{"", stem_of_weights(model.weight_names())}});
  for (const std::string& name : model.other_files) {
    if (Status status = names.check(name); !status.is_ok())
      return std::move(status).error().in_file(model.path);
    LLMC_ASSIGN_OR_RETURN(listed[name], file_for_archive(model, name, nullptr));
  }
  return listed;
}

Status carry_over_to_archive(const Model& model, const CarriedFiles& listed, ModelFolder& output) {
  for (const auto& [name, described_as] : listed) {
    const fs::path from = fs::path(model.path) / name;
    LLMC_ASSIGN_OR_RETURN(AtomicFile out, output.create(name));
    LLMC_ASSIGN_OR_RETURN(const CarriedFile found, file_for_archive(model, name, &out));
    if (found != described_as)
      return error(ErrorKind::kIo,
                   "the file was changed while the model was compressed; run the command again")
          .in_file(from.string());
    LLMC_RETURN_IF_ERROR(output.add(std::move(out)));
  }
  return Status::ok();
}

Status check_carried_files(const Description& description, const std::string& archive_folder) {
  return restore_all(description, archive_folder, nullptr, ConfigOf::kRestored);
}

Status carry_over_from_archive(const Description& description, const std::string& archive_folder,
                               ModelFolder& output, ConfigOf config) {
  return restore_all(description, archive_folder, &output, config);
}

}  // namespace llmcodec

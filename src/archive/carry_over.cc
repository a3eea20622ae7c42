// SPDX-License-Identifier: BSD-3-Clause
#include "archive/carry_over.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "archive/description.h"
#include "base/byte_source.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/output_guard.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr char kConfigName[] = "config.json";
constexpr char kQuantisation[] = "quantization_config";

Status copy_one(const fs::path& from, ModelFolder& to, const std::string& name) {
  LLMC_ASSIGN_OR_RETURN(AtomicFile copy, to.create(name));
  LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr source, open_byte_source((from / name).string()));
  LLMC_RETURN_IF_ERROR(visit_pieces(
      source->size(), [&](uint64_t offset, std::span<std::byte> out) { return source->read_at(offset, out); },
      [&](std::span<const std::byte> piece) { return copy.write(piece); }));
  return to.add(std::move(copy));
}

// Copies config.json with quantization_config set (or removed); other keys and their order stay.
Status copy_config(const fs::path& from, ModelFolder& to, bool add) {
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(from.string(), kMaxJsonBytes));
  auto parsed = parse_json_value<ordered_json>(text);
  if (!parsed.is_ok()) return std::move(parsed).error().in_file(from.string());
  ordered_json& config = *parsed;
  if (!config.is_object()) return error(ErrorKind::kCorrupt, "is no JSON object").in_file(from.string());
  if (add) {
    if (config.contains(kQuantisation))
      return error(ErrorKind::kUnsupported, "the model is quantised already ('{}' is present)", kQuantisation)
          .in_file(from.string());
    config[kQuantisation] = {{"quant_method", "llmcodec"}, {"format_version", kFormatVersion}};
  } else {
    config.erase(kQuantisation);
  }
  return to.write_text(kConfigName,
                       config.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

Status carry(const fs::path& from, ModelFolder& to, const std::vector<std::string>& files, bool to_archive) {
  for (const std::string& file : files) {
    if (file == kConfigName) {
      LLMC_RETURN_IF_ERROR(copy_config(from / file, to, to_archive));
    } else {
      LLMC_RETURN_IF_ERROR(copy_one(from, to, file));
    }
  }
  return Status::ok();
}

}  // namespace

Status check_output(const Model& model, const std::vector<std::string>& inputs, const std::string& output,
                    const ArchiveLayout& layout) {
  std::error_code code;
  if (fs::equivalent(model.path, output, code))
    return error(ErrorKind::kInvalidArgument, "output is the input").in_file(output);
  LLMC_RETURN_IF_ERROR(check_output_file(layout.journal_path, inputs));
  if (!layout.index_path.empty()) LLMC_RETURN_IF_ERROR(check_output_file(layout.index_path, inputs));
  for (const ArchiveShard& shard : layout.shards) {
    LLMC_RETURN_IF_ERROR(check_output_file(shard.path, inputs));
    LLMC_RETURN_IF_ERROR(check_output_file(AtomicFile::partial_path(shard.path), inputs));
  }
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
  const auto model = open_model(folder.string());
  if (!model.is_ok() && model.error().kind == ErrorKind::kIo) return model.error();
  if (!model.is_ok()) return files;  // no folder of a model: what was opened as an archive is all there is
  for (std::string& file : model->all_files()) files.push_back(std::move(file));
  return files;
}

Status carry_over_to_archive(const Model& model, ModelFolder& output) {
  if (model.kind != ModelKind::kFolder) return Status::ok();
  return carry(model.path, output, model.other_files, true);
}

Status carry_over_from_archive(const std::string& archive_folder, ModelFolder& output) {
  LLMC_ASSIGN_OR_RETURN(const Model archive, open_model(archive_folder));
  return carry(archive_folder, output, archive.other_files, false);
}

}  // namespace llmcodec

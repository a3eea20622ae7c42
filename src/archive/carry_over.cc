// SPDX-License-Identifier: BSD-3-Clause
#include "archive/carry_over.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "archive/description.h"
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

Status fs_error(const std::string& what, const fs::path& path, const std::error_code& code) {
  return error(ErrorKind::kIo, "{}: {}", what, code.message()).in_file(path.string());
}

Status copy_one(const fs::path& from, const fs::path& to) {
  std::error_code code;
  fs::create_directories(to.parent_path(), code);
  if (code) return fs_error("cannot create the folder", to.parent_path(), code);
  LLMC_ASSIGN_OR_RETURN(AtomicFile copy, AtomicFile::create(to.string()));
  fs::copy_file(from, copy.partial(), fs::copy_options::overwrite_existing, code);
  if (code) return fs_error("cannot copy to " + to.string(), from, code);
  return copy.commit();
}

// Copies config.json with quantization_config set (or removed); other keys and their order stay.
Status copy_config(const fs::path& from, const fs::path& to, bool add) {
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
  return write_text_file(to.string(),
                         config.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

Status carry(const fs::path& from, const fs::path& to, const std::vector<std::string>& files,
             bool to_archive) {
  for (const std::string& file : files) {
    if (file == kConfigName) {
      LLMC_RETURN_IF_ERROR(copy_config(from / file, to / file, to_archive));
    } else {
      LLMC_RETURN_IF_ERROR(copy_one(from / file, to / file));
    }
  }
  return Status::ok();
}

}  // namespace

Status prepare_output(const Model& model, const std::vector<std::string>& inputs, const std::string& output,
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
  const bool folder = layout.shards[0].path != output;
  const fs::path place = folder ? fs::path(output) : fs::path(output).parent_path();
  const fs::file_status status =
      fs::status(place, code);  // of what cannot be looked at: create_directories()
  if (folder && fs::exists(status) && !fs::is_directory(status))
    return error(ErrorKind::kInvalidArgument, "must be a folder for this input").in_file(output);
  if (folder) {
    fs::create_directories(place, code);
    if (code) return fs_error("cannot create the folder", place, code);
  }
  return Status::ok();
}

Status carry_over_to_archive(const Model& model, const std::string& output) {
  if (model.kind != ModelKind::kFolder) return Status::ok();
  return carry(model.path, output, model.other_files, true);
}

Status carry_over_from_archive(const std::string& archive_folder, const std::string& output) {
  LLMC_ASSIGN_OR_RETURN(const Model archive, open_model(archive_folder));
  return carry(archive_folder, output, archive.other_files, false);
}

}  // namespace llmcodec

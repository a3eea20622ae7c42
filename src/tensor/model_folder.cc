// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/model_folder.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <iterator>
#include <set>

#include "base/error.h"
#include "base/limits.h"
#include "base/plain_name.h"
#include "tensor/shard_name.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

// What a run has in the folder while it is at work. The files of the new model that nobody resumes:
constexpr char kNew[] = ".llmcodec-new";
// What is replaced is in kStoppedSwapFolder while the swap goes on: as long as that is there, the swap can be taken back
// and must be. The same after the swap: nothing but files to be removed.
constexpr char kRemoved[] = ".llmcodec-removed";
// In kStoppedSwapFolder, when all that is replaced is there: the names of the new files, each followed by a NUL. Only
// from then on may a file in the folder be a new one.
constexpr char kNewNames[] = ".llmcodec-names";

Error fs_error(const std::string& what, const fs::path& path, const std::error_code& code) {
  return error(ErrorKind::kIo, "{}: {}", what, code.message()).in_file(path.string());
}

Status make_folders(const fs::path& path) {
  std::error_code code;
  fs::create_directories(path, code);
  return code ? Status(fs_error("cannot create the folder", path, code)) : Status::ok();
}

Status move_file(const fs::path& from, const fs::path& to) {
  LLMC_RETURN_IF_ERROR(make_folders(to.parent_path()));
  return rename_file(from.string(), to.string());
}

Status remove_tree(const fs::path& path) {
  std::error_code code;
  fs::remove_all(path, code);
  return code ? Status(fs_error("cannot remove", path, code)) : Status::ok();
}

bool is_there(const fs::path& path) {
  std::error_code code;
  return fs::exists(fs::symlink_status(path, code));
}

constexpr char kGgufSuffix[] = ".gguf";

bool in_top_folder(const std::string& relative) {
  return relative.find('/') == std::string::npos;
}

std::string base_name(const std::string& relative) {
  return relative.substr(relative.rfind('/') + 1);
}

// A file by which readers find all weights of a folder, whatever its stem: an index, the only weights, or the first part
// of a GGUF model.
bool is_entry(const std::string& name) {
  if (name.ends_with(kGgufSuffix)) {
    const auto part = parse_shard_name(name, kGgufSuffix);
    return !part || part->number == 1;
  }
  return is_index_name(name) || (name.ends_with(kFileSuffix) && !parse_shard_name(name, kFileSuffix));
}

// In a swap, the files by which readers find others go first and come last: in a pipeline those of the folders, and
// before and after these the one that names the folders.
int entry_rank(const std::string& relative) {
  if (relative == kDiffusersMark || relative == kSentenceTransformersMark) return 2;
  return is_entry(base_name(relative)) ? 1 : 0;
}

void put_entries_first(std::vector<std::string>& names) {
  std::ranges::stable_sort(names, std::greater<>(), entry_rank);
}

void put_entries_last(std::vector<std::string>& names) {
  std::ranges::stable_sort(names, std::less<>(), entry_rank);
}

Result<std::vector<std::string>> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code code;
  fs::directory_iterator entry(folder, code);
  for (; !code && entry != fs::directory_iterator(); entry.increment(code))
    names.push_back(entry->path().filename().string());
  if (code) return fs_error("cannot list the folder", folder, code);
  std::ranges::sort(names);
  return names;
}

// All files below `folder`, by their names relative to it.
Result<std::vector<std::string>> files_below(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code code;
  fs::recursive_directory_iterator entry(folder, code);
  for (; !code && entry != fs::recursive_directory_iterator(); entry.increment(code)) {
    std::error_code unknown;
    if (!entry->is_directory(unknown)) names.push_back(entry->path().lexically_relative(folder).string());
  }
  if (code) return fs_error("cannot list the folder", folder, code);
  return names;
}

// `others`: what the new model brings besides its weights. Its files are replaced whatever they hold.
Status check_no_other_weights(const fs::path& root, const ModelPart& part,
                              const std::vector<std::string>& others) {
  const fs::path folder = root / part.folder;
  if (!is_there(folder)) return Status::ok();
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> names, names_in(folder));
  for (const std::string& name : names) {
    const bool replaced = is_own_weights(name, part.stem) ||
                          std::ranges::find(others, part_prefix(part.folder) + name) != others.end();
    if (is_other_weight_format(name) && !replaced)
      return error(
                 ErrorKind::kInvalidArgument,
                 "the folder holds other weights, {}, which nothing here may replace and which loaders could "
                 "take for this model's; name another folder",
                 name)
          .in_file(folder.string());
  }
  return Status::ok();
}

using Seen = std::set<std::string>;  // folders that were looked at, relative to the model's

// Every folder on the way to the file `name` in `folder`, the topmost first.
Status visit_way(const std::string& name, Seen* seen,
                 const std::function<Status(const std::string& below)>& visit) {
  for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    std::string below = name.substr(0, slash);
    if (seen->contains(below)) continue;
    LLMC_RETURN_IF_ERROR(visit(below));
    seen->insert(std::move(below));
  }
  return Status::ok();
}

// Of a folder in which something is replaced: it is one, or can be made, and it is where it seems to be.
Status check_on_way(const fs::path& place) {
  std::error_code code;
  const fs::file_status status = fs::symlink_status(place, code);
  if (fs::is_symlink(status))
    return error(ErrorKind::kUnsupported,
                 "is a link, and no links are followed where a model is replaced; name another output folder")
        .in_file(place.string());
  if (fs::exists(status) && !fs::is_directory(status))
    return error(ErrorKind::kInvalidArgument,
                 "is no folder, and files of the model belong into one of this name; move it away, or name "
                 "another output folder")
        .in_file(place.string());
  return Status::ok();
}

// The folders on the way to these files, and `folder`: what was moved into them or out of them is on the disk.
Status sync_ways(const fs::path& folder, const std::vector<std::string>& names) {
  Seen seen;
  for (const std::string& name : names) {
    LLMC_RETURN_IF_ERROR(visit_way(name, &seen, [&](const std::string& below) -> Status {
      std::error_code code;
      const bool there = fs::is_directory(fs::symlink_status(folder / below, code));
      return there ? sync_folder((folder / below).string()) : Status::ok();
    }));
  }
  return sync_folder(folder.string());
}

// Whether a folder on the way to the file `name` in `folder`, that one not included, is a link.
bool is_below_link(const fs::path& folder, const fs::path& name) {
  std::error_code code;
  for (fs::path parent = name.parent_path(); !parent.empty(); parent = parent.parent_path()) {
    if (fs::is_symlink(fs::symlink_status(folder / parent, code))) return true;
  }
  return false;
}

Status visit_ways_to_parts(const ModelParts& parts,
                           const std::function<Status(const std::string& below)>& visit) {
  Seen seen;
  for (const ModelPart& part : parts) LLMC_RETURN_IF_ERROR(visit_way(part_prefix(part.folder), &seen, visit));
  return Status::ok();
}

// Of the folder of every part, in which weights are replaced, and those above it.
Status check_part_folders(const fs::path& folder, const FilesOfModel& files) {
  LLMC_RETURN_IF_ERROR(visit_ways_to_parts(
      files.parts, [&](const std::string& below) { return check_on_way(folder / below); }));
  for (const ModelPart& part : files.parts)
    LLMC_RETURN_IF_ERROR(check_no_other_weights(folder, part, files.others));
  return Status::ok();
}

// What a stopped swap left is found in a folder that may have come from somebody else: nothing that it names is touched
// outside this folder, nor through a link.
Status check_inside(const fs::path& folder, const std::string& name) {
  if (is_plain_name(name) && !is_below_link(folder, name)) return Status::ok();
  return error(ErrorKind::kCorrupt,
               "a stopped run is to be taken back, and '{}' in {} leads out of this folder: look at it, "
               "remove it and "
               "run the command again",
               name, kStoppedSwapFolder)
      .in_file(folder.string());
}

Status check_all_inside(const fs::path& folder, const std::vector<std::string>& names) {
  for (const std::string& name : names) LLMC_RETURN_IF_ERROR(check_inside(folder, name));
  return Status::ok();
}

Status remove_file(const fs::path& path) {
  std::error_code code;
  fs::remove(path, code);
  if (code == std::errc::not_a_directory) return Status::ok();  // of one above it: nothing is there
  return code ? Status(fs_error("cannot remove", path, code)) : Status::ok();
}

Result<std::vector<std::string>> new_names(const fs::path& list) {
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(list.string(), kMaxJsonBytes));
  std::vector<std::string> names;
  for (size_t begin = 0, end; (end = text.find('\0', begin)) != std::string::npos; begin = end + 1)
    names.push_back(text.substr(begin, end - begin));
  return names;
}

// Entries go first and come back last.
Status put_back(const fs::path& folder) {
  const fs::path replaced = folder / kStoppedSwapFolder;
  LLMC_RETURN_IF_ERROR(
      check_inside(folder, std::string(kStoppedSwapFolder) + "/" + kNewNames));  // it is no link itself
  if (is_there(replaced / kNewNames)) {
    LLMC_ASSIGN_OR_RETURN(std::vector<std::string> added, new_names(replaced / kNewNames));
    LLMC_RETURN_IF_ERROR(check_all_inside(folder, added));
    put_entries_first(added);
    for (const std::string& name : added) LLMC_RETURN_IF_ERROR(remove_file(folder / name));
    LLMC_RETURN_IF_ERROR(sync_ways(folder, added));
    LLMC_RETURN_IF_ERROR(remove_file(replaced / kNewNames));
  }
  LLMC_ASSIGN_OR_RETURN(std::vector<std::string> names, files_below(replaced));
  LLMC_RETURN_IF_ERROR(check_all_inside(folder, names));
  put_entries_last(names);
  for (const std::string& name : names) LLMC_RETURN_IF_ERROR(move_file(replaced / name, folder / name));
  LLMC_RETURN_IF_ERROR(sync_ways(folder, names));
  LLMC_RETURN_IF_ERROR(sync_ways(replaced, names));
  return remove_tree(replaced);
}

Status make_good(const fs::path& folder) {
  if (is_there(folder / kStoppedSwapFolder)) LLMC_RETURN_IF_ERROR(put_back(folder));
  LLMC_RETURN_IF_ERROR(remove_tree(folder / kRemoved));
  return remove_tree(folder / kNew);
}

}  // namespace

std::string single_file_name(const std::string& stem) {
  return stem + kFileSuffix;
}

std::string index_file_name(const std::string& stem) {
  for (const std::string_view base : {"model", "diffusion_pytorch_model"}) {
    if (stem.size() > base.size() + 1 && stem.starts_with(base) && stem[base.size()] == '.')
      return fmt::format("{}.safetensors.index{}.json", base, stem.substr(base.size()));
  }
  return stem + kIndexSuffix;
}

bool is_own_weights(const std::string& name, const std::string& stem) {
  const auto shard = parse_shard_name(name, kFileSuffix);
  return name == single_file_name(stem) || name == index_file_name(stem) || (shard && shard->stem == stem);
}

bool is_other_weight_format(const std::string& relative) {
  if (!in_top_folder(relative)) return false;
  constexpr auto kPrefixes = std::to_array<std::string_view>(
      {"pytorch_model", "consolidated", "tf_model", "flax_model", "rust_model", "model-", "model.",
       "diffusion_pytorch_model-", "diffusion_pytorch_model.", "adapter_model-", "adapter_model."});
  constexpr auto kSuffixes = std::to_array<std::string_view>(
      {".bin", ".bin.index.json", ".pth", ".safetensors", ".safetensors.index.json", ".h5", ".h5.index.json",
       ".msgpack", ".msgpack.index.json", ".ot"});
  const auto starts = [&](std::string_view prefix) { return relative.starts_with(prefix); };
  const auto ends = [&](std::string_view suffix) { return relative.ends_with(suffix); };
  if (ends(".gguf")) return true;
  return std::any_of(kPrefixes.begin(), kPrefixes.end(), starts) &&
         (std::any_of(kSuffixes.begin(), kSuffixes.end(), ends) || is_variant_index_name(relative));
}

Status check_folder_is_whole(const std::string& folder) {
  if (!is_there(fs::path(folder) / kStoppedSwapFolder)) return Status::ok();
  return error(ErrorKind::kCorrupt,
               "a run was stopped while it replaced this model; run its command again (the model before it "
               "is in "
               "{}, and comes back if the command fails)",
               kStoppedSwapFolder)
      .in_file(folder);
}

Status check_ways(const std::string& folder, const std::vector<std::string>& names) {
  Seen seen;
  for (const std::string& name : names) {
    LLMC_RETURN_IF_ERROR(visit_way(
        name, &seen, [&](const std::string& below) { return check_on_way(fs::path(folder) / below); }));
  }
  return Status::ok();
}

Status check_marks(const std::string& folder, const std::vector<std::string>& names) {
  for (const char* mark : {kDiffusersMark, kSentenceTransformersMark}) {
    if (!is_there(fs::path(folder) / mark) || std::ranges::find(names, mark) != names.end()) continue;
    return error(ErrorKind::kInvalidArgument,
                 "says that the folder is a pipeline, which this model would be taken for a part of, and "
                 "nothing "
                 "here replaces it; remove it, or name another output folder")
        .in_file((fs::path(folder) / mark).string());
  }
  return Status::ok();
}

MadeFolders::~MadeFolders() {
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder) ::rmdir(folder->c_str());
}

Status MadeFolders::make(const fs::path& folder) {
  std::vector<fs::path> absent;
  std::error_code code;
  for (fs::path above = folder; !above.empty() && !fs::exists(above, code); above = above.parent_path())
    if (above.has_filename()) absent.push_back(above);  // "a/" is "a"
  made_.insert(made_.end(), absent.rbegin(), absent.rend());
  return make_folders(folder);
}

Result<ModelFolder> ModelFolder::open(const std::string& path, FilesOfModel files) {
  LLMC_RETURN_IF_ERROR(check_output_name(path));
  // Weights in the root would be taken for the whole model, or for one more part.
  if (std::ranges::none_of(files.parts, &std::string::empty, &ModelPart::folder))
    files.parts.insert(files.parts.begin(), ModelPart{});
  LLMC_RETURN_IF_ERROR(check_part_folders(path, files));
  MadeFolders made;
  LLMC_RETURN_IF_ERROR(made.make(path));
  LLMC_ASSIGN_OR_RETURN(OutputLock lock, OutputLock::folder(path));
  ModelFolder folder(path, files.parts, std::move(made), std::move(lock));
  LLMC_RETURN_IF_ERROR(make_good(path));
  LLMC_RETURN_IF_ERROR(folder.lock_parts());
  LLMC_RETURN_IF_ERROR(check_part_folders(path, files));  // what was stopped has been taken back
  return folder;
}

// The folder of a part may be somebody's whole output: `decompress -o PIPELINE/unet`.
Status ModelFolder::lock_parts() {
  return visit_ways_to_parts(parts_, [&](const std::string& below) -> Status {
    const fs::path place = fs::path(path_) / below;
    LLMC_RETURN_IF_ERROR(check_on_way(place));
    LLMC_RETURN_IF_ERROR(made_.make(place));
    LLMC_ASSIGN_OR_RETURN(OutputLock lock, OutputLock::folder(place.string()));
    locks_of_parts_.push_back(std::move(lock));
    return make_good(place);
  });
}

Result<ModelFolder> ModelFolder::open_shared(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(OutputLock lock, OutputLock::folder(path));
  LLMC_RETURN_IF_ERROR(make_good(path));
  return ModelFolder(path, {}, {}, std::move(lock));
}

ModelFolder::~ModelFolder() {
  files_.clear();
  std::error_code ignored;  // the next writer tries again
  if (!path_.empty()) fs::remove_all(fs::path(path_) / kNew, ignored);
}

std::string ModelFolder::staging() const {
  return (fs::path(path_) / kNew).string();
}

Result<AtomicFile> ModelFolder::create(const std::string& name) {
  if (!is_plain_name(name) || name.starts_with(kOwnFilePrefix))
    return error(ErrorKind::kInvalidArgument, "'{}' cannot be the name of a file of a model", name)
        .in_file(path_);
  const fs::path partial = fs::path(path_) / kNew / name;
  LLMC_RETURN_IF_ERROR(make_folders(partial.parent_path()));
  return AtomicFile::create_under(lock_, (fs::path(path_) / name).string(), partial.string());
}

Status ModelFolder::add(AtomicFile file) {
  LLMC_RETURN_IF_ERROR(file.flush());
  files_.push_back(std::move(file));
  return Status::ok();
}

Status ModelFolder::write_text(const std::string& name, const std::string& text) {
  LLMC_ASSIGN_OR_RETURN(AtomicFile file, create(name));
  LLMC_RETURN_IF_ERROR(file.write(std::as_bytes(std::span(text))));
  return add(std::move(file));
}

Status ModelFolder::commit() {
  Status swapped = swap();
  if (swapped.is_ok()) {
    std::error_code ignored;  // only disk space is lost, until the next writer
    for (const char* name : {kRemoved, kNew}) fs::remove_all(fs::path(path_) / name, ignored);
  } else if (is_there(fs::path(path_) / kStoppedSwapFolder)) {
    // What this cannot undo keeps readers away (check_folder_is_whole()), and the next writer tries again.
    const Status undone = put_back(path_);
    if (!undone.is_ok())
      return error(ErrorKind::kIo, "{}; and the model before it could not be put back: {}",
                   swapped.error().message, undone.error().to_string())
          .in_file(path_);
  }
  return swapped;
}

Status ModelFolder::set_aside(const std::vector<std::string>& new_names) {
  const fs::path folder = path_;
  std::set<std::string> old(new_names.begin(), new_names.end());
  for (const ModelPart& part : parts_) {
    if (!is_there(folder / part.folder)) continue;
    LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> present, names_in(folder / part.folder));
    for (const std::string& name : present) {
      if (is_own_weights(name, part.stem)) old.insert(part_prefix(part.folder) + name);
    }
  }
  std::vector<std::string> order(old.begin(), old.end());
  put_entries_first(order);
  for (const std::string& name : order) {
    if (is_there(folder / name))
      LLMC_RETURN_IF_ERROR(move_file(folder / name, folder / kStoppedSwapFolder / name));
  }
  LLMC_RETURN_IF_ERROR(sync_ways(folder / kStoppedSwapFolder, order));
  return sync_ways(folder, order);
}

Status ModelFolder::swap() {
  const fs::path folder = path_;
  const auto name_of = [&](const AtomicFile& file) {
    return fs::path(file.path()).lexically_relative(folder).string();
  };
  std::ranges::stable_sort(files_, std::less<>(),
                           [&](const AtomicFile& file) { return entry_rank(name_of(file)); });
  std::vector<std::string> names;
  std::string text;
  for (const AtomicFile& file : files_) {
    names.push_back(name_of(file));
    text += names.back() + '\0';
  }
  LLMC_RETURN_IF_ERROR(check_ways(path_, names));
  LLMC_RETURN_IF_ERROR(make_folders(folder / kNew));
  LLMC_ASSIGN_OR_RETURN(AtomicFile list,
                        AtomicFile::create_under(lock_, (folder / kStoppedSwapFolder / kNewNames).string(),
                                                 (folder / kNew / kNewNames).string()));
  LLMC_RETURN_IF_ERROR(list.write(std::as_bytes(std::span(text))));
  LLMC_RETURN_IF_ERROR(list.flush());
  LLMC_RETURN_IF_ERROR(make_folders(folder / kStoppedSwapFolder));
  LLMC_RETURN_IF_ERROR(set_aside(names));
  LLMC_RETURN_IF_ERROR(list.publish());
  LLMC_RETURN_IF_ERROR(sync_folder((folder / kStoppedSwapFolder).string()));
  LLMC_RETURN_IF_ERROR(publish_all());
  LLMC_RETURN_IF_ERROR(sync_ways(folder, names));
  LLMC_RETURN_IF_ERROR(move_file(folder / kStoppedSwapFolder, folder / kRemoved));  // from here on it is done
  // The swap itself is done: what is said of the disk is no reason to take it back.
  return sync_folder(folder.string());
}

// All new files under their names.
Status ModelFolder::publish_all() {
  for (AtomicFile& file : files_) {
    LLMC_RETURN_IF_ERROR(made_.make(fs::path(file.path()).parent_path()));
    LLMC_RETURN_IF_ERROR(file.publish());
  }
  return Status::ok();
}

// Only archives are resumed, and their weights are in the folder itself.
void ModelFolder::discard_partials() {
  const auto names = names_in(path_);
  if (!names.is_ok()) return;  // what is in the way is noticed when it is
  constexpr std::string_view kSuffix = ".partial";
  for (const std::string& name : *names) {
    if (name.ends_with(kSuffix) && is_own_weights(name.substr(0, name.size() - kSuffix.size())))
      ::unlink((fs::path(path_) / name).c_str());
  }
}

}  // namespace llmcodec

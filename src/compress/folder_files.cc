// SPDX-License-Identifier: BSD-3-Clause
#include "compress/folder_files.h"

#include <re2/re2.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "plan/plan_rules.h"
#include "tensor/model_files.h"

namespace llmcodec {
namespace {

// "3 files, 5000000 bytes: a, b, c"
std::string listed(const std::string& folder, const std::vector<std::string>& names) {
  constexpr size_t kMost = 6;
  uint64_t bytes = 0;
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    std::error_code code;
    const uint64_t size = std::filesystem::file_size(std::filesystem::path(folder) / names[i], code);
    if (!code) bytes += size;
    if (i < kMost) text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMost) text += fmt::format(" and {} more", names.size() - kMost);
  return fmt::format("{} {}, {} bytes: {}", names.size(), names.size() == 1 ? "file" : "files", bytes, text);
}

// A part in a format that is not read is missing, unless all of its files go along.
Status check_unread_parts(const Model& model) {
  for (const UnreadPart& part : model.unread_parts) {
    const auto goes_along = [&](const std::string& name) {
      return std::ranges::find(model.other_files, name) != model.other_files.end();
    };
    if (!std::ranges::all_of(part.files, goes_along)) return Error(part.why);
  }
  return Status::ok();
}

}  // namespace

Status ask_to_carry(const std::vector<std::string>& patterns, Model* model) {
  for (const std::string& text : patterns) {
    LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<const RE2> pattern, compile_pattern(text));
    const auto matches = [&](const std::string& name) { return RE2::PartialMatch(name, *pattern); };
    const auto asked = std::ranges::stable_partition(model->skipped_files, std::not_fn(matches));
    if (asked.empty() && std::ranges::none_of(model->other_files, matches))
      return error(ErrorKind::kInvalidArgument, "--carry {}: matches no file of the model's folder", text);
    model->other_files.insert(model->other_files.end(), asked.begin(), asked.end());
    model->skipped_files.erase(asked.begin(), asked.end());
    std::ranges::sort(model->other_files);
  }
  return check_unread_parts(*model);
}

std::vector<std::string> notes_on_files(const Model& model) {
  std::vector<std::string> notes = model.notes;
  if (!model.skipped_files.empty())
    notes.push_back(fmt::format(
        "left out as weights in other formats or the state of a training run, unless --carry REGEX takes "
        "them along: {}",
        listed(model.path, model.skipped_files)));
  std::vector<std::string> weights;
  std::ranges::copy_if(model.other_files, std::back_inserter(weights), is_weights_below);
  if (!weights.empty())
    notes.push_back(fmt::format("weights that are carried along as they are, since {}: {}",
                                model.kind == ModelKind::kPipeline ? "they are in no part that is read"
                                                                   : "only those of one folder are coded",
                                listed(model.path, weights)));
  return notes;
}

}  // namespace llmcodec

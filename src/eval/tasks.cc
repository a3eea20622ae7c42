// SPDX-License-Identifier: BSD-3-Clause
#include "eval/tasks.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/error.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxChoices = 100;  // llama.cpp reads no more

struct Line {
  size_t number;  // from 1
  Json json;
};

Result<std::vector<Line>> parse_lines(std::string_view jsonl) {
  std::vector<Line> lines;
  size_t number = 0;
  while (!jsonl.empty()) {
    size_t end = std::min(jsonl.find('\n'), jsonl.size());
    std::string_view text = jsonl.substr(0, end);
    jsonl.remove_prefix(std::min(end + 1, jsonl.size()));
    ++number;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto json = parse_json_value<Json>(text);
    if (!json.is_ok()) return error(ErrorKind::kInvalidArgument, "line {}: {}", number, json.error().message);
    if (!json->is_object()) return error(ErrorKind::kInvalidArgument, "line {} is not a JSON object", number);
    lines.push_back({number, std::move(json).value()});
  }
  if (lines.empty()) return error(ErrorKind::kInvalidArgument, "no tasks");
  return lines;
}

// Evenly spaced, the first always among them, so that a subset is the same for every model.
std::vector<Line> select(std::vector<Line> lines, uint64_t max_tasks) {
  if (max_tasks == 0 || max_tasks >= lines.size()) return lines;
  std::vector<Line> chosen;
  for (uint64_t i = 0; i < max_tasks; ++i) chosen.push_back(std::move(lines[i * lines.size() / max_tasks]));
  return chosen;
}

Result<std::vector<Line>> selected_lines(std::string_view jsonl, uint64_t max_tasks) {
  LLMC_ASSIGN_OR_RETURN(std::vector<Line> lines, parse_lines(jsonl));
  return select(std::move(lines), max_tasks);
}

std::optional<std::string> string_field(const Json& json, const char* key) {
  auto found = json.find(key);
  if (found == json.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

// A list of 2 to kMaxChoices non-empty strings.
std::optional<std::vector<std::string>> string_list(const Json& json, const char* key) {
  auto found = json.find(key);
  if (found == json.end() || !found->is_array() || found->size() < 2 || found->size() > kMaxChoices)
    return std::nullopt;
  std::vector<std::string> strings;
  for (const Json& entry : *found) {
    if (!entry.is_string() || entry.get_ref<const std::string&>().empty()) return std::nullopt;
    strings.push_back(entry.get<std::string>());
  }
  return strings;
}

std::optional<size_t> gold_field(const Json& json, size_t choices) {
  auto found = json.find("gold");
  if (found == json.end() || !found->is_number_unsigned()) return std::nullopt;
  uint64_t gold = found->get<uint64_t>();
  if (gold >= choices) return std::nullopt;
  return gold;
}

void append_u32(std::string& out, uint64_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift & 0xff));
}

void append_string(std::string& out, std::string_view text) {
  append_u32(out, text.size());
  out.append(text);
}

std::string trimmed(std::string text) {
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  text.erase(0, text.find_first_not_of(" \t\r\n"));
  return text;
}

Result<std::string> multiple_choice_record(const Line& line, TaskFile& file) {
  std::optional<std::string> query = string_field(line.json, "query");
  std::optional<std::vector<std::string>> choices = string_list(line.json, "choices");
  if (!query || !choices) {
    return error(ErrorKind::kInvalidArgument,
                 "line {}: needs \"query\" (text) and \"choices\" (2 to {} texts)", line.number, kMaxChoices);
  }
  std::optional<size_t> gold = gold_field(line.json, choices->size());
  if (!gold)
    return error(ErrorKind::kInvalidArgument, "line {}: \"gold\" is not the index of a choice", line.number);
  std::string record;
  append_string(record, trimmed(*query) + "\nAnswer:");
  append_u32(record, choices->size());
  for (const std::string& choice : *choices) append_string(record, trimmed(choice));
  for (size_t i = 0; i < choices->size(); ++i) append_u32(record, i == *gold ? 1 : 0);
  append_u32(record, 0);  // the second answer set, of questions with several right answers: none
  file.max_choices = std::max<uint64_t>(file.max_choices, choices->size());
  file.chance += 1.0 / static_cast<double>(choices->size());
  return record;
}

// A field of llama.cpp's CSV: commas are protected by quotes, but a quote itself cannot be expressed.
bool fits_csv(const std::string& text) {
  return text.find_first_of("\"\n\r_") == std::string::npos;
}

// The two contexts share all but the word that the sentence is about.
struct WinograndeTask {
  std::string before, choices[2], after;
};

Result<WinograndeTask> winogrande_task(const Line& line) {
  std::optional<std::vector<std::string>> contexts = string_list(line.json, "context_options");
  std::optional<std::string> continuation = string_field(line.json, "continuation");
  if (!contexts || contexts->size() != 2 || !continuation || continuation->empty()) {
    return error(ErrorKind::kInvalidArgument,
                 "line {}: needs \"context_options\" (2 texts) and \"continuation\" (text)", line.number);
  }
  const std::string& first = (*contexts)[0];
  const std::string& second = (*contexts)[1];
  size_t common =
      std::mismatch(first.begin(), first.end(), second.begin(), second.end()).first - first.begin();
  size_t word = first.find_last_of(' ', common == 0 ? 0 : common - 1);
  word = word == std::string::npos ? 0 : word + 1;
  return WinograndeTask{first.substr(0, word),
                        {first.substr(word), second.substr(word)},
                        fmt::format(" {}", trimmed(*continuation))};
}

}  // namespace

Result<TaskFile> multiple_choice_from_jsonl(std::string_view jsonl, uint64_t max_tasks) {
  LLMC_ASSIGN_OR_RETURN(std::vector<Line> lines, selected_lines(jsonl, max_tasks));
  TaskFile file;
  std::string records, offsets;
  const uint64_t start = 4 + 4 * lines.size();
  for (const Line& line : lines) {
    LLMC_ASSIGN_OR_RETURN(std::string record, multiple_choice_record(line, file));
    append_u32(offsets, start + records.size());
    records += record;
  }
  if (start + records.size() > UINT32_MAX) return error(ErrorKind::kLimit, "task file above 4 GiB");
  append_u32(file.data, lines.size());
  file.data += offsets + records;
  file.tasks = lines.size();
  file.chance /= static_cast<double>(file.tasks);
  return file;
}

Result<TaskFile> winogrande_from_jsonl(std::string_view jsonl, uint64_t max_tasks) {
  LLMC_ASSIGN_OR_RETURN(std::vector<Line> lines, selected_lines(jsonl, max_tasks));
  TaskFile file;
  for (const Line& line : lines) {
    LLMC_ASSIGN_OR_RETURN(WinograndeTask task, winogrande_task(line));
    std::optional<size_t> gold = gold_field(line.json, 2);
    if (!gold) return error(ErrorKind::kInvalidArgument, "line {}: \"gold\" is not 0 or 1", line.number);
    bool choices_fit = true;
    for (const std::string& choice : task.choices) {
      choices_fit &= !choice.empty() && fits_csv(choice) && choice.find(',') == std::string::npos;
    }
    if (!choices_fit || !fits_csv(task.before) || !fits_csv(task.after)) {
      ++file.skipped;
      continue;
    }
    file.data += fmt::format("{},\"{}_{}\",{},{},{}\n", file.tasks, task.before, task.after, task.choices[0],
                             task.choices[1], *gold + 1);
    ++file.tasks;
  }
  if (file.tasks == 0) return error(ErrorKind::kInvalidArgument, "no task can be written as llama.cpp's CSV");
  file.data += "\n";  // llama.cpp drops one final line end, and then a last line without one
  file.max_choices = 2;
  file.chance = 0.5;
  return file;
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "eval/llama_output.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/error.h"

namespace llmcodec {
namespace {

Error not_understood(std::string_view label) {
  return error(ErrorKind::kUnsupported,
               "llama-perplexity's output has no \"{}\" (another version?); it ends with: ", label);
}

// The next number at or after `text`'s start, within its line; `text` moves behind it.
// "nan" and "-nan" count.
std::optional<double> next_number(std::string_view& text) {
  for (size_t i = 0; i < text.size() && text[i] != '\n'; ++i) {
    bool starts =
        std::isdigit(static_cast<unsigned char>(text[i])) || text[i] == '-' || text.substr(i, 3) == "nan";
    if (!starts) continue;
    double value = 0;
    auto [end, code] = std::from_chars(text.data() + i, text.data() + text.size(), value);
    if (code != std::errc()) continue;
    text.remove_prefix(end - text.data());
    return value;
  }
  return std::nullopt;
}

// What follows the last occurrence of `label` and the next ':' or '='.
std::optional<std::string_view> after_label(std::string_view text, std::string_view label) {
  size_t at = text.rfind(label);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + label.size());
  size_t mark = text.find_first_of(":=\n");
  if (mark == std::string_view::npos || text[mark] == '\n') return std::nullopt;
  return text.substr(mark + 1);
}

Result<double> labelled_number(std::string_view text, std::string_view label) {
  std::optional<std::string_view> rest = after_label(text, label);
  std::optional<double> value = rest ? next_number(*rest) : std::nullopt;
  if (!value) {
    Error failure = not_understood(label);
    failure.message += last_message(text);
    return failure;
  }
  return *value;
}

// "LABEL : value ± error"
Result<Measured> labelled_measure(std::string_view text, std::string_view label) {
  std::optional<std::string_view> rest = after_label(text, label);
  std::optional<double> value = rest ? next_number(*rest) : std::nullopt;
  std::optional<double> deviation;
  if (value) {
    // "+/- 3.1": the sign of the error is no number.
    while (!rest->empty() && rest->front() != '\n' &&
           !std::isdigit(static_cast<unsigned char>(rest->front())) && rest->substr(0, 3) != "nan") {
      rest->remove_prefix(1);
    }
    deviation = next_number(*rest);
  }
  if (!deviation) {
    Error failure = not_understood(label);
    failure.message += last_message(text);
    return failure;
  }
  return Measured{*value, *deviation};
}

struct TaskRow {
  uint64_t tasks = 0;
  double accuracy_percent = 0;
};

// "18<tab>16.66666667", perhaps with "%" and more columns behind.
std::optional<TaskRow> task_row(std::string_view line) {
  TaskRow row;
  auto [end, code] = std::from_chars(line.data(), line.data() + line.size(), row.tasks);
  if (code != std::errc() || end == line.data() + line.size() || *end != '\t') return std::nullopt;
  line.remove_prefix(end + 1 - line.data());
  std::optional<double> accuracy = next_number(line);
  if (!accuracy || !(*accuracy >= 0 && *accuracy <= 100)) return std::nullopt;
  row.accuracy_percent = *accuracy;
  return row;
}

Result<TaskRow> last_task_row(std::string_view text) {
  TaskRow last;
  for (std::string_view rest = text; !rest.empty();) {
    size_t end = std::min(rest.find('\n'), rest.size());
    if (std::optional<TaskRow> row = task_row(rest.substr(0, end))) last = *row;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (last.tasks == 0) {
    Error failure = not_understood("table of task scores");
    failure.message += last_message(text);
    return failure;
  }
  return last;
}

}  // namespace

Result<Measured> parse_perplexity(std::string_view text) {
  return labelled_measure(text, "Final estimate: PPL");
}

Result<DivergenceOutput> parse_divergence(std::string_view text) {
  DivergenceOutput out;
  LLMC_ASSIGN_OR_RETURN(out.perplexity, labelled_measure(text, "Mean PPL(Q)  "));
  LLMC_ASSIGN_OR_RETURN(out.original_perplexity, labelled_measure(text, "Mean PPL(base)  "));
  LLMC_ASSIGN_OR_RETURN(out.divergence.log_perplexity_ratio,
                        labelled_measure(text, "Mean ln(PPL(Q)/PPL(base))"));
  LLMC_ASSIGN_OR_RETURN(out.divergence.mean_kl, labelled_measure(text, "Mean    KLD"));
  LLMC_ASSIGN_OR_RETURN(out.divergence.kl_999, labelled_number(text, "99.9%   KLD"));
  LLMC_ASSIGN_OR_RETURN(out.divergence.max_kl, labelled_number(text, "Maximum KLD"));
  LLMC_ASSIGN_OR_RETURN(out.divergence.top1_percent, labelled_measure(text, "Same top p"));
  return out;
}

Result<Measured> parse_task_accuracy(std::string_view text, uint64_t tasks) {
  LLMC_ASSIGN_OR_RETURN(TaskRow row, last_task_row(text));
  if (row.tasks != tasks) {
    return error(ErrorKind::kUnsupported, "llama-perplexity scored {} of {} tasks; it ends with: {}",
                 row.tasks, tasks, last_message(text));
  }
  double p = row.accuracy_percent / 100;
  double deviation = tasks > 1 ? std::sqrt(p * (1 - p) / static_cast<double>(tasks - 1)) : 0;
  return Measured{row.accuracy_percent, 100 * deviation};
}

Result<uint64_t> parse_task_count(std::string_view text) {
  LLMC_ASSIGN_OR_RETURN(TaskRow row, last_task_row(text));
  return row.tasks;
}

int parse_chunks(std::string_view text) {
  for (size_t at = text.find("over "); at != std::string_view::npos; at = text.find("over ", at + 1)) {
    std::string_view rest = text.substr(at + std::strlen("over "));
    int chunks = 0;
    auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), chunks);
    if (code == std::errc() && std::string_view(end, rest.data() + rest.size() - end).starts_with(" chunks"))
      return chunks;
  }
  return 0;
}

std::string parse_version(std::string_view text) {
  size_t at = text.find("version: ");
  if (at == std::string_view::npos) return "";
  text.remove_prefix(at + std::strlen("version: "));
  return std::string(text.substr(0, text.find('\n')));
}

std::string last_message(std::string_view text) {
  while (!text.empty()) {
    size_t start = text.rfind('\n');
    std::string_view line = start == std::string_view::npos ? text : text.substr(start + 1);
    text = start == std::string_view::npos ? std::string_view() : text.substr(0, start);
    // "0.22.312.820 I perplexity: ...": the stamp is digits and dots, then one letter for the level.
    size_t stamp = line.find_first_not_of("0123456789.");
    if (stamp != std::string_view::npos && stamp > 4 && line.size() > stamp + 3 && line[stamp] == ' ')
      line.remove_prefix(stamp + 3);
    for (char c : line) {
      if (std::isalpha(static_cast<unsigned char>(c))) return std::string(line);
    }
  }
  return "(nothing)";
}

}  // namespace llmcodec

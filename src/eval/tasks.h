// SPDX-License-Identifier: BSD-3-Clause
// Task files in JSON lines to the two forms that llama-perplexity reads.
//   multiple choice  {"query": Q, "choices": [A, ...], "gold": i}
//                    -> --multiple-choice, a binary file given with -bf
//   WinoGrande       {"context_options": [C0, C1], "continuation": S, "gold": i}
//                    -> --winogrande, a CSV file given with -f
// Each choice is scored as the text "Q\nAnswer: A", the form of the usual evaluation harness, by its
// mean log-probability per token.
//
// Example (const std::string& text):
//
//   LLMC_ASSIGN_OR_RETURN(TaskFile tasks, multiple_choice_from_jsonl(text, 200));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "llmcodec/status.h"

namespace llmcodec {

struct TaskFile {
  std::string data;          // the whole file
  uint64_t tasks = 0;        // in `data`
  uint64_t skipped = 0;      // left out: their text cannot stand in the CSV that llama.cpp parses
  uint64_t max_choices = 0;  // of any task
  double chance = 0;         // mean over the tasks of 1 / number of choices
};

// At most `max_tasks` tasks, evenly spaced through the file (0: all). Errors: InvalidArgument with the line
// number for a line that is not such a task, or when no task is left.
Result<TaskFile> multiple_choice_from_jsonl(std::string_view jsonl, uint64_t max_tasks);
Result<TaskFile> winogrande_from_jsonl(std::string_view jsonl, uint64_t max_tasks);

}  // namespace llmcodec

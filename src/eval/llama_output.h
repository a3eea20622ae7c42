// SPDX-License-Identifier: BSD-3-Clause
// Reads what llama-perplexity prints (standard output and error, one after the other). It writes for people
// and its wording moves between versions, so only short labels are looked for, and what is missing is an
// Unsupported error that names the label. Numbers may be "nan": they are passed on as they are.
#pragma once

#include <string>
#include <string_view>

#include "llmcodec/eval.h"

namespace llmcodec {

// "Final estimate: PPL = 21.3729 +/- 3.12770"
Result<Measured> parse_perplexity(std::string_view text);

struct DivergenceOutput {
  Measured perplexity, original_perplexity;
  Divergence divergence;
};
// The statistics that --kl-divergence ends with.
Result<DivergenceOutput> parse_divergence(std::string_view text);

// The running table of the task modes: lines "N<tab>accuracy", of which the last one counts. `tasks` is the
// number that must have been scored: llama.cpp leaves some early with exit code 0.
Result<Measured> parse_task_accuracy(std::string_view text, uint64_t tasks);
// Number in the last line of that table; Unsupported when there is none.
Result<uint64_t> parse_task_count(std::string_view text);

// N of "over N chunks"; 0 when not printed.
int parse_chunks(std::string_view text);
// What follows "version: "; empty when not printed.
std::string parse_version(std::string_view text);
// The last line with letters in it, without llama.cpp's time stamps: what a failed run has to say.
std::string last_message(std::string_view text);

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/output_guard.h"
#include "base/stopwatch.h"
#include "base/utf8.h"
#include "eval/llama_runner.h"
#include "eval/random_text.h"
#include "eval/temporary_folder.h"
#include "llmcodec/eval.h"
#include "llmcodec/importance.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTextBytes = 1ull << 30;

// Names of the file that llama-imatrix reads: it records them in what it writes.
constexpr const char* kRandomName = "random-tokens.txt";

Status check_model(const std::string& path) {
  constexpr const char* kRemedy =
      "is no GGUF file, and llama-imatrix runs nothing else: convert the model with llama.cpp's "
      "convert_hf_to_gguf.py, or calibrate it with `compress --calibrate` or `python -m llmcodec.calibrate`";
  std::error_code code;
  if (fs::is_directory(path, code)) return error(ErrorKind::kUnsupported, "{}", kRemedy).in_file(path);
  LLMC_ASSIGN_OR_RETURN(const std::string start, read_prefix(path, 4));
  if (start != "GGUF") return error(ErrorKind::kUnsupported, "{}", kRemedy).in_file(path);
  return Status::ok();
}

// The texts of JSON lines, blank lines between them.
Result<std::string> documents_text(std::string_view lines) {
  std::string text;
  for (size_t number = 1; !lines.empty(); ++number) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto json = parse_json_value<nlohmann::json>(line);
    if (!json.is_ok()) return error(ErrorKind::kInvalidArgument, "line {}: {}", number, json.error().message);
    if (!json->is_object() || !json->contains("text") || !(*json)["text"].is_string())
      return error(ErrorKind::kInvalidArgument, "line {} is no JSON object with a string 'text'", number);
    text += (*json)["text"].get<std::string>() + "\n\n";
  }
  return text;
}

Result<std::string> calibration_text(const std::string& path) {
  std::error_code code;
  if (fs::is_directory(path, code)) return error(ErrorKind::kIo, "is a folder, not a text").in_file(path);
  LLMC_ASSIGN_OR_RETURN(std::string text, read_text_file(path, kMaxTextBytes));
  if (!is_utf8(text)) return error(ErrorKind::kInvalidArgument, "is not UTF-8 text").in_file(path);
  if (path.ends_with(".jsonl")) {
    auto joined = documents_text(text);
    if (!joined.is_ok()) return std::move(joined).error().in_file(path);
    text = std::move(joined).value();
  }
  // A token has a byte at least, and llama-imatrix takes no text of less than two chunks.
  if (text.size() < 2 * kImportanceContext) {
    return error(ErrorKind::kInvalidArgument,
                 "{} bytes of text are too short: two chunks of {} tokens are needed", text.size(),
                 kImportanceContext)
        .in_file(path);
  }
  return text;
}

Result<std::string> random_tokens(const std::string& model, int chunks) {
  auto file = GgufFile::open(model);
  if (!file.is_ok()) return std::move(file).error().in_file(model);
  auto spellings = token_spellings((*file)->header());
  if (!spellings.is_ok()) return std::move(spellings).error().in_file(model);
  // Half as many again: neighbours that merge make the text shorter.
  const size_t count = static_cast<size_t>(std::max(chunks, 2)) * kImportanceContext * 3 / 2;
  auto text = random_text(*spellings, count);
  if (!text.is_ok()) return std::move(text).error().in_file(model);
  return text;
}

struct Outcome {
  std::vector<std::byte> bytes;
  int chunks = 0;
  uint64_t entries = 0;
  bool has_head = false;
};

Result<Outcome> read_outcome(const std::string& path) {
  constexpr std::string_view kSuffix = ".in_sum2";
  auto file = GgufFile::open(path);
  if (!file.is_ok()) {
    return error(ErrorKind::kUnsupported,
                 "llama-imatrix wrote no GGUF file (llama.cpp of July 2025 or later does): {}",
                 file.error().message);
  }
  Outcome outcome;
  outcome.chunks = static_cast<int>((*file)->header().find_int("imatrix.chunk_count").value_or(0));
  for (const TensorInfo& tensor : (*file)->tensors()) {
    if (!tensor.name.ends_with(kSuffix)) continue;
    ++outcome.entries;
    outcome.has_head |= tensor.name == "output.weight.in_sum2" || tensor.name == "token_embd.weight.in_sum2";
  }
  if (outcome.entries == 0)
    return error(ErrorKind::kUnsupported, "llama-imatrix wrote a file without any weight's inputs");
  LLMC_ASSIGN_OR_RETURN(outcome.bytes, read_file(path, kMaxWholeFileBytes));
  return outcome;
}

// Runs llama-imatrix on `text`.
Result<Outcome> collect(const ImportanceMatrixOptions& options, const std::string& program, int chunks,
                        const std::string& text) {
  LLMC_ASSIGN_OR_RETURN(TemporaryFolder folder, TemporaryFolder::create());
  const bool random = options.text_file.empty();
  const std::string input =
      folder.file(random ? kRandomName : fs::path(options.text_file).filename().string());
  // Its name makes llama-imatrix write GGUF, in versions with and without --output-format.
  const std::string output = folder.file("matrix.imatrix.gguf");
  LLMC_RETURN_IF_ERROR(write_text_file(input, text));
  LlamaSettings settings;
  settings.threads = options.threads;
  settings.timeout_seconds = options.timeout_seconds;
  settings.cancelled = options.cancelled;
  auto printed = run_llama_tool(
      program,
      {"-m", options.model, "-f", input, "-o", output, "-c", std::to_string(kImportanceContext), "--chunks",
       std::to_string(chunks), "--process-output", "--no-ppl"},
      settings);
  if (printed.is_ok()) {
    auto outcome = read_outcome(output);
    if (!outcome.is_ok()) return std::move(outcome).error().in_file(options.model);
    return outcome;
  }
  Error failure = std::move(printed).error();
  if (failure.message.find("tokenizes to only") == std::string::npos)
    return std::move(failure).in_file(options.model);
  return error(ErrorKind::kInvalidArgument,
               "{} bytes of text are too short: two chunks of {} tokens are needed", text.size(),
               kImportanceContext)
      .in_file(random ? options.model : options.text_file);
}

}  // namespace

Result<ImportanceMatrixReport> make_importance_matrix(const ImportanceMatrixOptions& options) {
  const Stopwatch watch;
  const bool random = options.text_file.empty();
  LLMC_RETURN_IF_ERROR(check_model(options.model));
  const std::vector<std::string> inputs = {options.model, options.text_file};
  LLMC_RETURN_IF_ERROR(check_output_file(options.output, inputs));
  ImportanceMatrixReport report;
  report.model = options.model;
  report.output = options.output;
  report.text_file = options.text_file;
  LLMC_ASSIGN_OR_RETURN(report.tool, find_llama_tool("llama-imatrix", options.tools_dir));
  LLMC_ASSIGN_OR_RETURN(report.tool_version, llama_tool_version(report.tool));
  const int chunks = options.chunks > 0 ? options.chunks
                     : random           ? kDefaultRandomChunks
                                        : kDefaultImportanceChunks;
  LLMC_ASSIGN_OR_RETURN(const std::string text,
                        random ? random_tokens(options.model, chunks) : calibration_text(options.text_file));
  report.text_bytes = text.size();
  // Before the run: a folder that cannot be written should be known now, not after minutes.
  LLMC_ASSIGN_OR_RETURN(AtomicFile output, AtomicFile::create(options.output));
  LLMC_ASSIGN_OR_RETURN(const Outcome outcome, collect(options, report.tool, chunks, text));
  LLMC_RETURN_IF_ERROR(output.write(outcome.bytes));
  LLMC_RETURN_IF_ERROR(output.commit());
  report.chunks = outcome.chunks;
  report.entries = outcome.entries;
  report.has_head = outcome.has_head;
  report.bytes = outcome.bytes.size();
  report.seconds = watch.seconds();
  return report;
}

std::string ImportanceMatrixReport::to_json() const {
  nlohmann::ordered_json json = {{"model", model},
                                 {"output", output},
                                 {"source", text_file.empty() ? "random" : "text"},
                                 {"text_bytes", text_bytes},
                                 {"context", kImportanceContext},
                                 {"chunks", chunks},
                                 {"entries", entries},
                                 {"has_head", has_head},
                                 {"bytes", bytes},
                                 {"tool", tool},
                                 {"tool_version", tool_version},
                                 {"seconds", seconds}};
  if (!text_file.empty()) json["text"] = text_file;
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace llmcodec

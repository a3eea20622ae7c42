// SPDX-License-Identifier: BSD-3-Clause
#include "session.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "exit_code.h"
#include "interrupt.h"
#include "peak_memory.h"

namespace llmcodec::cli {
namespace {

using nlohmann::json;

// In ASCII, for a terminal obeys some characters of Unicode too.
std::string dump(const json& value) {
  return value.dump(1, ' ', true, json::error_handler_t::replace);
}

// The last look at what goes to a terminal. Where the line breaks of a name must not pass for those of the text,
// whoever puts the text together has called printable() already.
std::string printable_lines(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    shown += printable(text.substr(0, end), SIZE_MAX);
    if (end == std::string_view::npos) break;
    shown += '\n';
    text.remove_prefix(end + 1);
  }
  return shown;
}

// An argument as a POSIX shell reads it back.
std::string shell_quoted(const std::string& text) {
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

json error_to_json(const Error& error) {
  json value = {{"kind", error_kind_name(error.kind)},
                {"message", error.message},
                {"exit_code", exit_code(error.kind)}};
  if (!error.file.empty()) value["file"] = error.file;
  if (!error.tensor.empty()) value["tensor"] = error.tensor;
  if (error.offset) value["offset"] = *error.offset;
  return {{"error", value}};
}

}  // namespace

CLI::App* Session::add_command(CLI::App& app, const std::string& name, const std::string& what,
                               const std::string& examples, SharedOptions shared) {
  CLI::App* command = app.add_subcommand(name, what);
  command->footer("Examples:\n" + examples);
  add_shared_options(*command, shared);
  return command;
}

void Session::on_command(CLI::App* command, std::function<Status()> run) {
  command->final_callback([this, run = std::move(run)] { run_ = run; });
}

void Session::add_shared_options(CLI::App& command, SharedOptions shared) {
  constexpr const char* kGroup = "Run";
  if (shared.threads) {
    command.add_option("--threads", threads_, "worker threads; 0: one per core")
        ->type_name("N")
        ->check(integer_between(0, 4096))
        ->group(kGroup);
  } else {
    command.add_option("--threads", threads_, "taken as by every command; this one works with one thread")
        ->type_name("N")
        ->check(integer_between(0, 4096))
        ->group(kGroup);
  }
  if (shared.ffmpeg) {
    command.add_option("--ffmpeg", environment_.ffmpeg, "ffmpeg program; else $LLMCODEC_FFMPEG, then PATH")
        ->type_name("PATH")
        ->group(kGroup);
  }
  if (shared.timeout) {
    command
        .add_option("--timeout", environment_.timeout_seconds, "seconds that one process of ffmpeg may take")
        ->type_name("S")
        ->check(positive_number())
        ->capture_default_str()
        ->group(kGroup);
  }
  if (shared.progress) command.add_flag("-q,--quiet", quiet_, "no progress, no notes")->group(kGroup);
  command.add_flag("--json", json_, "results and errors as one JSON object (docs/json.md)")->group(kGroup);
}

Control Session::control() {
  catch_interrupts();
  Control control{.threads = threads_, .environment = environment_};
  control.cancelled = interrupted;
  if (quiet_) return control;
  progress_ = std::make_unique<ProgressLine>();
  control.progress = [line = progress_.get()](const Progress& progress) { line->update(progress); };
  return control;
}

std::string Session::recorded_command() const {
  // Threads, places of programs and forms of output change no byte of an archive, so they are not part of it.
  static const std::set<std::string> kFlags = {"--json", "--quiet", "-q", "--restart"};
  static const std::set<std::string> kWithValue = {"--threads", "--ffmpeg", "--timeout"};
  std::string command = "llmcodec";
  for (size_t i = 1; i < arguments_.size(); ++i) {
    const std::string name = arguments_[i].substr(0, arguments_[i].find('='));
    if (kFlags.contains(name)) continue;
    if (kWithValue.contains(name)) {
      if (name == arguments_[i]) ++i;  // the value is the next argument
      continue;
    }
    command += " " + shell_quoted(arguments_[i]);
  }
  return command;
}

void Session::print(const std::string& given) {
  if (progress_) progress_->clear();
  const std::string text = printable_lines(given);
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return;
  if (!print_failure_) print_failure_ = errno_error("cannot write to standard output");
}

void Session::print_json(const std::string& object) {
  nlohmann::json value = nlohmann::json::parse(object);
  value["peak_bytes"] = peak_memory_bytes();
  print(dump(value) + "\n");
}

void Session::note(const std::string& text) {
  if (progress_) progress_->clear();
  if (!quiet_) std::fputs((printable(text) + "\n").c_str(), stderr);
}

Status Session::check_printed() const {
  if (print_failure_) return *print_failure_;
  // stderr has no buffer, and it remembers every failure.
  if (std::ferror(stderr) != 0) return error(ErrorKind::kIo, "cannot write to standard error");
  return Status::ok();
}

int Session::report(const Error& failure) {
  if (progress_) progress_->clear();
  Error shown = failure;
  // A child process that the same signal ended reports it in other words.
  if (interrupted() && shown.kind != ErrorKind::kInterrupted)
    shown = error(ErrorKind::kInterrupted, "interrupted");
  // The exit code tells of the failure even where these texts do not arrive.
  if (json_) print(dump(error_to_json(shown)) + "\n");
  std::fputs(fmt::format("llmcodec: error: {}\n", shown.to_string()).c_str(), stderr);
  return exit_code(shown.kind);
}

}  // namespace llmcodec::cli

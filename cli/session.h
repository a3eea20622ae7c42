// SPDX-License-Identifier: BSD-3-Clause
// One run of the program: the options that commands share, the command chosen, and how results and errors are
// shown. Each command is one file with one function `add_NAME(CLI::App&, Session&)`: it declares the
// command's options and sets session.run for the case that the command is the one given.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "llmcodec/model.h"
#include "option_values.h"
#include "progress_line.h"

namespace llmcodec::cli {

// Which of the shared options a command takes besides --json.
struct SharedOptions {
  bool threads = false;
  bool ffmpeg = false;
  bool timeout = false;
  bool progress = false;  // --quiet
};
inline constexpr SharedOptions kAllSharedOptions = {true, true, true, true};

class Session {
 public:
  Session(int argc, const char* const* argv) : arguments_(argv, argv + argc) {}

  // Declares a command with its examples ("llmcodec ..." lines) and shared options; `run` is called
  // when it was given.
  CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& what,
                        const std::string& examples, SharedOptions shared);
  void on_command(CLI::App* command, std::function<Status()> run);
  const std::function<Status()>& run() const { return run_; }

  // Control of a call of the library: threads, codecs, progress, cancellation by signal.
  // Installs the signal handlers.
  Control control();
  CodecEnvironment environment() const { return environment_; }
  unsigned threads() const { return threads_; }
  bool json() const { return json_; }
  // What the archive records: the command line without the options that do not change the archive.
  std::string recorded_command() const;

  // Standard output; both end the progress line first. print_json adds "peak_bytes" to a JSON object and writes
  // ASCII. Of `text` line ends stay, and every line becomes printable(). What could not be written makes
  // check_printed() fail.
  void print(const std::string& text);
  void print_json(const std::string& object);
  // A message on standard error that --quiet leaves out.
  void note(const std::string& text);
  // At the end of a run: Io error when a text for standard output or standard error did not get there (a full
  // disk, a closed stream, a pipe that nobody reads any more).
  Status check_printed() const;
  // "llmcodec: error: ..." in one line, as JSON too where asked for. Returns the exit code.
  int report(const Error& error);

 private:
  void add_shared_options(CLI::App& command, SharedOptions shared);

  std::vector<std::string> arguments_;
  unsigned threads_ = 0;
  bool json_ = false, quiet_ = false;
  CodecEnvironment environment_;
  std::unique_ptr<ProgressLine> progress_;
  std::optional<Error> print_failure_;
  std::function<Status()> run_;
};

}  // namespace llmcodec::cli

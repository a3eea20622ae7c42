// SPDX-License-Identifier: BSD-3-Clause
// The `llmcodec` program: language-model tensors stored as video, and back. docs/cli.md is its manual.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>
#include <sstream>
#include <system_error>

#include "base/error.h"
#include "commands.h"
#include "exit_code.h"
#include "llmcodec/version.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace llmcodec::cli {
namespace {

constexpr const char* kDescription =
    "llmcodec: language models stored as video. Tensors become pictures, a video codec makes them small at "
    "any number of\n"
    "bits per weight, and they come back for transformers, llama.cpp and whatever reads safetensors or GGUF.";

constexpr const char* kExamples =
    "Examples:\n"
    "  llmcodec compress SmolLM2.gguf -o SmolLM2.llmcodec.safetensors --bpw 3\n"
    "  llmcodec verify SmolLM2.llmcodec.safetensors --against SmolLM2.gguf\n"
    "  llmcodec decompress SmolLM2.llmcodec.safetensors -o restored.gguf\n"
    "  llmcodec COMMAND --help\n\n";

// Pictures are some megabytes, and as soon as one is freed the next is taken: giving its memory back to the
// system in between costs page faults, a seventh of the time of decompress.
void keep_freed_memory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}

// A file that is opened while one of these is closed would take its number, and what is printed would go into
// that file. Opened for reading only, the stand-in refuses to be written to, as a closed stream does.
void open_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    [[maybe_unused]] const int opened = ::open("/dev/null", O_RDONLY);  // the lowest free number: this one
  }
}

// One line, from the handlers of last resort.
int say(ErrorKind kind, const std::string& message) {
  std::fputs(("llmcodec: error: " + Error{kind, message}.to_string() + "\n").c_str(), stderr);
  return exit_code(kind);
}

void declare(CLI::App& app, Session& session) {
  app.set_version_flag("--version", "llmcodec " LLMCODEC_VERSION, "the version");
  app.set_help_flag("-h,--help", "this text");
  app.formatter(std::make_shared<HelpFormat>());
  app.require_subcommand(1);
  app.footer(std::string(kExamples) + kExitCodeHelp);
  for (const auto add : {add_compress, add_decompress, add_inspect, add_verify, add_plan, add_extract,
                         add_codecs, add_bench, add_eval, add_importance, add_vvc, add_completion}) {
    add(app, session);
  }
}

// What is wrong with the command line, in one line; "unknown command" rather than the parser's general words.
Error usage_error(const CLI::App& app, const CLI::ParseError& failure, int argc, const char* const* argv) {
  const auto has_name = [&](const CLI::App* command) { return command->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(has_name).empty())
    return error(ErrorKind::kInvalidArgument, "no command '{}' (llmcodec --help)", argv[1]);
  const auto given = app.get_subcommands();
  return error(ErrorKind::kInvalidArgument, "{} (llmcodec {}--help)", failure.what(),
               given.empty() ? "" : given.front()->get_name() + " ");
}

// An option or argument that is there and empty, as "$PLAN" is where nobody set it: what it asks for would not be done,
// without a word. Null if there is none.
const CLI::Option* empty_option(const CLI::App& app) {
  const auto is_empty = [](const CLI::Option* option) {
    return option->get_items_expected_max() > 0 &&
           std::ranges::find(option->results(), "") != option->results().end();
  };
  const std::vector<const CLI::Option*> options = app.get_options(is_empty);
  if (!options.empty()) return options.front();
  for (const CLI::App* command : app.get_subcommands()) {
    if (const CLI::Option* found = empty_option(*command)) return found;
  }
  return nullptr;
}

// The exit code.
int end(Session& session, const Status& status) {
  if (!status.is_ok()) return session.report(status.error());
  const Status printed = session.check_printed();
  return printed.is_ok() ? 0 : session.report(printed.error());
}

int run(int argc, const char* const* argv) {
  Session session(argc, argv);
  CLI::App app(kDescription, "llmcodec");
  declare(app, session);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    if (failure.get_exit_code() != 0) return session.report(usage_error(app, failure, argc, argv));
    std::ostringstream text;
    app.exit(failure, text, text);  // --help, --version
    session.print(text.str());
    return end(session, Status::ok());
  }
  if (const CLI::Option* empty = empty_option(app))
    return session.report(
        error(ErrorKind::kInvalidArgument, "{}: an empty value is none", empty->get_name()));
  return end(session, session.run()());
}

}  // namespace
}  // namespace llmcodec::cli

int main(int argc, char** argv) {
  // A file that grows past the limit of the system is then an error of write(), with a message.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);  // likewise for a pipe that nobody reads any more
  llmcodec::cli::open_standard_streams();
  llmcodec::cli::keep_freed_memory();
  try {
    return llmcodec::cli::run(argc, argv);
  } catch (const std::bad_alloc&) {
    return llmcodec::cli::say(llmcodec::ErrorKind::kLimit, "out of memory");
  } catch (const std::system_error& failure) {  // threads, and what is left of std::filesystem
    return llmcodec::cli::say(llmcodec::ErrorKind::kIo, failure.what());
  } catch (const std::exception& failure) {
    return llmcodec::cli::say(llmcodec::ErrorKind::kInternal, std::string("internal: ") + failure.what());
  }
}

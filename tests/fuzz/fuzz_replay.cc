// SPDX-License-Identifier: BSD-3-Clause
// Runs the fuzz targets without libFuzzer: their seeds, the files of tests/fuzz/corpus, and seeded mutations of both, the
// same ones on every machine. Fails where memory passes the bound; a crash names its mutation. `--help` has the options.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "../robustness/allocation_guard.h"
#include "../unit/tensor/tensor_test_files.h"
#include "base/stopwatch.h"
#include "fuzz_target.h"

// So that a sanitizer's report ends in the signal that names the mutation.
extern "C" const char* __asan_default_options() {
  return "abort_on_error=1:handle_abort=0";
}
extern "C" const char* __ubsan_default_options() {
  return "print_stacktrace=1:abort_on_error=1";
}

namespace {

namespace fs = std::filesystem;
using namespace llmcodec;

constexpr double kSlowSeconds = 2;
constexpr unsigned kHangSeconds = 60;
constexpr uint64_t kFreeBytes = uint64_t{64} << 20, kBytesPerInputByte = 8;

struct Options {
  std::vector<std::string> targets;
  uint32_t mutations = 100, first = 0;
  std::string corpus, write_seeds;
};

char at_work[200];  // what a signal handler prints

void report_signal(int signal) {
  const ssize_t ignored = ::write(STDERR_FILENO, at_work, std::strlen(at_work));
  static_cast<void>(ignored);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

std::vector<std::string> inputs_of(const FuzzTarget& target, const std::string& corpus) {
  std::vector<std::string> inputs = target.seeds != nullptr ? target.seeds() : std::vector<std::string>();
  std::vector<fs::path> files;
  const fs::path folder = fs::path(corpus) / target.name;
  if (!corpus.empty() && fs::is_directory(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const fs::path& file : files) inputs.push_back(read_bytes(file));
  return inputs;
}

struct Outcome {
  uint64_t runs = 0, slow = 0, large = 0, most_bytes = 0;
  double most_seconds = 0;
};

// `what` says which input it is.
void run_one(const FuzzTarget& target, const std::string& input, const std::string& what, Outcome* outcome) {
  *fmt::format_to_n(at_work, sizeof at_work - 1, "\n{} ended in {}\n", target.name, what).out = '\0';
  ::alarm(kHangSeconds);
  const uint64_t before = reset_peak_allocation();
  const Stopwatch watch;
  const uint64_t declared = target.run(input);
  const double seconds = watch.seconds();
  const uint64_t taken = peak_allocation() - before;
  ::alarm(0);
  ++outcome->runs;
  outcome->most_seconds = std::max(outcome->most_seconds, seconds);
  outcome->most_bytes = std::max(outcome->most_bytes, taken);
  const bool large = taken > kFreeBytes + kBytesPerInputByte * input.size() + declared;
  outcome->large += large;
  outcome->slow += seconds > kSlowSeconds;
  if (!large && seconds <= kSlowSeconds) return;
  fmt::print("{}: {}: input of {} bytes took {:.1f} s and {:.1f} MB\n", target.name, what, input.size(),
             seconds, static_cast<double>(taken) / 1e6);
  write_bytes(fmt::format("fuzz_findings/{}_{}", target.name, what), input);
}

bool replay(const FuzzTarget& target, const Options& options) {
  const std::vector<std::string> inputs = inputs_of(target, options.corpus);
  Outcome outcome;
  const Stopwatch watch;
  for (size_t i = 0; i < inputs.size(); ++i) run_one(target, inputs[i], fmt::format("input_{}", i), &outcome);
  const auto mutate = target.mutate != nullptr ? target.mutate : mutate_bytes;
  for (uint32_t i = options.first; i < options.first + options.mutations; ++i)
    run_one(target, mutate(inputs[i % inputs.size()], i), fmt::format("mutation_{}", i), &outcome);
  fmt::print(
      "{:<12} {} inputs, {} runs in {:.1f} s; longest {:.2f} s, most memory {:.1f} MB; {} slow, {} too "
      "large\n",
      target.name, inputs.size(), outcome.runs, watch.seconds(), outcome.most_seconds,
      static_cast<double>(outcome.most_bytes) / 1e6, outcome.slow, outcome.large);
  std::fflush(stdout);
  return outcome.large == 0 && !inputs.empty();
}

void write_seeds(const FuzzTarget& target, const Options& options) {
  const std::vector<std::string> inputs = inputs_of(target, options.corpus);
  for (size_t i = 0; i < inputs.size(); ++i)
    write_bytes(fmt::format("{}/{}/{}", options.write_seeds, target.name, i), inputs[i]);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Replays fuzz targets: seeds, corpora and seeded mutations");
  app.add_option("target", options.targets, "Names of targets; all without");
  app.add_option("--mutations", options.mutations, "Number for each target")->capture_default_str();
  app.add_option("--first", options.first, "Number of the first mutation")->capture_default_str();
  app.add_option("--corpus", options.corpus, "Folder with a folder of inputs for each target");
  app.add_option("--write-seeds", options.write_seeds,
                 "Write all inputs into this folder, for libFuzzer, and end");
  CLI11_PARSE(app, argc, argv);
  for (const int signal : {SIGABRT, SIGALRM, SIGSEGV, SIGBUS, SIGFPE}) ::signal(signal, report_signal);
  bool sound = true;
  for (const FuzzTarget* target : fuzz_targets()) {
    if (!options.targets.empty() && std::ranges::find(options.targets, target->name) == options.targets.end())
      continue;
    if (!options.write_seeds.empty()) {
      write_seeds(*target, options);
    } else {
      sound = replay(*target, options) && sound;
    }
  }
  return sound ? 0 : 1;
}

// SPDX-License-Identifier: BSD-3-Clause
// The journal of an interrupted run, beside what else that run left, which is sound: the next run goes on from it or
// refuses it. KEY stands for the run's key, which is another one in each process.
#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "../robustness/mutator.h"
#include "../unit/tensor/tensor_test_files.h"
#include "archive/archive_reader.h"
#include "archive/checksum.h"
#include "fuzz_target.h"
#include "llmcodec/model.h"
#include "small_plan.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

CompressOptions resumed_options() {
  CompressOptions options = small_plan_options();
  options.output = fuzz_folder() + "resumed/model.safetensors";
  options.codec = "raw";  // what is coded again costs nothing beside what the journal says
  return options;
}

struct Interrupted {
  std::string journal, journal_name, key;
  std::map<std::string, std::string> others;  // by name in the folder
};

// What is in the folder when compress() was stopped at the `look`-th time that it looked whether it should.
Interrupted stop_at(int look) {
  CompressOptions options = resumed_options();
  fs::remove_all(fs::path(options.output).parent_path());
  fs::create_directories(fs::path(options.output).parent_path());
  int looks = 0;
  options.control.cancelled = [&] { return ++looks >= look; };
  fuzz_check(!compress(options).is_ok(), "a run can be stopped before it ends with a journal");
  Interrupted found;
  for (const auto& entry : fs::directory_iterator(fs::path(options.output).parent_path())) {
    const std::string name = "resumed/" + entry.path().filename().string();
    const bool journal = name.ends_with("journal");
    if (journal) found.journal_name = name;
    (journal ? found.journal : found.others[name]) = read_bytes(entry.path());
  }
  return found;
}

const Interrupted& interrupted() {
  static const Interrupted run = [] {
    Interrupted found;
    for (int look = 1; std::ranges::count(found.journal, '\n') < 3; ++look) found = stop_at(look);
    const auto first = nlohmann::json::parse(found.journal.substr(0, found.journal.find('\n')));
    found.key = first.at("key").get<std::string>();
    found.journal.replace(found.journal.find(found.key), found.key.size(), "KEY");
    return found;
  }();
  return run;
}

uint64_t run(std::string_view input) {
  const Interrupted& before = interrupted();
  std::string journal(input);
  const size_t key = journal.find("KEY");
  if (key != std::string::npos) journal.replace(key, 3, before.key);
  for (const auto& [name, bytes] : before.others) fuzz_file(name, bytes);
  fuzz_file(before.journal_name, journal);
  const CompressOptions options = resumed_options();
  if (fuzz_accepts(compress(options))) fuzz_accepts(ArchiveReader::open(options.output));
  return 0;
}

std::vector<std::string> seeds() {
  const std::string& whole = interrupted().journal;
  return {whole, whole.substr(0, whole.size() - 5), whole.substr(0, whole.find('\n') + 1), ""};
}

// A line with the checksum that it must have, so that the damage reaches what stands behind the checksum.
std::string repaired(const std::string& line) {
  auto value = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return line;
  value.erase("xxh3_128");
  const auto text = [&] { return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); };
  const std::string rest = text();
  value["xxh3_128"] = xxh3_128(std::as_bytes(std::span(rest)));
  return text();
}

// A value of one line after the first, or bytes anywhere.
std::string mutate(const std::string& input, uint32_t seed) {
  const size_t first = input.find('\n');
  if (seed % 4 == 0 || first == std::string::npos) return mutate_bytes(input, seed);
  Mutator mutator(seed, 0);
  size_t begin = first + 1;
  for (uint32_t skip = mutator.number(3); skip > 0; --skip) {
    const size_t end = input.find('\n', begin);
    if (end != std::string::npos && end + 1 < input.size()) begin = end + 1;
  }
  const size_t end = std::min(input.find('\n', begin), input.size());
  return input.substr(0, begin) + repaired(mutate_json_text(input.substr(begin, end - begin), seed / 4)) +
         input.substr(end);
}

}  // namespace

const FuzzTarget kJournalTarget = {"journal", run, seeds, mutate};

}  // namespace llmcodec

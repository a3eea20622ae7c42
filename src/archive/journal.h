// SPDX-License-Identifier: BSD-3-Clause
// What is needed to go on after a kill: a text file beside the unfinished archive, one JSON line per finished
// tensor. The first line holds the key (a checksum of the plan and the source); another key refuses to
// resume. A line that was cut off by the kill ends the journal.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "llmcodec/status.h"

namespace llmcodec {

class Journal {
 public:
  // Opens the journal at `path`, which nobody else can open until this object goes: whoever has it may write
  // the partial files of the run. `lines` gets the entries of an interrupted run, and new ones follow its
  // last whole line; it gets none when a new journal begins, because there was no file, one that was cut off
  // before its key was written, or `restart` is true. InvalidArgument when another run is at work (see
  // open_locked()) and when the key is another one; Corrupt when the file is something else.
  static Result<Journal> open(const std::string& path, const std::string& key, bool restart,
                              std::vector<nlohmann::json>* lines);

  Status append(const nlohmann::json& line);
  // Forgets all entries after the first `count` (of those that open() gave).
  Status keep_only(size_t count);
  void remove();

 private:
  Journal() = default;
  Status begin(const std::string& key);
  Status read_back(const std::string& key, std::vector<nlohmann::json>* lines);
  std::string path_;
  Descriptor descriptor_;
  std::vector<uint64_t> line_ends_;  // file offsets after the key and after each entry
};

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// What is needed to go on after a kill: a text file beside the unfinished archive, one JSON line per finished
// tensor. The first line holds the key (a checksum of the plan and the source); another key refuses to
// resume. A line that was cut off by the kill ends the journal.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec {

class Journal {
 public:
  // Starts a new journal, replacing an old one.
  static Result<Journal> create(const std::string& path, const std::string& key);
  // Reads the journal back and opens it for appending after its last whole line; `lines` gets the entries.
  // One that was cut off before its key was written is as good as new. InvalidArgument when the key is
  // another one; Io when there is no journal; Corrupt when the file is something else.
  static Result<Journal> resume(const std::string& path, const std::string& key,
                                std::vector<nlohmann::json>* lines);
  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&& other) noexcept;
  ~Journal();

  Status append(const nlohmann::json& line);
  // Forgets all entries after the first `count` (of those that resume() returned).
  Status keep_only(size_t count);
  void remove();

 private:
  Journal() = default;
  std::string path_;
  int descriptor_ = -1;
  std::vector<uint64_t> line_ends_;  // file offsets after the key and after each entry
};

}  // namespace llmcodec

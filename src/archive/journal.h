// SPDX-License-Identifier: BSD-3-Clause
// What is needed to go on after a kill: a text file beside the unfinished archive, one JSON line per finished
// tensor. The first line holds the key (a checksum of the plan and the source); another key refuses to
// resume. A line that was cut off by the kill ends the journal, and so does one that is not as it was written:
// each holds the checksum of the rest of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "archive/description.h"
#include "base/descriptor.h"
#include "base/output_guard.h"
#include "llmcodec/status.h"
#include "tensor/safetensors.h"

namespace llmcodec {

// A finished tensor. Read from a journal, its types and ranges are right; whether it fits the plan and whether its
// bytes are there is for check_entry() and check_bytes() to say (journal_check.h).
struct JournalEntry {
  std::string name;
  size_t shard = 0;
  std::vector<SafetensorsEntry> entries;  // in the order of their bytes
  // Of a tensor with parts; one that is stored exactly has the checksum of its bytes instead.
  std::optional<TensorRecord> record;
  std::string exact_xxh3_128;
  // What the run that wrote the tensor measured, for the one that resumes; finite numbers.
  std::vector<double> memo;
};

class Journal {
 public:
  // Opens the journal at `path` of a run that has the right to its output. entries() are those of an interrupted
  // run, and new ones follow its last good line; there are none when a new journal begins, because there was no
  // file, one that was cut off before its key was written, or `restart` is true. InvalidArgument when the key is
  // another one; Corrupt when the file is no journal.
  static Result<Journal> open(const OutputLock& lock, const std::string& path, const std::string& key,
                              bool restart);

  const std::vector<JournalEntry>& entries() const { return entries_; }
  // Whether there was a file, whatever was in it.
  bool existed() const { return existed_; }
  // Why lines after entries() were dropped; empty when none were. A line that was cut off is not worth a word.
  const std::string& dropped() const { return dropped_; }

  Status append(const JournalEntry& entry);
  // Forgets all entries after the first `count`.
  Status keep_only(size_t count);
  void remove();

 private:
  Journal() = default;
  Status begin(const std::string& key);
  Status read_back(const std::string& key);
  Status write_line(const std::string& text);
  std::string path_;
  Descriptor descriptor_;
  uint64_t size_ = 0;  // of all that is written
  bool existed_ = false;
  std::vector<JournalEntry> entries_;
  std::string dropped_;
  std::vector<uint64_t> line_ends_;  // file offsets after the key and after each entry
};

}  // namespace llmcodec

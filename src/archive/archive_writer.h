// SPDX-License-Identifier: BSD-3-Clause
// Writes an archive (docs/format.md) in one pass: one or several safetensors files whose headers are reserved
// in advance and filled in last. Nothing appears under its final name before everything is written; a killed
// run leaves "FILE.partial" and a journal, from which open() goes on.
//
// Example (const ArchiveLayout& layout, const Description& description, std::span<const std::byte> bytes):
//
//   LLMC_ASSIGN_OR_RETURN(ArchiveWriter writer, ArchiveWriter::open(layout));
//   for (const auto& [name, record] : description.tensors) {
//     if (writer.is_done(name)) continue;
//     LLMC_RETURN_IF_ERROR(writer.begin_tensor(name, 0));  // into the first shard
//     LLMC_RETURN_IF_ERROR(writer.begin_part("bitstream"));
//     LLMC_RETURN_IF_ERROR(writer.append(bytes));  // any number of times
//     LLMC_RETURN_IF_ERROR(writer.end_part());
//     LLMC_RETURN_IF_ERROR(writer.end_tensor(record));  // the writer fills in record.parts
//   }
//   LLMC_RETURN_IF_ERROR(writer.finish(description));
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "archive/checksum.h"
#include "archive/description.h"
#include "archive/journal.h"
#include "archive/journal_check.h"
#include "base/file.h"
#include "tensor/model_folder.h"
#include "tensor/safetensors.h"

namespace llmcodec {

class ArchiveReader;

struct ArchiveShard {
  std::string path;           // final name
  uint64_t header_bytes = 0;  // reserved for the safetensors header, a multiple of 8
};

struct ArchiveLayout {
  std::vector<ArchiveShard> shards;
  std::string index_path;  // written last when there are several shards; empty for one
  std::string journal_path;
  std::string key;          // of the plan and the source: a run resumes only what has the same key
  bool restart = false;     // throw an interrupted run away instead of resuming it
  std::string folder = {};  // that gets all files, and whatever else is added to it; empty for one file
  std::vector<std::string> other_files = {};  // that will be added, relative to the folder
  // All that will be written, by name: an interrupted run's tensors are taken over only if they are among these.
  std::map<std::string, PlannedTensor> tensors = {};
};

// Others are kept from the output as long as the writer lives: also while the finished archive is read for a report.
class ArchiveWriter {
 public:
  // Resumes where a journal with the same key stands, starts anew otherwise. InvalidArgument while another
  // run writes to the same output (OutputLock).
  static Result<ArchiveWriter> open(ArchiveLayout layout);

  bool is_done(const std::string& tensor) const { return done_.contains(tensor); }
  // What end_tensor() was given to remember of the tensors that are done.
  const std::map<std::string, std::vector<double>>& memos() const { return memos_; }
  // Whether anything of an interrupted run was taken over, and why something of it was not (empty: all was).
  bool is_resumed() const { return !journal_->entries().empty(); }
  const std::string& dropped() const { return dropped_; }
  // Where files that belong to the archive are added before finish(). Only with a layout that has a folder.
  ModelFolder& folder() { return *folder_; }

  // Coded tensors: parts between begin_tensor() and end_tensor(). Shards may be written to in any order.
  Status begin_tensor(const std::string& name, size_t shard);
  Status begin_part(const std::string& part);
  Status append(std::span<const std::byte> bytes);
  Status end_part();  // pads to 8 bytes
  // `memo` goes to the journal alone, for the run that resumes.
  Status end_tensor(TensorRecord record, std::vector<double> memo = {});
  // A tensor stored exactly, under its own name: append() between these.
  Status begin_exact(const TensorInfo& info, size_t shard);
  Status end_exact();
  // A packed part of the archive itself ("llmcodec.gguf_header"), stored like an exact U8 tensor but
  // padded (packing.h, stored_bytes()).
  Status write_own(const std::string& name, std::span<const std::byte> packed, uint64_t content_bytes,
                   size_t shard);

  // Writes descriptions (`description` without its tensors, but with what is the same as these) and headers, reads the archive back, lets `check`
  // look at it, moves the files to their names, removes the journal. Internal error when a header does not fit
  // its reserved size and when the reader finds something corrupt; to be followed by abandon() then.
  using Check = std::function<Status(const ArchiveReader& written)>;
  Status finish(const Description& description, const Check& check = {});
  // Keeps what is written for a later run; to be called before giving up because of a signal.
  void keep_for_resume();
  // Removes all that is written and the journal: after a failure that a later run would only meet again. The
  // writer is of no use then.
  void abandon();
  // Bytes of all shards so far, headers included.
  uint64_t total_bytes() const;

 private:
  struct OpenShard {
    std::optional<AtomicFile> file;
    std::vector<SafetensorsEntry> entries;
    std::map<std::string, TensorRecord> records;
    std::map<std::string, ExactRecord> exact;
  };
  ArchiveWriter() = default;
  Status replay();
  Status replay_entry(const JournalEntry& entry);
  void take_over(const JournalEntry& entry);
  Status create_shard(size_t shard);
  Status open_shard(size_t shard);  // to be written to; all before it exist then
  Status finish_tensor();
  Status commit();
  void add_entry(TensorInfo info, uint64_t begin);
  AtomicFile& file() { return *shards_[current_].file; }
  uint64_t data_size() const {
    return shards_[current_].file->size() - layout_.shards[current_].header_bytes;
  }
  // Its own description as its last tensor, then the header.
  Status complete_shard(size_t shard, const Description& description);
  // Of everything that the shards hold: two runs that differ in a byte have another.
  std::string archive_id(const Description& description) const;
  Status read_back(const Check& check) const;

  ArchiveLayout layout_;
  // Before the shards, so that they go after them: they keep others away until the partial files are gone. A
  // folder, or the lock of one file.
  std::optional<ModelFolder> folder_;
  std::optional<OutputLock> file_lock_;
  std::optional<Journal> journal_;
  std::string dropped_;
  std::vector<OpenShard> shards_;
  std::set<std::string> done_;
  size_t opened_ = 0;   // shards [0, opened_) have files
  size_t current_ = 0;  // the one that is written to
  std::map<std::string, std::vector<double>> memos_;
  JournalEntry writing_;
  TensorInfo exact_;
  std::string part_;
  uint64_t part_begin_ = 0;
  uint64_t part_bytes_ = 0;
  std::optional<Checksum> part_checksum_;
  std::map<std::string, PartRecord> parts_;
};

}  // namespace llmcodec

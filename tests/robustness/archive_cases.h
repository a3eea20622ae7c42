// SPDX-License-Identifier: BSD-3-Clause
// Small archives of every kind, for tests that damage them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../unit/tensor/tensor_test_files.h"

namespace llmcodec {

// A folder in memory where the system has one: thousands of files are written and synced.
class FastFolder {
 public:
  FastFolder();
  FastFolder(const FastFolder&) = delete;
  FastFolder& operator=(const FastFolder&) = delete;
  ~FastFolder();
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct ArchiveCase {
  std::string name;
  std::string archive;             // what decompress() is given: a file, or a folder of shards
  std::vector<std::string> files;  // that hold it
  std::string output;              // where restored() puts the model
  std::string expected;            // bytes of the model restored from the undamaged archive, of all its files
};

// spectral, spatial, raw_group, gguf, sharded, copies (equal tensors), pipeline (two parts, one in the root): tensors with outliers, exact tensors of several dtypes, an
// empty one, several matrices, a GGUF header and a block dtype where the kind has them.
std::vector<std::string> archive_case_names();
Result<ArchiveCase> make_archive_case(const std::string& name, const FastFolder& folder);

// What decompress() makes of the archive as it is on disk now; the restored file is removed again.
Result<std::string> restored(const ArchiveCase& archive);

}  // namespace llmcodec

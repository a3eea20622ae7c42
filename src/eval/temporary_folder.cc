// SPDX-License-Identifier: BSD-3-Clause
#include "eval/temporary_folder.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"

namespace llmcodec {

Result<TemporaryFolder> TemporaryFolder::create() {
  const char* variable = std::getenv("TMPDIR");
  std::string path =
      (variable != nullptr && *variable ? std::string(variable) : "/tmp") + "/llmcodec-eval-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return errno_error("cannot make a temporary folder").in_file(path);
  return TemporaryFolder(path);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace llmcodec

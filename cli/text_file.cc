// SPDX-License-Identifier: BSD-3-Clause
#include "text_file.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/error.h"

namespace llmcodec::cli {
namespace {

namespace fs = std::filesystem;

Status write_whole(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return errno_error("cannot write");
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size() &&
                       std::fflush(file) == 0 && fsync(fileno(file)) == 0;
  Status status = written ? Status::ok() : Status(errno_error("cannot write"));
  std::fclose(file);
  return status;
}

}  // namespace

Status write_text_file(const std::string& path, const std::string& text) {
  const std::string partial = fmt::format("{}.{}.partial", path, getpid());
  Status status = write_whole(partial, text);
  if (status.is_ok() && std::rename(partial.c_str(), path.c_str()) != 0) status = errno_error("cannot write");
  if (status.is_ok()) return status;
  std::remove(partial.c_str());
  return std::move(status).error().in_file(path);
}

bool is_gguf_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  char magic[4] = {};
  return file && std::fread(magic, 1, sizeof magic, file.get()) == sizeof magic &&
         std::memcmp(magic, "GGUF", 4) == 0;
}

Result<TemporaryFolder> TemporaryFolder::create() {
  const char* parent = std::getenv("TMPDIR");
  std::string path = std::string(parent != nullptr && *parent != 0 ? parent : "/tmp") + "/llmcodec-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return errno_error("cannot create a temporary folder").in_file(path);
  return TemporaryFolder(std::move(path));
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace llmcodec::cli

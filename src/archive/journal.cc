// SPDX-License-Identifier: BSD-3-Clause
#include "archive/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"

namespace llmcodec {
namespace {

using nlohmann::json;

// One write call per line, so that a kill leaves whole lines or a cut last one, never a mixture.
Status write_line(int descriptor, const std::string& path, const json& line) {
  const std::string text = line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(descriptor, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("cannot write").in_file(path);
    written += static_cast<size_t>(n);
  }
  return Status::ok();
}

Error other_key(const std::string& path) {
  return error(ErrorKind::kInvalidArgument,
               "an interrupted run with other settings or another source left this; finish that run with its "
               "own "
               "settings, or pass --restart to throw it away")
      .in_file(path);
}

}  // namespace

Result<Journal> Journal::create(const std::string& path, const std::string& key) {
  Journal journal;
  journal.path_ = path;
  journal.descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
  if (journal.descriptor_ < 0) return errno_error("cannot create").in_file(path);
  LLMC_RETURN_IF_ERROR(write_line(journal.descriptor_, path, json{{"key", key}}));
  return journal;
}

Result<Journal> Journal::resume(const std::string& path, const std::string& key, std::vector<json>* lines) {
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxJsonBytes));
  Journal journal;
  lines->clear();
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    json value = json::parse(text.begin() + begin, text.begin() + end, nullptr, false);
    if (value.is_discarded() || (begin == 0 && !value.contains("key")))
      return error(ErrorKind::kCorrupt, "is no journal of an interrupted run").in_file(path).at_offset(begin);
    if (begin == 0 && value["key"] != key) return other_key(path);
    if (begin > 0) lines->push_back(std::move(value));
    begin = end + 1;
    journal.line_ends_.push_back(begin);
  }
  if (journal.line_ends_.empty()) return create(path, key);
  journal.path_ = path;
  journal.descriptor_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (journal.descriptor_ < 0) return errno_error("cannot open for resuming").in_file(path);
  LLMC_RETURN_IF_ERROR(journal.keep_only(lines->size()));
  return journal;
}

Status Journal::append(const json& line) {
  return write_line(descriptor_, path_, line);
}

Status Journal::keep_only(size_t count) {
  if (::ftruncate(descriptor_, static_cast<off_t>(line_ends_[count])) != 0)
    return errno_error("cannot cut the journal").in_file(path_);
  return Status::ok();
}

void Journal::remove() {
  ::unlink(path_.c_str());
}

Journal::Journal(Journal&& other) noexcept {
  *this = std::move(other);
}

Journal& Journal::operator=(Journal&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(line_ends_, other.line_ends_);
  return *this;
}

Journal::~Journal() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace llmcodec

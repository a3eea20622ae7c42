// SPDX-License-Identifier: BSD-3-Clause
#include "archive/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/output_guard.h"
#include "tensor/json_text.h"

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

Result<Journal> Journal::open(const std::string& path, const std::string& key, bool restart,
                              std::vector<json>* lines) {
  Journal journal;
  journal.path_ = path;
  lines->clear();
  LLMC_ASSIGN_OR_RETURN(journal.descriptor_, open_locked(path, O_RDWR | O_CREAT | O_APPEND));
  if (!restart) LLMC_RETURN_IF_ERROR(journal.read_back(key, lines));
  LLMC_RETURN_IF_ERROR(lines->empty() ? journal.begin(key) : journal.keep_only(lines->size()));
  return journal;
}

Status Journal::begin(const std::string& key) {
  line_ends_.assign(1, 0);
  LLMC_RETURN_IF_ERROR(keep_only(0));  // what stood in an old journal
  LLMC_RETURN_IF_ERROR(write_line(descriptor_.get(), path_, json{{"key", key}}));
  line_ends_[0] = static_cast<uint64_t>(::lseek(descriptor_.get(), 0, SEEK_END));
  return Status::ok();
}

Status Journal::read_back(const std::string& key, std::vector<json>* lines) {
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(path_, kMaxJsonBytes));
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    auto value = parse_json_value<json>(std::string_view(text).substr(begin, end - begin));
    if (!value.is_ok() || (begin == 0 && !value->contains("key")))
      return error(ErrorKind::kCorrupt, "is no journal of an interrupted run")
          .in_file(path_)
          .at_offset(begin);
    if (begin == 0 && (*value)["key"] != key) return other_key(path_);
    if (begin > 0) lines->push_back(std::move(value).value());
    begin = end + 1;
    line_ends_.push_back(begin);
  }
  return Status::ok();
}

Status Journal::append(const json& line) {
  return write_line(descriptor_.get(), path_, line);
}

Status Journal::keep_only(size_t count) {
  if (::ftruncate(descriptor_.get(), static_cast<off_t>(line_ends_[count])) != 0)
    return errno_error("cannot cut the journal").in_file(path_);
  return Status::ok();
}

void Journal::remove() {
  ::unlink(path_.c_str());
}

}  // namespace llmcodec

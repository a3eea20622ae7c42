// SPDX-License-Identifier: BSD-3-Clause
#include "archive/journal.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "archive/checksum.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

using nlohmann::json;

constexpr char kChecksum[] = "xxh3_128";

std::string to_line(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string checksum_of(const json& value) {
  const std::string text = to_line(value);
  return xxh3_128(std::as_bytes(std::span(text)));
}

Error other_key(const std::string& path) {
  return error(ErrorKind::kInvalidArgument,
               "an interrupted run with other settings or another source left this; finish that run with its "
               "own settings, or pass --restart to throw it away")
      .in_file(path);
}

Error bad(const char* what) {
  return error(ErrorKind::kCorrupt, "{}", what);
}

json to_json(const SafetensorsEntry& entry) {
  return {entry.info.name, dtype_info(entry.info.dtype).name, entry.info.shape, entry.begin, entry.end};
}

Result<SafetensorsEntry> safetensors_entry(const json& value) {
  const bool valid = value.is_array() && value.size() == 5 && value[0].is_string() && value[1].is_string() &&
                     value[2].is_array() && value[3].is_number_unsigned() && value[4].is_number_unsigned();
  const auto dtype = valid ? dtype_from_name(value[1].get<std::string>()) : std::nullopt;
  if (!dtype) return bad("an entry is not [name, dtype, shape, begin, end]");
  SafetensorsEntry entry;
  entry.info.name = value[0].get<std::string>();
  entry.info.dtype = *dtype;
  for (const json& side : value[2]) {
    if (!side.is_number_unsigned()) return bad("a shape is not a list of sizes");
    entry.info.shape.push_back(side.get<uint64_t>());
  }
  entry.begin = value[3].get<uint64_t>();
  entry.end = value[4].get<uint64_t>();
  if (entry.end < entry.begin) return bad("an entry ends before it begins");
  return entry;
}

json to_json(const JournalEntry& entry) {
  json value = {{"name", entry.name}, {"shard", entry.shard}, {"entries", json::array()}};
  for (const SafetensorsEntry& part : entry.entries) value["entries"].push_back(to_json(part));
  if (entry.record) {
    value["record"] = to_json(*entry.record);
  } else {
    value["exact"] = entry.exact_xxh3_128;
  }
  const bool finite = std::ranges::all_of(entry.memo, [](double number) { return std::isfinite(number); });
  if (finite && !entry.memo.empty()) value["memo"] = entry.memo;
  return value;
}

Result<std::vector<double>> memo_of(const json& value) {
  std::vector<double> memo;
  if (!value.contains("memo")) return memo;
  if (!value["memo"].is_array()) return bad("'memo' is not a list");
  for (const json& number : value["memo"]) {
    if (!number.is_number()) return bad("'memo' holds something besides numbers");
    memo.push_back(number.get<double>());
  }
  return memo;
}

Result<JournalEntry> journal_entry(const json& value) {
  const auto has = [&](const char* key, auto is) { return value.contains(key) && (value[key].*is)(); };
  if (!has("name", &json::is_string)) return bad("'name' is not a text");
  if (!has("shard", &json::is_number_unsigned)) return bad("'shard' is not a number");
  if (!has("entries", &json::is_array)) return bad("'entries' is not a list");
  JournalEntry entry;
  entry.name = value["name"].get<std::string>();
  entry.shard = value["shard"].get<uint64_t>();
  for (const json& part : value["entries"]) {
    LLMC_ASSIGN_OR_RETURN(SafetensorsEntry parsed, safetensors_entry(part));
    entry.entries.push_back(std::move(parsed));
  }
  if (value.contains("record")) {
    LLMC_ASSIGN_OR_RETURN(entry.record, tensor_record_from_json(value["record"]));
  } else if (has("exact", &json::is_string)) {
    entry.exact_xxh3_128 = value["exact"].get<std::string>();
  } else {
    return bad("neither 'record' nor 'exact' is there");
  }
  LLMC_ASSIGN_OR_RETURN(entry.memo, memo_of(value));
  return entry;
}

Result<JournalEntry> parse_line(std::string_view line) {
  LLMC_ASSIGN_OR_RETURN(json value, parse_json_value<json>(line, RepeatedKeys::kRefuse));
  if (!value.is_object()) return bad("the line is no JSON object");
  if (!value.contains(kChecksum) || !value[kChecksum].is_string()) return bad("the line has no checksum");
  const std::string checksum = value[kChecksum].get<std::string>();
  value.erase(kChecksum);
  if (checksum != checksum_of(value)) return bad("the line fails its checksum");
  return journal_entry(value);
}

Result<std::string> key_of(std::string_view line) {
  const auto value = parse_json_value<json>(line);
  if (!value.is_ok() || !value->is_object() || !value->contains("key") || !(*value)["key"].is_string())
    return error(ErrorKind::kCorrupt, "is no journal of an interrupted run; pass --restart to write over it");
  return (*value)["key"].get<std::string>();
}

}  // namespace

Result<Journal> Journal::open(const OutputLock&, const std::string& path, const std::string& key,
                              bool restart) {
  Journal journal;
  journal.path_ = path;
  journal.descriptor_ = open_descriptor(path, O_RDWR | O_NOFOLLOW);
  journal.existed_ = journal.descriptor_.is_open();
  if (!journal.existed_ && errno == ENOENT)
    journal.descriptor_ = open_descriptor(path, O_RDWR | O_NOFOLLOW | O_CREAT | O_EXCL);
  if (!journal.descriptor_.is_open()) return errno_error("cannot open").in_file(path);
  if (!restart) LLMC_RETURN_IF_ERROR(journal.read_back(key));
  if (!journal.entries_.empty()) {
    LLMC_RETURN_IF_ERROR(journal.keep_only(journal.entries_.size()));
    return journal;
  }
  Status begun = journal.begin(key);
  if (begun.is_ok()) return journal;
  if (!journal.existed_) journal.remove();
  return std::move(begun).error();
}

Status Journal::begin(const std::string& key) {
  line_ends_.assign(1, 0);
  LLMC_RETURN_IF_ERROR(keep_only(0));  // what stood in an old journal
  LLMC_RETURN_IF_ERROR(write_line(to_line({{"key", key}})));
  line_ends_[0] = size_;
  return Status::ok();
}

Status Journal::read_back(const std::string& key) {
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(path_, kMaxJsonBytes));
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    if (begin == 0) {
      const auto found = key_of(line);
      if (!found.is_ok()) return Error(found.error()).in_file(path_).at_offset(0);
      if (*found != key) return other_key(path_);
    } else {
      auto entry = parse_line(line);
      if (!entry.is_ok()) {
        dropped_ = Error(entry.error()).in_file(path_).at_offset(begin).to_string();
        return Status::ok();
      }
      entries_.push_back(std::move(entry).value());
    }
    line_ends_.push_back(end + 1);
  }
  return Status::ok();
}

Status Journal::append(const JournalEntry& entry) {
  json value = to_json(entry);
  value[kChecksum] = checksum_of(value);
  return write_line(to_line(value));
}

// One write call per line, so that a kill leaves whole lines or a cut last one, never a mixture.
Status Journal::write_line(const std::string& text) {
  const std::string line = text + "\n";
  for (size_t written = 0; written < line.size();) {
    const ssize_t n = uninterrupted([&] {
      return ::pwrite(descriptor_.get(), line.data() + written, line.size() - written,
                      static_cast<off_t>(size_));
    });
    if (n < 0) return errno_error("cannot write").in_file(path_);
    if (n == 0) return error(ErrorKind::kIo, "takes no more bytes").in_file(path_);
    written += static_cast<size_t>(n);
    size_ += static_cast<uint64_t>(n);
  }
  return Status::ok();
}

Status Journal::keep_only(size_t count) {
  size_ = line_ends_[count];
  if (uninterrupted([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size_)); }) != 0)
    return errno_error("cannot cut the journal").in_file(path_);
  entries_.resize(std::min(count, entries_.size()));
  return Status::ok();
}

void Journal::remove() {
  ::unlink(path_.c_str());
}

}  // namespace llmcodec

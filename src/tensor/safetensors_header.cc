// SPDX-License-Identifier: BSD-3-Clause
// The header of a safetensors file: JSON to entries and back.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <unordered_set>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "tensor/json_text.h"
#include "tensor/safetensors.h"

namespace llmcodec {
namespace {

constexpr char kMetadataName[] = "__metadata__";
constexpr uint64_t kLengthBytes = 8;

// Collects entries in header order. Levels: 1 = top object, 2 = a tensor or the metadata, 3
// = shape or offsets.
class HeaderHandler final : public JsonHandler {
 public:
  explicit HeaderHandler(SafetensorsHeader* header) : header_(header) {}
  const std::string& current_name() const { return name_; }

  bool start_object(size_t) override {
    if (level_ >= 2 || in_array_) return unexpected("an object");
    ++level_;
    return true;
  }
  bool end_object() override {
    --level_;
    if (level_ != 1) return true;
    const bool complete = in_metadata_ || finish_tensor();
    in_metadata_ = false;
    return complete;
  }
  bool key(std::string& key) override {
    if (level_ == 1) return start_entry(key);
    if (in_metadata_) return metadata_key(key);
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      return fail(fmt::format("unknown field '{}'", key));
    field_ = key;
    if (!fields_.insert(key).second) return fail(fmt::format("field '{}' given twice", key));
    return true;
  }
  bool string(std::string& text) override {
    if (level_ != 2) return unexpected("a string");
    if (in_metadata_) {
      header_->metadata[metadata_key_] = std::move(text);
      return true;
    }
    if (field_ != "dtype" || in_array_) return unexpected("a string");
    const std::optional<Dtype> dtype = dtype_from_name(text);
    if (!dtype || dtype_info(*dtype).gguf_block)
      return fail(fmt::format("dtype '{}' is not known", text), ErrorKind::kUnsupported);
    entry_.info.dtype = *dtype;
    return true;
  }
  bool start_array(size_t) override {
    if (level_ != 2 || in_metadata_ || in_array_ || field_ == "dtype") return unexpected("an array");
    in_array_ = true;
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    if (field_ == "data_offsets" && offset_count_ != 2) return fail("data_offsets must be two numbers");
    return true;
  }
  bool number_unsigned(uint64_t value) override {
    if (!in_array_) return unexpected("a number");
    if (field_ == "shape") return add_dimension(value);
    (offset_count_ == 0 ? entry_.begin : entry_.end) = value;
    return ++offset_count_ <= 2 || fail("data_offsets must be two numbers");
  }

 private:
  std::string where() const override {
    if (level_ == 0) return "at the top of the header";
    if (level_ == 1) return "where a tensor is described";
    return in_metadata_ ? "in __metadata__" : fmt::format("in field '{}'", field_);
  }

  bool start_entry(std::string& key) {
    entry_ = {};
    fields_.clear();
    field_.clear();
    offset_count_ = 0;
    name_ = std::move(key);
    in_metadata_ = name_ == kMetadataName;
    if (!names_.insert(name_).second) return fail("name given twice");
    if (names_.size() > kMaxTensors) return fail("too many tensors", ErrorKind::kLimit);
    return true;
  }
  bool metadata_key(std::string& key) {
    if (header_->metadata.size() == kMaxMetadataKeys) return fail("too many keys", ErrorKind::kLimit);
    if (!header_->metadata.emplace(key, "").second) return fail(fmt::format("key '{}' given twice", key));
    metadata_key_ = std::move(key);
    return true;
  }
  bool add_dimension(uint64_t value) {
    if (entry_.info.shape.size() == kMaxDimensions) return fail("too many dimensions", ErrorKind::kLimit);
    entry_.info.shape.push_back(value);
    return true;
  }
  bool finish_tensor() {
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (!fields_.contains(field)) return fail(fmt::format("field '{}' is missing", field));
    }
    entry_.info.name = name_;
    header_->entries.push_back(std::move(entry_));
    return true;
  }

  SafetensorsHeader* header_;
  int level_ = 0;
  bool in_array_ = false;
  bool in_metadata_ = false;
  std::string name_;   // of the entry being read
  std::string field_;  // of a tensor
  std::string metadata_key_;
  SafetensorsEntry entry_;
  int offset_count_ = 0;
  std::unordered_set<std::string> fields_;
  std::unordered_set<std::string> names_;
};

// Bytes of a tensor of this dtype and shape.
Result<uint64_t> tensor_bytes(const TensorInfo& info) {
  const std::optional<uint64_t> elements = checked_product(info.shape);
  if (!elements) return error(ErrorKind::kCorrupt, "number of elements overflows").in_tensor(info.name);
  const std::optional<uint64_t> bytes = dtype_bytes(info.dtype, *elements);
  if (bytes) return *bytes;
  const DtypeInfo& dtype = dtype_info(info.dtype);
  if (*elements % dtype.block_elements != 0)
    return error(ErrorKind::kCorrupt, "{} values of {} do not fill whole bytes", *elements, dtype.name)
        .in_tensor(info.name);
  return error(ErrorKind::kCorrupt, "size in bytes overflows").in_tensor(info.name);
}

// Every byte of the data section belongs to exactly one tensor.
Status check_tiling(const std::vector<SafetensorsEntry>& entries, uint64_t data_bytes) {
  uint64_t expected = 0;
  for (const SafetensorsEntry& entry : entries) {
    const std::string& name = entry.info.name;
    if (entry.begin > entry.end)
      return error(ErrorKind::kCorrupt, "data_offsets [{}, {}] run backwards", entry.begin, entry.end)
          .in_tensor(name);
    LLMC_ASSIGN_OR_RETURN(const uint64_t bytes, tensor_bytes(entry.info));
    if (bytes != entry.end - entry.begin)
      return error(ErrorKind::kCorrupt, "{} bytes by dtype and shape, {} by data_offsets", bytes,
                   entry.end - entry.begin)
          .in_tensor(name);
    if (entry.end > data_bytes)
      return error(ErrorKind::kCorrupt,
                   "data ends at {}, the file's data section has {} bytes: the file was cut short, get it "
                   "again",
                   entry.end, data_bytes)
          .in_tensor(name);
    if (entry.begin < expected)
      return error(ErrorKind::kCorrupt, "data overlaps the tensor before it by {} bytes",
                   expected - entry.begin)
          .in_tensor(name);
    if (entry.begin > expected)
      return error(ErrorKind::kCorrupt, "hole of {} bytes before its data", entry.begin - expected)
          .in_tensor(name);
    expected = entry.end;
  }
  if (expected == data_bytes) return Status::ok();
  return error(ErrorKind::kCorrupt, "{} bytes at the end belong to no tensor", data_bytes - expected);
}

void append_entry(const SafetensorsEntry& entry, std::string* out) {
  append_json_string(entry.info.name, out);
  fmt::format_to(std::back_inserter(*out), R"(:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                 dtype_info(entry.info.dtype).name, fmt::join(entry.info.shape, ","), entry.begin, entry.end);
}

Status append_metadata(const SafetensorsMetadata& metadata, std::string* out) {
  append_json_string(kMetadataName, out);
  out->append(":{");
  for (const auto& [key, value] : metadata) {
    if (!is_utf8(key) || !is_utf8(value))
      return error(ErrorKind::kInvalidArgument, "metadata '{}' is not UTF-8", key);
    if (out->back() != '{') out->push_back(',');
    append_json_string(key, out);
    out->push_back(':');
    append_json_string(value, out);
  }
  out->push_back('}');
  return Status::ok();
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::byte> bytes, uint64_t file_bytes) {
  if (file_bytes < kLengthBytes || bytes.size() < kLengthBytes)
    return error(ErrorKind::kCorrupt, "file of {} bytes is too short for a safetensors file", file_bytes);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length > kMaxSafetensorsHeaderBytes)
    return error(ErrorKind::kLimit, "header of {} bytes, at most {} are accepted", length,
                 kMaxSafetensorsHeaderBytes);
  if (length > file_bytes - kLengthBytes || length > bytes.size() - kLengthBytes)
    return error(ErrorKind::kCorrupt, "header of {} bytes in a file of {}", length, file_bytes);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  if (!text.starts_with('{'))
    return error(ErrorKind::kCorrupt, "header does not start with '{{'").at_offset(8);

  SafetensorsHeader header;
  header.data_start = kLengthBytes + length;
  HeaderHandler handler(&header);
  if (Status status = parse_json(text, &handler); !status.is_ok()) {
    Error e = std::move(status).error().in_tensor(handler.current_name());
    if (e.offset) *e.offset += kLengthBytes;
    return e;
  }
  std::stable_sort(header.entries.begin(), header.entries.end(), [](const auto& a, const auto& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  LLMC_RETURN_IF_ERROR(check_tiling(header.entries, file_bytes - header.data_start));
  return header;
}

Result<std::vector<SafetensorsEntry>> layout_safetensors(std::span<const TensorInfo> tensors) {
  std::vector<SafetensorsEntry> entries;
  std::unordered_set<std::string_view> names;
  uint64_t offset = 0;
  const auto invalid = [](const TensorInfo& info, const char* reason) {
    return error(ErrorKind::kInvalidArgument, "{}", reason).in_tensor(info.name);
  };
  for (const TensorInfo& info : tensors) {
    if (info.name == kMetadataName) return invalid(info, "the name is reserved in safetensors");
    if (!is_utf8(info.name)) return invalid(info, "the name is not UTF-8");
    if (!names.insert(info.name).second) return invalid(info, "two tensors have this name");
    if (dtype_info(info.dtype).gguf_block) return invalid(info, "GGUF blocks are not a dtype of safetensors");
    Result<uint64_t> bytes = tensor_bytes(info);
    if (!bytes) return invalid(info, bytes.error().message.c_str());
    const std::optional<uint64_t> end = checked_add(offset, *bytes);
    if (!end) return invalid(info, "the file's size overflows");
    entries.push_back({info, offset, *end});
    offset = *end;
  }
  return entries;
}

Result<std::string> safetensors_header(std::span<const SafetensorsEntry> entries,
                                       const SafetensorsMetadata& metadata, uint64_t total_bytes) {
  std::string text(kLengthBytes, '\0');
  text.push_back('{');
  if (!metadata.empty()) LLMC_RETURN_IF_ERROR(append_metadata(metadata, &text));
  for (const SafetensorsEntry& entry : entries) {
    if (!is_utf8(entry.info.name))
      return error(ErrorKind::kInvalidArgument, "the name is not UTF-8").in_tensor(entry.info.name);
    if (text.back() != '{') text.push_back(',');
    append_entry(entry, &text);
  }
  text.push_back('}');
  const uint64_t padded = total_bytes != 0 ? total_bytes : align_up(text.size(), 8);
  if (padded % 8 != 0)
    return error(ErrorKind::kInvalidArgument, "a header of {} bytes would leave data unaligned", padded);
  if (text.size() > padded)
    return error(ErrorKind::kLimit, "header of {} bytes does not fit the {} reserved for it", text.size(),
                 padded);
  if (padded - kLengthBytes > kMaxSafetensorsHeaderBytes)
    return error(ErrorKind::kLimit, "header of {} bytes, readers accept {}", padded - kLengthBytes,
                 kMaxSafetensorsHeaderBytes);
  text.resize(padded, ' ');
  const uint64_t length = padded - kLengthBytes;
  std::memcpy(text.data(), &length, sizeof(length));
  return text;
}

}  // namespace llmcodec

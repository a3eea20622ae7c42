// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/gguf.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"
#include "tensor/file_kind.h"

namespace llmcodec {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint32_t kMaxGgufDimensions = 4;
constexpr uint64_t kLeastKeyValueBytes = 8 + 4 + 1;  // length of the key, type, a value of one byte
constexpr uint64_t kLeastInfoBytes = 8 + 4 + 4 + 8;  // length of the name, dimensions, type, offset
constexpr uint32_t kMaxAlignment = 1u << 20;  // far above any in use; bounds what padding can be asked for

enum ValueType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64
};

// Bytes of a value of fixed size; 0 for strings, arrays and unknown types.
uint32_t scalar_bytes(uint32_t type) {
  switch (type) {
    case kUint8:
    case kInt8:
    case kBool:
      return 1;
    case kUint16:
    case kInt16:
      return 2;
    case kUint32:
    case kInt32:
    case kFloat32:
      return 4;
    case kUint64:
    case kInt64:
    case kFloat64:
      return 8;
    default:
      return 0;
  }
}

template <class T>
T load(std::span<const std::byte> bytes, uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

}  // namespace

// Walks the header once; every read is checked against the end of the bytes.
class GgufParser {
 public:
  explicit GgufParser(std::span<const std::byte> bytes) : bytes_(bytes) {}

  Result<GgufHeader> parse() {
    Status status = parse_all();
    if (!status) return std::move(status).error().in_tensor(tensor_).at_offset(position_);
    header_.bytes_.assign(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(position_));
    return std::move(header_);
  }
  // After a failed parse(): how many bytes it would have needed to go on; 0 when more would not help.
  uint64_t needed() const { return needed_; }

 private:
  Status parse_all() {
    LLMC_RETURN_IF_ERROR(fixed_part());
    header_.key_values_begin_ = position_;
    for (uint64_t i = 0; i < key_value_count_; ++i) LLMC_RETURN_IF_ERROR(key_value());
    header_.key_values_end_ = position_;
    LLMC_RETURN_IF_ERROR(special_keys());
    for (uint64_t i = 0; i < tensor_count_; ++i) LLMC_RETURN_IF_ERROR(tensor_info());
    return Status::ok();
  }

  template <class T>
  Result<T> read() {
    LLMC_RETURN_IF_ERROR(skip(sizeof(T)));
    return load<T>(bytes_, position_ - sizeof(T));
  }

  // At least so many bytes must still come. Asked for every count before its first entry is read, so that a
  // count that cannot be fails at once.
  Status check_room(uint64_t count) {
    if (count <= bytes_.size() - position_) return Status::ok();
    needed_ = checked_add(position_, count).value_or(UINT64_MAX);
    return error(ErrorKind::kCorrupt, "the header ends too early");
  }

  Status skip(uint64_t count) {
    LLMC_RETURN_IF_ERROR(check_room(count));
    position_ += count;
    return Status::ok();
  }

  Result<std::string> string() {
    LLMC_ASSIGN_OR_RETURN(const uint64_t length, read<uint64_t>());
    if (length > kMaxGgufHeaderBytes)
      return error(ErrorKind::kLimit, "string of {} bytes, at most {} are accepted", length,
                   kMaxGgufHeaderBytes);
    const uint64_t begin = position_;
    LLMC_RETURN_IF_ERROR(skip(length));
    return std::string(reinterpret_cast<const char*>(bytes_.data()) + begin, length);
  }

  Status fixed_part() {
    LLMC_ASSIGN_OR_RETURN(const uint32_t magic, read<uint32_t>());
    if (magic != kMagic) return error(ErrorKind::kCorrupt, "not a GGUF file: it does not start with 'GGUF'");
    LLMC_ASSIGN_OR_RETURN(header_.version_, read<uint32_t>());
    if ((header_.version_ & 0xffff) == 0) return error(ErrorKind::kUnsupported, "big-endian GGUF");
    if (header_.version_ != 2 && header_.version_ != 3)
      return error(ErrorKind::kUnsupported, "GGUF version {}, 2 and 3 are known", header_.version_);
    LLMC_ASSIGN_OR_RETURN(tensor_count_, read<uint64_t>());
    LLMC_ASSIGN_OR_RETURN(key_value_count_, read<uint64_t>());
    if (tensor_count_ > kMaxTensors)
      return error(ErrorKind::kLimit, "{} tensors, at most {} are accepted", tensor_count_, kMaxTensors);
    if (key_value_count_ > kMaxMetadataKeys)
      return error(ErrorKind::kLimit, "{} keys, at most {} are accepted", key_value_count_, kMaxMetadataKeys);
    return check_room(tensor_count_ * kLeastInfoBytes + key_value_count_ * kLeastKeyValueBytes);
  }

  Status key_value() {
    GgufHeader::Value value;
    value.begin = position_;
    LLMC_ASSIGN_OR_RETURN(std::string key, string());
    LLMC_ASSIGN_OR_RETURN(value.type, read<uint32_t>());
    value.offset = position_;
    LLMC_RETURN_IF_ERROR(skip_value(value.type, key));
    value.end = position_;
    if (!header_.values_.emplace(key, value).second)
      return error(ErrorKind::kCorrupt, "key '{}' given twice", key);
    return Status::ok();
  }

  Status skip_value(uint32_t type, const std::string& key) {
    if (type == kBool) return boolean(key);
    if (const uint32_t size = scalar_bytes(type); size != 0) return skip(size);
    if (type == kString) return skip_string();
    if (type != kArray) return error(ErrorKind::kCorrupt, "key '{}' has unknown type {}", key, type);
    LLMC_ASSIGN_OR_RETURN(const uint32_t element, read<uint32_t>());
    LLMC_ASSIGN_OR_RETURN(const uint64_t count, read<uint64_t>());
    if (element == kString) {
      LLMC_RETURN_IF_ERROR(check_room(checked_mul(count, sizeof(uint64_t)).value_or(UINT64_MAX)));
      for (uint64_t i = 0; i < count; ++i) LLMC_RETURN_IF_ERROR(skip_string());
      return Status::ok();
    }
    const uint32_t size = scalar_bytes(element);
    if (size == 0)  // ggml reads no arrays of arrays either
      return error(ErrorKind::kCorrupt, "key '{}' is an array of type {}", key, element);
    const std::optional<uint64_t> bytes = checked_mul(count, size);
    if (!bytes) return error(ErrorKind::kCorrupt, "key '{}': the array's size overflows", key);
    return skip(*bytes);
  }

  Status boolean(const std::string& key) {
    LLMC_ASSIGN_OR_RETURN(const uint8_t value, read<uint8_t>());
    if (value > 1) return error(ErrorKind::kCorrupt, "key '{}' is a boolean of value {}", key, value);
    return Status::ok();
  }

  Status skip_string() {
    LLMC_ASSIGN_OR_RETURN(const uint64_t length, read<uint64_t>());
    return skip(length);
  }

  // Keys that change how the rest is read. Looked up in the input: the header has no bytes of its own yet.
  Status special_keys() {
    if (const auto alignment = header_.values_.find("general.alignment");
        alignment != header_.values_.end()) {
      if (alignment->second.type != kUint32)
        return error(ErrorKind::kCorrupt, "general.alignment is not a 32-bit unsigned number");
      header_.alignment_ = load<uint32_t>(bytes_, alignment->second.offset);
    }
    if (!std::has_single_bit(header_.alignment_))
      return error(ErrorKind::kCorrupt, "alignment {} is not a power of two", header_.alignment_);
    if (header_.alignment_ > kMaxAlignment)
      return error(ErrorKind::kLimit, "alignment {}, at most {} is accepted", header_.alignment_,
                   kMaxAlignment);
    return Status::ok();
  }

  Status tensor_info() {
    tensor_.clear();
    TensorInfo info;
    LLMC_ASSIGN_OR_RETURN(info.name, string());
    tensor_ = info.name;
    if (!names_.insert(info.name).second) return error(ErrorKind::kCorrupt, "name given twice");
    LLMC_RETURN_IF_ERROR(read_shape(&info.shape));
    LLMC_ASSIGN_OR_RETURN(const uint32_t type, read<uint32_t>());
    LLMC_ASSIGN_OR_RETURN(info.dtype, dtype_from_ggml_type(type));
    LLMC_ASSIGN_OR_RETURN(const uint64_t bytes, tensor_bytes(info));
    LLMC_ASSIGN_OR_RETURN(const uint64_t offset, read<uint64_t>());
    LLMC_RETURN_IF_ERROR(place(offset, bytes));
    header_.tensors_.push_back(std::move(info));
    tensor_.clear();
    return Status::ok();
  }

  // ggml counts dimensions from the innermost.
  Status read_shape(std::vector<uint64_t>* shape) {
    LLMC_ASSIGN_OR_RETURN(const uint32_t dimensions, read<uint32_t>());
    if (dimensions > kMaxGgufDimensions)
      return error(ErrorKind::kCorrupt, "{} dimensions, GGUF has at most {}", dimensions, kMaxGgufDimensions);
    for (uint32_t i = 0; i < dimensions; ++i) {
      LLMC_ASSIGN_OR_RETURN(const uint64_t size, read<uint64_t>());
      shape->insert(shape->begin(), size);
    }
    return Status::ok();
  }

  Result<uint64_t> tensor_bytes(const TensorInfo& info) {
    const std::optional<uint64_t> elements = checked_product(info.shape);
    if (!elements || *elements > INT64_MAX) return error(ErrorKind::kCorrupt, "number of elements overflows");
    const DtypeInfo& dtype = dtype_info(info.dtype);
    const uint64_t row = info.shape.empty() ? 1 : info.shape.back();
    if (row % dtype.block_elements != 0)
      return error(ErrorKind::kCorrupt, "rows of {} values are not whole blocks of {}", row, dtype.name);
    const std::optional<uint64_t> bytes = dtype_bytes(info.dtype, *elements);
    if (!bytes) return error(ErrorKind::kCorrupt, "size in bytes overflows");
    return *bytes;
  }

  // Tensors follow each other in the order of their infos, each on a multiple of the alignment
  // (ggml demands the same).
  Status place(uint64_t offset, uint64_t bytes) {
    const uint64_t padding = header_.alignment_ - 1;
    const std::optional<uint64_t> padded = checked_add(header_.data_bytes_, padding);
    const uint64_t expected = padded ? *padded & ~padding : 0;
    const std::optional<uint64_t> end = checked_add(expected, bytes);
    if (!padded || !end) return error(ErrorKind::kCorrupt, "the size of the data overflows");
    if (offset != expected) return error(ErrorKind::kCorrupt, "data at {} instead of {}", offset, expected);
    header_.offsets_.push_back(offset);
    header_.data_bytes_ = *end;
    return Status::ok();
  }

  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
  uint64_t needed_ = 0;
  uint64_t tensor_count_ = 0;
  uint64_t key_value_count_ = 0;
  std::string tensor_;  // being read, for errors
  std::unordered_set<std::string> names_;
  GgufHeader header_;
};

Result<GgufHeader> GgufHeader::parse(std::span<const std::byte> bytes) {
  return GgufParser(bytes).parse();
}

Result<GgufHeader> GgufHeader::read(const ByteSource& file) {
  constexpr uint64_t kFirstBytes = 1 << 20;
  constexpr uint64_t kGrowth = 4;  // a header that needs n tries was parsed 4/3 times in all
  std::vector<std::byte> start;
  for (uint64_t wanted = kFirstBytes;;) {
    const uint64_t known = start.size();
    start.resize(std::min(wanted, file.size()));
    LLMC_RETURN_IF_ERROR(file.read_at(known, std::span(start).subspan(known)));
    GgufParser parser(start);
    Result<GgufHeader> header = parser.parse();
    if (header.is_ok()) return header;
    if (parser.needed() == 0 || parser.needed() > file.size())
      return std::move(header).error().in_file(file.name());
    if (parser.needed() > kMaxGgufHeaderBytes)
      return error(ErrorKind::kLimit, "header of more than {} bytes", kMaxGgufHeaderBytes)
          .in_file(file.name());
    wanted = std::max(parser.needed(), std::min(kGrowth * start.size(), kMaxGgufHeaderBytes));
  }
}

std::span<const std::byte> GgufHeader::key_values() const {
  return bytes().subspan(key_values_begin_, key_values_end_ - key_values_begin_);
}

uint64_t GgufHeader::data_start() const {
  return align_up(bytes_.size(), alignment_);
}

std::optional<std::string> GgufHeader::find_string(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end() || found->second.type != kString) return std::nullopt;
  const uint64_t length = load<uint64_t>(bytes_, found->second.offset);
  return std::string(reinterpret_cast<const char*>(bytes_.data()) + found->second.offset + 8, length);
}

std::optional<double> GgufHeader::find_number(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return std::nullopt;
  const auto [type, at] = std::pair(found->second.type, found->second.offset);
  if (type != kFloat32 && type != kFloat64) return std::nullopt;
  const double number = type == kFloat32 ? double{load<float>(bytes_, at)} : load<double>(bytes_, at);
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::optional<bool> GgufHeader::find_flag(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end() || found->second.type != kBool) return std::nullopt;
  return load<uint8_t>(bytes_, found->second.offset) != 0;
}

std::optional<int64_t> GgufHeader::find_int(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return std::nullopt;
  const uint64_t at = found->second.offset;
  switch (found->second.type) {
    case kUint8:
      return load<uint8_t>(bytes_, at);
    case kInt8:
      return load<int8_t>(bytes_, at);
    case kUint16:
      return load<uint16_t>(bytes_, at);
    case kInt16:
      return load<int16_t>(bytes_, at);
    case kUint32:
      return load<uint32_t>(bytes_, at);
    case kInt32:
      return load<int32_t>(bytes_, at);
    case kInt64:
      return load<int64_t>(bytes_, at);
    case kUint64:
      break;
    default:
      return std::nullopt;
  }
  const uint64_t value = load<uint64_t>(bytes_, at);
  return value <= INT64_MAX ? std::optional<int64_t>(static_cast<int64_t>(value)) : std::nullopt;
}

std::vector<std::byte> GgufHeader::key_values_with(std::string_view key, uint32_t number) const {
  const std::span<const std::byte> original = key_values();
  std::vector<std::byte> changed(original.begin(), original.end());
  const auto found = values_.find(key);
  if (found != values_.end() && (found->second.type == kUint32 || found->second.type == kInt32))
    std::memcpy(changed.data() + (found->second.offset - key_values_begin_), &number, sizeof(number));
  return changed;
}

Result<std::unique_ptr<GgufFile>> GgufFile::open(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(ByteSourcePtr bytes, open_byte_source(path));
  return open(std::move(bytes));
}

namespace {

// Where another GGUF file begins behind one that ends at `end`, its padding written or not.
std::optional<uint64_t> find_next_file(const ByteSource& bytes, uint64_t end, uint64_t alignment) {
  for (const uint64_t at : {end, align_up(end, alignment)}) {
    uint32_t magic = 0;
    if (at > bytes.size() || bytes.size() - at < sizeof(magic)) continue;
    if (bytes.read_at(at, std::as_writable_bytes(std::span(&magic, 1))).is_ok() && magic == kMagic) return at;
  }
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<GgufFile>> GgufFile::open(ByteSourcePtr bytes) {
  Result<GgufHeader> read = GgufHeader::read(*bytes);
  if (!read.is_ok()) return known_other_kind(*bytes).value_or(read.error());
  GgufHeader header = std::move(read).value();
  const uint64_t size = bytes->size();
  const uint64_t start = header.data_start();
  if (header.data_bytes() > 0 && (size < start || size - start < header.data_bytes()))
    return error(ErrorKind::kCorrupt,
                 "the file has {} bytes, its tensors end at {} + {}: it was cut short, or it is the first "
                 "piece of "
                 "a file that was cut up for the way (join such pieces with cat)",
                 size, start, header.data_bytes())
        .in_file(bytes->name());
  if (const auto next = find_next_file(*bytes, start + header.data_bytes(), header.alignment()))
    return error(ErrorKind::kCorrupt,
                 "several GGUF files joined end to end, of which the second begins here; parts of a split "
                 "model are "
                 "no pieces for cat: give the first part itself, or join them by llama-gguf-split --merge")
        .in_file(bytes->name())
        .at_offset(*next);
  // Padding after the last tensor may be there or not.
  if (size > start && size - start > align_up(header.data_bytes(), header.alignment()))
    return error(ErrorKind::kCorrupt, "{} bytes follow the last tensor", size - start - header.data_bytes())
        .in_file(bytes->name());
  return std::unique_ptr<GgufFile>(new GgufFile(std::move(bytes), std::move(header)));
}

Status GgufFile::read(size_t index, uint64_t first, std::span<std::byte> out) const {
  if (out.empty())
    return Status::ok();  // a tensor without elements may lie in padding that the file does not have
  Status status = bytes_->read_at(offset(index) + first, out);
  if (!status.is_ok()) return std::move(status).error().in_tensor(tensors()[index].name);
  return status;
}

}  // namespace llmcodec

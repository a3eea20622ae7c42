// SPDX-License-Identifier: BSD-3-Clause
// The writing half of gguf.h and gguf_parts.h.
#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <map>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/file.h"
#include "tensor/gguf.h"
#include "tensor/gguf_parts.h"
#include "tensor/piece_tracker.h"
#include "tensor/shard_name.h"

namespace llmcodec {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint32_t kDefaultAlignment = 32;  // where no general.alignment says otherwise

class ByteWriter {
 public:
  template <class T>
  void number(T value) {
    raw(std::as_bytes(std::span(&value, 1)));
  }
  void string(std::string_view text) {
    number<uint64_t>(text.size());
    raw(std::as_bytes(std::span(text)));
  }
  void raw(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

Status check_tensors(const GgufHeader& header, const std::vector<TensorInfo>& tensors) {
  if (tensors.size() != header.tensors().size())
    return error(ErrorKind::kInvalidArgument, "{} tensors to write, the GGUF header has {}", tensors.size(),
                 header.tensors().size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& info = tensors[i];
    const TensorInfo& original = header.tensors()[i];
    const auto invalid = [&](std::string message) {
      return Error{ErrorKind::kInvalidArgument, std::move(message), {}, info.name, {}};
    };
    if (info.name != original.name)
      return invalid(fmt::format("the GGUF header has '{}' here", original.name));
    if (info.shape != original.shape) return invalid("the GGUF header has another shape");
    const DtypeInfo& dtype = dtype_info(info.dtype);
    if (!ggml_type_from_dtype(info.dtype)) return invalid(fmt::format("GGUF has no type {}", dtype.name));
    const uint64_t row = info.shape.empty() ? 1 : info.shape.back();
    if (row % dtype.block_elements != 0)
      return invalid(fmt::format("rows of {} values are not whole blocks of {}", row, dtype.name));
    if (!dtype_bytes(info.dtype, info.elements())) return invalid("size in bytes overflows");
  }
  return Status::ok();
}

// The dtype of most weights.
Dtype main_dtype(const std::vector<TensorInfo>& tensors) {
  std::map<Dtype, uint64_t> weights;
  for (const TensorInfo& info : tensors) weights[info.dtype] += info.elements();
  const auto most = std::ranges::max_element(weights, {}, [](const auto& entry) { return entry.second; });
  return most == weights.end() ? Dtype::kF32 : most->first;
}

// The source's general.file_type stays while most weights are of the type they were: it may say more than their
// dtype does (Q4_K_S or Q4_K_M).
std::vector<std::byte> key_values_for(const GgufHeader& header, const std::vector<TensorInfo>& tensors) {
  const std::span<const std::byte> unchanged = header.key_values();
  const Dtype now = main_dtype(tensors);
  const std::optional<uint32_t> file_type = file_type_from_dtype(now);
  if (now == main_dtype(header.tensors()) || !file_type) return {unchanged.begin(), unchanged.end()};
  return header.key_values_with("general.file_type", *file_type);
}

struct Layout {
  std::vector<std::byte> header;  // padded to the alignment
  uint64_t unpadded_header = 0;   // bytes of it that say something
  std::vector<uint64_t> offsets;  // of tensors, in the file
  uint64_t file_bytes = 0;        // padding of the last tensor included, as ggml writes it
};

struct KeyValues {
  std::vector<std::byte> bytes;
  uint64_t count = 0;
};

Result<Layout> lay_out(const KeyValues& key_values, const std::vector<TensorInfo>& tensors,
                       uint32_t alignment) {
  ByteWriter writer;
  writer.raw(std::as_bytes(std::span("GGUF", 4)));
  writer.number<uint32_t>(kVersion);
  writer.number<uint64_t>(tensors.size());
  writer.number<uint64_t>(key_values.count);
  writer.raw(key_values.bytes);
  Layout layout;
  uint64_t offset = 0;  // from the start of the data section
  for (const TensorInfo& info : tensors) {
    writer.string(info.name);
    writer.number<uint32_t>(static_cast<uint32_t>(info.shape.size()));
    for (auto size = info.shape.rbegin(); size != info.shape.rend(); ++size) writer.number<uint64_t>(*size);
    writer.number<uint32_t>(*ggml_type_from_dtype(info.dtype));
    writer.number<uint64_t>(offset);
    layout.offsets.push_back(offset);
    const uint64_t bytes = *dtype_bytes(info.dtype, info.elements());
    const std::optional<uint64_t> end = checked_add(bytes, offset + alignment);
    if (!end || *end > INT64_MAX)
      return error(ErrorKind::kInvalidArgument, "the file's size overflows").in_tensor(info.name);
    offset = align_up(offset + bytes, alignment);
  }
  layout.header = writer.take();
  layout.unpadded_header = layout.header.size();
  layout.header.resize(align_up(layout.header.size(), alignment));
  for (uint64_t& tensor_offset : layout.offsets) tensor_offset += layout.header.size();
  layout.file_bytes = layout.header.size() + offset;
  return layout;
}

Result<Layout> lay_out(const GgufHeader& header, const std::vector<TensorInfo>& tensors) {
  return lay_out({key_values_for(header, tensors), header.key_value_count()}, tensors, header.alignment());
}

class GgufSink final : public TensorSink {
 public:
  using Take = std::function<Status(AtomicFile file)>;  // gets the complete file

  static Result<std::unique_ptr<TensorSink>> create(AtomicFile file, Layout layout,
                                                    const std::vector<TensorInfo>& tensors, Take take) {
    LLMC_RETURN_IF_ERROR(file.write(layout.header));
    return std::unique_ptr<TensorSink>(
        new GgufSink(std::move(file), PieceTracker(tensors), std::move(layout), std::move(take)));
  }

  // Padding needs no writing: a gap between two writes reads as zeros.
  Status write(size_t index, std::span<const std::byte> bytes) override {
    Result<uint64_t> position = tracker_.accept(index, bytes.size());
    if (!position) return std::move(position).error().in_file(file_.path());
    return file_.write_at(layout_.offsets[index] + *position, bytes);
  }

  Status finish() override {
    Status complete = tracker_.check_complete();
    if (!complete) return std::move(complete).error().in_file(file_.path());
    if (file_.size() < layout_.file_bytes) {
      constexpr std::byte kZero{0};
      LLMC_RETURN_IF_ERROR(file_.write_at(layout_.file_bytes - 1, std::span(&kZero, 1)));
    }
    return take_(std::move(file_));
  }

 private:
  GgufSink(AtomicFile file, PieceTracker tracker, Layout layout, Take take)
      : file_(std::move(file)),
        tracker_(std::move(tracker)),
        layout_(std::move(layout)),
        take_(std::move(take)) {}

  AtomicFile file_;
  PieceTracker tracker_;
  Layout layout_;
  Take take_;
};

// An entry of the key-values whose value has a fixed size.
template <class T>
void add_number(std::string_view key, uint32_t type, T value, KeyValues* key_values) {
  ByteWriter writer;
  writer.string(key);
  writer.number(type);
  writer.number(value);
  const std::vector<std::byte> entry = writer.take();
  key_values->bytes.insert(key_values->bytes.end(), entry.begin(), entry.end());
  ++key_values->count;
}

// As llama-gguf-split types and orders them.
void add_split_keys(uint16_t number, uint16_t count, int32_t tensors, KeyValues* key_values) {
  constexpr uint32_t kUint16 = 2, kInt32 = 5;
  add_number("split.no", kUint16, number, key_values);
  add_number("split.tensors.count", kInt32, tensors, key_values);
  add_number("split.count", kUint16, count, key_values);
}

}  // namespace

Result<GgufHeader> GgufHeader::without_split(const std::vector<TensorInfo>& tensors) const {
  std::vector<Value> kept;
  for (const auto& [key, value] : values_) {
    if (!key.starts_with("split.")) kept.push_back(value);
  }
  std::ranges::sort(kept, {}, &Value::begin);
  KeyValues key_values{{}, kept.size()};
  for (const Value& value : kept) {
    const auto entry = bytes().subspan(value.begin, value.end - value.begin);
    key_values.bytes.insert(key_values.bytes.end(), entry.begin(), entry.end());
  }
  LLMC_ASSIGN_OR_RETURN(const Layout layout, lay_out(key_values, tensors, alignment()));
  return parse(std::span(layout.header).first(layout.unpadded_header));
}

Status check_gguf(const GgufHeader& header, const std::vector<TensorInfo>& tensors) {
  LLMC_RETURN_IF_ERROR(check_tensors(header, tensors));
  LLMC_RETURN_IF_ERROR(lay_out(header, tensors));
  return Status::ok();
}

Result<std::unique_ptr<TensorSink>> create_gguf(const std::string& path, const GgufHeader& header,
                                                std::vector<TensorInfo> tensors) {
  if (Status status = check_tensors(header, tensors); !status) return std::move(status).error().in_file(path);
  Result<Layout> layout = lay_out(header, tensors);
  if (!layout) return std::move(layout).error().in_file(path);
  LLMC_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  return GgufSink::create(std::move(file), std::move(*layout), tensors,
                          [](AtomicFile done) { return done.commit(); });
}

Result<std::vector<Shard>> plan_gguf_parts(std::span<const TensorInfo> tensors, uint64_t max_part_bytes,
                                           const std::string& stem) {
  std::vector<Shard> parts(1);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::optional<uint64_t> bytes = dtype_bytes(tensors[i].dtype, tensors[i].elements());
    const std::optional<uint64_t> padded = bytes ? checked_add(*bytes, kDefaultAlignment - 1) : std::nullopt;
    if (!padded)
      return error(ErrorKind::kInvalidArgument, "size in bytes overflows").in_tensor(tensors[i].name);
    const uint64_t size = align_up(*bytes, kDefaultAlignment), used = parts.back().data_bytes;
    const bool full = max_part_bytes != 0 && (used > max_part_bytes || size > max_part_bytes - used);
    if (full && parts.back().count > 0)
      parts.push_back({.file_name = {}, .first = i, .count = 0, .data_bytes = 0});
    ++parts.back().count;
    parts.back().data_bytes += size;
  }
  if (parts.size() > std::numeric_limits<uint16_t>::max())
    return error(ErrorKind::kInvalidArgument, "{} parts, a GGUF model has at most {}: allow larger ones",
                 parts.size(), std::numeric_limits<uint16_t>::max());
  for (size_t p = 0; p < parts.size(); ++p) {
    const ShardName name{stem, static_cast<uint32_t>(p + 1), static_cast<uint32_t>(parts.size())};
    parts[p].file_name = shard_file_name(name, ".gguf");
  }
  return parts;
}

Result<std::unique_ptr<TensorSink>> create_gguf_parts(ModelFolder& folder, const GgufHeader& header,
                                                      std::vector<TensorInfo> tensors,
                                                      std::vector<Shard> parts) {
  const auto named = [&](Error failure) { return std::move(failure).in_file(folder.path()); };
  if (Status status = check_tensors(header, tensors); !status) return named(std::move(status).error());
  auto whole = header.without_split(header.tensors());
  if (!whole.is_ok()) return named(std::move(whole).error());
  const KeyValues first{key_values_for(*whole, tensors), whole->key_value_count()};
  const auto open_part = [&folder, parts, first, alignment = header.alignment(), all = tensors.size()](
                             size_t part,
                             std::vector<TensorInfo> own) -> Result<std::unique_ptr<TensorSink>> {
    KeyValues key_values = part == 0 ? first : KeyValues();
    add_split_keys(static_cast<uint16_t>(part), static_cast<uint16_t>(parts.size()),
                   static_cast<int32_t>(all), &key_values);
    // Only the first part has general.alignment, and readers take each part by itself.
    LLMC_ASSIGN_OR_RETURN(Layout layout, lay_out(key_values, own, part == 0 ? alignment : kDefaultAlignment));
    LLMC_ASSIGN_OR_RETURN(AtomicFile file, folder.create(parts[part].file_name));
    return GgufSink::create(std::move(file), std::move(layout), own,
                            [&folder](AtomicFile done) { return folder.add(std::move(done)); });
  };
  return std::unique_ptr<TensorSink>(std::make_unique<PartedSink>(
      folder, std::move(tensors), std::move(parts), open_part, [&folder] { return folder.commit(); }));
}

}  // namespace llmcodec

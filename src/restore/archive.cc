// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/archive.h"

#include <algorithm>
#include <map>

#include "archive/archive_reader.h"
#include "archive/checksum.h"
#include "archive/part_names.h"
#include "base/error.h"
#include "report/tensor_report.h"
#include "restore/parallel_decode.h"
#include "restore/stored_bytes.h"
#include "restore/weights_to_dtype.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

// Elements [first, first + count) of a tensor, and the bytes that they take in the dtype asked for.
struct Wanted {
  const ArchivedTensor* tensor = nullptr;
  Dtype own = Dtype::kF32, dtype = Dtype::kF32;
  uint64_t first = 0, count = 0;
  std::span<std::byte> out;

  bool whole() const { return count == tensor->elements; }
};

Result<Dtype> dtype_of(const std::string& name) {
  const auto dtype = dtype_from_name(name);
  if (!dtype) return error(ErrorKind::kUnsupported, "dtype '{}' is not known", name);
  return *dtype;
}

// What is asked for, or what comes back when nothing is.
Result<Dtype> target_dtype(const ArchivedTensor& tensor, const std::string& asked) {
  if (asked.empty() || asked == tensor.decoded_dtype) return dtype_of(tensor.decoded_dtype);
  LLMC_ASSIGN_OR_RETURN(const Dtype own, dtype_of(tensor.dtype));
  LLMC_ASSIGN_OR_RETURN(const Dtype dtype, dtype_of(asked));
  const DtypeInfo& info = dtype_info(dtype);
  if (dtype_info(own).floating && info.floating && info.block_elements == 1) return dtype;
  return error(ErrorKind::kUnsupported, "{} does not become {}", tensor.dtype, asked);
}

// Of the first byte of a tensor, in the order of the archive's files.
Result<uint64_t> position_of(const std::string& stored, const ArchiveReader& reader) {
  const auto record = reader.description().tensors.find(stored);
  if (record == reader.description().tensors.end()) return reader.source().find(stored);
  uint64_t first = reader.source().tensors().size();
  for (const auto& [part, info] : record->second.parts) {
    LLMC_ASSIGN_OR_RETURN(const uint64_t position, reader.source().find(stored + "." + part));
    first = std::min(first, position);
  }
  return first;
}

Result<ArchivedTensor> describe(const TensorReport& report, const ArchiveReader& reader) {
  LLMC_ASSIGN_OR_RETURN(const Dtype own, dtype_of(report.dtype));
  ArchivedTensor tensor;
  tensor.name = report.name;
  tensor.dtype = report.dtype;
  tensor.decoded_dtype = report.coded ? dtype_info(restored_dtype(own)).name : report.dtype;
  tensor.shape = report.shape;
  tensor.elements = report.elements;
  if (report.coded) {
    const TensorRecord& record = reader.description().tensors.at(reader.stored_name(report.name));
    tensor.rows = record.matrices * record.rows;
    tensor.cols = record.cols;
  } else if (const auto matrix = tensor_matrices({report.name, own, report.shape})) {
    tensor.rows = matrix->matrices * matrix->rows;
    tensor.cols = matrix->cols;
  }
  tensor.coded = report.coded;
  tensor.stored_bytes = report.bytes;
  tensor.same_as = report.same_as;
  LLMC_ASSIGN_OR_RETURN(tensor.position, position_of(reader.stored_name(report.name), reader));
  return tensor;
}

}  // namespace

struct Archive::Opened {
  explicit Opened(const CodecEnvironment& environment) : codecs(CodecSet::for_decoding(environment)) {}

  static Result<Archive> open(Result<std::unique_ptr<ArchiveReader>> reader,
                              const CodecEnvironment& environment) {
    if (!reader.is_ok()) return std::move(reader).error();
    auto opened = std::make_unique<Opened>(environment);
    opened->reader = std::move(reader).value();
    for (const TensorReport& report : describe_tensors(*opened->reader)) {
      auto tensor = describe(report, *opened->reader);
      if (!tensor.is_ok()) return opened->named(std::move(tensor).error(), report.name);
      opened->index.emplace(report.name, opened->tensors.size());
      opened->tensors.push_back(std::move(tensor).value());
    }
    return Archive(std::move(opened));
  }

  Error named(Error failure, const std::string& tensor) const {
    return std::move(failure).in_tensor(tensor).in_file(reader->file_of(tensor));
  }

  // All that can be refused is refused before anything is decoded.
  Status decode(std::span<const TensorMemory> memories, std::optional<RowRange> rows,
                const DecodeOptions& options) const {
    std::vector<Wanted> all;
    for (const TensorMemory& memory : memories) {
      if (memory.tensor >= tensors.size())
        return error(ErrorKind::kInvalidArgument, "tensor {} of {}", memory.tensor, tensors.size());
      const ArchivedTensor& tensor = tensors[memory.tensor];
      auto wanted = want(tensor, rows, memory.out, options.dtype);
      if (!wanted.is_ok()) return named(std::move(wanted).error(), tensor.name);
      all.push_back(*wanted);
    }
    return decode_once(all, options);
  }

  // Of tensors that are stored once, the first is decoded, and the others are copied from it.
  Status decode_once(std::span<const Wanted> all, const DecodeOptions& options) const {
    std::map<std::pair<std::string, Dtype>, std::span<const std::byte>> sources;
    std::vector<Wanted> coded, exact, copies;
    for (const Wanted& wanted : all) {
      const bool first =
          sources.emplace(std::pair(reader->stored_name(wanted.tensor->name), wanted.dtype), wanted.out)
              .second;
      (!first ? copies : wanted.tensor->coded ? coded : exact).push_back(wanted);
    }
    if (!coded.empty()) {
      Status status = decode_coded(coded, options);
      if (!status.is_ok()) return named(std::move(status).error(), coded[0].tensor->name);
    }
    for (const Wanted& wanted : exact) {
      Status status = read_exact(wanted, options);
      if (!status.is_ok()) return named(std::move(status).error(), wanted.tensor->name);
    }
    for (const Wanted& wanted : copies)
      std::ranges::copy(sources.at({reader->stored_name(wanted.tensor->name), wanted.dtype}),
                        wanted.out.begin());
    return Status::ok();
  }

  static Result<Wanted> want(const ArchivedTensor& tensor, std::optional<RowRange> rows,
                             std::span<std::byte> out, const std::string& dtype) {
    Wanted wanted{&tensor, {}, {}, 0, tensor.elements, out};
    LLMC_ASSIGN_OR_RETURN(wanted.own, dtype_of(tensor.dtype));
    LLMC_ASSIGN_OR_RETURN(wanted.dtype, target_dtype(tensor, dtype));
    if (rows) {
      if (tensor.rows == 0) return error(ErrorKind::kInvalidArgument, "is no matrix");
      if (rows->first >= rows->last || rows->last > tensor.rows)
        return error(ErrorKind::kInvalidArgument, "rows {}:{} of a tensor of {} rows", rows->first,
                     rows->last, tensor.rows);
      wanted.first = rows->first * tensor.cols;
      wanted.count = (rows->last - rows->first) * tensor.cols;
    }
    LLMC_ASSIGN_OR_RETURN(const ByteRange range, element_bytes({tensor.name, wanted.dtype, tensor.shape},
                                                               wanted.first, wanted.count));
    if (range.size == out.size()) return wanted;
    return error(ErrorKind::kInvalidArgument, "a buffer of {} bytes for {} bytes", out.size(), range.size);
  }

  // The stream's checksum is over all of it; those of its samples are by segment, and checked.
  Status decode_coded(std::span<const Wanted> all, const DecodeOptions& options) const {
    const BlockWork store = [&](size_t task, uint64_t begin,
                                std::span<const float> weights) -> Result<BlockTaker> {
      const Wanted& wanted = all[task];
      const uint64_t from = std::max(begin, wanted.first);
      const uint64_t to = std::min(begin + weights.size(), wanted.first + wanted.count);
      const uint64_t element = dtype_info(wanted.dtype).block_bytes;
      LLMC_RETURN_IF_ERROR(
          store_weights(wanted.dtype, weights.subspan(from - begin, to - from), PastRange::kClip,
                        wanted.out.subspan((from - wanted.first) * element, (to - from) * element)));
      return BlockTaker([] { return Status::ok(); });
    };
    Control control;
    control.threads = options.threads;
    control.cancelled = options.cancelled;
    std::vector<DecodeTask> tasks;
    for (const Wanted& wanted : all)
      tasks.push_back({reader->stored_name(wanted.tensor->name), wanted.first, wanted.first + wanted.count,
                       /*verify=*/false});
    return decode_tensors(*reader, tasks, codecs, control, store);
  }

  Status read_exact(const Wanted& wanted, const DecodeOptions& options) const {
    uint64_t done = 0;
    const DtypeInfo& own = dtype_info(wanted.own);
    return each_piece(wanted, [&](std::span<const std::byte> piece) -> Status {
      if (options.cancelled && options.cancelled()) return error(ErrorKind::kInterrupted, "interrupted");
      if (wanted.dtype == wanted.own) {
        std::ranges::copy(piece, wanted.out.begin() + static_cast<ptrdiff_t>(done));
        done += piece.size();
        return Status::ok();
      }
      const uint64_t elements = piece.size() / own.block_bytes * own.block_elements;
      const uint64_t bytes = elements * dtype_info(wanted.dtype).block_bytes;
      LLMC_RETURN_IF_ERROR(
          convert_exact(wanted.own, piece, wanted.dtype, PastRange::kClip, wanted.out.subspan(done, bytes)));
      done += bytes;
      return Status::ok();
    });
  }

  // The bytes of a tensor stored exactly: under its own name, or for GGUF's blocks as the part `data`. Checked when
  // they are all of it.
  Status each_piece(const Wanted& wanted, const PieceVisitor& visit) const {
    const std::string& name = reader->stored_name(wanted.tensor->name);
    const bool part = reader->description().tensors.contains(name);
    if (wanted.whole())
      return part ? reader->visit_part(name, part_name::kData, visit) : reader->visit_exact(name, visit);
    LLMC_ASSIGN_OR_RETURN(const ByteRange range, element_bytes({name, wanted.own, wanted.tensor->shape},
                                                               wanted.first, wanted.count));
    const ReadFunction read = [&](uint64_t begin, std::span<std::byte> piece) -> Status {
      if (part) return reader->read_part(name, part_name::kData, range.begin + begin, piece);
      LLMC_ASSIGN_OR_RETURN(const size_t stored, reader->source().find(name));
      return reader->source().read(stored, range.begin + begin, piece);
    };
    return visit_pieces(range.size, dtype_info(wanted.own).block_bytes, read, visit);
  }

  std::unique_ptr<ArchiveReader> reader;
  mutable CodecSet codecs;
  std::vector<ArchivedTensor> tensors;
  std::map<std::string, size_t, std::less<>> index;
};

Archive::Archive(std::unique_ptr<Opened> opened) : opened_(std::move(opened)) {}
Archive::Archive(Archive&&) noexcept = default;
Archive& Archive::operator=(Archive&&) noexcept = default;
Archive::~Archive() = default;

Result<Archive> Archive::open(const std::string& path, const CodecEnvironment& environment) {
  return Opened::open(ArchiveReader::open(path), environment);
}

Result<Archive> Archive::open_memory(std::span<const std::byte> bytes, const CodecEnvironment& environment) {
  return Opened::open(ArchiveReader::open(memory_byte_source(bytes, "memory")), environment);
}

Result<Archive> Archive::open_reader(uint64_t size, ReadAt read, const CodecEnvironment& environment) {
  return Opened::open(ArchiveReader::open(function_byte_source(size, "reader", std::move(read))),
                      environment);
}

Result<Archive> Archive::open_sources(std::vector<Source> files, const CodecEnvironment& environment) {
  if (files.empty()) return error(ErrorKind::kInvalidArgument, "an archive has at least one file");
  std::vector<ByteSourcePtr> sources;
  for (Source& file : files) {
    const auto same = [&](const ByteSourcePtr& other) { return other->name() == file.name; };
    if (std::ranges::any_of(sources, same))
      return error(ErrorKind::kInvalidArgument, "is given twice").in_file(file.name);
    sources.push_back(function_byte_source(file.size, std::move(file.name), std::move(file.read)));
  }
  return Opened::open(ArchiveReader::open_shards(sources), environment);
}

const std::vector<ArchivedTensor>& Archive::tensors() const {
  return opened_->tensors;
}

Result<size_t> Archive::find(std::string_view name) const {
  const auto found = opened_->index.find(name);
  if (found != opened_->index.end()) return found->second;
  return opened_->named(error(ErrorKind::kInvalidArgument, "is not a tensor of this archive"),
                        std::string(name));
}

Result<uint64_t> Archive::byte_size(size_t tensor, const std::string& dtype) const {
  if (tensor >= tensors().size())
    return error(ErrorKind::kInvalidArgument, "tensor {} of {}", tensor, tensors().size());
  const ArchivedTensor& info = tensors()[tensor];
  auto target = target_dtype(info, dtype);
  if (!target.is_ok()) return opened_->named(std::move(target).error(), info.name);
  auto range = element_bytes({info.name, *target, info.shape}, 0, info.elements);
  if (!range.is_ok()) return opened_->named(std::move(range).error(), info.name);
  return range->size;
}

const std::map<std::string, std::string>& Archive::metadata() const {
  return opened_->reader->description().source_metadata;
}

Status Archive::decode(std::span<const TensorMemory> tensors, const DecodeOptions& options) const {
  return opened_->decode(tensors, std::nullopt, options);
}

Status Archive::decode(size_t tensor, std::span<std::byte> out, const DecodeOptions& options) const {
  const TensorMemory memory{tensor, out};
  return opened_->decode({&memory, 1}, std::nullopt, options);
}

Status Archive::decode_rows(size_t tensor, RowRange rows, std::span<std::byte> out,
                            const DecodeOptions& options) const {
  const TensorMemory memory{tensor, out};
  return opened_->decode({&memory, 1}, rows, options);
}

const std::vector<std::string>& Archive::files() const {
  return opened_->reader->files();
}

Result<std::vector<StoredBytes>> Archive::stored(size_t tensor, std::optional<RowRange> rows) const {
  if (tensor >= tensors().size())
    return error(ErrorKind::kInvalidArgument, "tensor {} of {}", tensor, tensors().size());
  const ArchivedTensor& info = tensors()[tensor];
  if (rows && (rows->first >= rows->last || rows->last > info.rows))
    return opened_->named(error(ErrorKind::kInvalidArgument, "rows {}:{} of a tensor of {} rows", rows->first,
                                rows->last, info.rows),
                          info.name);
  const ElementRange elements =
      rows ? ElementRange{rows->first * info.cols, rows->last * info.cols} : ElementRange{0, UINT64_MAX};
  auto ranges = stored_bytes(*opened_->reader, opened_->reader->stored_name(info.name), elements);
  if (!ranges.is_ok()) return opened_->named(std::move(ranges).error(), info.name);
  return ranges;
}

Status Archive::check_stored(std::optional<size_t> tensor) const {
  const ArchiveReader& reader = *opened_->reader;
  if (!tensor)
    return reader.own_bytes(kGgufHeaderName) == 0 ? Status::ok()
                                                  : check_stored_bytes(reader, kGgufHeaderName);
  if (*tensor >= tensors().size())
    return error(ErrorKind::kInvalidArgument, "tensor {} of {}", *tensor, tensors().size());
  const std::string& name = tensors()[*tensor].name;
  Status status = check_stored_bytes(reader, reader.stored_name(name));
  return status.is_ok() ? Status::ok() : Status(opened_->named(std::move(status).error(), name));
}

std::vector<FileBeside> Archive::files_beside() const {
  std::vector<FileBeside> files;
  for (const auto& [name, file] : opened_->reader->description().carried) files.push_back({name, file.bytes});
  return files;
}

Status Archive::check_beside(const std::string& name, const ReadAt& read) const {
  const CarriedFiles& files = opened_->reader->description().carried;
  const auto file = files.find(name);
  if (file == files.end())
    return error(ErrorKind::kInvalidArgument, "is no file of this archive").in_file(name);
  const ByteSourcePtr source = function_byte_source(file->second.bytes, name, read);
  LLMC_ASSIGN_OR_RETURN(const std::string checksum, xxh3_128_of_range(*source, 0, source->size()));
  if (checksum == file->second.xxh3_128) return Status::ok();
  return error(ErrorKind::kCorrupt, "fails its checksum").in_file(name);
}

Result<TensorValues> read_rows(const std::string& archive, const std::string& name, RowRange rows) {
  LLMC_ASSIGN_OR_RETURN(const Archive opened, Archive::open(archive));
  LLMC_ASSIGN_OR_RETURN(const size_t tensor, opened.find(name));
  const ArchivedTensor& info = opened.tensors()[tensor];
  TensorValues values{rows.last - rows.first, info.cols, {}};
  if (rows.first < rows.last && rows.last <= info.rows) values.values.resize(values.rows * values.cols);
  const std::span<std::byte> out = std::as_writable_bytes(std::span(values.values));
  LLMC_RETURN_IF_ERROR(opened.decode_rows(tensor, rows, out, {.dtype = "F32"}));
  return values;
}

}  // namespace llmcodec

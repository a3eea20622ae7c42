// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <filesystem>

#include "archive/archive_reader.h"
#include "archive/carry_over.h"
#include "archive/packing.h"
#include "archive/part_names.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/output_guard.h"
#include "base/stopwatch.h"
#include "llmcodec/model.h"
#include "restore/parallel_decode.h"
#include "restore/weights_to_dtype.h"
#include "tensor/gguf.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

// True for what --dtype changes among tensors stored exactly: safetensors users want one dtype throughout,
// while the runners of GGUF files want norms and biases as they are.
bool follows_dtype(const TensorInfo& info, const std::string& format) {
  const DtypeInfo& dtype = dtype_info(info.dtype);
  return format == "safetensors" && dtype.floating && dtype.block_elements == 1;
}

// One tensor of the restored model and where it is in the archive.
struct Restored {
  TensorInfo info;  // with the dtype it gets
  Dtype own = Dtype::kF32;
  bool coded = false;
  std::optional<size_t> exact;  // index in the archive's source; neither: its record's part `data` holds it
};

Result<Dtype> parse_dtype(const std::string& name) {
  if (name == "f32") return Dtype::kF32;
  if (name == "f16") return Dtype::kF16;
  if (name == "bf16") return Dtype::kBF16;
  if (name == "q8_0") return Dtype::kQ8_0;
  return error(ErrorKind::kInvalidArgument, "dtype '{}' is not one of f32, f16, bf16, q8_0", name);
}

Result<std::vector<std::byte>> gguf_header_bytes(const ArchiveReader& archive) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> packed, archive.exact(kGgufHeaderName));
  auto header = unpack(packed, kMaxGgufStringBytes);
  if (!header.is_ok())
    return std::move(header).error().in_file(archive.files()[0]).in_tensor(kGgufHeaderName);
  return header;
}

class Decompression {
 public:
  explicit Decompression(const DecompressOptions& options)
      : options_(options), codecs_(CodecSet::for_decoding(options.control.environment)) {}

  Result<DecompressReport> run() {
    const Stopwatch wall;
    LLMC_ASSIGN_OR_RETURN(archive_, ArchiveReader::open(options_.input));
    LLMC_RETURN_IF_ERROR(choose_format());
    LLMC_RETURN_IF_ERROR(list_tensors());
    LLMC_RETURN_IF_ERROR(create_sink());
    const Stopwatch decoding;
    LLMC_RETURN_IF_ERROR(write_tensors());
    report_.decode_seconds = decoding.seconds();
    std::error_code code;
    if (folder_ && fs::is_directory(options_.input, code))
      LLMC_RETURN_IF_ERROR(carry_over_from_archive(options_.input, *output_folder_));
    LLMC_RETURN_IF_ERROR(sink_->finish());
    report_.wall_seconds = wall.seconds();
    return report_;
  }

 private:
  Status choose_format() {
    const std::string& kind = archive_->description().source_kind;
    const std::string native = kind == "gguf" ? "gguf" : "safetensors";
    format_ = options_.format.empty() ? native : options_.format;
    if (format_ != "safetensors" && format_ != "gguf")
      return error(ErrorKind::kInvalidArgument, "format '{}' is not one of safetensors, gguf", format_);
    if (format_ == "gguf" && native != "gguf")
      return error(ErrorKind::kUnsupported,
                   "the archive was made from {}, which has no GGUF key-values; decompress to safetensors "
                   "and use "
                   "llama.cpp's convert_hf_to_gguf.py",
                   kind)
          .in_file(options_.input);
    folder_ = format_ == "safetensors" && (kind == "folder" || kind == "sharded");
    if (!options_.dtype.empty()) {
      LLMC_ASSIGN_OR_RETURN(dtype_, parse_dtype(options_.dtype));
    }
    if (dtype_ == Dtype::kQ8_0 && format_ != "gguf")
      return error(ErrorKind::kInvalidArgument, "dtype q8_0 exists in GGUF only");
    return Status::ok();
  }

  // The dtype that a tensor gets: coded ones as asked (else their own), exact ones their own.
  Dtype dtype_of(Dtype own, bool coded, const std::vector<uint64_t>& shape) const {
    if (coded && dtype_) {
      const bool fits = *dtype_ != Dtype::kQ8_0 || (!shape.empty() && shape.back() % 32 == 0);
      return fits ? *dtype_ : Dtype::kF16;
    }
    return restored_dtype(own);
  }

  Status list_tensors() {
    for (const auto& [name, record] : archive_->description().tensors) {
      const auto own = dtype_from_name(record.dtype);
      if (!own)
        return error(ErrorKind::kUnsupported, "dtype '{}' is not known", record.dtype).in_tensor(name);
      Restored tensor;
      tensor.info = {name, *own, record.shape};
      tensor.own = *own;
      tensor.coded = !is_verbatim(record);
      if (tensor.coded) {
        tensor.info.dtype = dtype_of(*own, true, record.shape);
      } else {
        if (format_ != "gguf") tensor.info.dtype = Dtype::kF16;  // safetensors has no block dtypes
      }
      tensors_.push_back(std::move(tensor));
    }
    for (size_t index : archive_->exact_tensors()) {
      Restored tensor;
      tensor.info = archive_->source().tensors()[index];
      tensor.own = tensor.info.dtype;
      tensor.exact = index;
      if (dtype_ && follows_dtype(tensor.info, format_)) tensor.info.dtype = *dtype_;
      tensors_.push_back(std::move(tensor));
    }
    return format_ == "gguf" ? sort_like_gguf() : sort_by_name();
  }

  Status sort_by_name() {
    std::ranges::sort(tensors_, {}, [](const Restored& tensor) { return tensor.info.name; });
    return Status::ok();
  }

  // GGUF tensors stand in the order of their header.
  Status sort_like_gguf() {
    LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, gguf_header_bytes(*archive_));
    auto header = GgufHeader::parse(bytes);
    if (!header.is_ok()) return std::move(header).error().in_file(options_.input);
    header_ = std::move(header).value();
    std::map<std::string, Restored> by_name;
    for (Restored& tensor : tensors_) by_name[tensor.info.name] = std::move(tensor);
    tensors_.clear();
    for (const TensorInfo& info : header_->tensors()) {
      const auto found = by_name.find(info.name);
      if (found == by_name.end() || found->second.info.shape != info.shape)
        return error(ErrorKind::kCorrupt, "tensor of the GGUF header is not in the archive")
            .in_tensor(info.name);
      tensors_.push_back(std::move(found->second));
    }
    if (tensors_.size() != by_name.size())
      return error(ErrorKind::kCorrupt, "archive has tensors that its GGUF header has not")
          .in_file(options_.input);
    return Status::ok();
  }

  Status create_sink() {
    std::error_code code;
    if (fs::equivalent(options_.input, options_.output, code))
      return error(ErrorKind::kInvalidArgument, "output is the input").in_file(options_.output);
    std::vector<TensorInfo> infos;
    for (const Restored& tensor : tensors_) {
      infos.push_back(tensor.info);
      report_.parameters += tensor.info.elements();
      report_.bytes += *dtype_bytes(tensor.info.dtype, tensor.info.elements());
    }
    if (folder_) return create_folder_sink(infos);
    LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> inputs, files_of(*archive_, options_.input));
    LLMC_RETURN_IF_ERROR(check_output_file(options_.output, inputs));
    if (format_ == "gguf") {
      LLMC_ASSIGN_OR_RETURN(sink_, create_gguf(options_.output, *header_, infos));
    } else {
      LLMC_ASSIGN_OR_RETURN(sink_, create_safetensors(options_.output, infos, metadata()));
    }
    return Status::ok();
  }

  Status create_folder_sink(const std::vector<TensorInfo>& infos) {
    LLMC_ASSIGN_OR_RETURN(const std::vector<Shard> shards, plan_shards(infos, options_.shard_bytes));
    LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> inputs, files_of(*archive_, options_.input));
    std::vector<std::string> names = {kIndexFileName};
    for (const Shard& shard : shards) names.push_back(shard.file_name);
    for (const std::string& name : names)
      LLMC_RETURN_IF_ERROR(check_output_file((fs::path(options_.output) / name).string(), inputs));
    LLMC_ASSIGN_OR_RETURN(ModelFolder folder, ModelFolder::open(options_.output));
    output_folder_.emplace(std::move(folder));
    LLMC_ASSIGN_OR_RETURN(
        sink_, create_sharded_safetensors(*output_folder_, infos, metadata(), options_.shard_bytes));
    return Status::ok();
  }

  SafetensorsMetadata metadata() const {
    const auto& source = archive_->description().source_metadata;
    return {source.begin(), source.end()};
  }

  // The sink takes tensors in order: all coded ones are decoded in one run, so that threads work across
  // tensors, and those stored exactly are written when their turn comes.
  Status write_tensors() {
    std::vector<DecodeTask> tasks;
    std::map<std::string, size_t> index;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (!tensors_[i].coded) continue;
      tasks.push_back({.name = tensors_[i].info.name});
      index[tasks.back().name] = i;
    }
    const BlockWork store = [&](const TensorDecoder& tensor, uint64_t,
                                std::span<const float> weights) -> Result<BlockTaker> {
      const size_t i = index.at(tensor.name());
      LLMC_ASSIGN_OR_RETURN(std::vector<std::byte> bytes, stored(i, weights));
      return BlockTaker([this, i, bytes = std::move(bytes)]() -> Status {
        LLMC_RETURN_IF_ERROR(write_exact_before(i));
        next_ = i + 1;
        return sink_->write(i, bytes);
      });
    };
    LLMC_RETURN_IF_ERROR(decode_tensors(*archive_, tasks, codecs_, options_.control, store));
    return write_exact_before(tensors_.size());
  }

  Status write_exact_before(size_t end) {
    while (next_ < end) LLMC_RETURN_IF_ERROR(write_exact(next_++));
    return Status::ok();
  }

  // Decoded weights in the dtype that the tensor gets. Its own one held them before coding noise came upon
  // them; one that was asked for may not.
  Result<std::vector<std::byte>> stored(size_t index, std::span<const float> weights) const {
    const Restored& tensor = tensors_[index];
    const bool refuse = !options_.saturate && is_narrower(tensor.info.dtype, restored_dtype(tensor.own));
    std::vector<std::byte> bytes(dtype_bytes(tensor.info.dtype, weights.size()).value_or(0));
    Status status =
        store_weights(tensor.info.dtype, weights, refuse ? PastRange::kRefuse : PastRange::kClip, bytes);
    if (!status.is_ok()) return std::move(status).error().in_tensor(tensor.info.name);
    return bytes;
  }

  Status write_exact(size_t index) {
    const Restored& tensor = tensors_[index];
    const std::string& name = tensor.info.name;
    const PieceVisitor write = [this, index](std::span<const std::byte> piece) {
      return tensors_[index].own == tensors_[index].info.dtype ? sink_->write(index, piece)
                                                               : write_converted(index, piece);
    };
    if (tensor.exact) return archive_->visit_exact(name, write);
    return archive_->visit_part(name, part_name::kData, write);
  }

  Status write_converted(size_t index, std::span<const std::byte> bytes) {
    const Restored& tensor = tensors_[index];
    const uint64_t elements =
        bytes.size() / dtype_info(tensor.own).block_bytes * dtype_info(tensor.own).block_elements;
    std::vector<std::byte> converted(dtype_bytes(tensor.info.dtype, elements).value_or(0));
    Status status = convert_exact(tensor.own, bytes, tensor.info.dtype,
                                  options_.saturate ? PastRange::kClip : PastRange::kRefuse, converted);
    if (!status.is_ok()) return std::move(status).error().in_tensor(tensor.info.name);
    return sink_->write(index, converted);
  }

  DecompressOptions options_;
  CodecSet codecs_;
  std::unique_ptr<ArchiveReader> archive_;
  std::string format_;
  bool folder_ = false;
  std::optional<Dtype> dtype_;
  std::optional<GgufHeader> header_;
  std::vector<Restored> tensors_;
  size_t next_ = 0;                           // to be written
  std::optional<ModelFolder> output_folder_;  // before the sink, which uses it
  std::unique_ptr<TensorSink> sink_;
  DecompressReport report_;
};

}  // namespace

Result<DecompressReport> decompress(const DecompressOptions& options) {
  return Decompression(options).run();
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "restore/restored_model.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "archive/packing.h"
#include "archive/part_names.h"
#include "base/error.h"
#include "base/limits.h"
#include "restore/weights_to_dtype.h"
#include "tensor/dtype_range.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

// The dtype of a tensor stored exactly. Safetensors users want one dtype throughout, while the runners of GGUF files want
// norms and biases as they are. F32 stays everywhere: beside narrower weights it was chosen because the tensor needs it
// (state of Mamba, norms, routers).
Dtype exact_dtype(Dtype own, const std::optional<Dtype>& asked, bool gguf) {
  if (gguf) return own;
  const bool follows = asked && dtype_info(own).floating && own != Dtype::kF32;
  return follows ? *asked : restored_exact_dtype(own);
}

Result<Dtype> parse_dtype(const std::string& name) {
  if (name == "f32") return Dtype::kF32;
  if (name == "f16") return Dtype::kF16;
  if (name == "bf16") return Dtype::kBF16;
  if (name == "q8_0") return Dtype::kQ8_0;
  return error(ErrorKind::kInvalidArgument, "dtype '{}' is not one of f32, f16, bf16, q8_0", name);
}

// As asked, or the tensor's own. Q8_0 has blocks of 32, into which not every row can be cut.
Dtype coded_dtype(Dtype own, const std::optional<Dtype>& asked, const std::vector<uint64_t>& shape) {
  if (!asked) return restored_dtype(own);
  const bool fits = *asked != Dtype::kQ8_0 || (!shape.empty() && shape.back() % 32 == 0);
  return fits ? *asked : Dtype::kF16;
}

Result<GgufHeader> read_gguf_header(const ArchiveReader& archive) {
  const auto named = [&](Error failure) {
    return std::move(failure).in_file(archive.files()[0]).in_tensor(kGgufHeaderName);
  };
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> packed, archive.exact(kGgufHeaderName));
  auto bytes = unpack(packed, std::min(kMaxGgufHeaderBytes, max_unpacked_bytes(archive.total_bytes())));
  if (!bytes.is_ok()) return named(std::move(bytes).error());
  auto header = GgufHeader::parse(*bytes);
  if (!header.is_ok()) return named(std::move(header).error());
  return header;
}

}  // namespace

Result<RestoredModel> RestoredModel::plan(const ArchiveReader& archive, const RestoreChoice& choice) {
  RestoredModel model(archive, choice);
  LLMC_RETURN_IF_ERROR(model.choose_format());
  LLMC_RETURN_IF_ERROR(model.list_tensors());
  for (const RestoredTensor& tensor : model.tensors_) {
    if (!dtype_bytes(tensor.info.dtype, tensor.info.elements()))
      return error(ErrorKind::kCorrupt, "its size in {} cannot be", dtype_info(tensor.info.dtype).name)
          .in_file(archive.files()[0])
          .in_tensor(tensor.info.name);
  }
  return model;
}

Status RestoredModel::choose_format() {
  const std::string& kind = archive_->description().source_kind;
  const std::string native = kind == "gguf" ? "gguf" : "safetensors";
  std::string& format = choice_.format;
  if (format.empty()) format = native;
  if (format != "safetensors" && format != "gguf")
    return error(ErrorKind::kInvalidArgument, "format '{}' is not one of safetensors, gguf", format);
  if (format == "gguf" && native != "gguf")
    return error(ErrorKind::kUnsupported,
                 "the archive was made from {}, which has no GGUF key-values; decompress to safetensors and "
                 "use "
                 "llama.cpp's convert_hf_to_gguf.py",
                 kind)
        .in_file(archive_->files()[0]);
  folder_ = format == "safetensors" && (kind == "folder" || kind == "sharded" || kind == "pipeline");
  if (!choice_.dtype.empty()) {
    LLMC_ASSIGN_OR_RETURN(dtype_, parse_dtype(choice_.dtype));
  }
  if (dtype_ == Dtype::kQ8_0 && format != "gguf")
    return error(ErrorKind::kInvalidArgument, "dtype q8_0 exists in GGUF only");
  if (choice_.shard_bytes != 0 && format != "gguf" && !folder_)
    return error(ErrorKind::kInvalidArgument,
                 "a shard size, but the model is restored as one safetensors file: only folders and GGUF "
                 "models are "
                 "written in parts");
  return Status::ok();
}

Result<RestoredTensor> RestoredModel::coded_tensor(const std::string& name,
                                                   const TensorRecord& record) const {
  const auto own = dtype_from_name(record.dtype);
  if (!own)
    return error(ErrorKind::kUnsupported, "dtype '{}' is not known", record.dtype)
        .in_file(archive_->files()[0])
        .in_tensor(name);
  const bool bytes_alone = record.parts.size() == 1 && record.outliers == 0 && record.samples.empty();
  if (is_verbatim(record) && !bytes_alone)
    return error(ErrorKind::kCorrupt, "is stored as bytes, and has more than part '{}'", part_name::kData)
        .in_file(archive_->files()[0])
        .in_tensor(name);
  RestoredTensor tensor{{name, *own, record.shape, folder_bytes(name)}, *own, !is_verbatim(record), {}, name};
  tensor.info.dtype = tensor.coded ? coded_dtype(*own, dtype_, record.shape)
                                   : exact_dtype(*own, dtype_, choice_.format == "gguf");
  return tensor;
}

RestoredTensor RestoredModel::exact_tensor(size_t index) const {
  const TensorInfo& info = archive_->source().tensors()[index];
  RestoredTensor tensor{info, {}, false, index, info.name};
  tensor.own = tensor.info.dtype;
  tensor.info.folder_bytes = folder_bytes(info.name);
  tensor.info.dtype = exact_dtype(tensor.own, dtype_, choice_.format == "gguf");
  return tensor;
}

Status RestoredModel::list_tensors() {
  for (const auto& [name, record] : archive_->description().tensors) {
    LLMC_ASSIGN_OR_RETURN(RestoredTensor tensor, coded_tensor(name, record));
    tensors_.push_back(std::move(tensor));
  }
  for (const size_t index : archive_->exact_tensors()) tensors_.push_back(exact_tensor(index));
  add_copies();
  if (choice_.format == "gguf") return sort_like_gguf();
  std::ranges::sort(tensors_, {}, [](const RestoredTensor& tensor) {
    return std::pair(tensor.info.part(), tensor.info.local_name());
  });
  return Status::ok();
}

// Each as the tensor that it is the same as, under its own name.
void RestoredModel::add_copies() {
  std::map<std::string_view, size_t> stored;
  for (size_t i = 0; i < tensors_.size(); ++i) stored[tensors_[i].info.name] = i;
  std::vector<RestoredTensor> copies;
  for (const auto& [name, copy] : archive_->description().same_as) {
    copies.push_back(tensors_[stored.at(copy.original)]);  // there: the description was checked
    copies.back().info.name = name;
    copies.back().info.folder_bytes = folder_bytes(name);
  }
  tensors_.insert(tensors_.end(), copies.begin(), copies.end());
}

// GGUF tensors stand in the order of their header.
Status RestoredModel::sort_like_gguf() {
  LLMC_ASSIGN_OR_RETURN(header_, read_gguf_header(*archive_));
  std::map<std::string, RestoredTensor> by_name;
  for (RestoredTensor& tensor : tensors_) by_name[tensor.info.name] = std::move(tensor);
  tensors_.clear();
  for (const TensorInfo& info : header_->tensors()) {
    const auto found = by_name.find(info.name);
    if (found == by_name.end() || found->second.info.shape != info.shape)
      return error(ErrorKind::kCorrupt, "tensor of the GGUF header is not in the archive")
          .in_file(archive_->files()[0])
          .in_tensor(info.name);
    tensors_.push_back(std::move(found->second));
  }
  if (tensors_.size() != by_name.size())
    return error(ErrorKind::kCorrupt, "archive has tensors that its GGUF header has not")
        .in_file(archive_->files()[0]);
  return Status::ok();
}

std::vector<TensorInfo> RestoredModel::infos() const {
  std::vector<TensorInfo> infos;
  for (const RestoredTensor& tensor : tensors_) infos.push_back(tensor.info);
  return infos;
}

SafetensorsMetadata RestoredModel::metadata() const {
  const auto& source = archive_->description().source_metadata;
  return {source.begin(), source.end()};
}

bool RestoredModel::carries_files(const std::string& input) const {
  std::error_code code;
  return folder_ && std::filesystem::is_directory(input, code);
}

uint64_t RestoredModel::parameters() const {
  uint64_t elements = 0;
  for (const RestoredTensor& tensor : tensors_) elements += tensor.info.elements();
  return elements;
}

uint64_t RestoredModel::bytes() const {
  uint64_t bytes = 0;
  for (const RestoredTensor& tensor : tensors_)
    bytes += *dtype_bytes(tensor.info.dtype, tensor.info.elements());
  return bytes;
}

uint64_t RestoredModel::shard_bytes() const {
  constexpr uint64_t kOfFolders = 5'000'000'000;
  return choice_.shard_bytes == 0 && folder_ ? kOfFolders : choice_.shard_bytes;
}

Status RestoredModel::check_headers() const {
  Status status = is_gguf()
                      ? check_gguf(*header_, infos())
                      : check_sharded_safetensors(infos(), archive_->description().parts(), shard_bytes());
  if (status.is_ok()) return status;
  Error failure = std::move(status).error();
  // What a caller can choose exists in every container: the wrong value is the archive's.
  if (failure.kind == ErrorKind::kInvalidArgument) failure.kind = ErrorKind::kCorrupt;
  return std::move(failure).in_file(archive_->files()[0]);
}

// One run through the archive, or through the tensors [first, end) of the model.
class RestoreWalk {
 public:
  RestoreWalk(const RestoredModel& model, TensorSink& sink, const RestoreWatch& watch, size_t first,
              size_t end)
      : model_(model),
        tensors_(model.tensors_),
        sink_(sink),
        watch_(watch),
        first_(first),
        end_(end),
        next_(first) {}

  // The sink takes tensors in order: all coded ones are decoded in one run, so that threads work across
  // tensors, and those stored exactly are written when their turn comes.
  Status run(CodecSet& codecs, const Control& control) {
    std::vector<DecodeTask> tasks;
    for (size_t i = first_; i < end_; ++i) {
      if (!tensors_[i].coded) continue;
      tasks.push_back({.name = tensors_[i].stored});
      coded_.push_back(i);
    }
    const BlockWork store = [this](size_t task, uint64_t first, std::span<const float> weights) {
      return take(coded_[task], first, weights);
    };
    LLMC_RETURN_IF_ERROR(decode_tensors(*model_.archive_, tasks, codecs, control, store));
    return write_exact_before(end_);
  }

 private:
  Result<BlockTaker> take(size_t i, uint64_t first, std::span<const float> weights) {
    BlockTaker watched = [] { return Status::ok(); };
    if (watch_.coded) {
      LLMC_ASSIGN_OR_RETURN(watched, watch_.coded(tensors_[i], first, weights));
    }
    LLMC_ASSIGN_OR_RETURN(std::vector<std::byte> bytes, stored(tensors_[i], weights));
    return BlockTaker([this, i, watched = std::move(watched), bytes = std::move(bytes)]() -> Status {
      LLMC_RETURN_IF_ERROR(write_exact_before(i));
      next_ = i + 1;
      LLMC_RETURN_IF_ERROR(watched());
      return sink_.write(i - first_, bytes);
    });
  }

  Status write_exact_before(size_t end) {
    while (next_ < end) LLMC_RETURN_IF_ERROR(write_exact(next_++));
    return Status::ok();
  }

  // Decoded weights in the dtype that the tensor gets. Its own one held them before coding noise came upon
  // them; one that was asked for may not, nor the F16 of GGUF's blocks.
  Result<std::vector<std::byte>> stored(const RestoredTensor& tensor, std::span<const float> weights) const {
    const bool refuse = !model_.choice_.saturate && is_narrower(tensor.info.dtype, tensor.own);
    std::vector<std::byte> bytes(dtype_bytes(tensor.info.dtype, weights.size()).value_or(0));
    Status status =
        store_weights(tensor.info.dtype, weights, refuse ? PastRange::kRefuse : PastRange::kClip, bytes);
    if (!status.is_ok()) return std::move(status).error().in_tensor(tensor.info.name);
    return bytes;
  }

  Status write_exact(size_t index) {
    const RestoredTensor& tensor = tensors_[index];
    const std::string& name = tensor.info.name;
    const PieceVisitor write = [&](std::span<const std::byte> piece) -> Status {
      if (watch_.exact) LLMC_RETURN_IF_ERROR(watch_.exact(name, piece));
      return tensor.own == tensor.info.dtype ? sink_.write(index - first_, piece)
                                             : write_converted(index, piece);
    };
    if (tensor.exact) return model_.archive_->visit_exact(tensor.stored, write);
    return model_.archive_->visit_part(tensor.stored, part_name::kData, write);
  }

  Status write_converted(size_t index, std::span<const std::byte> bytes) {
    const RestoredTensor& tensor = tensors_[index];
    const uint64_t elements =
        bytes.size() / dtype_info(tensor.own).block_bytes * dtype_info(tensor.own).block_elements;
    std::vector<std::byte> converted(dtype_bytes(tensor.info.dtype, elements).value_or(0));
    Status status = convert_exact(tensor.own, bytes, tensor.info.dtype,
                                  model_.choice_.saturate ? PastRange::kClip : PastRange::kRefuse, converted);
    if (!status.is_ok()) return std::move(status).error().in_tensor(tensor.info.name);
    return sink_.write(index - first_, converted);
  }

  const RestoredModel& model_;
  const std::vector<RestoredTensor>& tensors_;
  TensorSink& sink_;
  const RestoreWatch& watch_;
  const size_t first_, end_;
  std::vector<size_t> coded_;  // in tensors_, by their task
  size_t next_;                // to be written
};

Status RestoredModel::write(TensorSink& sink, CodecSet& codecs, const Control& control,
                            const RestoreWatch& watch) const {
  return RestoreWalk(*this, sink, watch, 0, tensors_.size()).run(codecs, control);
}

Status RestoredModel::write_some(size_t first, size_t count, TensorSink& sink, CodecSet& codecs,
                                 const Control& control) const {
  return RestoreWalk(*this, sink, {}, first, first + count).run(codecs, control);
}

}  // namespace llmcodec

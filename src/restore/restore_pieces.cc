// SPDX-License-Identifier: BSD-3-Clause
// decompress() and verify() for a part of the tensors.
#include <filesystem>

#include "archive/carry_over.h"
#include "base/error.h"
#include "llmcodec/pieces.h"
#include "restore/restored_model.h"
#include "tensor/model_folder.h"
#include "tensor/null_sink.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

// An archive, and what becomes of it.
struct Opened {
  static Result<std::unique_ptr<Opened>> open(const DecompressOptions& options) {
    auto opened = std::make_unique<Opened>();
    LLMC_ASSIGN_OR_RETURN(opened->archive, ArchiveReader::open(options.input));
    const RestoreChoice choice{options.format, options.dtype, options.saturate, options.shard_bytes};
    LLMC_ASSIGN_OR_RETURN(RestoredModel model, RestoredModel::plan(*opened->archive, choice));
    LLMC_RETURN_IF_ERROR(model.check_headers());
    opened->model.emplace(std::move(model));
    opened->parts = opened->archive->description().parts();
    opened->infos = opened->model->infos();
    return opened;
  }
  Result<std::vector<Shard>> shards() const { return plan_part_shards(infos, parts, model->shard_bytes()); }

  std::unique_ptr<ArchiveReader> archive;
  std::optional<RestoredModel> model;
  ModelParts parts;
  std::vector<TensorInfo> infos;
};

Status check_range(size_t first, size_t count, size_t all) {
  if (first <= all && count <= all - first) return Status::ok();
  return error(ErrorKind::kInvalidArgument, "{} of {} from number {} on are not there", count, all, first);
}

}  // namespace

Result<RestoredFiles> restored_files(const DecompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<Opened> opened, Opened::open(options));
  RestoredFiles files;
  if (!opened->model->is_folder() || options.as_source) return files;
  LLMC_ASSIGN_OR_RETURN(const std::vector<Shard> shards, opened->shards());
  for (const Shard& shard : shards) {
    uint64_t parameters = 0;
    for (size_t i = shard.first; i < shard.first + shard.count; ++i)
      parameters += opened->infos[i].elements();
    files.files.push_back({shard.file_name, shard.data_bytes, parameters});
  }
  return files;
}

Status restore_file(const DecompressOptions& options, size_t file) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<Opened> opened, Opened::open(options));
  LLMC_ASSIGN_OR_RETURN(const std::vector<Shard> shards, opened->shards());
  LLMC_RETURN_IF_ERROR(check_range(file, 1, shards.size()));
  const Shard& shard = shards[file];
  CodecSet codecs = CodecSet::for_decoding(options.control.environment);
  LLMC_ASSIGN_OR_RETURN(
      const std::unique_ptr<TensorSink> sink,
      create_safetensors(options.output, local_tensors(opened->infos, {shard.first, shard.count}),
                         part_of_shard(shard, opened->parts).metadata));
  LLMC_RETURN_IF_ERROR(opened->model->write_some(shard.first, shard.count, *sink, codecs, options.control));
  return sink->finish();
}

Status restore_rest(const DecompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<Opened> opened, Opened::open(options));
  const Description& description = opened->archive->description();
  const bool carries = opened->model->carries_files(options.input);
  std::vector<std::string> carried;
  if (carries) {
    LLMC_RETURN_IF_ERROR(check_carried_files(description, options.input));
    LLMC_ASSIGN_OR_RETURN(carried, carried_names(description, options.input, ConfigOf::kRestored));
  }
  LLMC_ASSIGN_OR_RETURN(ModelFolder folder, ModelFolder::open(options.output, {opened->parts, carried}));
  LLMC_RETURN_IF_ERROR(write_indices(folder, opened->infos, opened->parts, opened->model->shard_bytes()));
  if (carries) LLMC_RETURN_IF_ERROR(carry_over_from_archive(description, options.input, folder));
  return folder.commit();
}

namespace {

Result<std::unique_ptr<Opened>> open_to_verify(const VerifyOptions& options) {
  DecompressOptions usual;
  usual.input = options.input;
  return Opened::open(usual);
}

}  // namespace

Result<std::vector<VerifyTensor>> verify_rest(const VerifyOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<Opened> opened, open_to_verify(options));
  const Description& description = opened->archive->description();
  if (opened->model->carries_files(options.input))
    LLMC_RETURN_IF_ERROR(check_carried_files(description, options.input));
  if (!opened->model->is_gguf() && description.exact.contains(kGgufHeaderName))
    LLMC_RETURN_IF_ERROR(opened->archive->exact(kGgufHeaderName));
  std::vector<VerifyTensor> tensors;
  for (const RestoredTensor& tensor : opened->model->tensors())
    tensors.push_back({tensor.info.name, tensor.info.elements(), tensor.coded});
  return tensors;
}

Status verify_tensors(const VerifyOptions& options, size_t first, size_t count) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<Opened> opened, open_to_verify(options));
  LLMC_RETURN_IF_ERROR(check_range(first, count, opened->infos.size()));
  CodecSet codecs = CodecSet::for_decoding(options.control.environment);
  const auto begin = opened->infos.begin() + static_cast<std::ptrdiff_t>(first);
  const std::unique_ptr<TensorSink> nowhere =
      create_null_sink({begin, begin + static_cast<std::ptrdiff_t>(count)});
  LLMC_RETURN_IF_ERROR(opened->model->write_some(first, count, *nowhere, codecs, options.control));
  return nowhere->finish();
}

}  // namespace llmcodec

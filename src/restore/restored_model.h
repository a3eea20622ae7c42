// SPDX-License-Identifier: BSD-3-Clause
// The model that comes back from an archive: which tensors, in which dtype and order, and the walk that decodes
// them into a sink. decompress() walks into files, verify() into a sink that keeps nothing: so there is nothing
// that one refuses and the other does not meet.
//
// Example (const ArchiveReader& archive, TensorSink& sink, CodecSet& codecs, const Control& control):
//
//   LLMC_ASSIGN_OR_RETURN(const RestoredModel model, RestoredModel::plan(archive, {}));
//   use(model.infos());  // what the sink was made for
//   LLMC_RETURN_IF_ERROR(model.write(sink, codecs, control));
//   LLMC_RETURN_IF_ERROR(sink.finish());
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "archive/archive_reader.h"
#include "coding/codec_set.h"
#include "restore/parallel_decode.h"
#include "tensor/gguf.h"

namespace llmcodec {

// As DecompressOptions has them.
struct RestoreChoice {
  std::string format = {}, dtype = {};
  bool saturate = false;
  uint64_t shard_bytes = 0;
};

// One tensor of the restored model and where it is in the archive.
struct RestoredTensor {
  TensorInfo info;  // with the dtype it gets
  Dtype own = Dtype::kF32;
  bool coded = false;
  std::optional<size_t> exact;  // index in the archive's source; neither: its record's part `data` holds it
  std::string stored;           // name in the archive: another tensor's where the two are the same
};

// Who wants to see the weights on their way; either may be empty.
struct RestoreWatch {
  // Decoded weights from element `first` on, before they get their dtype. As BlockWork.
  std::function<Result<BlockTaker>(const RestoredTensor& tensor, uint64_t first,
                                   std::span<const float> weights)>
      coded;
  // A tensor stored exactly, in pieces and in order, before its checksum is known.
  std::function<Status(const std::string& tensor, std::span<const std::byte> piece)> exact;
};

class RestoredModel {
 public:
  // Refuses all that can be refused without decoding: InvalidArgument for a choice that this archive does not
  // have; Corrupt for a GGUF header that is absent, broken or names other tensors than the archive has;
  // Unsupported for a dtype that is not known. `archive` must live as long.
  static Result<RestoredModel> plan(const ArchiveReader& archive, const RestoreChoice& choice);

  const std::vector<RestoredTensor>& tensors() const { return tensors_; }
  std::vector<TensorInfo> infos() const;
  bool is_gguf() const { return header_.has_value(); }
  // Of a GGUF model.
  const GgufHeader& gguf_header() const { return *header_; }
  // Of a safetensors model.
  SafetensorsMetadata metadata() const;
  // Whether it is a folder, as the source was.
  bool is_folder() const { return folder_; }
  // Whether files were given with the archive that belong into that folder: `input` is the archive's folder. One
  // that is given by its file or index comes without.
  bool carries_files(const std::string& input) const;
  uint64_t parameters() const;
  uint64_t bytes() const;
  // Largest file of tensors: as asked for, else as Hugging Face writes a folder. 0: one file.
  uint64_t shard_bytes() const;
  // Corrupt or Limit for what the headers of the restored files cannot hold.
  Status check_headers() const;

  // Decodes and checks everything in the order of tensors(). The sink is not finished.
  Status write(TensorSink& sink, CodecSet& codecs, const Control& control,
               const RestoreWatch& watch = {}) const;
  // The same of tensors [first, first + count), which are all that the sink was made for.
  Status write_some(size_t first, size_t count, TensorSink& sink, CodecSet& codecs,
                    const Control& control) const;

 private:
  RestoredModel(const ArchiveReader& archive, const RestoreChoice& choice)
      : archive_(&archive), choice_(choice), folders_(archive.description().part_folders()) {}
  Status choose_format();
  Status list_tensors();
  size_t folder_bytes(const std::string& name) const { return folders_.prefix_bytes(name).value_or(0); }
  Result<RestoredTensor> coded_tensor(const std::string& name, const TensorRecord& record) const;
  RestoredTensor exact_tensor(size_t index) const;
  void add_copies();
  Status sort_like_gguf();

  friend class RestoreWalk;
  const ArchiveReader* archive_;
  RestoreChoice choice_;  // its format filled in
  PartFolders folders_;
  bool folder_ = false;
  std::optional<Dtype> dtype_;
  std::optional<GgufHeader> header_;
  std::vector<RestoredTensor> tensors_;
};

}  // namespace llmcodec

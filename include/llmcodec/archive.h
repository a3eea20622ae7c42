// SPDX-License-Identifier: BSD-3-Clause
// An open archive, from which tensors are decoded one by one into memory of the caller's, whole or by rows.
//
// Example (const std::string& path):
//
//   LLMC_ASSIGN_OR_RETURN(const Archive archive, Archive::open(path));
//   LLMC_ASSIGN_OR_RETURN(const size_t tensor, archive.find("blk.0.ffn_up.weight"));
//   LLMC_ASSIGN_OR_RETURN(const uint64_t bytes, archive.byte_size(tensor, "F16"));
//   std::vector<std::byte> weights(bytes);
//   LLMC_RETURN_IF_ERROR(archive.decode(tensor, weights, {.dtype = "F16"}));
//
// Opening reads the headers and the description. A call of decode() or decode_rows() reads the bytes that it needs, each
// once; the archive keeps nothing of them.
//
// All methods are const and may be called from any number of threads at once. An archive may be used in a child process
// after fork(), if no call was at work when it was made and the child asks for one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmcodec/codec.h"
#include "llmcodec/read_tensor.h"
#include "llmcodec/status.h"

namespace llmcodec {

struct ArchivedTensor {
  std::string name;
  std::string dtype;  // in the model: "BF16", "Q4_K", ...
  std::string
      decoded_dtype;  // what decode() gives when none is asked for: its own, F16 for coded GGUF blocks
  std::vector<uint64_t> shape;  // row-major, outermost first
  uint64_t elements = 0;
  uint64_t rows = 0, cols = 0;  // of all its matrices, one below the other; 0 for a tensor that is no matrix
  bool coded = false;           // false: stored exactly
  uint64_t stored_bytes =
      0;                // in the archive, scales and outliers included; 0 where another is stored for it
  std::string same_as;  // that other tensor, whose values this one has; empty: itself
  // Where its bytes begin among those of the others: who reads tensors by rising position reads each file from front to
  // back. Copies have the position of what is stored for them.
  uint64_t position = 0;
};

struct DecodeOptions {
  // "F32", "F16", "BF16", or any other floating-point type of safetensors, to which weights are rounded; finite ones
  // stay finite. Empty: the tensor's decoded_dtype. Tensors stored exactly, integers too, come back bit for bit in
  // their own.
  std::string dtype = {};
  unsigned threads = 0;                  // 0: one per core; 1: only the caller's
  std::function<bool()> cancelled = {};  // looked at between pictures; true ends the call with Interrupted
};

// A tensor, by its position in tensors(), and the memory that it is decoded into.
struct TensorMemory {
  size_t tensor = 0;
  std::span<std::byte> out;
};

// A range of one of the archive's files.
struct StoredBytes {
  size_t file = 0;  // its position in Archive::files()
  uint64_t offset = 0, bytes = 0;
};

// A file that belongs to the archive and lies beside it, such as config.json; `name` is relative to the archive's folder and
// never leads out of it.
struct FileBeside {
  std::string name;
  uint64_t bytes = 0;
};

class Archive {
 public:
  // Fills `out` with the bytes from `offset` on, which are inside the file. Called by any thread.
  using ReadAt = std::function<Status(uint64_t offset, std::span<std::byte> out)>;

  // A file, an index with its shards, or a folder that holds either. `environment`: where to find the codecs of
  // archives that were made with FFmpeg's encoders. InvalidArgument for a safetensors file that is no archive;
  // Io, Corrupt, Limit.
  static Result<Archive> open(const std::string& path, const CodecEnvironment& environment = {});
  // An archive of one file in memory, which must stay as it is while the archive is open.
  static Result<Archive> open_memory(std::span<const std::byte> bytes,
                                     const CodecEnvironment& environment = {});
  // An archive of one file of `size` bytes, wherever it is.
  static Result<Archive> open_reader(uint64_t size, ReadAt read, const CodecEnvironment& environment = {});
  // An archive of any number of files, wherever they are. `name` is what errors call the file. No two have the same name.
  struct Source {
    std::string name;
    uint64_t size = 0;
    ReadAt read;
  };
  static Result<Archive> open_sources(std::vector<Source> files, const CodecEnvironment& environment = {});
  Archive(Archive&&) noexcept;
  Archive& operator=(Archive&&) noexcept;
  ~Archive();

  // Sorted by name.
  const std::vector<ArchivedTensor>& tensors() const;
  // The safetensors metadata of the model, such as {"format": "pt"}; that of a GGUF model is in its own header: empty.
  const std::map<std::string, std::string>& metadata() const;
  // Position in tensors(); InvalidArgument for a name that the archive has not.
  Result<size_t> find(std::string_view name) const;
  // What decode() writes for `dtype` (as in DecodeOptions); Unsupported for a type that it does not give.
  Result<uint64_t> byte_size(size_t tensor, const std::string& dtype = {}) const;

  // `out` has exactly byte_size() bytes (else InvalidArgument) and needs no alignment; after an error its content is
  // undefined. What was decoded is checked segment by segment, a tensor stored exactly as a whole: Corrupt, with
  // file and tensor.
  Status decode(size_t tensor, std::span<std::byte> out, const DecodeOptions& options = {}) const;
  // The same for several tensors, in one run of all threads: small ones take no longer than their weights do, and equal
  // ones are decoded once. Everything is checked before anything is decoded.
  Status decode(std::span<const TensorMemory> tensors, const DecodeOptions& options = {}) const;
  // Rows of a matrix, which take byte_size() / rows bytes each: only the pictures that hold them are decoded (where
  // a row is spread over several pictures: those of its matrix). Rows of a tensor stored exactly are not checked,
  // since its checksum is over all of it: verify(), or decode() it whole. InvalidArgument for a tensor that is no
  // matrix, an empty range, and one that goes past the last row.
  Status decode_rows(size_t tensor, RowRange rows, std::span<std::byte> out,
                     const DecodeOptions& options = {}) const;

  // The names of the archive's files, in the order in which they were given or found.
  const std::vector<std::string>& files() const;
  // What decode(), or decode_rows(), reads of them for a tensor, in their order; for those who fetch it before. Equal
  // tensors share their bytes.
  Result<std::vector<StoredBytes>> stored(size_t tensor, std::optional<RowRange> rows = {}) const;
  // Whether the bytes of a tensor are those that were written, without decoding them; without a tensor: of what belongs to none, the
  // header of a GGUF model. Corrupt, with file and tensor.
  Status check_stored(std::optional<size_t> tensor) const;
  // Sorted by name. Archives of format version 2 list none.
  std::vector<FileBeside> files_beside() const;
  // Whether one of these files, which `read` gives, is the one that was written, as far as its listed length; Corrupt.
  Status check_beside(const std::string& name, const ReadAt& read) const;

 private:
  struct Opened;
  explicit Archive(std::unique_ptr<Opened> opened);
  std::unique_ptr<Opened> opened_;
};

}  // namespace llmcodec

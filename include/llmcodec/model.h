// SPDX-License-Identifier: BSD-3-Clause
// Models in, archives out, and back: what the `llmcodec` program does, as functions. Every call reads
// its input from disk, bounds its memory by the largest tensor in flight, and leaves either a
// complete output or none.
//
// Example:
//
//   CompressOptions options;
//   options.input = "SmolLM2.gguf";
//   options.output = "SmolLM2.llmcodec.safetensors";
//   options.target = {TargetKind::kBpw, 3.0};
//   LLMC_ASSIGN_OR_RETURN(const CompressReport report, compress(options));
//   puts(report.to_json().c_str());
//   LLMC_ASSIGN_OR_RETURN(const DecompressReport back,
//                         decompress({.input = options.output, .output = "restored.gguf"}));
//   puts(back.to_json().c_str());
//
// to_json() of every report gives stable keys (docs/json.md).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "llmcodec/codec.h"
#include "llmcodec/read_tensor.h"
#include "llmcodec/status.h"

namespace llmcodec {

enum class TargetKind {
  kDefault,  // 3 bits per weight; for a lossless codec the step that clips nothing
  kBpw,      // bits per weight: 8 * bytes of the whole archive / parameters of the model
  kSize,     // bytes of the whole archive
  kSnr,      // dB over all coded weights, relative to their energy
  kStep,     // quantiser step in units of the normalised weights, the same for all tensors
};

struct Target {
  TargetKind kind = TargetKind::kDefault;
  double value = 0;
};

// What is reported while a call works. `done` and `total` count weights.
struct Progress {
  const char* phase = "";  // "fit", "rate", "encode", "decode", ...
  uint64_t done = 0, total = 0;
  std::string tensor;
};
using ProgressFunction = std::function<void(const Progress&)>;

struct Control {
  unsigned threads = 0;  // 0: one per core
  CodecEnvironment environment = {};
  ProgressFunction progress = {};
  // Looked at between pictures; true ends the call with an Interrupted error.
  std::function<bool()> cancelled = {};
};

struct CompressOptions {
  std::string input;   // GGUF, safetensors, index, Hugging Face folder, or pipeline of several models in one
  std::string output;  // a file; a folder for folder inputs and for several shards
  Target target = {};
  std::string codec = "vvc";    // "name:key=value,..." as open_codec() takes it
  std::string layout = "auto";  // "spatial", "spectral" (vvc only); auto: spectral where the codec can
  // "tensor", "row", "column", "group:N", "dual"; auto: row for embeddings and heads of whose inputs nothing
  // is known (docs/decisions/020-embedding-scales.md), dual for everything else.
  std::string scales = "auto";
  bool asymmetric = false;
  uint32_t bit_depth = 0;         // of the planes; 0: the deepest up to 10 that the codec takes
  std::vector<std::string> set;   // 'REGEX=key:value', in order; keys: docs/plan.md
  std::vector<std::string> code;  // REGEX of tensors coded though they are stored exactly by default
  std::vector<std::string> keep;  // REGEX of tensors stored exactly, whatever else matches
  std::vector<std::string>
      carry;         // REGEX of files of a folder to be carried along though left out by default
  std::string plan;  // a plan written by plan(), used as it is; empty: make one
  // llama.cpp imatrix file; empty: estimated from the weights where the model's family is known; "none": no
  // estimate. What a file does not know about outputs is estimated as well.
  std::string importance;
  std::string hessian;       // second moments (docs/importance.md); empty: none
  uint64_t shard_bytes = 0;  // largest shard; 0: one file
  bool restart = false;      // throw an interrupted run away
  std::string command;       // recorded in the archive; the program's command line
  Control control = {};
};

struct TensorReport {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  uint64_t elements = 0;
  const char* role = "";  // what it does in the model (docs/tensors.md)
  bool coded = false;
  std::string reason = {};   // why it is stored exactly; empty for coded tensors
  std::string same_as = {};  // the tensor that is stored for this one too, being equal; empty: itself
  uint64_t bytes = 0;  // in the archive, scales and outliers included, headers not; 0 where it is not stored
  double bpw = 0;
  bool measured = false;  // the errors below were measured; false: snr_db is a prediction (plan) or nothing
  double relative_mse = 0, snr_db = 0, max_abs_error = 0, cosine = 1;
  uint64_t outliers = 0;
};

// A low-rank update W = B A (LoRA), of which a factor is coded: how far the product is from the original's.
struct ProductReport {
  std::string down, up;  // the names of A and B
  uint64_t rank = 0;
  double snr_db = 0;
};
struct ProductsReport {
  std::vector<ProductReport> pairs;
  double snr_db = 0;  // over all products
};

// Files that lie beside an archive of a folder (config.json, the tokenizer, ...), which its description lists.
struct CarriedFilesReport {
  uint64_t count = 0, bytes = 0;
};

// A part of a pipeline. Its tensors are those whose names begin with the folder and a slash, and with no longer folder
// of a part.
struct PartReport {
  std::string folder;  // relative to the pipeline's; empty: that itself
  uint64_t tensors = 0, parameters = 0;
  uint64_t bytes = 0;  // of its tensors, as in TensorReport
};

struct CompressReport {
  uint64_t parameters = 0;
  uint64_t bytes = 0;  // whole archive: every file that decompress() needs, carried-over files left out
  uint64_t carried_bytes = 0;        // of `bytes`: carried-over metadata that is no tensor (GGUF key-values)
  CarriedFilesReport carried_files;  // not part of `bytes`
  double bpw = 0, bpw_weights = 0;
  double relative_mse = 0, snr_db = 0;  // over the coded weights
  double fit_seconds = 0, rate_seconds = 0, encode_seconds = 0, wall_seconds = 0;
  bool resumed = false;
  std::vector<std::string> notes;  // tensors without an importance entry, skipped files, ...
  std::vector<TensorReport> tensors;
  std::vector<PartReport> parts;  // of a pipeline; empty otherwise
  ProductsReport products;
  std::string to_json() const;
};
Result<CompressReport> compress(const CompressOptions& options);

// A tensor that is in no file: a dtype of safetensors, a shape, outermost first, and its bytes, which stay as they are
// during the call.
struct TensorBytes {
  std::string name, dtype;
  std::vector<uint64_t> shape;
  std::span<const std::byte> bytes;
};
// compress() for these in place of options.input, with the metadata of a safetensors file that held them: what comes back
// is such a file. An interrupted call leaves nothing. InvalidArgument, with the tensor, for names that are there twice, an
// unknown dtype, bytes that do not fit the shape, and texts that are not UTF-8.
Result<CompressReport> compress_tensors(std::span<const TensorBytes> tensors,
                                        const std::map<std::string, std::string>& metadata,
                                        const CompressOptions& options);

// What compress() would do: size per tensor, settings, time; without coding more than samples. The plan is
// written to the file options.output, unless that is empty.
struct PlanReport {
  std::string plan;  // JSON text: save it, edit it, give it back as CompressOptions::plan
  uint64_t parameters = 0;
  uint64_t predicted_bytes = 0;
  double predicted_bpw = 0, predicted_snr_db = 0, predicted_seconds = 0;
  std::vector<std::string> notes;     // as of CompressReport
  std::vector<TensorReport> tensors;  // bytes, bpw and snr_db are predictions
  std::vector<PartReport> parts;      // as of CompressReport
  std::string to_json() const;
};
Result<PlanReport> plan(const CompressOptions& options);

// What names, shapes and headers say of compress() with these options: what would be coded, what kept, and why. No
// weight is read; what compress() refuses for these reasons is refused here.
struct SourceReport {
  std::string source_kind;                        // "gguf", "safetensors", "sharded", "folder" or "pipeline"
  uint64_t parameters = 0, coded_parameters = 0;  // numbers in all tensors; in those that would be coded
  uint64_t bytes = 0, kept_bytes = 0;             // of all tensors; of those that would be stored exactly
  CarriedFilesReport carried_files;               // as of CompressReport
  std::vector<std::string> notes;                 // as of CompressReport
  std::vector<TensorReport> tensors;  // in the order of the source; bytes and bpw are the source's
  std::vector<PartReport> parts;      // as of CompressReport; bytes are the source's
  std::string to_json() const;
};
Result<SourceReport> inspect_source(const CompressOptions& options);

struct DecompressOptions {
  std::string input;
  std::string output;
  // Of coded tensors: "f32", "f16", "bf16", "q8_0"; empty: each tensor's own (F16 for GGUF block types). Tensors stored
  // exactly keep theirs, but for safetensors files: there F32 is kept, other floats follow, and GGUF's blocks become F32 if
  // nothing is asked for.
  std::string dtype = {};
  // A weight that `dtype` cannot hold becomes its largest; false: it is an error.
  bool saturate = false;
  // What the source had as FP8 codes with scales comes back as such, made from the BF16 weights, and with the source's own
  // config.json: Unsupported for other schemes, InvalidArgument for an archive of a source that was not quantised, and
  // together with `dtype`.
  bool as_source = false;
  std::string format = {};  // "safetensors", "gguf"; empty: that of the source
  // Bytes of tensors in one file. 0: a folder as Hugging Face writes it, 5,000,000,000; a GGUF model in one file. Of
  // several, "OUT.gguf" becomes "OUT-00001-of-0000N.gguf" and so on. InvalidArgument for one safetensors file.
  uint64_t shard_bytes = 0;
  Control control = {};
};

struct DecompressReport {
  uint64_t parameters = 0;
  uint64_t bytes = 0;
  std::string output;  // what loaders are given: the file, the folder, or the first of a GGUF model's parts
  uint64_t files = 0;  // that hold tensors
  double decode_seconds = 0, wall_seconds = 0;
  std::string to_json() const;
};
Result<DecompressReport> decompress(const DecompressOptions& options);

// Whether the file, index or folder says that it is an archive of this program; false also when it cannot be read.
bool is_archive(const std::string& path);

// Of an archive. Headers only.
struct InspectReport {
  uint64_t parameters = 0, bytes = 0, carried_bytes = 0;
  CarriedFilesReport carried_files;  // as of CompressReport
  double bpw = 0, bpw_weights = 0;
  std::string writer, command, source_kind;
  std::vector<TensorReport> tensors;
  std::vector<PartReport> parts;  // as of CompressReport
  std::string to_json() const;
};
Result<InspectReport> inspect(const std::string& path);

// Does all that decompress() does with default options but writing: what it calls sound, decompress() restores.
// Checks the files carried beside the archive too, where it is given by its folder. With `against`, the original model, measures
// the error as well.
struct VerifyOptions {
  std::string input;
  std::string against;
  Control control = {};
};
struct VerifyReport {
  uint64_t parameters = 0;
  bool compared = false;
  double relative_mse = 0, snr_db = 0, max_abs_error = 0, cosine = 1, decode_seconds = 0;
  std::string sandbox;  // codec_sandbox(), of FFmpeg's processes where the archive needs them
  // Files beside the archive: "none" (it has none), "checked", "not covered" (format version 2 has no checksums of
  // them), or "not given" (the archive was given by its file, not by its folder).
  std::string carried_files;
  uint64_t carried_checked = 0;  // how many agree with their checksums
  std::vector<TensorReport> tensors;
  ProductsReport products;  // where it was compared
  std::string to_json() const;
};
Result<VerifyReport> verify(const VerifyOptions& options);

// The elementary stream of one coded tensor (playable, segments one after the other), or its decoded planes
// (docs/format.md, "samples") when `samples`, or `rows` of any tensor (read_tensor.h) as a safetensors file:
// one matrix under the tensor's name, in the dtype that decompress() gives it, with the same bytes.
struct ExtractOptions {
  std::string input, tensor, output;
  bool samples = false;
  std::optional<RowRange> rows;
  Control control = {};
};
Status extract(const ExtractOptions& options);

}  // namespace llmcodec

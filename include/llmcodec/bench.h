// SPDX-License-Identifier: BSD-3-Clause
// Codecs against the rate-distortion bound: each codec codes the same weights at the same bits per
// weight, and what comes back is compared with what went in. No scales, outliers or side
// information: the codec alone.
//
// Example:
//
//   LLMC_ASSIGN_OR_RETURN(BenchSource source, make_bench_source("gaussian", 1024, 1024));
//   BenchRequest request{.sources = {source.view()}, .codecs = {"libx265", "raw"}, .target_bpw = {2, 3}};
//   LLMC_ASSIGN_OR_RETURN(std::vector<BenchRow> rows, run_bench(request));
//   fmt::print("{}", format_bench_table(rows));
//
// Weights lie in planes as in archives: plane x = matrix row, plane y = matrix column; matrices of more
// than kBenchPictureSamples weights are cut into equal pictures along rows (rows that do not fill the
// last one are left out). The plane scale and the codec's quality are chosen so that bpw is within
// `tolerance` of the target.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "llmcodec/codec.h"
#include "llmcodec/matrix_view.h"
#include "llmcodec/status.h"

namespace llmcodec {

inline constexpr uint64_t kBenchPictureSamples = 1 << 20;

// A named matrix of weights; the values are borrowed.
struct BenchSourceView {
  std::string name;
  MatrixView<const float> weights;  // finite, not all zero (else InvalidArgument)
  // Into how many pictures of equal rows it is cut; 0: as many as kBenchPictureSamples asks for. The spectral layout, whose pictures
  // do not know each other, cuts by itself.
  uint64_t pictures = 0;
  // What stands for weight * row * column of a model: the SNR is of these products. Empty: 1; else one for each row, or column,
  // finite and positive.
  std::span<const float> row_scales = {}, col_scales = {};
};

struct BenchSource {
  std::string name;
  size_t rows = 0, cols = 0;
  std::vector<float> weights;
  BenchSourceView view() const { return {name, {weights.data(), rows, cols}}; }
};

// "gaussian" or "laplacian": iid, zero mean, unit variance, from `seed` (the same on every machine with the
// same standard library). InvalidArgument for another name or an empty shape.
Result<BenchSource> make_bench_source(const std::string& name, size_t rows, size_t cols, uint64_t seed = 1);

struct BenchRow {
  std::string codec;  // as asked for
  std::string source;
  double target_bpw = 0;
  double bpw = 0;     // 8 * stream bytes / weights
  double snr_db = 0;  // 10 log10(energy of weights / energy of errors)
  double gap_db = 0;  // 6.0206 * bpw - snr_db: for iid Gaussian weights the distance to the bound
  // Million weights per second of one core: processor time of this thread and of the codec's process; what a tiny
  // picture takes (start-up) is subtracted.
  double encode_mws = 0, decode_mws = 0;
  double encode_seconds = 0, decode_seconds = 0;  // that processor time itself, start-up included
  uint32_t bit_depth = 0;
  double quality = 0;      // the codec's own
  double plane_scale = 0;  // samples per standard deviation of the weights
  uint64_t weights = 0;
  std::string version = {};  // of the codec, its program and library
  std::string note;          // why bpw is off the target, or why there is no result (then bpw is 0)
};

struct BenchRequest {
  std::vector<BenchSourceView> sources;
  // Specs of open_codec(), and "vvc:layout=spectral": our VVC with the weights as coefficients
  // (vvc alone is spatial).
  std::vector<std::string> codecs;
  std::vector<double> target_bpw;
  double tolerance = 0.005;  // relative
  uint32_t bit_depth = 0;    // of planes; 0: 10 where the codec takes it, else its deepest below
  CodecEnvironment environment = {};
  std::function<void(const BenchRow&)> on_row = {};  // called after each row; may be empty
  std::function<bool()> cancelled = {};  // looked at before each row; true ends the call with Interrupted
};

// Rows in the order source, codec, target. A codec that is not to be had or fails gives rows with a note; the
// call fails (InvalidArgument) only for a wrong request.
Result<std::vector<BenchRow>> run_bench(const BenchRequest& request);

// Aligned columns, one line per row, with a heading; ends in a newline.
std::string format_bench_table(const std::vector<BenchRow>& rows);

// A JSON array of objects with the keys codec, source, target_bpw, bpw, snr_db, gap_db, encode_mws,
// decode_mws, encode_seconds, decode_seconds, bit_depth, quality, plane_scale, weights, version, note.
std::string format_bench_json(const std::vector<BenchRow>& rows);

}  // namespace llmcodec

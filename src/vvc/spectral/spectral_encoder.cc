// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spectral/spectral_encoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "base/error.h"
#include "base/finite.h"
#include "base/wider_vectors.h"
#include "vvc/cabac/cabac_encoder.h"
#include "vvc/picture/intra_pred.h"
#include "vvc/picture/residual_32x32.h"
#include "vvc/picture/rounding.h"
#include "vvc/residual/lanes/write_32x32_lanes.h"
#include "vvc/residual/scan.h"
#include "vvc/slice/encoder_stream.h"
#include "vvc/slice/slice_syntax.h"
#include "vvc/spectral/spectral_readback.h"
#include "vvc/spectral/strip_qp_message.h"
#include "vvc/trellis/averaged_contexts.h"
#include "vvc/trellis/trellis.h"
#include "vvc/trellis/trellis_batch.h"

namespace llmcodec::vvc {
namespace {

constexpr int kBlockSide = 32;
constexpr int kBlockSamples = kBlockSide * kBlockSide;
// Samples at 10 bits by which a block's mean may leave mid-grey: a quarter of what a pixel deviation of 27
// (2.3 bits) leaves on either side at 8 deviations. Smaller steers more often, at about 20 bits a time.
constexpr int kSteerThreshold = 64;

int32_t to_fixed(float value) {
  constexpr float kLimit = 1 << 22;  // far beyond the largest level, far below overflow
  return round_to_even(double{std::clamp(value, -kLimit, kLimit) * (1 << kCoefficientFraction)});
}

// Without the weights that become outliers at any QP, lest one of them should silence all others.
LLMC_WIDER_VECTORS
double rms(std::span<const float> values) {
  constexpr float kMonster = 512;
  constexpr size_t kLanes = 32;  // partial sums: none waits for the one before. A strip is a multiple of 32
  double squares[kLanes] = {};
  for (size_t i = 0; i < values.size(); i += kLanes) {
    for (size_t k = 0; k < kLanes; ++k) {
      const double value = std::abs(values[i + k]) < kMonster ? values[i + k] : 0;
      squares[k] += value * value;
    }
  }
  return std::sqrt(std::accumulate(squares, squares + kLanes, 0.0) / static_cast<double>(values.size()));
}

// Position of the first value that is not finite; their number if all are.
size_t first_not_finite(std::span<const float> values) {
  if (all_finite(values)) return values.size();
  const auto is_finite = [](float value) { return std::isfinite(value); };
  return static_cast<size_t>(std::find_if_not(values.begin(), values.end(), is_finite) - values.begin());
}

// One block under construction.
struct BlockWork {
  std::span<const int32_t> input;      // scan positions 0..K, fixed point
  std::vector<int32_t> scanned;        // levels in scan order
  int final_state = 0;                 // of the trellis, before position 0
  int32_t levels[kBlockSamples] = {};  // in raster order, filled for traces only
  int last = -1;
  alignas(32) uint16_t prediction[kBlockSamples];
  alignas(64) int16_t residual[kBlockSamples];
  int prediction_sum = 0;
};

}  // namespace

struct SpectralEncoder::State {
  State(const SpectralFormat& format_in, const SpectralOptions& options, EncoderStream stream_in);

  void set_qp(int qp);
  Status begin_strip(const StripEncoding& next);
  bool begin_block();
  void end_block();
  void search_batch();
  void choose_block(std::span<const float> coefficients, std::vector<uint32_t>& outliers);
  void predict();
  void choose_levels(bool steer);
  void fill_raster();
  bool reconstructs_inside();
  void drop_until_inside(std::span<const float> coefficients, std::vector<uint32_t>& outliers);
  void check_readback(std::vector<uint32_t>& outliers);

  // What SliceSyntax asks while it writes; the block was decided before.
  Split split(const CodingNode&, const AllowedSplits&) { return Split::kNone; }
  void coding_unit(CodingUnit& cu) {
    cu.mode = kIntraDc;
    cu.qp = strip_qp.back();
  }
  void transform_unit(const CodingUnit&, TransformUnit& tu) {
    if (trace != nullptr) fill_raster();
    tu.levels = block.levels;
    tu.last = block.last;
    tu.coded = block.last >= 0;
  }
  // Levels come last in a block's syntax, so they can wait: until between begin_block() and end_block().
  ResidualInfo code_residual(CabacEncoder&, const TransformBlock&) const {
    return {.last_scan_position = block.last};
  }
  void finish(const CodingUnit& cu, const TransformUnit& tu);
  void element(const char* name, int value) {
    if (trace != nullptr) trace->element(name, value);
  }

  SpectralFormat format;
  EncoderStream stream;
  CabacEncoder cabac;
  AveragedContexts prices{cabac.contexts()};
  BatchTrellis batch;
  std::vector<int32_t> batch_input, batch_levels;  // blocks of positions 0..K
  TrellisResult batch_results[BatchTrellis::kMaxBlocks];
  uint32_t batch_first = 0, batch_end = 0;  // blocks of the strip
  // Doubles up to kMaxBlocks: the models, and so the prices, change fast in the first blocks.
  uint32_t batch_size = 1;
  Trellis trellis;  // for blocks that lose weights
  Scaler scaler;
  Residual32x32 residual_of{scaler, format.bit_depth};
  const ScanOrder& scan = scan_order(5, 5);
  Plane picture;
  CuMap cu_map;
  ReferenceSamples references;
  BlockWork block;
  std::vector<int> strip_qp;  // of the strips begun
  int32_t probe = 1;          // a level that scales without clipping, to learn the step from
  SpectralReadback readback{1, 10};
  TraceSink* trace;
  SliceParameters parameters;
  SliceSyntax<CabacEncoder, State> syntax;
  uint32_t strip = 0;
  StripEncoding work;                   // the strip that is being coded
  uint32_t bx = 0;                      // its next block
  std::vector<uint32_t> of_block = {};  // outliers of that block
};

SpectralEncoder::State::State(const SpectralFormat& format_in, const SpectralOptions& options,
                              EncoderStream stream_in)
    : format(format_in),
      stream(std::move(stream_in)),
      cabac(initial_contexts(format.qp)),
      batch(5, 5, {.lambda = options.lambda}),
      trellis(5, 5, {.lambda = options.lambda}),
      scaler(format.qp + 6 * (format.bit_depth - 8), format.bit_depth, 5, 5),
      picture(format.width(), format.height()),
      cu_map(static_cast<int>(format.width()), static_cast<int>(format.height())),
      trace(options.trace),
      parameters(slice_parameters(stream.sps(), stream.pps(), SliceHeader{})),
      syntax(cabac, parameters, cu_map, *this) {
  syntax.start_substream();
  batch_input.resize(size_t{BatchTrellis::kMaxBlocks} * (format.coefficients + 1));
  batch_levels.resize(batch_input.size());
  block.scanned.resize(format.coefficients + 1);
}

void SpectralEncoder::State::set_qp(int qp) {
  const bool is_known = !strip_qp.empty() && strip_qp.back() == qp;
  strip_qp.push_back(qp);
  if (is_known) return;  // what follows makes tables, and most strips are alike
  scaler = Scaler(qp + 6 * (format.bit_depth - 8), format.bit_depth, 5, 5);
  residual_of = Residual32x32(scaler, format.bit_depth);
  for (probe = 1024; probe > 1 && scaler(probe) == 32767;) probe /= 2;
  readback = SpectralReadback(static_cast<double>(scaler(probe)) / probe, format.bit_depth);
}

void SpectralEncoder::State::predict() {
  const PredictionBlock place{.x = static_cast<int>(bx * kBlockSide),
                              .y = static_cast<int>(strip * kBlockSide)};
  const NeighbourScope scope{.map = &cu_map, .slice = 1, .right_limit = static_cast<int>(format.width())};
  references.fetch(picture.view(), scope, place, format.bit_depth);
  predict_intra(references, kIntraDc, format.bit_depth, {block.prediction, kBlockSide, kBlockSide});
  block.prediction_sum = std::accumulate(block.prediction, block.prediction + kBlockSamples, 0);
}

// Position 0 of the trellis's levels: zero, or the level that brings the block's mean back to mid-grey.
void SpectralEncoder::State::choose_levels(bool steer) {
  block.scanned[0] = 0;
  if (steer) {
    // In units of transform coefficients: the mean's distance times 32 (orthonormal) and 2^(10 - depth).
    const int64_t excess = (int64_t{1} << (format.bit_depth - 1)) * kBlockSamples - block.prediction_sum;
    const int64_t coefficient = (excess << (10 - format.bit_depth)) / kBlockSide;
    constexpr int64_t kLargest = 32765;
    const int64_t steps = std::clamp(coefficient * probe / scaler(probe), -kLargest, kLargest);
    block.scanned[0] = nearest_level(static_cast<int32_t>(steps << kCoefficientFraction), block.final_state);
  }
  block.last = static_cast<int>(block.scanned.size()) - 1;
  while (block.last >= 0 && block.scanned[static_cast<size_t>(block.last)] == 0) --block.last;
}

void SpectralEncoder::State::fill_raster() {
  std::fill(block.levels, block.levels + kBlockSamples, 0);
  for (int n = 0; n <= block.last; ++n) block.levels[scan[n].raster] = block.scanned[static_cast<size_t>(n)];
}

// True if no sample of the reconstruction needs clipping.
bool SpectralEncoder::State::reconstructs_inside() {
  residual_of(block.scanned.data(), block.last, block.residual);
  const int largest = (1 << format.bit_depth) - 1;
  int low = largest, high = 0;
  for (int i = 0; i < kBlockSamples; ++i) {
    const int sample = block.prediction[i] + block.residual[i];
    low = std::min(low, sample);
    high = std::max(high, sample);
  }
  return low >= 0 && high <= largest;
}

// Takes the largest weights out, twice as many each time, until the block fits; an empty block always does.
void SpectralEncoder::State::drop_until_inside(std::span<const float> coefficients,
                                               std::vector<uint32_t>& outliers) {
  std::vector<uint32_t> order(coefficients.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::abs(coefficients[a]) > std::abs(coefficients[b]);
  });
  std::vector<int32_t> input(block.input.begin(), block.input.end());
  trellis.set_rates(cabac.contexts());
  size_t dropped = 0;
  for (size_t step = 1; dropped < order.size(); step *= 2) {
    for (size_t end = std::min(dropped + step, order.size()); dropped < end; ++dropped)
      input[order[dropped] + 1] = 0;
    block.final_state = trellis.quantize(input, block.scanned).final_state;
    choose_levels(dropped < order.size());
    if (reconstructs_inside()) break;
  }
  outliers.assign(order.begin(), order.begin() + static_cast<ptrdiff_t>(dropped));
}

// Weights that a reader of the picture would take for others join the outliers.
void SpectralEncoder::State::check_readback(std::vector<uint32_t>& outliers) {
  if (block.last < 0) return;
  if (readback.is_safe(block.residual, block.scanned.data(), format.coefficients)) return;
  std::vector<uint32_t> positions;
  readback.find_misread(block.residual, block.scanned.data(), format.coefficients, positions);
  for (uint32_t position : positions) outliers.push_back(position - 1);
}

void SpectralEncoder::State::finish(const CodingUnit& cu, const TransformUnit& tu) {
  if (trace != nullptr) trace_transform_unit(*trace, cu, tu);
  const MutablePlaneView out =
      picture.view().block(static_cast<size_t>(tu.y), static_cast<size_t>(tu.x), kBlockSide, kBlockSide);
  for (size_t y = 0; y < kBlockSide; ++y)
    for (size_t x = 0; x < kBlockSide; ++x)
      out.at(y, x) =
          static_cast<uint16_t>(block.prediction[y * kBlockSide + x] + block.residual[y * kBlockSide + x]);
}

// Settles a block whose levels the trellis has found: block.input, block.scanned, block.final_state.
void SpectralEncoder::State::choose_block(std::span<const float> coefficients,
                                          std::vector<uint32_t>& outliers) {
  outliers.clear();
  predict();
  const int off_grey = block.prediction_sum / kBlockSamples - (1 << (format.bit_depth - 1));
  const bool steer = std::abs(off_grey) << (10 - format.bit_depth) > kSteerThreshold;
  choose_levels(steer);
  bool inside = reconstructs_inside();
  if (!inside && !steer) {
    choose_levels(true);
    inside = reconstructs_inside();
  }
  if (!inside) drop_until_inside(coefficients, outliers);
  check_readback(outliers);
  std::sort(outliers.begin(), outliers.end());
  outliers.erase(std::unique(outliers.begin(), outliers.end()), outliers.end());
}

// The next blocks of the strip, at most kMaxBlocks of them. All are searched before the first is written,
// with the prices of that moment.
void SpectralEncoder::State::search_batch() {
  const size_t weights = format.coefficients;
  batch_first = bx;
  batch_end = std::min(bx + batch_size, format.blocks_x);
  const size_t blocks = batch_end - batch_first;
  for (size_t b = 0; b < blocks; ++b) {
    int32_t* input = &batch_input[b * (weights + 1)];
    const float* from = &work.coefficients[(batch_first + b) * weights];
    input[0] = 0;
    for (size_t k = 0; k < weights; ++k) input[k + 1] = to_fixed(from[k]);
  }
  batch.set_rates(prices.contexts());
  batch.quantize(std::span(batch_input).first(blocks * (weights + 1)), static_cast<int>(weights) + 1,
                 std::span(batch_levels).first(blocks * (weights + 1)), std::span(batch_results, blocks));
  batch_size = std::min<uint32_t>(2 * batch_size, BatchTrellis::kMaxBlocks);
}

Status SpectralEncoder::State::begin_strip(const StripEncoding& next) {
  const uint64_t size = format.strip_coefficients();
  if (next.coefficients.size() != size || next.indices.size() != size)
    return error(ErrorKind::kInvalidArgument, "strip of {} weights and {} indices, not {}",
                 next.coefficients.size(), next.indices.size(), size);
  if (strip == format.blocks_y)
    return error(ErrorKind::kInvalidArgument, "more than the picture's {} strips", format.blocks_y);
  if (const size_t i = first_not_finite(next.coefficients); i < size)
    return error(ErrorKind::kInvalidArgument, "weight {} of strip {} is not finite", i, strip);
  set_qp(format.bit_depth == 10 ? spectral_strip_qp(format, rms(next.coefficients)) : format.qp);
  work = {next.encoder, next.coefficients, next.indices, next.outliers};
  bx = batch_end = 0;
  return Status::ok();
}

// The next block up to its levels, if it has any: the caller then has them written.
bool SpectralEncoder::State::begin_block() {
  if (bx == batch_end) search_batch();
  const size_t weights = format.coefficients, at = (bx - batch_first) * (weights + 1);
  const auto levels = std::span(batch_levels).subspan(at, weights + 1);
  block.input = std::span(batch_input).subspan(at, weights + 1);
  block.final_state = batch_results[bx - batch_first].final_state;
  std::copy(levels.begin(), levels.end(), block.scanned.begin());
  choose_block(work.coefficients.subspan(bx * weights, weights), of_block);
  syntax.coding_tree_unit(static_cast<int>(bx), static_cast<int>(strip));
  return block.last >= 0;
}

void SpectralEncoder::State::end_block() {
  prices.add(cabac.contexts());
  const size_t first = size_t{bx} * format.coefficients;
  std::copy(block.scanned.begin() + 1, block.scanned.end(),
            work.indices.begin() + static_cast<ptrdiff_t>(first));
  if (work.outliers != nullptr)
    for (uint32_t position : of_block) work.outliers->push_back(static_cast<uint32_t>(first + position));
  strip += static_cast<uint32_t>(++bx == format.blocks_x);
}

SpectralEncoder::SpectralEncoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
SpectralEncoder::~SpectralEncoder() = default;
SpectralEncoder::SpectralEncoder(SpectralEncoder&&) noexcept = default;
SpectralEncoder& SpectralEncoder::operator=(SpectralEncoder&&) noexcept = default;

Result<SpectralEncoder> SpectralEncoder::create(const SpectralFormat& format,
                                                const SpectralOptions& options) {
  LLMC_RETURN_IF_ERROR(check(format));
  if (!(options.lambda > 0 && options.lambda <= 1000))
    return error(ErrorKind::kInvalidArgument, "lambda is {}, not in (0, 1000]", options.lambda);
  LLMC_ASSIGN_OR_RETURN(EncoderStream stream,
                        EncoderStream::start(spectral_sps(format), spectral_pps(format), options.trace));
  LLMC_RETURN_IF_ERROR(stream.begin_slice(SliceHeader{}));
  return SpectralEncoder(std::make_unique<State>(format, options, std::move(stream)));
}

void SpectralEncoder::encode_strips(std::span<StripEncoding> strips) {
  std::vector<State*> at_work;
  for (StripEncoding& strip : strips) {
    strip.status = strip.encoder->state_->begin_strip(strip);
    if (strip.status.is_ok()) at_work.push_back(strip.encoder->state_.get());
  }
  std::vector<LaneOutput> due;
  while (!at_work.empty()) {
    due.clear();
    for (State* s : at_work)
      if (s->begin_block()) due.push_back({&s->cabac, s->block.scanned.data(), s->block.last});
    encode_residuals_in_scan_order(due);
    for (State* s : at_work) s->end_block();
    std::erase_if(at_work, [](const State* s) { return s->bx == s->format.blocks_x; });
  }
}

PlaneView SpectralEncoder::reconstruction() const {
  return state_->picture.view();
}

Result<std::vector<std::byte>> SpectralEncoder::finish() {
  State& s = *state_;
  if (s.strip != s.format.blocks_y)
    return error(ErrorKind::kInvalidArgument, "{} of {} strips coded", s.strip, s.format.blocks_y);
  s.cabac.terminate(1);  // end_of_slice_one_bit
  s.stream.end_slice(s.cabac.finish());
  if (std::ranges::any_of(s.strip_qp, [&](int qp) { return qp != s.format.qp; }))
    s.stream.add_suffix_sei(strip_qp_message(s.strip_qp, s.trace));
  return s.stream.take();
}

}  // namespace llmcodec::vvc

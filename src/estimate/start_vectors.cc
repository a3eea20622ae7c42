// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/start_vectors.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "quant/tensor_row_reader.h"

namespace llmcodec {
namespace {

constexpr size_t kSequences = kEstimateTokens / kContext;
constexpr size_t kPatchesAcross = 8;
static_assert(kPatchesAcross * kPatchesAcross == kContext);

// Of values that are spread evenly over -1 to 1.
constexpr double kSignalEnergy = 1.0 / 3;
// The share of a picture's energy in which its colours differ.
constexpr double kColourShare = 0.1;

float size_of(double energy) {
  return static_cast<float>(std::sqrt(energy));
}

// Row after row of a table, to the tokens that it is for.
class RowAdder {
 public:
  RowAdder(const TensorSource& source, size_t tensor, uint64_t width)
      : rows_(source.tensors()[tensor].elements() / width),
        reader_(source, tensor, {1, rows_, width}, 0),
        row_(width) {}

  uint64_t rows() const { return rows_; }

  Status add(uint64_t row, size_t token, size_t step, Vectors* hidden) {
    LLMC_RETURN_IF_ERROR(reader_.read_rows(row, {row_.data(), 1, row_.size()}));
    for (size_t n = token; n < kEstimateTokens; n += step)
      for (size_t r = 0; r < row_.size(); ++r) hidden->view().at(r, n) += row_[r];
    return Status::ok();
  }

 private:
  uint64_t rows_;
  TensorRowReader reader_;
  std::vector<float> row_;
};

// Each sequence begins at the table's first row.
Status add_first_positions(const TensorSource& source, size_t tensor, Vectors* hidden) {
  RowAdder adder(source, tensor, hidden->rows());
  for (size_t t = 0; t < std::min<uint64_t>(kContext, adder.rows()); ++t)
    LLMC_RETURN_IF_ERROR(adder.add(t, t, kContext, hidden));
  return Status::ok();
}

// Each sequence goes on where the one before has ended, so that all of a picture's or a sound's positions have their
// turn. The first row is that of the first token where there is one.
Status add_all_positions(const TensorSource& source, size_t tensor, bool first_token, Vectors* hidden) {
  RowAdder adder(source, tensor, hidden->rows());
  const size_t first = first_token ? 1 : 0;
  if (adder.rows() <= first) return Status::ok();
  size_t patch = 0;
  for (size_t n = 0; n < kEstimateTokens; ++n) {
    const bool is_first = first_token && n % kContext == 0;
    const uint64_t row = is_first ? 0 : first + patch++ % (adder.rows() - first);
    LLMC_RETURN_IF_ERROR(adder.add(row, n, kEstimateTokens, hidden));
  }
  return Status::ok();
}

Result<Vectors> look_up_tokens(const TensorSource& source, const ModelGraph& graph) {
  Vectors hidden(graph.width);
  const std::vector<uint64_t> ids = draw_tokens(graph.tokens);
  TensorRowReader reader(source, *graph.embedding, {1, graph.tokens, graph.width}, 0);
  std::vector<float> row(graph.width);
  const auto factor = static_cast<float>(graph.embedding_factor);
  for (size_t n = 0; n < ids.size(); ++n) {
    LLMC_RETURN_IF_ERROR(reader.read_rows(ids[n], {row.data(), 1, row.size()}));
    for (size_t r = 0; r < row.size(); ++r) hidden.view().at(r, n) = factor * row[r];
  }
  return hidden;
}

Result<Vectors> embed_patches(const TensorSource& source, const SignalStart& signal,
                              LinearProducts* products) {
  LLMC_ASSIGN_OR_RETURN(Vectors hidden, products->forward(signal.convolutions.front(),
                                                          draw_patches(signal.channels, signal.side)));
  if (!signal.first_token) return hidden;
  for (size_t r = 0; r < hidden.rows(); ++r)
    for (size_t n = 0; n < kEstimateTokens; n += kContext) hidden.view().at(r, n) = 0;
  RowAdder adder(source, *signal.first_token, hidden.rows());
  LLMC_RETURN_IF_ERROR(adder.add(0, 0, kContext, &hidden));
  return hidden;
}

// For each token what a convolution reads: of each channel the token's neighbours, or the last token again beyond the
// ends of its sequence. A stride only skips tokens, which changes nothing of what one of them looks like.
Vectors neighbours(const Vectors& channels, size_t taps) {
  Vectors out(channels.rows() * taps);
  const auto last = static_cast<std::ptrdiff_t>(kContext) - 1, before = static_cast<std::ptrdiff_t>(taps / 2);
  for (size_t r = 0; r < out.rows(); ++r) {
    const std::span<const float> from = channels.view().row(r / taps);
    const std::span<float> to = out.view().row(r);
    for (size_t n = 0; n < to.size(); ++n) {
      const auto at = static_cast<std::ptrdiff_t>(n % kContext + r % taps) - before;
      to[n] = from[n - n % kContext + static_cast<size_t>(std::clamp<std::ptrdiff_t>(at, 0, last))];
    }
  }
  return out;
}

Result<Vectors> embed_sound(const ModelGraph& graph, LinearProducts* products) {
  Vectors hidden = draw_sound(graph.signal->channels);
  for (const Linear& convolution : graph.signal->convolutions) {
    LLMC_ASSIGN_OR_RETURN(const Vectors sums,
                          products->forward(convolution, neighbours(hidden, graph.signal->side)));
    hidden = Vectors(sums.rows());
    for (size_t r = 0; r < sums.rows(); ++r)
      activate(graph.architecture.activation, {}, sums.view().row(r), hidden.view().row(r));
  }
  return hidden;
}

}  // namespace

OwnedMatrix<float> draw_octaves(size_t rows, size_t cols, uint64_t seed) {
  OwnedMatrix<float> plane(rows, cols);
  std::mt19937_64 generator(seed);
  size_t octaves = 1;
  while ((size_t{1} << octaves) <= std::max(rows, cols)) ++octaves;
  const float amplitude = size_of(1.0 / static_cast<double>(octaves));
  for (size_t side = 1, o = 0; o < octaves; side *= 2, ++o) {
    for (size_t top = 0; top < rows; top += side) {
      for (size_t left = 0; left < cols; left += side) {
        const float value = (generator() & 1) != 0 ? amplitude : -amplitude;
        for (size_t y = top; y < std::min(rows, top + side); ++y)
          for (size_t x = left; x < std::min(cols, left + side); ++x) plane.view().at(y, x) += value;
      }
    }
  }
  return plane;
}

Vectors draw_patches(uint64_t colours, uint64_t side) {
  Vectors patches(colours * side * side);
  const size_t pixels = kPatchesAcross * side;
  const float common = size_of(kSignalEnergy * (1 - kColourShare)),
              own = size_of(kSignalEnergy * kColourShare);
  for (size_t s = 0; s < kSequences; ++s) {
    const uint64_t seed = 1 + s * (colours + 1);
    const OwnedMatrix<float> grey = draw_octaves(pixels, pixels, seed);
    for (size_t c = 0; c < colours; ++c) {
      const OwnedMatrix<float> colour = draw_octaves(pixels, pixels, seed + 1 + c);
      for (size_t i = 0; i < side * side; ++i) {
        for (size_t t = 0; t < kContext; ++t) {
          const size_t y = t / kPatchesAcross * side + i / side, x = t % kPatchesAcross * side + i % side;
          patches.view().at(c * side * side + i, s * kContext + t) =
              common * grey.view().at(y, x) + own * colour.view().at(y, x);
        }
      }
    }
  }
  return patches;
}

Vectors draw_sound(uint64_t values) {
  Vectors sound(values);
  const float size = size_of(kSignalEnergy);
  for (size_t s = 0; s < kSequences; ++s) {
    const OwnedMatrix<float> spectrum = draw_octaves(values, kContext, s + 1);
    for (size_t r = 0; r < values; ++r)
      for (size_t t = 0; t < kContext; ++t)
        sound.view().at(r, s * kContext + t) = size * spectrum.view().at(r, t);
  }
  return sound;
}

Result<Vectors> start_vectors(const TensorSource& source, const ModelGraph& graph, LinearProducts* products) {
  Vectors hidden(0);
  if (graph.embedding) {
    LLMC_ASSIGN_OR_RETURN(hidden, look_up_tokens(source, graph));
    if (graph.positions) LLMC_RETURN_IF_ERROR(add_first_positions(source, *graph.positions, &hidden));
    if (!graph.types) return hidden;
    RowAdder types(source, *graph.types, graph.width);
    LLMC_RETURN_IF_ERROR(types.add(0, 0, 1, &hidden));
    return hidden;
  }
  if (graph.query) {
    hidden = Vectors(graph.width);
    RowAdder query(source, *graph.query, graph.width);
    LLMC_RETURN_IF_ERROR(query.add(0, 0, 1, &hidden));
    return hidden;
  }
  if (graph.architecture.start == Start::kPatches) {
    LLMC_ASSIGN_OR_RETURN(hidden, embed_patches(source, *graph.signal, products));
  } else {
    LLMC_ASSIGN_OR_RETURN(hidden, embed_sound(graph, products));
  }
  if (graph.positions)
    LLMC_RETURN_IF_ERROR(
        add_all_positions(source, *graph.positions, graph.signal->first_token.has_value(), &hidden));
  return hidden;
}

}  // namespace llmcodec

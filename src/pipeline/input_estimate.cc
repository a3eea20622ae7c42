// SPDX-License-Identifier: BSD-3-Clause
#include "pipeline/input_estimate.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "base/checked_math.h"
#include "pipeline/llama_graph.h"
#include "pipeline/ordered_run.h"
#include "pipeline/owned_matrix.h"
#include "pipeline/tensor_job.h"
#include "quant/portable_math.h"
#include "quant/subtract_product.h"
#include "quant/tensor_names.h"

namespace llmcodec {
namespace {

// A column per token; rows are the elements of their vectors.
using Vectors = OwnedMatrix<float>;

constexpr size_t kContext = 16;  // tokens that attention averages over; a new sequence begins after so many
constexpr float kEpsilon = 1e-5F;

// Ids with the Zipf-Mandelbrot law 1 / (id + 500), by inverting its distribution function.
std::vector<uint64_t> draw_tokens(uint64_t tokens) {
  constexpr double kOffset = 500;
  const double octaves = portable_log2((static_cast<double>(tokens) + kOffset) / kOffset);
  std::mt19937_64 generator(1);
  std::vector<uint64_t> ids(kEstimateTokens);
  for (uint64_t& id : ids) {
    const double uniform = static_cast<double>(generator() >> 11) * 0x1p-53;
    const double drawn = kOffset * portable_exp2(uniform * octaves) - kOffset;
    id = std::min(tokens - 1, static_cast<uint64_t>(std::max(0.0, drawn)));
  }
  return ids;
}

// x / (1 + exp(-x)), by a rational approximation of tanh(x / 2) that is right to 1e-4.
float silu(float x) {
  const float y = std::clamp(x / 2, -4.97F, 4.97F), y2 = y * y;
  const float top = y * (135135 + y2 * (17325 + y2 * (378 + y2)));
  const float bottom = 135135 + y2 * (62370 + y2 * (3150 + y2 * 28));
  return x * (1 + top / bottom) / 2;
}

// Adds each token's share of its change.
void add(const Vectors& change, std::span<const float> shares, Vectors* sum) {
  for (size_t r = 0; r < change.view().rows; ++r) {
    const std::span<const float> from = change.view().row(r);
    const std::span<float> to = sum->view().row(r);
    for (size_t n = 0; n < to.size(); ++n) to[n] += shares[n] * from[n];
  }
}

Vectors gated(const Vectors& gate, const Vectors& up) {
  Vectors product(up.view().rows, up.view().cols);
  for (size_t i = 0; i < product.view().size(); ++i)
    product.view().data[i] = silu(gate.view().data[i]) * up.view().data[i];
  return product;
}

// Each sequence's running mean: position t sees tokens 0..t.
void average_over_context(Vectors* values) {
  for (size_t r = 0; r < values->view().rows; ++r) {
    const std::span<float> row = values->view().row(r);
    for (size_t first = 0; first < row.size(); first += kContext) {
      float sum = 0;
      for (size_t t = 0; t < kContext; ++t) {
        sum += row[first + t];
        row[first + t] = sum / static_cast<float>(t + 1);
      }
    }
  }
}

// Several query heads share one head of values.
Vectors repeat_heads(const Vectors& values, const LlamaGraph& graph) {
  Vectors repeated(graph.heads * graph.head_width, kEstimateTokens);
  for (size_t r = 0; r < repeated.view().rows; ++r) {
    const size_t head = r / graph.head_width * graph.kv_heads / graph.heads;
    std::ranges::copy(values.view().row(head * graph.head_width + r % graph.head_width),
                      repeated.view().row(r).begin());
  }
  return repeated;
}

// Turns a router's logits into each token's weights for the experts: softmax over its two best, nothing for
// the others. (How many a model really takes matters little: every expert's moments are taken over all
// tokens.)
void keep_two_best(Vectors* logits) {
  const auto all = logits->view();
  for (size_t n = 0; n < all.cols; ++n) {
    const auto best_but = [&](size_t other) {
      size_t best = other == 0 ? 1 : 0;
      for (size_t e = 0; e < all.rows; ++e) {
        if (e != other && all.at(e, n) > all.at(best, n)) best = e;
      }
      return best;
    };
    const size_t first = best_but(all.rows), second = all.rows > 1 ? best_but(first) : first;
    const double ahead = std::min(60.0F, all.at(first, n) - all.at(second, n));
    const auto share = static_cast<float>(1 / (1 + portable_exp2(-ahead * std::numbers::log2e)));
    for (size_t e = 0; e < all.rows; ++e) all.at(e, n) = 0;
    all.at(first, n) += share;
    all.at(second, n) += 1 - share;
  }
}

class NoisePass {
 public:
  NoisePass(const Model& model, const LlamaGraph& graph, unsigned threads)
      : source_(*model.source), graph_(graph), threads_(threads), hidden_(graph.width, kEstimateTokens) {}

  Status run(const std::function<Status(uint64_t)>& layer_done) {
    LLMC_RETURN_IF_ERROR(look_up_tokens());
    for (const LlamaLayer& layer : graph_.layers) {
      LLMC_RETURN_IF_ERROR(attend(layer));
      LLMC_RETURN_IF_ERROR(feed_forward(layer));
      LLMC_RETURN_IF_ERROR(layer_done(weights_read_));
      weights_read_ = 0;
    }
    LLMC_ASSIGN_OR_RETURN(const Vectors last, normalized(graph_.final_norm));
    record(graph_.head, last);
    return Status::ok();
  }

  // Empty when something in the model is not finite.
  std::optional<Importance> result() && {
    return finite_ ? std::optional(std::move(importance_)) : std::nullopt;
  }

 private:
  Result<std::vector<float>> vector(size_t tensor) const {
    std::vector<float> values(source_.tensors()[tensor].elements());
    LLMC_RETURN_IF_ERROR(source_.read_f32(tensor, 0, values));
    return values;
  }

  Status look_up_tokens() {
    const std::vector<uint64_t> ids = draw_tokens(graph_.tokens);
    TensorRowReader reader(source_, graph_.embedding, {1, graph_.tokens, graph_.width}, 0);
    std::vector<float> row(graph_.width);
    for (size_t n = 0; n < ids.size(); ++n) {
      LLMC_RETURN_IF_ERROR(reader.read_rows(ids[n], {row.data(), 1, row.size()}));
      for (size_t r = 0; r < row.size(); ++r) hidden_.view().at(r, n) = row[r];
    }
    return Status::ok();
  }

  // RMSNorm of the hidden vectors.
  Result<Vectors> normalized(size_t norm) const {
    LLMC_ASSIGN_OR_RETURN(const std::vector<float> gains, vector(norm));
    std::vector<float> energy(kEstimateTokens, 0.0F);
    for (size_t r = 0; r < graph_.width; ++r) {
      const std::span<const float> row = hidden_.view().row(r);
      for (size_t n = 0; n < row.size(); ++n) energy[n] += row[n] * row[n];
    }
    for (float& e : energy) e = 1 / std::sqrt(e / static_cast<float>(graph_.width) + kEpsilon);
    Vectors out(graph_.width, kEstimateTokens);
    for (size_t r = 0; r < graph_.width; ++r) {
      for (size_t n = 0; n < kEstimateTokens; ++n)
        out.view().at(r, n) = hidden_.view().at(r, n) * energy[n] * gains[r];
    }
    return out;
  }

  // weight (rows x cols) times vectors (cols x tokens), blocks of rows in parallel.
  Result<Vectors> product(const MatrixRef& weight, const Vectors& vectors) {
    const MatrixShape shape = *matrix_shape(source_.tensors()[weight.tensor].shape);
    TensorRowReader reader(source_, weight.tensor, shape, weight.matrix);
    Vectors out(shape.rows, kEstimateTokens);
    // Two blocks a thread at least: a small matrix is no larger than one block of the default size.
    const size_t step = std::max<size_t>(
        1, std::min(kDefaultBlockWeights / shape.cols, ceil_div(shape.rows, 2 * thread_count(threads_))));
    LLMC_RETURN_IF_ERROR(for_all(threads_, ceil_div(shape.rows, step), [&](size_t b) -> Status {
      const size_t first = b * step, rows = std::min<size_t>(step, shape.rows - first);
      OwnedMatrix<float> block(rows, shape.cols);
      LLMC_RETURN_IF_ERROR(reader.read_rows(first, block.view()));
      for (float& w : std::span(block.view().data, block.view().size())) w = -w;
      subtract_product(out.view().block(first, 0, rows, kEstimateTokens),
                       Coefficients<float>{block.view().data, shape.cols, 1}, vectors.view());
      return Status::ok();
    }));
    weights_read_ += shape.rows * shape.cols;
    return out;
  }

  void record(size_t tensor, const Vectors& inputs) {
    std::vector<float> moments(inputs.view().rows);
    for (size_t r = 0; r < moments.size(); ++r) {
      double sum = 0;
      for (const float x : inputs.view().row(r)) sum += double{x} * x;
      moments[r] = static_cast<float>(sum / kEstimateTokens);
      finite_ = finite_ && std::isfinite(moments[r]);
    }
    importance_.append(gguf_name(source_.tensors()[tensor].name)->name, moments);
  }

  Status attend(const LlamaLayer& layer) {
    LLMC_ASSIGN_OR_RETURN(const Vectors inputs, normalized(layer.attention_norm));
    for (const size_t reader : layer.attention_inputs) record(reader, inputs);
    LLMC_ASSIGN_OR_RETURN(Vectors values, product(layer.value, inputs));
    if (layer.value_bias) {
      LLMC_ASSIGN_OR_RETURN(const std::vector<float> bias, vector(*layer.value_bias));
      for (size_t r = 0; r < bias.size(); ++r) {
        for (float& v : values.view().row(r)) v += bias[r];
      }
    }
    average_over_context(&values);
    const Vectors attended = repeat_heads(values, graph_);
    record(layer.output.tensor, attended);
    LLMC_ASSIGN_OR_RETURN(const Vectors change, product(layer.output, attended));
    add(change, all_, &hidden_);
    return Status::ok();
  }

  Result<Vectors> pass(const GatedFeedForward& part, const Vectors& inputs) {
    record(part.gate.tensor, inputs);
    record(part.up.tensor, inputs);
    LLMC_ASSIGN_OR_RETURN(const Vectors gate, product(part.gate, inputs));
    LLMC_ASSIGN_OR_RETURN(const Vectors up, product(part.up, inputs));
    const Vectors middle = gated(gate, up);
    record(part.down.tensor, middle);
    return product(part.down, middle);
  }

  Status feed_forward(const LlamaLayer& layer) {
    LLMC_ASSIGN_OR_RETURN(const Vectors inputs, normalized(layer.feed_forward_norm));
    Vectors shares(layer.experts.size(), kEstimateTokens);
    if (layer.router) {
      record(layer.router->tensor, inputs);
      LLMC_ASSIGN_OR_RETURN(shares, product(*layer.router, inputs));
      keep_two_best(&shares);
    } else {
      std::ranges::copy(all_, shares.view().row(0).begin());
    }
    for (size_t e = 0; e < layer.experts.size(); ++e) {
      LLMC_ASSIGN_OR_RETURN(const Vectors change, pass(layer.experts[e], inputs));
      add(change, shares.view().row(e), &hidden_);
    }
    if (layer.shared) {
      LLMC_ASSIGN_OR_RETURN(const Vectors change, pass(*layer.shared, inputs));
      add(change, all_, &hidden_);
    }
    return Status::ok();
  }

  const TensorSource& source_;
  const LlamaGraph& graph_;
  unsigned threads_;
  Vectors hidden_;
  const std::vector<float> all_ = std::vector<float>(kEstimateTokens, 1.0F);  // every token's whole share
  Importance importance_;
  bool finite_ = true;
  uint64_t weights_read_ = 0;
};

}  // namespace

Result<InputEstimate> estimate_inputs(const Model& model, unsigned threads,
                                      const std::function<Status(uint64_t weights)>& layer_done) {
  LLMC_ASSIGN_OR_RETURN(const LlamaSearch search, find_llama_graph(model));
  if (!search.graph) return InputEstimate{std::nullopt, search.why_not};
  NoisePass pass(model, *search.graph, threads);
  LLMC_RETURN_IF_ERROR(pass.run(layer_done));
  std::optional<Importance> importance = std::move(pass).result();
  if (!importance) return InputEstimate{std::nullopt, "some weights are not finite"};
  return InputEstimate{std::move(importance), {}};
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/moment_estimate.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/checked_math.h"
#include "base/ordered_run.h"
#include "estimate/llama_graph.h"
#include "estimate/noise_vectors.h"
#include "quant/subtract_product.h"
#include "quant/tensor_names.h"
#include "quant/tensor_row_reader.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

constexpr float kEpsilon = 1e-5F;

// A matrix product and, where asked for, per column of the matrix the sum of its squares: what the matrix
// does to the energy of white noise on its way back.
struct Product {
  Vectors vectors;
  std::vector<double> column_energy;
};
enum class ColumnEnergy { kNone, kSums };

// What is kept of a feed-forward part until the block's end, when it is known how much each token matters.
struct FeedForwardTrace {
  const GatedFeedForward* part;
  Vectors middle;                // inputs of `down`
  std::vector<double> gate, up;  // per token: energy that white noise at the end has at the gates' outputs
};

class NoisePass {
 public:
  NoisePass(const Model& model, const LlamaGraph& graph, unsigned threads)
      : source_(*model.source), graph_(graph), threads_(threads), hidden_(graph.width) {}

  Status run(const std::function<Status(uint64_t)>& layer_done) {
    LLMC_RETURN_IF_ERROR(look_up_tokens());
    for (const LlamaLayer& layer : graph_.layers) {
      LLMC_RETURN_IF_ERROR(attend(layer));
      LLMC_RETURN_IF_ERROR(feed_forward(layer));
      LLMC_RETURN_IF_ERROR(layer_done(weights_read_));
      weights_read_ = 0;
    }
    LLMC_ASSIGN_OR_RETURN(const Vectors last, normalized(graph_.final_norm));
    record({{graph_.head}}, last, all_);
    return Status::ok();
  }

  // Empty when something in the model is not finite.
  std::optional<Importance> result() && {
    if (!finite_) return std::nullopt;
    for (const auto& [tensor, moments] : outputs_) {
      if (!has_dead_matrix(tensor)) importance_.append_outputs(source_.tensors()[tensor].name, moments);
    }
    return std::move(importance_);
  }

 private:
  Result<std::vector<float>> vector(size_t tensor) const {
    std::vector<float> values(source_.tensors()[tensor].elements());
    LLMC_RETURN_IF_ERROR(source_.read_f32(tensor, 0, values));
    return values;
  }

  // Calls work(first, last) for parts of [0, count), any order.
  void in_parts(size_t count, const std::function<void(size_t, size_t)>& work) const {
    constexpr size_t kParts = 8;
    static_cast<void>(for_all(threads_, kParts, [&](size_t part) {
      work(part * count / kParts, (part + 1) * count / kParts);
      return Status::ok();
    }));
  }

  Status add_bias(const std::optional<size_t>& tensor, Vectors* sum) const {
    if (!tensor) return Status::ok();
    LLMC_ASSIGN_OR_RETURN(const std::vector<float> bias, vector(*tensor));
    for (size_t r = 0; r < bias.size(); ++r) {
      for (float& v : sum->view().row(r)) v += bias[r];
    }
    return Status::ok();
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

  // Per token 1 / mean square of its hidden vector: what the next norm multiplies the energy of errors by.
  std::vector<float> token_weights() const {
    std::vector<float> weights(kEstimateTokens, 0.0F);
    for (size_t r = 0; r < graph_.width; ++r) {
      const std::span<const float> row = hidden_.view().row(r);
      for (size_t n = 0; n < row.size(); ++n) weights[n] += row[n] * row[n];
    }
    for (float& w : weights) w = 1 / (w / static_cast<float>(graph_.width) + kEpsilon);
    return weights;
  }

  // RMSNorm of the hidden vectors.
  Result<Vectors> normalized(size_t norm) const {
    LLMC_ASSIGN_OR_RETURN(const std::vector<float> gains, vector(norm));
    std::vector<float> scales = token_weights();
    for (float& s : scales) s = std::sqrt(s);
    Vectors out(graph_.width);
    in_parts(graph_.width, [&](size_t first, size_t last) {
      for (size_t r = first; r < last; ++r) {
        const std::span<const float> from = hidden_.view().row(r);
        const std::span<float> to = out.view().row(r);
        for (size_t n = 0; n < to.size(); ++n) to[n] = from[n] * scales[n] * gains[r];
      }
    });
    return out;
  }

  // weight (rows x cols) times vectors (cols x tokens), blocks of rows in parallel. Their sizes do not depend
  // on the number of threads: sums over rows are made of the sums of blocks.
  Result<Product> product(const MatrixRef& weight, const Vectors& vectors,
                          ColumnEnergy asked = ColumnEnergy::kNone) {
    constexpr size_t kBlocks = 32, kUnit = 8;  // rows of a tile (quant/subtract_product_float.cc)
    const MatrixShape shape = *tensor_matrices(source_.tensors()[weight.tensor]);
    TensorRowReader reader(source_, weight.tensor, shape, weight.matrix);
    Product out{Vectors(shape.rows), std::vector<double>(shape.cols, 0)};
    const size_t most = std::max(kUnit, kDefaultBlockWeights / shape.cols / kUnit * kUnit);
    const size_t step = std::min(most, align_up(ceil_div(shape.rows, kBlocks), kUnit));
    OwnedMatrix<double> energy(ceil_div(shape.rows, step), asked == ColumnEnergy::kSums ? shape.cols : 0);
    LLMC_RETURN_IF_ERROR(for_all(threads_, energy.view().rows, [&](size_t b) -> Status {
      const size_t first = b * step, rows = std::min<size_t>(step, shape.rows - first);
      OwnedMatrix<float> block(rows, shape.cols);
      LLMC_RETURN_IF_ERROR(reader.read_rows(first, block.view()));
      const std::span<double> sums = energy.view().row(b);
      for (size_t r = 0; r < rows; ++r) {
        const std::span<float> row = block.view().row(r);
        for (size_t c = 0; c < sums.size(); ++c) sums[c] += double{row[c]} * row[c];
        for (float& w : row) w = -w;
      }
      subtract_product(out.vectors.view().block(first, 0, rows, kEstimateTokens),
                       Coefficients<float>{block.view().data, shape.cols, 1}, vectors.view());
      return Status::ok();
    }));
    for (size_t b = 0; b < energy.view().rows; ++b) {
      const std::span<const double> sums = energy.view().row(b);
      for (size_t c = 0; c < sums.size(); ++c) out.column_energy[c] += sums[c];
    }
    weights_read_ += shape.rows * shape.cols;
    return out;
  }

  // Tensors that read the same inputs.
  void record(std::span<const size_t> tensors, const Vectors& inputs, std::span<const float> weights) {
    std::vector<float> moments(inputs.view().rows);
    in_parts(moments.size(), [&](size_t first, size_t last) {
      for (size_t r = first; r < last; ++r)
        moments[r] = static_cast<float>(mean_square(inputs.view().row(r), weights));
    });
    finite_ = finite_ && std::ranges::all_of(moments, [](float m) { return std::isfinite(m); });
    // Behind a matrix of zeros all inputs matter alike: not at all.
    if (std::ranges::none_of(moments, [](float m) { return m > 0; })) std::ranges::fill(moments, 1.0F);
    for (const size_t tensor : tensors)
      importance_.append(gguf_name(source_.tensors()[tensor].name)->name, moments);
  }

  // The rows of the tensor's next matrix.
  void record_outputs(size_t tensor, std::span<const double> moments) {
    std::vector<float>& entry = outputs_[tensor];
    for (const double moment : moments) {
      entry.push_back(static_cast<float>(moment));
      finite_ = finite_ && std::isfinite(entry.back());
    }
  }

  void record_outputs(const MatrixRef& weight, double moment) {
    const uint64_t rows = tensor_matrices(source_.tensors()[weight.tensor])->rows;
    record_outputs(weight.tensor, std::vector<double>(rows, moment));
  }

  // Nothing follows from a matrix whose outputs go nowhere.
  bool has_dead_matrix(size_t tensor) const {
    const uint64_t rows = tensor_matrices(source_.tensors()[tensor])->rows;
    const std::span<const float> moments = outputs_.at(tensor);
    for (size_t first = 0; first < moments.size(); first += rows) {
      if (std::ranges::none_of(moments.subspan(first, rows), [](float m) { return m > 0; })) return true;
    }
    return false;
  }

  // Where queries and keys meet: an error of q_i moves every score by it times k_i, and what a score moves is
  // the mixture of values, by their variance. So rows of queries matter as the variance of the key that they
  // are multiplied by (a constant moves all scores alike), rows of keys as the mean square of the queries.
  Status record_queries_and_keys(const LlamaLayer& layer, const Vectors& inputs,
                                 std::span<const double> scores) {
    if (!layer.query || !layer.key) return Status::ok();
    LLMC_ASSIGN_OR_RETURN(Product query, product(*layer.query, inputs));
    LLMC_RETURN_IF_ERROR(add_bias(layer.query_bias, &query.vectors));
    LLMC_ASSIGN_OR_RETURN(const Product key, product(*layer.key, inputs));
    std::vector<double> queries(query.vectors.view().rows), keys(key.vectors.view().rows, 0);
    for (size_t r = 0; r < queries.size(); ++r) {
      const size_t head = r / graph_.head_width, shared = head * graph_.kv_heads / graph_.heads;
      const size_t partner = shared * graph_.head_width + r % graph_.head_width;
      queries[r] = scores[head] * variance(key.vectors.view().row(partner));
      keys[partner] += scores[head] * mean_square(query.vectors.view().row(r), all_);
    }
    record_outputs(layer.query->tensor, queries);
    record_outputs(layer.key->tensor, keys);
    return Status::ok();
  }

  // E[g^2] of each head's scores, from the energy of the columns that read the head's values.
  std::vector<double> score_moments(const Vectors& values, std::span<const double> column_energy,
                                    double loudness) const {
    std::vector<double> scores(graph_.heads, 0);
    for (size_t c = 0; c < column_energy.size(); ++c) {
      const size_t head = c / graph_.head_width, shared = head * graph_.kv_heads / graph_.heads;
      const size_t value = shared * graph_.head_width + c % graph_.head_width;
      scores[head] += loudness * column_energy[c] * variance(values.view().row(value)) /
                      static_cast<double>(graph_.head_width);
    }
    return scores;
  }

  Status attend(const LlamaLayer& layer) {
    LLMC_ASSIGN_OR_RETURN(const Vectors inputs, normalized(layer.attention_norm));
    LLMC_ASSIGN_OR_RETURN(Product values, product(layer.value, inputs));
    LLMC_RETURN_IF_ERROR(add_bias(layer.value_bias, &values.vectors));
    Vectors averages = values.vectors;
    average_over_context(&averages);
    const Vectors attended = repeat_heads(averages, graph_.heads, graph_.kv_heads);
    LLMC_ASSIGN_OR_RETURN(const Product change, product(layer.output, attended, ColumnEnergy::kSums));
    add(change.vectors, all_, &hidden_);

    const std::vector<float> weights = token_weights();
    record(layer.attention_inputs, inputs, weights);
    record({{layer.output.tensor}}, attended, weights);
    const double loudness = mean(weights);
    double energy = 0;
    for (const double e : change.column_energy) energy += e;
    record_outputs(layer.output, loudness);
    record_outputs(layer.value,
                   loudness * context_energy() * energy / static_cast<double>(values.vectors.view().rows));
    return record_queries_and_keys(layer, inputs,
                                   score_moments(values.vectors, change.column_energy, loudness));
  }

  // Adds each token's share of what the part computes.
  Result<FeedForwardTrace> pass(const GatedFeedForward& part, const Vectors& inputs,
                                std::span<const float> shares) {
    LLMC_ASSIGN_OR_RETURN(const Product gate, product(part.gate, inputs));
    LLMC_ASSIGN_OR_RETURN(const Product up, product(part.up, inputs));
    FeedForwardTrace trace{&part, Vectors(gate.vectors.view().rows), std::vector<double>(kEstimateTokens, 0),
                           std::vector<double>(kEstimateTokens, 0)};
    in_parts(trace.middle.view().rows, [&](size_t first, size_t last) {
      for (size_t r = first; r < last; ++r)
        gated(gate.vectors.view().row(r), up.vectors.view().row(r), trace.middle.view().row(r));
    });
    LLMC_ASSIGN_OR_RETURN(const Product down, product(part.down, trace.middle, ColumnEnergy::kSums));
    add(down.vectors, shares, &hidden_);
    in_parts(kEstimateTokens, [&](size_t first, size_t last) {
      for (size_t r = 0; r < down.column_energy.size(); ++r) {
        const auto of = [&](const Product& factor) {
          return factor.vectors.view().row(r).subspan(first, last - first);
        };
        add_gate_energy(of(gate), of(up), down.column_energy[r],
                        std::span(trace.gate).subspan(first, last - first),
                        std::span(trace.up).subspan(first, last - first));
      }
    });
    return trace;
  }

  // `use`: the mean square of the part's share in a token.
  void record(const FeedForwardTrace& trace, const Vectors& inputs, std::span<const float> weights,
              double use) {
    record({{trace.part->gate.tensor, trace.part->up.tensor}}, inputs, weights);
    record({{trace.part->down.tensor}}, trace.middle, weights);
    double gate = 0, up = 0;
    for (size_t n = 0; n < weights.size(); ++n) {
      gate += weights[n] * trace.gate[n];
      up += weights[n] * trace.up[n];
    }
    const double share = use / static_cast<double>(trace.middle.view().rows * weights.size());
    record_outputs(trace.part->gate, share * gate);
    record_outputs(trace.part->up, share * up);
    record_outputs(trace.part->down, use * mean(weights));
  }

  Result<Vectors> expert_shares(const LlamaLayer& layer, const Vectors& inputs) {
    if (!layer.router) {
      Vectors shares(1);
      std::ranges::copy(all_, shares.view().row(0).begin());
      return shares;
    }
    LLMC_ASSIGN_OR_RETURN(Product logits, product(*layer.router, inputs));
    keep_two_best(&logits.vectors);
    return std::move(logits.vectors);
  }

  Status feed_forward(const LlamaLayer& layer) {
    LLMC_ASSIGN_OR_RETURN(const Vectors inputs, normalized(layer.feed_forward_norm));
    LLMC_ASSIGN_OR_RETURN(const Vectors shares, expert_shares(layer, inputs));
    std::vector<FeedForwardTrace> traces;
    double use = 0;  // one value for all experts: which of them random tokens choose says little
    for (size_t e = 0; e < layer.experts.size(); ++e) {
      const std::span<const float> share = shares.view().row(e);
      LLMC_ASSIGN_OR_RETURN(FeedForwardTrace trace, pass(layer.experts[e], inputs, share));
      traces.push_back(std::move(trace));
      use += mean_square(share, all_) / static_cast<double>(layer.experts.size());
    }
    std::optional<FeedForwardTrace> shared;
    if (layer.shared) {
      LLMC_ASSIGN_OR_RETURN(shared, pass(*layer.shared, inputs, all_));
    }
    const std::vector<float> weights = token_weights();
    if (layer.router) record({{layer.router->tensor}}, inputs, weights);
    for (const FeedForwardTrace& trace : traces) record(trace, inputs, weights, use);
    if (shared) record(*shared, inputs, weights, 1);
    return Status::ok();
  }

  const TensorSource& source_;
  const LlamaGraph& graph_;
  unsigned threads_;
  Vectors hidden_;
  const std::vector<float> all_ = std::vector<float>(kEstimateTokens, 1.0F);  // every token alike
  Importance importance_;                                                     // inputs, until the end
  std::map<size_t, std::vector<float>> outputs_;                              // by tensor, all its matrices
  bool finite_ = true;
  uint64_t weights_read_ = 0;
};

}  // namespace

Result<MomentEstimate> estimate_moments(const Model& model, unsigned threads,
                                        const std::function<Status(uint64_t weights)>& layer_done) {
  LLMC_ASSIGN_OR_RETURN(const LlamaSearch search, find_llama_graph(model));
  if (!search.graph) return MomentEstimate{std::nullopt, search.why_not};
  NoisePass pass(model, *search.graph, threads);
  LLMC_RETURN_IF_ERROR(pass.run(layer_done));
  std::optional<Importance> importance = std::move(pass).result();
  if (!importance) return MomentEstimate{std::nullopt, "some weights are not finite"};
  return MomentEstimate{std::move(importance), {}};
}

}  // namespace llmcodec

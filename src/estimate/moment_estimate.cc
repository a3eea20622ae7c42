// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/moment_estimate.h"

#include <algorithm>
#include <cmath>

#include "base/ordered_run.h"
#include "estimate/attention_vectors.h"
#include "estimate/head_outputs.h"
#include "estimate/hidden_gradients.h"
#include "estimate/linear_products.h"
#include "estimate/model_graph.h"
#include "estimate/moment_record.h"
#include "estimate/noise_vectors.h"
#include "estimate/norm_vectors.h"
#include "estimate/start_vectors.h"

namespace llmcodec {
namespace {

// The noise at the end of attention to another stack is drawn apart from that of the layer's own.
constexpr uint64_t kCrossDraws = uint64_t{1} << 32;

// Rows of one part of what linear layers computed from the same inputs.
Vectors pick(const std::vector<Vectors>& computed, const Outputs& outputs) {
  Vectors picked(outputs.count);
  for (size_t r = 0; r < outputs.count; ++r)
    std::ranges::copy(computed[outputs.linear].view().row(outputs.row(r)), picked.view().row(r).begin());
  return picked;
}

std::vector<double> mean_squares(const Vectors& vectors, std::span<const float> weights) {
  std::vector<double> means(vectors.rows());
  for (size_t r = 0; r < means.size(); ++r) means[r] = mean_square(vectors.view().row(r), weights);
  return means;
}

std::vector<double> repeated_mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return std::vector<double>(values.size(), sum / static_cast<double>(values.size()));
}

// Moments of linear layers that read the same inputs, filled part by part.
class ReaderOutputs {
 public:
  explicit ReaderOutputs(const std::vector<Linear>& readers) : readers_(readers) {
    for (const Linear& reader : readers) moments_.emplace_back(reader.outputs, 0.0);
  }
  void fill(const Outputs& outputs, const std::vector<double>& moments) {
    std::vector<double>& all = moments_[last_of(outputs.linear)];
    for (size_t r = 0; r < outputs.count; ++r) all[outputs.row(r)] = moments[r];
  }
  const std::vector<double>& of(size_t reader) const { return moments_[reader]; }
  // A matrix that stands twice, as what reads different inputs by different rows, has its moments in the last place.
  bool has(size_t reader) const { return last_of(reader) == reader; }

 private:
  size_t last_of(size_t reader) const {
    for (size_t i = readers_.size() - 1; i > reader; --i) {
      if (readers_[i].tensor == readers_[reader].tensor && readers_[i].matrix == readers_[reader].matrix)
        return i;
    }
    return reader;
  }

  const std::vector<Linear>& readers_;
  std::vector<std::vector<double>> moments_;
};

// What stands behind a part: a norm, or nothing, and then the hidden vector.
struct AfterPart {
  std::optional<NormValues> norm;
  std::span<const float> hidden_energy;  // of gradients by the hidden vector
  std::vector<float> row_energy;         // of those by the part's outputs: the same, times squared gains

  std::vector<double> outputs_of(const Linear& linear, double loudness) const {
    std::vector<double> moments(linear.outputs, loudness);
    for (size_t r = 0; r < moments.size(); ++r) moments[r] *= row_energy[r];
    return moments;
  }
};

// What is kept of a part until its sum with the hidden vector is known, and with it how much each token matters.
struct AttentionTrace {
  Vectors inputs, plain_query, plain_key, attended, change;
  AttentionGradients met;  // queries, keys and values as they meet
  HeadShape shape;
  Turning turning;
  std::optional<NormValues> query_norm, key_norm;
};

struct FeedForwardTrace {
  const FeedForward* part;
  Vectors middle;                // inputs of `down`
  std::vector<double> gate, up;  // per token: energy that white noise at the end has at the gates' outputs
};

struct FeedForwardTraces {
  Vectors inputs, change;
  std::vector<FeedForwardTrace> experts;
  double use = 0;  // one value for all experts: which of them random tokens choose says little
  std::optional<FeedForwardTrace> shared;
  AfterPart after;
};

class NoisePass {
 public:
  // `other`: the output of the stack that this one reads too, or nullptr.
  NoisePass(const Model& model, const ModelGraph& graph, const Vectors* other, MomentRecord* record,
            unsigned threads)
      : source_(*model.source),
        graph_(graph),
        other_(other),
        threads_(threads),
        products_(source_, threads),
        record_(*record),
        hidden_(graph.width) {}

  Status run(const std::function<Status(uint64_t)>& layer_done) {
    LLMC_ASSIGN_OR_RETURN(hidden_, start_vectors(source_, graph_, &products_));
    if (graph_.embedding_norm) {
      LLMC_ASSIGN_OR_RETURN(hidden_, normed(graph_.embedding_norm));
    }
    LLMC_ASSIGN_OR_RETURN(gradients_, HiddenGradients::find(source_, graph_));
    uint64_t told = 0;
    for (layer_ = 0; layer_ < graph_.layers.size(); ++layer_) {
      LLMC_RETURN_IF_ERROR(pass(graph_.layers[layer_]));
      LLMC_RETURN_IF_ERROR(layer_done(products_.weights_read() - told));
      told = products_.weights_read();
    }
    if ((!graph_.head && !graph_.pooler) || !graph_.final_norm) return Status::ok();
    LLMC_ASSIGN_OR_RETURN(const Vectors last, output());
    if (graph_.pooler) record_.add(*graph_.pooler, moments_of(last, all_), {});
    return graph_.head ? record_head(last) : Status::ok();
  }

  // What the stack hands on.
  Result<Vectors> output() const { return normed(graph_.final_norm); }

 private:
  // Calls work(first, last) for parts of [0, count), any order.
  void in_parts(size_t count, const std::function<void(size_t, size_t)>& work) const {
    constexpr size_t kParts = 8;
    static_cast<void>(for_all(threads_, kParts, [&](size_t part) {
      work(part * count / kParts, (part + 1) * count / kParts);
      return Status::ok();
    }));
  }

  Result<std::vector<float>> vector(size_t tensor) const {
    std::vector<float> values(source_.tensors()[tensor].elements());
    LLMC_RETURN_IF_ERROR(source_.read_f32(tensor, 0, values));
    return values;
  }

  Result<std::optional<NormValues>> values_of(const std::optional<Norm>& norm) const {
    if (!norm) return std::optional<NormValues>();
    LLMC_ASSIGN_OR_RETURN(NormValues values, read_norm(source_, *norm, graph_.epsilon));
    return std::optional(std::move(values));
  }

  // Per token 1 / mean square of its hidden vector: what the next norm multiplies the energy of errors by.
  std::vector<float> token_weights() const {
    return norm_energy(hidden_, {graph_.architecture.norm, static_cast<float>(graph_.epsilon), {}, {}}, 0,
                       graph_.width);
  }

  // The hidden vectors behind a norm, or as they are.
  Result<Vectors> normed(const std::optional<Norm>& norm) const {
    if (!norm) return hidden_;
    LLMC_ASSIGN_OR_RETURN(const NormValues values, read_norm(source_, *norm, graph_.epsilon));
    return normalized(hidden_, values, graph_.width);
  }

  std::vector<float> moments_of(const Vectors& inputs, std::span<const float> weights) const {
    std::vector<float> moments(inputs.rows());
    in_parts(moments.size(), [&](size_t first, size_t last) {
      for (size_t r = first; r < last; ++r)
        moments[r] = static_cast<float>(mean_square(inputs.view().row(r), weights));
    });
    return moments;
  }

  Result<AfterPart> after_part(const std::optional<Norm>& norm, std::span<const float> hidden_energy) const {
    AfterPart after;
    LLMC_ASSIGN_OR_RETURN(after.norm, values_of(norm));
    after.hidden_energy = hidden_energy;
    after.row_energy.assign(hidden_energy.begin(), hidden_energy.end());
    if (!after.norm) return after;
    for (size_t r = 0; r < after.norm->gains.size(); ++r)
      after.row_energy[r] *= after.norm->gains[r] * after.norm->gains[r];
    return after;
  }

  // Adds what a part computed, behind the norm after it. Returns what that norm has seen.
  Vectors add_change(const Vectors& change, const AfterPart& after) {
    const std::vector<float> factor(kEstimateTokens, static_cast<float>(graph_.residual_factor));
    if (!after.norm) {
      add(change, factor, &hidden_);
      return Vectors(0);
    }
    if (graph_.architecture.joining == Joining::kNormOfSum) {
      Vectors sum = hidden_;
      add(change, factor, &sum);
      hidden_ = normalized(sum, *after.norm, graph_.width);
      return sum;
    }
    add(normalized(change, *after.norm, graph_.width), factor, &hidden_);
    return change;
  }

  Status record_head(const Vectors& last) {
    const Linear head{*graph_.head, 0, graph_.width, graph_.tokens, false, {}};
    LLMC_ASSIGN_OR_RETURN(const std::vector<double> outputs,
                          head_outputs(products_, head, last, graph_.logit_factor, threads_));
    record_.add(head, moments_of(last, all_), outputs);
    return Status::ok();
  }

  // Both parts read the same hidden vectors, or the second reads what the first has changed.
  Status pass(const GraphLayer& layer) {
    std::optional<AttentionTrace> attention;
    std::optional<FeedForwardTraces> rest;
    const bool parallel = graph_.architecture.joining == Joining::kParallel;
    if (layer.attention) {
      LLMC_ASSIGN_OR_RETURN(attention, attend(layer.before_attention, *layer.attention));
    }
    if (layer.feed_forward && parallel) {
      LLMC_ASSIGN_OR_RETURN(rest, feed_forward(layer, *layer.feed_forward));
    }
    if (attention) {
      LLMC_ASSIGN_OR_RETURN(const AfterPart after,
                            after_part(layer.after_attention, gradients_.after_attention(layer_)));
      const Vectors seen = add_change(attention->change, after);
      LLMC_RETURN_IF_ERROR(record(*layer.attention, *attention, after, seen));
    }
    if (layer.cross) {
      LLMC_ASSIGN_OR_RETURN(attention, attend(layer.before_cross, *layer.cross));
      LLMC_ASSIGN_OR_RETURN(const AfterPart after, after_part({}, gradients_.after_cross(layer_)));
      if (layer.replaces) hidden_ = Vectors(graph_.width);
      const Vectors seen = add_change(attention->change, after);
      LLMC_RETURN_IF_ERROR(record(*layer.cross, *attention, after, seen));
    }
    if (layer.feed_forward && !parallel) {
      LLMC_ASSIGN_OR_RETURN(rest, feed_forward(layer, *layer.feed_forward));
    }
    if (rest) {
      const Vectors seen = add_change(rest->change, rest->after);
      record(*layer.feed_forward, *rest, seen);
    }
    return Status::ok();
  }

  Result<std::vector<Vectors>> read(const std::vector<Linear>& readers, const Vectors& inputs,
                                    size_t reading_other = 0) {
    std::vector<Vectors> computed;
    for (size_t i = 0; i < readers.size(); ++i) {
      const bool own = i + reading_other < readers.size();
      LLMC_ASSIGN_OR_RETURN(Vectors outputs, products_.forward(readers[i], own ? inputs : *other_));
      computed.push_back(std::move(outputs));
    }
    return computed;
  }

  // A norm of OLMo 2's kind covers all heads, the others one.
  size_t norm_width(const std::optional<Norm>& norm, const Vectors& vectors) const {
    const TensorInfo& gains = source_.tensors()[*norm->gains];
    return gains.shape.size() == 1 && gains.elements() == vectors.rows() ? vectors.rows() : graph_.head_width;
  }

  Result<HeadShape> head_shape(const Attention& attention) const {
    HeadShape shape{graph_.heads,
                    graph_.kv_heads,
                    graph_.head_width,
                    graph_.score_factor,
                    graph_.architecture.looks_ahead || attention.reading_other > 0,
                    {}};
    if (attention.sinks) {
      LLMC_ASSIGN_OR_RETURN(shape.sinks, vector(*attention.sinks));
    }
    return shape;
  }

  Result<AttentionTrace> attend(const std::optional<Norm>& before, const Attention& attention) {
    LLMC_ASSIGN_OR_RETURN(Vectors inputs, normed(before));
    LLMC_ASSIGN_OR_RETURN(const std::vector<Vectors> computed,
                          read(attention.readers, inputs, attention.reading_other));
    Vectors query = pick(computed, attention.query), key = pick(computed, attention.key);
    LLMC_ASSIGN_OR_RETURN(HeadShape shape, head_shape(attention));
    const Turning turning{graph_.rotation, graph_.head_width, graph_.rotated, attention.rotation_base};
    LLMC_ASSIGN_OR_RETURN(std::optional<NormValues> query_norm, values_of(attention.query_norm));
    LLMC_ASSIGN_OR_RETURN(std::optional<NormValues> key_norm, values_of(attention.key_norm));
    AttentionGradients met{query, key, pick(computed, attention.value)};
    if (query_norm) met.query = normalized(query, *query_norm, norm_width(attention.query_norm, query));
    if (key_norm) met.key = normalized(key, *key_norm, norm_width(attention.key_norm, key));
    turn(turning, false, &met.query);
    turn(turning, false, &met.key);
    Vectors attended = llmcodec::attend(shape, met.query, met.key, met.value, threads_);
    LLMC_ASSIGN_OR_RETURN(Vectors change, products_.forward(attention.output, attended));
    return AttentionTrace{std::move(inputs),     std::move(query),   std::move(key),   std::move(attended),
                          std::move(change),     std::move(met),     std::move(shape), turning,
                          std::move(query_norm), std::move(key_norm)};
  }

  // White noise at the end of the part, passed back to its queries, keys and values.
  Status record(const Attention& attention, const AttentionTrace& trace, const AfterPart& after,
                const Vectors& seen) {
    const std::vector<float> weights = token_weights();
    const uint64_t draw = attention.reading_other > 0 ? layer_ + kCrossDraws : layer_;
    Vectors noise = draw_noise(after.hidden_energy, weights, draw);
    if (after.norm) noise = through_norm(seen, noise, *after.norm, graph_.width);
    LLMC_ASSIGN_OR_RETURN(const Vectors given, products_.backward(attention.output, noise));
    AttentionGradients back = through_attention(trace.shape, trace.met, given, threads_);
    turn(trace.turning, true, &back.query);
    turn(trace.turning, true, &back.key);
    if (trace.query_norm)
      back.query = through_norm(trace.plain_query, back.query, *trace.query_norm,
                                norm_width(attention.query_norm, back.query));
    if (trace.key_norm)
      back.key =
          through_norm(trace.plain_key, back.key, *trace.key_norm, norm_width(attention.key_norm, back.key));

    ReaderOutputs outputs(attention.readers);
    outputs.fill(attention.query, mean_squares(back.query, all_));
    outputs.fill(attention.key, mean_squares(back.key, all_));
    outputs.fill(attention.value, repeated_mean(mean_squares(back.value, all_)));
    const std::vector<float> inputs = moments_of(trace.inputs, weights);
    const std::vector<float> others =
        attention.reading_other > 0 ? moments_of(*other_, all_) : std::vector<float>();
    for (size_t i = 0; i < attention.readers.size(); ++i) {
      const bool own = i + attention.reading_other < attention.readers.size();
      if (outputs.has(i)) record_.add(attention.readers[i], own ? inputs : others, outputs.of(i));
    }
    const double loudness = after.norm ? mean_after(weights, *after.norm, seen) : mean(weights);
    record_.add(attention.output, moments_of(trace.attended, weights),
                after.outputs_of(attention.output, loudness));
    return Status::ok();
  }

  std::vector<float> weights_after(std::span<const float> weights, const NormValues& norm,
                                   const Vectors& seen) const {
    std::vector<float> energy = norm_energy(seen, norm, 0, graph_.width);
    for (size_t n = 0; n < energy.size(); ++n) energy[n] *= weights[n];
    return energy;
  }
  double mean_after(std::span<const float> weights, const NormValues& norm, const Vectors& seen) const {
    return mean(weights_after(weights, norm, seen));
  }

  // Adds each token's share of what the part computes to `change`.
  Result<FeedForwardTrace> pass(const FeedForward& part, const Vectors& inputs, const AfterPart& after,
                                std::span<const float> shares, Vectors* change) {
    const Activation activation = graph_.architecture.activation;
    LLMC_ASSIGN_OR_RETURN(const std::vector<Vectors> computed, read(part.readers, inputs));
    const Vectors up = pick(computed, part.up), gate = part.gate ? pick(computed, *part.gate) : Vectors(0);
    const auto gate_row = [&](size_t r) { return part.gate ? gate.view().row(r) : std::span<const float>(); };
    FeedForwardTrace trace{&part, Vectors(up.rows()), std::vector<double>(kEstimateTokens, 0),
                           std::vector<double>(kEstimateTokens, 0)};
    in_parts(up.rows(), [&](size_t first, size_t last) {
      for (size_t r = first; r < last; ++r)
        activate(activation, gate_row(r), up.view().row(r), trace.middle.view().row(r));
    });
    std::vector<double> energy;
    LLMC_ASSIGN_OR_RETURN(const Vectors down,
                          products_.forward(part.down, trace.middle, after.row_energy, &energy));
    add(down, shares, change);
    in_parts(kEstimateTokens, [&](size_t first, size_t last) {
      const auto some = [&](auto all) { return all.empty() ? all : all.subspan(first, last - first); };
      for (size_t r = 0; r < energy.size(); ++r)
        add_gate_energy(activation, some(gate_row(r)), some(up.view().row(r)), energy[r],
                        some(std::span(trace.gate)), some(std::span(trace.up)));
    });
    return trace;
  }

  Result<Vectors> expert_shares(const FeedForwardPart& part, const Vectors& inputs) {
    if (!part.router) {
      Vectors shares(1);
      std::ranges::copy(all_, shares.view().row(0).begin());
      return shares;
    }
    LLMC_ASSIGN_OR_RETURN(Vectors logits, products_.forward(*part.router, inputs));
    keep_two_best(&logits);
    return logits;
  }

  Result<FeedForwardTraces> feed_forward(const GraphLayer& layer, const FeedForwardPart& part) {
    LLMC_ASSIGN_OR_RETURN(Vectors inputs, normed(layer.before_feed_forward));
    LLMC_ASSIGN_OR_RETURN(AfterPart after,
                          after_part(layer.after_feed_forward, gradients_.after_feed_forward(layer_)));
    LLMC_ASSIGN_OR_RETURN(const Vectors shares, expert_shares(part, inputs));
    FeedForwardTraces traces{std::move(inputs), Vectors(graph_.width), {}, 0, {}, std::move(after)};
    for (size_t e = 0; e < part.experts.size(); ++e) {
      const std::span<const float> share = shares.view().row(e);
      LLMC_ASSIGN_OR_RETURN(FeedForwardTrace trace,
                            pass(part.experts[e], traces.inputs, traces.after, share, &traces.change));
      traces.experts.push_back(std::move(trace));
      traces.use += mean_square(share, all_) / static_cast<double>(part.experts.size());
    }
    if (part.shared) {
      LLMC_ASSIGN_OR_RETURN(traces.shared,
                            pass(*part.shared, traces.inputs, traces.after, all_, &traces.change));
    }
    return traces;
  }

  void record(const FeedForwardPart& part, const FeedForwardTraces& traces, const Vectors& seen) {
    const std::vector<float> weights = token_weights();
    const std::vector<float> loud =
        traces.after.norm ? weights_after(weights, *traces.after.norm, seen) : weights;
    const std::vector<float> inputs = moments_of(traces.inputs, weights);
    if (part.router) record_.add(*part.router, inputs, {});
    // `use`: the mean square of the part's share in a token.
    const auto record_one = [&](const FeedForwardTrace& trace, double use) {
      double gate = 0, up = 0;
      for (size_t n = 0; n < loud.size(); ++n) {
        gate += loud[n] * trace.gate[n];
        up += loud[n] * trace.up[n];
      }
      const double share = use / static_cast<double>(trace.middle.rows() * loud.size());
      ReaderOutputs outputs(trace.part->readers);
      outputs.fill(trace.part->up, std::vector<double>(trace.part->up.count, share * up));
      if (trace.part->gate)
        outputs.fill(*trace.part->gate, std::vector<double>(trace.part->up.count, share * gate));
      for (size_t i = 0; i < trace.part->readers.size(); ++i)
        record_.add(trace.part->readers[i], inputs, outputs.of(i));
      record_.add(trace.part->down, moments_of(trace.middle, weights),
                  traces.after.outputs_of(trace.part->down, use * mean(loud)));
    };
    for (const FeedForwardTrace& trace : traces.experts) record_one(trace, traces.use);
    if (traces.shared) record_one(*traces.shared, 1);
  }

  const TensorSource& source_;
  const ModelGraph& graph_;
  const Vectors* other_;
  unsigned threads_;
  LinearProducts products_;
  MomentRecord& record_;
  Vectors hidden_;
  const std::vector<float> all_ = std::vector<float>(kEstimateTokens, 1.0F);  // every token alike
  HiddenGradients gradients_;
  size_t layer_ = 0;
};

}  // namespace

Result<MomentEstimate> estimate_moments(const Model& model, unsigned threads,
                                        const std::function<Status(uint64_t weights)>& layer_done) {
  LLMC_ASSIGN_OR_RETURN(const GraphSearch search, find_model_graph(model));
  if (search.stacks.empty()) return MomentEstimate{std::nullopt, search.note};
  MomentRecord record(*model.source);
  std::vector<Vectors> outputs;
  for (const ModelGraph& stack : search.stacks) {
    NoisePass pass(model, stack, stack.reads ? &outputs[*stack.reads] : nullptr, &record, threads);
    LLMC_RETURN_IF_ERROR(pass.run(layer_done));
    const bool last = &stack == &search.stacks.back();  // which nothing reads
    LLMC_ASSIGN_OR_RETURN(Vectors output, last ? Vectors(0) : pass.output());
    outputs.push_back(std::move(output));
  }
  std::optional<Importance> importance = std::move(record).result();
  if (!importance) return MomentEstimate{std::nullopt, "some weights are not finite"};
  return MomentEstimate{std::move(importance), search.note};
}

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/layer_finder.h"

#include <string_view>

#include <fmt/format.h>

namespace llmcodec {
namespace {

Outputs all_of(size_t linear, uint64_t count) {
  return {linear, 0, count, count, count};
}

class LayerFinder {
 public:
  // `other_width`: of the vectors of the stack that layers read too; 0 where there is none.
  LayerFinder(NamedTensors& names, const ModelGraph& graph, uint32_t number, uint64_t other_width)
      : names_(names),
        graph_(graph),
        spelling_(graph.gguf ? graph.architecture.gguf : graph.architecture.hugging_face),
        number_(number),
        other_width_(other_width),
        prefix_(graph.query ? graph.stack + kPoolingHead : fmt::format("{}blk.{}.", graph.stack, number)) {}

  GraphLayer find() {
    GraphLayer layer;
    const bool bare = graph_.architecture.bare_first_layer && number_ == 0;
    const bool attention_norms =
        (find_norm(spelling_.norms.before_attention, &layer.before_attention) || bare) &&
        find_norm(spelling_.norms.after_attention, &layer.after_attention);
    const bool other_norms = find_norm(spelling_.norms.before_feed_forward, &layer.before_feed_forward) &&
                             find_norm(spelling_.norms.after_feed_forward, &layer.after_feed_forward);
    const bool cross_norms = find_norm(spelling_.norms.before_cross, &layer.before_cross);
    layer.attention = attention();
    layer.feed_forward = feed_forward();
    if (!graph_.architecture.reads.empty()) layer.cross = cross();
    bool strange_attention = !attention_norms, strange_rest = !other_norms, strange_cross = !cross_norms;
    for (const std::string& name : names_.unused(graph_.stack, number_)) {
      if (layer_of_cross(name)) {
        strange_cross = true;
        continue;
      }
      const bool of_attention = name.find("att") != std::string::npos;
      const bool of_rest = name.find("ff") != std::string::npos || name.find("mlp") != std::string::npos ||
                           name.find("feed") != std::string::npos;
      strange_attention = strange_attention || of_attention || !of_rest;
      strange_rest = strange_rest || of_rest || !of_attention;
    }
    if (strange_attention) layer.attention.reset();
    if (strange_cross) layer.cross.reset();
    if (strange_rest) layer.feed_forward.reset();
    return layer;
  }

  // Of a head that pools.
  GraphLayer find_pooling() {
    GraphLayer layer;
    layer.replaces = true;
    if (!find_norm("norm", &layer.before_feed_forward)) return layer;
    layer.cross = pooling();
    if (layer.cross) layer.feed_forward = feed_forward();
    return layer;
  }

 private:
  // Of a layer that is said to have such a part.
  bool layer_of_cross(const std::string& name) const {
    return !graph_.architecture.reads.empty() &&
           (name.starts_with("cross_attn") || name.starts_with("encoder_attn"));
  }

  // Whether it is there, or need not be.
  bool find_norm(std::string_view alternatives, std::optional<Norm>* norm) {
    if (alternatives.empty()) return true;
    while (!alternatives.empty() && !*norm) {
      const size_t end = alternatives.find('|');
      *norm = names_.norm(prefix_ + std::string(alternatives.substr(0, end)), graph_.width,
                          graph_.architecture, graph_.gguf);
      alternatives.remove_prefix(end == std::string_view::npos ? alternatives.size() : end + 1);
    }
    return norm->has_value();
  }

  // For each head the same gains, or for each its own; one norm over all of them is OLMo 2's. False for other sizes.
  bool find_head_norm(const char* name, uint64_t heads, std::optional<Norm>* norm) {
    const std::string stem = prefix_ + name;
    if (!names_.has(stem + ".weight")) return true;
    for (const uint64_t size : {graph_.head_width, heads * graph_.head_width}) {
      if (!*norm) *norm = names_.norm(stem, size, graph_.architecture, graph_.gguf);
    }
    return norm->has_value();
  }

  std::optional<Attention> attention() {
    const uint64_t own = graph_.heads * graph_.head_width, shared = graph_.kv_heads * graph_.head_width;
    Attention found;
    if (const auto fused = names_.linear(prefix_ + "attn_qkv", own + 2 * shared, graph_.width)) {
      found.readers = {*fused};
      split_fused(&found);
    } else {
      const auto query = names_.linear(prefix_ + "attn_q", own, graph_.width);
      const auto key = names_.linear(prefix_ + "attn_k", shared, graph_.width);
      const auto value = names_.linear(prefix_ + "attn_v", shared, graph_.width);
      if (!query || !key || !value) return std::nullopt;
      found.readers = {*query, *key, *value};
      found.query = all_of(0, own);
      found.key = all_of(1, shared);
      found.value = all_of(2, shared);
    }
    const auto output = names_.linear(prefix_ + "attn_output", graph_.width, own);
    if (!output || !find_head_norm("attn_q_norm", graph_.heads, &found.query_norm) ||
        !find_head_norm("attn_k_norm", graph_.kv_heads, &found.key_norm))
      return std::nullopt;
    found.output = *output;
    for (const char* name : {"attn_sinks.weight", "self_attn.sinks"}) {
      if (!found.sinks) found.sinks = names_.vector(prefix_ + name, graph_.heads);
    }
    found.rotation_base = is_local() ? graph_.local_base : graph_.rotation_base;
    return found;
  }

  bool is_local() const {
    if (graph_.architecture.local_layers == 0) return false;
    if (number_ < graph_.layer_is_local.size()) return graph_.layer_is_local[number_];
    const uint64_t place = graph_.architecture.global_first ? number_ : number_ + uint64_t{1};
    return place % graph_.local_layers != 0;
  }

  // Queries of the hidden vectors, keys and values of the other stack's output.
  std::optional<Attention> cross() {
    const uint64_t own = graph_.heads * graph_.head_width;
    const auto query = names_.linear(prefix_ + "cross_attn_q", own, graph_.width);
    const auto key = names_.linear(prefix_ + "cross_attn_k", own, other_width_);
    const auto value = names_.linear(prefix_ + "cross_attn_v", own, other_width_);
    const auto output = names_.linear(prefix_ + "cross_attn_output", graph_.width, own);
    if (!query || !key || !value || !output || other_width_ == 0 || graph_.kv_heads != graph_.heads)
      return std::nullopt;
    Attention found;
    found.readers = {*query, *key, *value};
    found.reading_other = 2;
    found.query = all_of(0, own);
    found.key = all_of(1, own);
    found.value = all_of(2, own);
    found.output = *output;
    return found;
  }

  // The same of one fused matrix, whose first rows read the query, and the others the other stack's output.
  std::optional<Attention> pooling() {
    const uint64_t own = graph_.heads * graph_.head_width;
    const auto fused = names_.linear(prefix_ + "attn_qkv", 3 * own, graph_.width);
    const auto output = names_.linear(prefix_ + "attn_output", graph_.width, own);
    if (!fused || !output || other_width_ != graph_.width || graph_.kv_heads != graph_.heads)
      return std::nullopt;
    Attention found;
    found.readers = {*fused, *fused};
    found.reading_other = 1;
    found.query = {0, 0, own, own, own};
    found.key = {1, own, own, own, own};
    found.value = {1, 2 * own, own, own, own};
    found.output = *output;
    return found;
  }

  void split_fused(Attention* found) const {
    const uint64_t own = graph_.heads * graph_.head_width, shared = graph_.kv_heads * graph_.head_width;
    if (spelling_.fused == FusedRows::kThreeParts) {
      found->query = all_of(0, own);
      found->key = {0, own, shared, shared, shared};
      found->value = {0, own + shared, shared, shared, shared};
      return;
    }
    const uint64_t queries = own / graph_.kv_heads, group = queries + 2 * graph_.head_width;
    found->query = {0, 0, queries, group, own};
    found->key = {0, queries, graph_.head_width, group, shared};
    found->value = {0, queries + graph_.head_width, graph_.head_width, group, shared};
  }

  std::optional<FeedForward> gated(const std::string& kind, const std::string& after = "") {
    const auto down = names_.linear(prefix_ + "ffn_down" + kind, graph_.width, 0, after);
    const auto up = names_.linear(prefix_ + "ffn_up" + kind, 0, graph_.width, after);
    if (!down || !up || down->inputs > kMaxSide) return std::nullopt;
    const uint64_t middle = down->inputs;
    FeedForward found{{*up}, std::nullopt, all_of(0, middle), *down};
    if (names_.has(prefix_ + "ffn_gate" + kind + ".weight" + after)) {
      const auto gate = names_.linear(prefix_ + "ffn_gate" + kind, middle, graph_.width, after);
      if (!gate || up->outputs != middle) return std::nullopt;
      found.readers = {*gate, *up};
      found.gate = all_of(0, middle);
      found.up.linear = 1;
    } else if (up->outputs == 2 * middle) {
      const bool turns = graph_.architecture.neighbouring_gate;
      found.gate = turns ? Outputs{0, 0, 1, 2, middle} : all_of(0, middle);
      found.up = turns ? Outputs{0, 1, 1, 2, middle} : Outputs{0, middle, middle, middle, middle};
    } else if (up->outputs != middle) {
      return std::nullopt;
    }
    return found;
  }

  // Stacked in one tensor of three dimensions, or a tensor each.
  std::vector<FeedForward> experts(uint64_t count) {
    std::vector<FeedForward> found;
    const auto stacked = gated("_exps");
    for (const char* part : {"ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"}) {
      const uint64_t matrices = names_.stacked(prefix_ + part);
      if (stacked && matrices != count && matrices != 0) return {};
    }
    for (uint64_t e = 0; e < count; ++e) {
      auto expert = stacked ? stacked : gated("_exps", fmt::format("#{}", e));
      if (!expert) return {};
      if (stacked) {
        for (Linear& reader : expert->readers) reader.matrix = e;
        expert->down.matrix = e;
      }
      found.push_back(*expert);
    }
    return found;
  }

  std::optional<FeedForwardPart> feed_forward() {
    FeedForwardPart part;
    part.shared = gated("_shexp");
    names_.find(prefix_ + "ffn_gate_inp_shexp.weight");  // how much of it: taken for all
    if (names_.has(prefix_ + "ffn_gate_inp.weight")) {
      part.router = names_.linear(prefix_ + "ffn_gate_inp", 0, graph_.width);
      if (part.router && part.router->outputs <= kMaxSide) part.experts = experts(part.router->outputs);
    } else if (const auto dense = gated("")) {
      part.experts = {*dense};
    }
    return part.experts.empty() ? std::nullopt : std::optional(part);
  }

  NamedTensors& names_;
  const ModelGraph& graph_;
  const Spelling& spelling_;
  uint32_t number_;
  uint64_t other_width_;
  std::string prefix_;
};

}  // namespace

GraphLayer find_layer(NamedTensors& names, const ModelGraph& graph, uint32_t number, uint64_t other_width) {
  return LayerFinder(names, graph, number, other_width).find();
}

GraphLayer find_pooling_head(NamedTensors& names, const ModelGraph& graph, uint64_t other_width) {
  return LayerFinder(names, graph, 0, other_width).find_pooling();
}

}  // namespace llmcodec

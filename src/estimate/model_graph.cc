// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/model_graph.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/error.h"
#include "base/printable.h"
#include "estimate/model_settings.h"
#include "estimate/named_tensors.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

// Larger than any model's; sizes below can be multiplied.
constexpr uint64_t kMaxSide = uint64_t{1} << 30;

Outputs all_of(size_t linear, uint64_t count) {
  return {linear, 0, count, count, count};
}

class LayerFinder {
 public:
  LayerFinder(NamedTensors& names, const ModelGraph& graph, uint32_t number)
      : names_(names),
        graph_(graph),
        spelling_(graph.gguf ? graph.architecture.gguf : graph.architecture.hugging_face),
        number_(number),
        prefix_(fmt::format("blk.{}.", number)) {}

  GraphLayer find() {
    GraphLayer layer;
    const bool attention_norms = find_norm(spelling_.norms.before_attention, &layer.before_attention) &&
                                 find_norm(spelling_.norms.after_attention, &layer.after_attention);
    const bool other_norms = find_norm(spelling_.norms.before_feed_forward, &layer.before_feed_forward) &&
                             find_norm(spelling_.norms.after_feed_forward, &layer.after_feed_forward);
    layer.attention = attention();
    layer.feed_forward = feed_forward();
    bool strange_attention = !attention_norms, strange_rest = !other_norms;
    for (const std::string& name : names_.unused(number_)) {
      const bool of_attention = name.find("att") != std::string::npos;
      const bool of_rest = name.find("ff") != std::string::npos || name.find("mlp") != std::string::npos ||
                           name.find("feed") != std::string::npos;
      strange_attention = strange_attention || of_attention || !of_rest;
      strange_rest = strange_rest || of_rest || !of_attention;
    }
    if (strange_attention) layer.attention.reset();
    if (strange_rest) layer.feed_forward.reset();
    return layer;
  }

 private:
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
    const int period = graph_.architecture.local_layers;
    const bool local = period > 0 && (number_ + 1) % static_cast<uint32_t>(period) != 0;
    found.rotation_base = local ? 10000 : graph_.rotation_base;
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
  std::string prefix_;
};

// "0, 3 to 7"
std::string ranges(const std::vector<uint32_t>& numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size(); ++i) {
    size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", numbers[i]);
    if (last > i) text += fmt::format(" to {}", numbers[last]);
    i = last;
  }
  return text;
}

// False where the model does not say what a graph needs.
bool take_heads(const ModelSettings& settings, ModelGraph* graph) {
  const auto heads = static_cast<uint64_t>(settings.heads), shared = static_cast<uint64_t>(settings.kv_heads);
  if (settings.heads <= 0 || settings.kv_heads <= 0 || settings.head_width < 0 || heads > kMaxSide ||
      heads % shared != 0)
    return false;
  graph->heads = heads;
  graph->kv_heads = shared;
  graph->head_width =
      settings.head_width > 0 ? static_cast<uint64_t>(settings.head_width) : graph->width / heads;
  return graph->head_width > 0 && graph->head_width <= kMaxSide / heads;
}

void take_numbers(const ModelSettings& settings, ModelGraph* graph) {
  const auto or_default = [](double number, double usual) { return number > 0 ? number : usual; };
  const auto head_width = static_cast<double>(graph->head_width);
  const double share = std::min(1.0, or_default(settings.rotated_share, 1));
  graph->rotated = settings.rotated > 0 ? static_cast<uint64_t>(settings.rotated)
                                        : static_cast<uint64_t>(share * head_width);
  graph->rotated = std::min(graph->rotated, graph->head_width) / 2 * 2;
  graph->rotation_base = std::max(1.0, or_default(settings.rotation_base, 10000));
  graph->epsilon = or_default(settings.epsilon, 1e-5);
  graph->score_factor = or_default(settings.score_factor, 1 / std::sqrt(head_width));
  const double by_width =
      graph->architecture.embedding_by_width ? std::sqrt(static_cast<double>(graph->width)) : 1;
  graph->embedding_factor = or_default(settings.embedding_factor, by_width);
  graph->residual_factor = or_default(settings.residual_factor, 1);
}

void take_architecture(const ModelSettings& settings, NamedTensors& names, ModelGraph* graph,
                       std::string* note) {
  const Architecture* row = find_architecture(settings.type, settings.gguf);
  graph->architecture = row != nullptr ? *row : unknown_architecture();
  graph->gguf = settings.gguf;
  if (row == nullptr) {
    *note = fmt::format("what is not built like Llama's, as models of type '{}' are not known here",
                        printable(settings.type));
    if (names.has("output_norm.bias")) graph->architecture.norm = NormKind::kLayer;
    if (!names.has("blk.0.ffn_gate.weight") && !names.has("blk.0.ffn_gate_inp.weight"))
      graph->architecture.activation = Activation::kGelu;
  }
  if (settings.in_turn && graph->architecture.joining == Joining::kParallel)
    graph->architecture.joining = Joining::kInTurn;
  graph->rotation = (settings.gguf ? graph->architecture.gguf : graph->architecture.hugging_face).rotation;
}

void take_ends(NamedTensors& names, ModelGraph* graph) {
  const auto norm = [&](const char* name) {
    return names.norm(name, graph->width, graph->architecture, graph->gguf);
  };
  graph->embedding_norm = norm("token_embd_norm");
  graph->final_norm = norm("output_norm");
  if (graph->final_norm && !names.has("output.weight")) graph->head = graph->embedding;
  if (graph->final_norm && !graph->head) {
    const auto head = names.linear("output", 0, graph->width);
    if (head && !head->transposed) graph->head = head->tensor;
  }
  const auto rows = [&](const char* name) -> std::optional<size_t> {
    const auto found = names.linear(name, 0, graph->width);
    return found && !found->transposed ? std::optional(found->tensor) : std::nullopt;
  };
  graph->positions = rows("position_embd");
  graph->types = rows("token_types");
}

void take_layers(NamedTensors& names, ModelGraph* graph, std::string* note) {
  std::vector<uint32_t> attention, feed_forward;
  for (uint32_t n = 0; names.has_layer(n); ++n) {
    graph->layers.push_back(LayerFinder(names, *graph, n).find());
    if (!graph->layers.back().attention) attention.push_back(n);
    if (!graph->layers.back().feed_forward) feed_forward.push_back(n);
  }
  const auto tell = [&](const char* what, const std::vector<uint32_t>& numbers) {
    if (numbers.empty()) return;
    *note += fmt::format("{}{} of layer{} {} {} not built as known of {}", note->empty() ? "" : "; ", what,
                         numbers.size() > 1 ? "s" : "", ranges(numbers), numbers.size() > 1 ? "are" : "is",
                         graph->architecture.name);
  };
  tell("attention", attention);
  tell("the rest", feed_forward);
}

}  // namespace

Result<GraphSearch> find_model_graph(const Model& model) {
  LLMC_ASSIGN_OR_RETURN(const ModelSettings settings, read_model_settings(model));
  GraphSearch search;
  const auto failed = [&](const std::string& why) {
    return GraphSearch{std::nullopt, search.note.empty() ? why : search.note + "; " + why};
  };
  if (settings.type.empty()) return failed("the model does not say of which type it is");
  NamedTensors names(*model.source);
  ModelGraph graph;
  take_architecture(settings, names, &graph, &search.note);
  const auto embedding = names.linear("token_embd", 0, 0);
  if (!embedding || embedding->transposed || embedding->inputs > kMaxSide)
    return failed("no token embedding");
  graph.embedding = embedding->tensor;
  graph.width = embedding->inputs;
  graph.tokens = embedding->outputs;
  if (!take_heads(settings, &graph)) return failed("no heads");
  take_numbers(settings, &graph);
  take_ends(names, &graph);
  take_layers(names, &graph, &search.note);
  const auto known = [](const GraphLayer& layer) { return layer.attention || layer.feed_forward; };
  if (std::ranges::none_of(graph.layers, known)) return failed("no layers");
  search.graph = std::move(graph);
  return search;
}

}  // namespace llmcodec

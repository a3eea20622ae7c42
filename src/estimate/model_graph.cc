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
// Of what one patch of a picture, or the convolution of a spectrum, reads.
constexpr uint64_t kMaxPatch = uint64_t{1} << 16;
// What names of a head that pools begin with.
constexpr const char* kPool = "pool.";

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
        prefix_(graph.query ? graph.stack + kPool : fmt::format("{}blk.{}.", graph.stack, number)) {}

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
  graph->local_base = std::max(1.0, or_default(settings.local_base, 10000));
  graph->local_layers = static_cast<uint64_t>(settings.local_layers > 0 ? settings.local_layers
                                                                        : graph->architecture.local_layers);
  graph->layer_is_local = settings.layer_is_local;
  graph->epsilon = or_default(settings.epsilon, 1e-5);
  graph->score_factor = or_default(settings.score_factor, 1 / std::sqrt(head_width));
  const double by_width =
      graph->architecture.embedding_by_width ? std::sqrt(static_cast<double>(graph->width)) : 1;
  graph->embedding_factor = or_default(settings.embedding_factor, by_width);
  graph->residual_factor = or_default(settings.residual_factor, 1);
}

void take_architecture(const ModelSettings& settings, NamedTensors& names, ModelGraph* graph,
                       std::string* note) {
  graph->architecture = settings.row != nullptr ? *settings.row : unknown_architecture();
  graph->gguf = settings.gguf;
  if (settings.row == nullptr) {
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

// Whether there is a table of tokens that is one.
bool take_tokens(NamedTensors& names, ModelGraph* graph) {
  const auto embedding = names.linear(graph->stack + "token_embd", 0, 0);
  if (!embedding || embedding->transposed || embedding->inputs > kMaxSide) return false;
  graph->embedding = embedding->tensor;
  graph->width = embedding->inputs;
  graph->tokens = embedding->outputs;
  return true;
}

// A matrix of outputs x colours x side x side.
bool take_patches(NamedTensors& names, const TensorSource& source, ModelGraph* graph) {
  const auto patch = names.convolution(graph->stack + "patch_embd");
  if (!patch || patch->inputs > kMaxPatch || patch->outputs > kMaxSide) return false;
  const std::vector<uint64_t>& shape = source.tensors()[patch->tensor].shape;
  if (shape.size() != 4 || shape[2] != shape[3]) return false;
  graph->width = patch->outputs;
  graph->signal =
      SignalStart{{*patch}, shape[1], shape[2], names.rows(graph->stack + "class_embd", graph->width)};
  return true;
}

// Two convolutions along the time.
bool take_sound(NamedTensors& names, const TensorSource& source, ModelGraph* graph) {
  const auto first = names.convolution(graph->stack + "conv1");
  const auto second = names.convolution(graph->stack + "conv2");
  if (!first || !second || first->inputs > kMaxPatch || second->outputs > kMaxSide) return false;
  const std::vector<uint64_t>&one = source.tensors()[first->tensor].shape,
        &two = source.tensors()[second->tensor].shape;
  if (one.size() != 3 || two.size() != 3 || one[2] != two[2] || one[0] != two[1] || one[2] % 2 == 0)
    return false;
  graph->width = second->outputs;
  graph->signal = SignalStart{{*first, *second}, one[1], one[2], std::nullopt};
  return true;
}

// Why not, where there is nothing to begin with.
const char* take_start(NamedTensors& names, const TensorSource& source, ModelGraph* graph) {
  switch (graph->architecture.start) {
    case Start::kTokens:
      return take_tokens(names, graph) ? nullptr : "no token embedding";
    case Start::kPatches:
      return take_patches(names, source, graph) ? nullptr : "no embedding of patches";
    case Start::kSound:
      return take_sound(names, source, graph) ? nullptr : "no convolutions that it begins with";
  }
  return nullptr;
}

void take_ends(NamedTensors& names, ModelGraph* graph) {
  const auto norm = [&](const char* name) {
    return names.norm(graph->stack + name, graph->width, graph->architecture, graph->gguf);
  };
  graph->embedding_norm = norm("token_embd_norm");
  graph->final_norm = norm("output_norm");
  graph->positions = names.rows(graph->stack + "position_embd", graph->width);
  graph->types = names.rows(graph->stack + "token_types", graph->width);
  if (!graph->final_norm) return;
  if (graph->architecture.looks_ahead) {
    graph->pooler = names.linear(graph->stack + "cls", 0, graph->width);
    if (!graph->pooler) graph->pooler = names.linear(graph->stack + "cls.output", 0, graph->width);
    return;
  }
  if (!names.has("output.weight")) graph->head = graph->embedding;
  const auto head = graph->head ? std::nullopt : names.linear("output", 0, graph->width);
  if (head && !head->transposed) graph->head = head->tensor;
}

void add_note(const std::string& what, std::string* note) {
  *note += note->empty() || what.empty() ? what : "; " + what;
}

void take_layers(NamedTensors& names, uint64_t other_width, ModelGraph* graph, std::string* note) {
  std::vector<uint32_t> attention, cross, feed_forward;
  for (uint32_t n = 0; names.has_layer(graph->stack, n); ++n) {
    graph->layers.push_back(LayerFinder(names, *graph, n, other_width).find());
    const GraphLayer& layer = graph->layers.back();
    if (!layer.attention) attention.push_back(n);
    if (!layer.cross && !graph->architecture.reads.empty()) cross.push_back(n);
    if (!layer.feed_forward) feed_forward.push_back(n);
  }
  const auto tell = [&](const char* what, const std::vector<uint32_t>& numbers) {
    if (numbers.empty()) return;
    add_note(fmt::format("{} of layer{} {} {} not built as known of {}", what, numbers.size() > 1 ? "s" : "",
                         ranges(numbers), numbers.size() > 1 ? "are" : "is", graph->architecture.name),
             note);
  };
  tell("attention", attention);
  tell("attention to the other stack", cross);
  tell("the rest", feed_forward);
}

// Where there is but one stack of a family with several, its tensors may have no prefix.
std::string stack_of(const NamedTensors& names, const Architecture& row) {
  const std::string stack(row.stack);
  return row.reads.empty() && !names.has_layer(stack, 0) ? std::string() : stack;
}

class GraphFinder {
 public:
  explicit GraphFinder(const TensorSource& source) : source_(source), names_(source) {}

  // `only`: not one of several that the family can have.
  void add(const ModelSettings& settings, bool only) {
    std::string note;
    ModelGraph graph;
    take_architecture(settings, names_, &graph, &note);
    graph.stack = stack_of(names_, graph.architecture);
    if (!only && !names_.has_layer(graph.stack, 0)) return;  // this model is without
    const std::string failure = find(settings, &graph, &note);
    add_note(failure, &note);
    if (!only && !failure.empty()) note = fmt::format("{}: {}", graph.architecture.name, note);
    add_note(note, &search_.note);
    if (!failure.empty()) return;
    const bool pools = graph.architecture.pools && names_.has(graph.stack + kPool + "probe.weight");
    search_.stacks.push_back(std::move(graph));
    if (pools) add_pooling();
  }

  GraphSearch result() && {
    if (search_.stacks.empty()) {
      if (search_.note.empty()) search_.note = "no layers";
      return std::move(search_);
    }
    const std::vector<std::string> rest = names_.unused_outside();
    if (rest.size() == 1) add_note(rest.front(), &search_.note);
    if (rest.size() > 1)
      add_note(fmt::format("{} and {} more outside the layers", rest.front(), rest.size() - 1),
               &search_.note);
    return std::move(search_);
  }

 private:
  // A stack of one layer that reads the last one.
  void add_pooling() {
    const ModelGraph& read = search_.stacks.back();
    ModelGraph graph = read;
    graph.reads = search_.stacks.size() - 1;
    graph.query = names_.vector(graph.stack + kPool + "probe.weight", graph.width);
    graph.signal.reset();
    graph.positions.reset();
    graph.final_norm.reset();
    graph.pooler.reset();
    graph.layers.clear();
    if (graph.query) graph.layers.push_back(LayerFinder(names_, graph, 0, read.width).find_pooling());
    if (graph.layers.empty() || !graph.layers[0].feed_forward) {
      add_note(fmt::format("the head is not built as known of {}", graph.architecture.name), &search_.note);
    } else {
      search_.stacks.push_back(std::move(graph));
    }
  }

  // Why there is no graph; empty where there is.
  std::string find(const ModelSettings& settings, ModelGraph* graph, std::string* note) {
    if (const char* failure = take_start(names_, source_, graph)) return failure;
    if (!take_heads(settings, graph)) return "no heads";
    take_numbers(settings, graph);
    take_ends(names_, graph);
    uint64_t other_width = 0;
    for (size_t s = 0; s < search_.stacks.size(); ++s) {
      if (search_.stacks[s].architecture.stack != graph->architecture.reads) continue;
      graph->reads = s;
      other_width = search_.stacks[s].width;
    }
    take_layers(names_, other_width, graph, note);
    const auto known = [](const GraphLayer& layer) {
      return layer.attention || layer.cross || layer.feed_forward;
    };
    return std::ranges::none_of(graph->layers, known) ? "no layers" : "";
  }

  const TensorSource& source_;
  NamedTensors names_;
  GraphSearch search_;
};

}  // namespace

Result<GraphSearch> find_model_graph(const Model& model) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<ModelSettings> stacks, read_model_settings(model));
  if (stacks.front().type.empty() && stacks.front().row == nullptr)
    return GraphSearch{{}, "the model does not say of which type it is"};
  GraphFinder finder(*model.source);
  for (const ModelSettings& settings : stacks) finder.add(settings, stacks.size() == 1);
  return std::move(finder).result();
}

}  // namespace llmcodec

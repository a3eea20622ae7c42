// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/model_graph.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/error.h"
#include "base/printable.h"
#include "estimate/layer_finder.h"
#include "estimate/model_settings.h"
#include "estimate/named_tensors.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

// Of what one patch of a picture, or the convolution of a spectrum, reads.
constexpr uint64_t kMaxPatch = uint64_t{1} << 16;

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
  graph->logit_factor = or_default(settings.logit_factor, 1);
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
    graph->layers.push_back(find_layer(names, *graph, n, other_width));
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
    const bool pools = graph.architecture.pools && names_.has(graph.stack + kPoolingHead + "probe.weight");
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
    graph.query = names_.vector(graph.stack + kPoolingHead + "probe.weight", graph.width);
    graph.signal.reset();
    graph.positions.reset();
    graph.final_norm.reset();
    graph.pooler.reset();
    graph.layers.clear();
    if (graph.query) graph.layers.push_back(find_pooling_head(names_, graph, read.width));
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

// SPDX-License-Identifier: BSD-3-Clause
// The families of transformers whose layers the estimate of moments can follow: one row each of a table, or one for each
// stack of layers where a model has several (the towers of SigLIP, encoder and decoder of Whisper). A row says
// what tensors' names and shapes do not: which norm, which activation, in which order the rows of a fused matrix lie.
// What they do say is not repeated in it: which biases there are, whether a gate is fused to its partner, whether
// layers have experts. To add a family, add a row (architecture_tables.cc) and a case to
// tests/unit/estimate/architecture_test.cc.
//
// Example (const std::string& type):
//
//   for (const Architecture* row : find_architectures(type, true)) use(row->name);  // none: not in the table
#pragma once

#include <string_view>
#include <vector>

namespace llmcodec {

enum class NormKind { kRms, kLayer };

enum class Joining {
  kInTurn,    // attention, then the feed-forward part, each added to the hidden vector
  kParallel,  // both read the same hidden vector
  kNormOfSum  // as kInTurn, and the norm after a part is that of the sum (BERT)
};

enum class Activation { kSilu, kGelu, kRelu, kSquaredRelu, kClampedSwiglu };

// What the hidden vectors of a stack begin as.
enum class Start {
  kTokens,   // rows of a table
  kPatches,  // patches of a picture, each multiplied by one matrix
  kSound     // a spectrum's values at each moment, through two convolutions
};

// Which elements of a head's queries and keys are turned together.
enum class Rotation { kNone, kHalves, kNeighbours };

// How the rows of a fused matrix of queries, keys and values lie.
enum class FusedRows {
  kThreeParts,  // all queries, all keys, all values
  kByKeyHead    // for each head of keys: its queries, its key, its value
};

// The norms that a layer can have, by the names of their tensors within the layer; empty where it has none. Names
// behind "|" are alternatives, the first that is there counts.
struct NormNames {
  std::string_view before_attention, after_attention, before_feed_forward, after_feed_forward;
  std::string_view before_cross = {};  // before attention to another stack
};

// What differs between GGUF files and Hugging Face folders of one family.
struct Spelling {
  std::string_view types;  // of general.architecture or model_type, separated by spaces
  NormNames norms;
  Rotation rotation = Rotation::kHalves;
  FusedRows fused = FusedRows::kThreeParts;
};

struct Architecture {
  std::string_view name;  // of the family, for people
  NormKind norm = NormKind::kRms;
  Activation activation = Activation::kSilu;
  Joining joining = Joining::kInTurn;
  bool norms_plus_one = false;      // in Hugging Face files gains are 1 + w; GGUF converters add the 1
  bool embedding_by_width = false;  // embeddings are multiplied by sqrt(width)
  bool neighbouring_gate = false;   // rows of a fused gate and up take turns (gpt-oss)
  bool looks_ahead = false;         // an encoder: tokens see what follows them
  bool bare_first_layer = false;    // the first layer's attention has no norm before it
  int local_layers = 0;             // of so many layers all but one rotate by the base of local layers
  bool global_first = false;        // that one is the first of them, else the last
  bool pools = false;               // may have a head behind its layers: attention of one learnt query
  int heads = 0;                    // where config.json does not say; 0: it must
  Start start = Start::kTokens;
  // Of a model with several stacks: what its tensors' names begin with (quant/tensor_names.h), and the stack whose
  // output its layers read too, which has a row above this one.
  std::string_view stack = {}, reads = {};
  // Of such a model, the object in config.json with the stack's settings, or what their names there begin with.
  std::string_view settings = {};
  Spelling gguf = {}, hugging_face = {};
};

// One for each stack of layers; none for a type that is in no row.
std::vector<const Architecture*> find_architectures(std::string_view type, bool gguf);

// For types that are in no row: as Llama.
const Architecture& unknown_architecture();

}  // namespace llmcodec

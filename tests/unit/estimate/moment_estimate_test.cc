// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/moment_estimate.h"

#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "../tensor/tensor_test_files.h"
#include "tensor/safetensors.h"

namespace llmcodec {
namespace {

constexpr size_t kWidth = 8, kHeadWidth = 4, kHidden = 12, kTokens = 16;

using Tensors = std::map<std::string, std::pair<std::vector<uint64_t>, std::vector<float>>>;

std::vector<float> noise(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& v : values) v = static_cast<float>(random() >> 8) / static_cast<float>(1 << 23) - 1;
  return values;
}

// One layer, two heads that share one head of values. Every token has the same vector, so that averages over
// tokens, whichever are drawn, change nothing and the reference below is one vector's way through the layer.
Tensors one_layer() {
  Tensors tensors;
  const auto put = [&](const std::string& name, std::vector<uint64_t> shape) {
    size_t count = 1;
    for (const uint64_t side : shape) count *= side;
    tensors[name] = {std::move(shape), noise(count, static_cast<uint32_t>(tensors.size() + 1))};
  };
  const std::string layer = "model.layers.0.";
  put("model.embed_tokens.weight", {kTokens, kWidth});
  auto& embedding = tensors["model.embed_tokens.weight"].second;
  for (size_t i = kWidth; i < embedding.size(); ++i) embedding[i] = embedding[i % kWidth];
  for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
    put(layer + norm + ".weight", {kWidth});
  put("model.norm.weight", {kWidth});
  put(layer + "self_attn.q_proj.weight", {kWidth, kWidth});
  put(layer + "self_attn.k_proj.weight", {kHeadWidth, kWidth});
  put(layer + "self_attn.v_proj.weight", {kHeadWidth, kWidth});
  put(layer + "self_attn.v_proj.bias", {kHeadWidth});
  put(layer + "self_attn.o_proj.weight", {kWidth, kWidth});
  put(layer + "mlp.gate_proj.weight", {kHidden, kWidth});
  put(layer + "mlp.up_proj.weight", {kHidden, kWidth});
  put(layer + "mlp.down_proj.weight", {kWidth, kHidden});
  return tensors;
}

Status write_folder(const std::string& folder, const Tensors& tensors, const std::string& type,
                    const std::string& more_settings) {
  std::vector<TensorInfo> infos;
  for (const auto& [name, tensor] : tensors) infos.push_back({name, Dtype::kF32, tensor.first});
  write_bytes(folder + "/config.json", R"({"model_type": ")" + type +
                                           R"(", "num_attention_heads": 2, "num_key_value_heads": 1)" +
                                           more_settings + "}");
  LLMC_ASSIGN_OR_RETURN(const auto sink, create_safetensors(folder + "/model.safetensors", infos, {}));
  size_t index = 0;
  for (const auto& [name, tensor] : tensors)
    LLMC_RETURN_IF_ERROR(sink->write(index++, std::as_bytes(std::span(tensor.second))));
  return sink->finish();
}

using Vector = std::vector<double>;

Vector times(const Tensors& tensors, const std::string& name, const Vector& x) {
  const auto& [shape, w] = tensors.at(name);
  Vector y(shape[0], 0.0);
  for (size_t r = 0; r < y.size(); ++r) {
    for (size_t c = 0; c < x.size(); ++c) y[r] += double{w[r * x.size() + c]} * x[c];
  }
  return y;
}

Vector normalized(const Tensors& tensors, const std::string& name, const Vector& x) {
  double energy = 0;
  for (const double v : x) energy += v * v / static_cast<double>(x.size());
  Vector y(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    y[i] = x[i] / std::sqrt(energy + 1e-5) * double{tensors.at(name).second[i]};
  return y;
}

Vector plus(Vector x, const Vector& change) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += change[i];
  return x;
}

// The inputs of each matrix, by its Hugging Face name; tokens are all alike, so their weights change nothing.
std::map<std::string, Vector> reference(const Tensors& tensors) {
  const std::string layer = "model.layers.0.";
  std::map<std::string, Vector> inputs;
  const auto& embedding = tensors.at("model.embed_tokens.weight").second;
  Vector hidden(embedding.begin(), embedding.begin() + kWidth);
  const Vector x = normalized(tensors, layer + "input_layernorm.weight", hidden);
  for (const char* name : {"q", "k", "v"}) inputs[layer + "self_attn." + name + "_proj.weight"] = x;
  Vector value = times(tensors, layer + "self_attn.v_proj.weight", x);
  const auto& bias = tensors.at(layer + "self_attn.v_proj.bias").second;
  value = plus(value, Vector(bias.begin(), bias.end()));
  value.insert(value.end(), value.begin(), value.begin() + kHeadWidth);
  inputs[layer + "self_attn.o_proj.weight"] = value;
  hidden = plus(hidden, times(tensors, layer + "self_attn.o_proj.weight", value));
  const Vector y = normalized(tensors, layer + "post_attention_layernorm.weight", hidden);
  inputs[layer + "mlp.gate_proj.weight"] = inputs[layer + "mlp.up_proj.weight"] = y;
  Vector middle = times(tensors, layer + "mlp.gate_proj.weight", y);
  const Vector up = times(tensors, layer + "mlp.up_proj.weight", y);
  for (size_t i = 0; i < middle.size(); ++i) middle[i] *= up[i] / (1 + std::exp(-middle[i]));
  inputs[layer + "mlp.down_proj.weight"] = middle;
  hidden = plus(hidden, times(tensors, layer + "mlp.down_proj.weight", middle));
  inputs["model.embed_tokens.weight"] = normalized(tensors, "model.norm.weight", hidden);
  return inputs;
}

// Squared gains of a norm, of mean 1.
Vector gain_energy(const Tensors& tensors, const std::string& norm) {
  const auto& gains = tensors.at(norm).second;
  double sum = 0;
  for (const float g : gains) sum += double{g} * g;
  Vector energy;
  for (const float g : gains) energy.push_back(double{g} * g * static_cast<double>(gains.size()) / sum);
  return energy;
}

Vector scaled(Vector x, double factor) {
  for (double& v : x) v *= factor;
  return x;
}

// Energy of each column when row r counts energy[r] times.
Vector column_energy(const Tensors& tensors, const std::string& name, const Vector& energy) {
  const auto& [shape, w] = tensors.at(name);
  Vector columns(shape[1], 0.0);
  for (size_t i = 0; i < w.size(); ++i) columns[i % shape[1]] += energy[i / shape[1]] * double{w[i]} * w[i];
  return columns;
}

Vector slopes_of_silu(Vector x) {
  for (double& v : x) {
    const double share = 1 / (1 + std::exp(-v));
    v = share * (1 + v * (1 - share));
  }
  return x;
}

// The outputs of each matrix that does not end in scores, by its Hugging Face name. Elements of the hidden vector count by
// the gains of the norms that read them.
std::map<std::string, Vector> reference_outputs(const Tensors& tensors) {
  const std::string layer = "model.layers.0.";
  const auto inputs = reference(tensors);
  const auto weight = [&](const Vector& hidden) {
    double sum = 0;
    for (const double h : hidden) sum += h * h;
    return 1 / (sum / kWidth + 1e-5);
  };
  const auto& embedding = tensors.at("model.embed_tokens.weight").second;
  Vector hidden(embedding.begin(), embedding.begin() + kWidth);
  const std::string output = layer + "self_attn.o_proj.weight", down = layer + "mlp.down_proj.weight";
  hidden = plus(hidden, times(tensors, output, inputs.at(output)));
  const Vector last = gain_energy(tensors, "model.norm.weight"),
               behind_attention =
                   scaled(plus(gain_energy(tensors, layer + "post_attention_layernorm.weight"), last), 0.5);
  std::map<std::string, Vector> outputs;
  outputs[output] = scaled(behind_attention, weight(hidden));
  // All keys are alike: position t takes 1 / (t + 1) of each of the tokens that it sees.
  double shares = 0, values = 0;
  for (int t = 1; t <= 64; ++t) shares += 1.0 / t / 64;
  for (const double column : column_energy(tensors, output, behind_attention)) values += column;
  outputs[layer + "self_attn.v_proj.weight"] =
      Vector(kHeadWidth, weight(hidden) * shares * values / kHeadWidth);

  hidden = plus(hidden, times(tensors, down, inputs.at(down)));
  outputs[down] = scaled(last, weight(hidden));
  const Vector& y = inputs.at(layer + "mlp.up_proj.weight");
  const Vector gate = times(tensors, layer + "mlp.gate_proj.weight", y),
               up = times(tensors, layer + "mlp.up_proj.weight", y), slopes = slopes_of_silu(gate),
               columns = column_energy(tensors, down, last);
  double by_gate = 0, by_up = 0;
  for (size_t j = 0; j < kHidden; ++j) {
    const double through_gate = up[j] * slopes[j], through_up = gate[j] / (1 + std::exp(-gate[j]));
    by_gate += weight(hidden) * columns[j] * through_gate * through_gate / kHidden;
    by_up += weight(hidden) * columns[j] * through_up * through_up / kHidden;
  }
  outputs[layer + "mlp.gate_proj.weight"] = Vector(kHidden, by_gate);
  outputs[layer + "mlp.up_proj.weight"] = Vector(kHidden, by_up);
  return outputs;
}

Result<MomentEstimate> estimate(const Tensors& tensors, const std::string& type, unsigned threads = 1,
                                const std::string& more_settings = "") {
  const TempFolder folder;
  LLMC_RETURN_IF_ERROR(write_folder(folder.path(), tensors, type, more_settings));
  LLMC_ASSIGN_OR_RETURN(const Model model, open_model(folder.path()));
  return estimate_moments(model, threads, [](uint64_t) { return Status::ok(); });
}

TEST(MomentEstimate, equals_the_plain_way_through_a_layer) {
  const Tensors tensors = one_layer();
  const auto found = estimate(tensors, "llama");
  ASSERT_TRUE(found.is_ok()) << found.error().to_string();
  ASSERT_TRUE(found->importance) << found->note;
  const auto expected = reference(tensors);
  EXPECT_EQ(found->importance->size(), expected.size());
  for (const auto& [name, inputs] : expected) {
    const auto entry = found->importance->find(name, inputs.size());
    ASSERT_TRUE(entry.is_ok()) << entry.error().to_string();
    ASSERT_TRUE(entry->found()) << name;
    for (size_t i = 0; i < inputs.size(); ++i)
      EXPECT_NEAR(entry->matrix(0)[i], inputs[i] * inputs[i], 1e-3 * (inputs[i] * inputs[i] + 0.1))
          << name << i;
  }
}

TEST(MomentEstimate, outputs_are_passed_back_through_their_block) {
  const Tensors tensors = one_layer();
  const auto found = estimate(tensors, "llama");
  ASSERT_TRUE(found.is_ok() && found->importance);
  for (const auto& [name, moments] : reference_outputs(tensors)) {
    const auto entry = found->importance->find_outputs(name, tensors.at(name).first[0]);
    ASSERT_TRUE(entry.is_ok() && entry->found()) << name;
    ASSERT_EQ(entry->moments.size(), moments.size()) << name;
    // What comes back through attention is one draw of noise, 512 tokens of it.
    const double error = name.find("v_proj") != std::string::npos ? 0.3 : 2e-3;
    for (size_t r = 0; r < moments.size(); ++r)
      EXPECT_NEAR(entry->moments[r], moments[r], error * moments[r]) << name << r;
  }
  // All values are alike: no score can change their mixture.
  for (const char* name : {"q", "k"}) {
    const std::string full = std::string("model.layers.0.self_attn.") + name + "_proj.weight";
    const auto entry = found->importance->find_outputs(full, tensors.at(full).first[0]);
    ASSERT_TRUE(entry.is_ok());
    for (const float m : entry->moments) EXPECT_LT(m, 1e-9) << full;
  }
}

TEST(MomentEstimate, rows_of_a_head_matter_as_their_tokens_are_likely) {
  Tensors tensors = one_layer();
  tensors["lm_head.weight"] = {{kTokens, kWidth}, noise(kTokens * kWidth, 77)};
  const Vector last = reference(tensors).at("model.embed_tokens.weight");
  const std::map<std::string, double> factors = {{"", 1}, {R"(, "logits_scaling": 4)", 0.25}};
  for (const auto& [settings, factor] : factors) {
    const auto found = estimate(tensors, "granite", 2, settings);
    ASSERT_TRUE(found.is_ok() && found->importance);
    const auto entry = found->importance->find_outputs("lm_head.weight", kTokens);
    ASSERT_TRUE(entry.is_ok() && entry->found());
    Vector likely = scaled(times(tensors, "lm_head.weight", last), factor);
    double sum = 0;
    for (double& p : likely) sum += p = std::exp(p);
    for (size_t i = 0; i < kTokens; ++i) {
      const double p = likely[i] / sum;
      EXPECT_NEAR(entry->matrix(0)[i], p * (1 - p), 2e-3 * p) << i << settings;
    }
  }
}

// Rows 1 and 3 of the keys, which are turned together, are always zero: the same rows of the queries of both heads
// move no score.
TEST(MomentEstimate, rows_of_queries_without_partners_do_not_matter) {
  Tensors tensors = one_layer();
  const std::string attention = "model.layers.0.self_attn.";
  tensors["model.embed_tokens.weight"].second = noise(kTokens * kWidth, 99);
  auto& key = tensors[attention + "k_proj.weight"].second;
  for (size_t c = 0; c < kWidth; ++c) key[kWidth + c] = key[3 * kWidth + c] = 0;
  const auto found = estimate(tensors, "llama");
  ASSERT_TRUE(found.is_ok() && found->importance) << found->note;
  const auto entry = found->importance->find_outputs(attention + "q_proj.weight", kWidth);
  ASSERT_TRUE(entry.is_ok() && entry->found());
  for (size_t row = 0; row < kWidth; ++row) {
    EXPECT_EQ(entry->moments[row] > 0, row % 2 == 0) << row;
  }
  // Norms that follow queries and keys divide by what their errors are compared with.
  for (const char* norm : {"q_norm.weight", "k_norm.weight"})
    tensors[attention + norm] = {{kHeadWidth}, std::vector<float>(kHeadWidth, 1.0F)};
  const auto normed = estimate(tensors, "qwen3");
  for (float& w : tensors[attention + "q_proj.weight"].second) w *= 4;
  const auto larger = estimate(tensors, "qwen3");
  ASSERT_TRUE(normed.is_ok() && normed->importance && larger.is_ok() && larger->importance) << normed->note;
  const auto one = normed->importance->find_outputs(attention + "q_proj.weight", kWidth);
  const auto four = larger->importance->find_outputs(attention + "q_proj.weight", kWidth);
  ASSERT_TRUE(one.is_ok() && one->found() && four.is_ok() && four->found());
  for (size_t row = 0; row < kWidth; ++row)
    EXPECT_NEAR(four->moments[row] * 16, one->moments[row], 0.01 * one->moments[row] + 1e-9) << row;
}

// A layer whose values are all zero: its output matrix has no inputs, its values no effect.
TEST(MomentEstimate, a_dead_layer_has_moments_that_can_be_used) {
  Tensors tensors = one_layer();
  const std::string attention = "model.layers.0.self_attn.";
  for (const char* part : {"v_proj.weight", "v_proj.bias", "o_proj.weight"})
    std::ranges::fill(tensors[attention + part].second, 0.0F);
  const auto found = estimate(tensors, "llama");
  ASSERT_TRUE(found.is_ok() && found->importance) << found->note;
  const auto inputs = found->importance->find(attention + "o_proj.weight", kWidth);
  ASSERT_TRUE(inputs.is_ok() && inputs->found());
  for (const float m : inputs->moments) EXPECT_EQ(m, 1);
  const auto outputs = found->importance->find_outputs(attention + "v_proj.weight", kHeadWidth);
  EXPECT_TRUE(outputs.is_ok() && !outputs->found());
}

TEST(MomentEstimate, is_the_same_for_any_number_of_threads) {
  Tensors tensors = one_layer();
  tensors["model.embed_tokens.weight"].second = noise(kTokens * kWidth, 99);
  const auto one = estimate(tensors, "qwen2", 1), three = estimate(tensors, "qwen2", 3);
  ASSERT_TRUE(one.is_ok() && one->importance && three.is_ok() && three->importance);
  for (const auto& [name, inputs] : reference(tensors)) {
    const auto a = one->importance->find(name, inputs.size()),
               b = three->importance->find(name, inputs.size());
    ASSERT_TRUE(a.is_ok() && a->found() && b.is_ok() && b->found());
    EXPECT_TRUE(std::ranges::equal(a->moments, b->moments)) << name;
    const uint64_t rows = tensors.at(name).first[0];
    const auto c = one->importance->find_outputs(name, rows), d = three->importance->find_outputs(name, rows);
    ASSERT_TRUE(c.is_ok() && d.is_ok() && c->found()) << name;
    EXPECT_TRUE(std::ranges::equal(c->moments, d->moments)) << name;
  }
}

TEST(MomentEstimate, says_why_there_is_none) {
  const auto expect_none = [](const Tensors& tensors, const std::string& type, const std::string& why) {
    const auto found = estimate(tensors, type);
    ASSERT_TRUE(found.is_ok()) << found.error().to_string();
    EXPECT_FALSE(found->importance);
    EXPECT_NE(found->note.find(why), std::string::npos) << found->note;
  };
  expect_none(one_layer(), "gpt2", "attention of layer 0 is not built as known of GPT-2");
  Tensors broken = one_layer();
  broken["model.layers.0.mlp.up_proj.weight"].second[3] = std::numeric_limits<float>::quiet_NaN();
  expect_none(broken, "llama", "not finite");
}

// A part that is not as its row says is left out, and said; the other is as in a layer that has only it.
TEST(MomentEstimate, falls_back_part_by_part) {
  Tensors other = one_layer();
  const std::string layer = "model.layers.0.";
  other[layer + "self_attn.v_proj.weight"] = {{kWidth, kWidth}, noise(kWidth * kWidth, 5)};
  const auto found = estimate(other, "llama");
  ASSERT_TRUE(found.is_ok() && found->importance) << found->note;
  EXPECT_NE(found->note.find("attention of layer 0"), std::string::npos) << found->note;
  const auto none = found->importance->find(layer + "self_attn.o_proj.weight", kWidth);
  EXPECT_TRUE(none.is_ok() && !none->found());
  const auto up = found->importance->find(layer + "mlp.up_proj.weight", kWidth);
  ASSERT_TRUE(up.is_ok() && up->found());
  const auto& embedding = other.at("model.embed_tokens.weight").second;
  const Vector y = normalized(other, layer + "post_attention_layernorm.weight",
                              Vector(embedding.begin(), embedding.begin() + kWidth));
  for (size_t i = 0; i < kWidth; ++i)
    EXPECT_NEAR(up->moments[i], y[i] * y[i], 1e-3 * (y[i] * y[i] + 0.1)) << i;
  // Two matrices in the place of one, and a head of another width: nothing is said about either.
  Tensors doubled = one_layer();
  doubled[layer + "mlp.up_proj.weight"] = {{2, kHidden, kWidth}, noise(2 * kHidden * kWidth, 5)};
  doubled["lm_head.weight"] = {{kTokens, kHidden}, noise(kTokens * kHidden, 6)};
  const auto single = estimate(doubled, "llama");
  ASSERT_TRUE(single.is_ok() && single->importance) << single->note;
  for (const std::string& name : {layer + "mlp.up_proj.weight", std::string("lm_head.weight")}) {
    const auto entry = single->importance->find(name, doubled.at(name).first.back());
    EXPECT_TRUE(entry.is_ok() && !entry->found()) << name;
  }
  // Something beside the matrices that nobody knows.
  Tensors strange = one_layer();
  strange[layer + "mlp.memory.weight"] = {{kWidth, kWidth}, noise(kWidth * kWidth, 5)};
  const auto half = estimate(strange, "llama");
  ASSERT_TRUE(half.is_ok() && half->importance) << half->note;
  EXPECT_NE(half->note.find("the rest of layer 0"), std::string::npos) << half->note;
}

TEST(MomentEstimate, takes_unknown_types_for_llama_and_says_so) {
  const auto found = estimate(one_layer(), "new_thing"), llama = estimate(one_layer(), "llama");
  ASSERT_TRUE(found.is_ok() && found->importance && llama.is_ok() && llama->importance) << found->note;
  EXPECT_NE(found->note.find("'new_thing'"), std::string::npos) << found->note;
  const std::string down = "model.layers.0.mlp.down_proj.weight";
  const auto one = found->importance->find(down, kHidden), other = llama->importance->find(down, kHidden);
  ASSERT_TRUE(one.is_ok() && one->found() && other.is_ok() && other->found());
  EXPECT_TRUE(std::ranges::equal(one->moments, other->moments));
}

// Two experts, stored one by one; the router sends every token to both, the first with nearly all the weight.
TEST(MomentEstimate, experts_share_their_inputs_by_the_router) {
  Tensors tensors = one_layer();
  const std::string layer = "model.layers.0.";
  for (const char* part : {"gate", "up", "down"}) {
    const auto dense = tensors.extract(layer + "mlp." + part + "_proj.weight").mapped();
    for (const char* expert : {"0", "1"}) {
      tensors[layer + "mlp.experts." + expert + "." + part + "_proj.weight"] = dense;
    }
  }
  for (float& w : tensors[layer + "mlp.experts.1.down_proj.weight"].second) w = 0;
  tensors[layer + "mlp.gate.weight"] = {{2, kWidth}, std::vector<float>(2 * kWidth, 0.0F)};
  const auto found = estimate(tensors, "mixtral");
  ASSERT_TRUE(found.is_ok()) << found.error().to_string();
  ASSERT_TRUE(found->importance) << found->note;
  const auto dense = estimate(one_layer(), "llama");
  ASSERT_TRUE(dense.is_ok() && dense->importance);
  for (const char* part : {"gate", "up", "down"}) {
    const size_t cols = part == std::string("down") ? kHidden : kWidth;
    const auto want = dense->importance->find(layer + "mlp." + part + "_proj.weight", cols);
    ASSERT_TRUE(want.is_ok() && want->found());
    for (const char* expert : {"0", "1"}) {
      const auto entry =
          found->importance->find(layer + "mlp.experts." + expert + "." + part + "_proj.weight", cols);
      ASSERT_TRUE(entry.is_ok() && entry->found()) << part << expert;
      EXPECT_TRUE(std::ranges::equal(entry->moments, want->moments)) << part << expert;
    }
  }
  // Half of the first expert's output reaches the head, so the head's inputs differ from the dense layer's.
  const auto head = found->importance->find("model.embed_tokens.weight", kWidth);
  const auto dense_head = dense->importance->find("model.embed_tokens.weight", kWidth);
  ASSERT_TRUE(head.is_ok() && head->found() && dense_head.is_ok() && dense_head->found());
  EXPECT_FALSE(std::ranges::equal(head->moments, dense_head->moments));
}

}  // namespace
}  // namespace llmcodec

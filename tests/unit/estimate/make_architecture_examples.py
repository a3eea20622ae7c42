#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes tests/data/estimate/architectures.txt: tiny models of each family of the table of architectures, and what
transformers says the inputs of their layers are, for architecture_test.cc to compare with.

usage: make_architecture_examples.py > tests/data/estimate/architectures.txt          (needs torch and transformers)

Weights are not in the file: both sides draw them by the rule of draw() below. All tokens have the same vector, so that
it does not matter which are drawn, nor what attention mixes; how it mixes is tested by itself.
"""
import json
import sys

import numpy as np
import torch
import transformers

SMALL = {"vocab_size": 24, "num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 4,
         "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SHARED = {**SMALL, "num_key_value_heads": 2}
TANH = "gelu_pytorch_tanh"
# What estimate/model_settings.cc looks at.
KEYS = ("model_type", "num_attention_heads", "n_head", "num_key_value_heads", "num_kv_heads", "multi_query",
        "new_decoder_architecture", "parallel_attn", "head_dim", "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon",
        "norm_epsilon", "query_pre_attn_scalar", "attention_multiplier", "embedding_multiplier", "residual_multiplier",
        "use_parallel_residual", "rope_parameters", "partial_rotary_factor")
CASES = [
    ("llama", SHARED),
    ("mistral", {**SHARED, "head_dim": 8}),
    ("qwen2", SHARED),
    ("qwen3", {**SHARED, "head_dim": 8}),
    ("gemma", {**SHARED, "head_dim": 8}),
    ("gemma2", {**SHARED, "head_dim": 8, "attn_logit_softcapping": None, "final_logit_softcapping": None}),
    ("gemma3_text", {**SHARED, "head_dim": 8}),
    ("phi", {**SMALL, "hidden_act": "gelu_new"}),
    ("phi3", SHARED),
    ("olmo2", SHARED),
    ("granite", {**SHARED, "embedding_multiplier": 3.0, "residual_multiplier": 0.25, "attention_multiplier": 0.1}),
    ("cohere", SHARED),
    ("starcoder2", SHARED),
    ("gpt2", {"vocab_size": 24, "n_layer": 2, "n_embd": 16, "n_head": 4, "n_inner": 24, "n_positions": 128,
              "bos_token_id": 1, "eos_token_id": 2}),
    ("gpt_neox", {**SMALL, "hidden_act": "gelu_new"}),
    ("gpt_neox", {**SMALL, "hidden_act": "gelu_new", "use_parallel_residual": False}),
    ("falcon", {"activation": "gelu_new", "vocab_size": 24, "num_hidden_layers": 2, "hidden_size": 16, "ffn_hidden_size": 24,
                "num_attention_heads": 4, "multi_query": True, "bias": False}),
    ("falcon", {"activation": "gelu_new", "vocab_size": 24, "num_hidden_layers": 2, "hidden_size": 16, "ffn_hidden_size": 24,
                "num_attention_heads": 4, "num_kv_heads": 2, "new_decoder_architecture": True, "bias": False}),
    ("glm4", {**SHARED, "head_dim": 4}),
    ("gpt_oss", {**SHARED, "head_dim": 4, "num_local_experts": 3, "num_experts_per_tok": 2}),
    ("bert", {**SMALL, "hidden_act": TANH, "max_position_embeddings": 128}),
    ("roberta", {**SMALL, "hidden_act": TANH, "max_position_embeddings": 128}),
]


def draw(name, shape, seed):
    """The raw numbers of the Mersenne Twister as floats from -1 to 1; embeddings have one row, repeated."""
    if "sinks" in name:
        return np.full(shape, -100, np.float32)
    raw = np.random.RandomState(seed).randint(0, 2**32, int(np.prod(shape)), dtype=np.uint32)
    values = ((raw >> 8).astype(np.float32) / np.float32(1 << 23) - np.float32(1)).reshape(shape)
    if any(part in name for part in ("embed", "wte", "wpe")) and len(shape) == 2:
        values[:] = values[0]
    return values


def tiny_model(kind, settings):
    config = transformers.CONFIG_MAPPING[kind](**settings)
    config._attn_implementation = "eager"
    mapping = transformers.MODEL_MAPPING if kind in ("bert", "roberta") else transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    return mapping[type(config)](config).float().eval(), config


def file_tensors(model, config):
    """Parameters as a folder has them: no second name of a tied head, and nothing that is not of the layers."""
    tied = getattr(config, "tie_word_embeddings", False)
    names = {}
    for name, tensor in model.named_parameters(remove_duplicate=False):
        if not (tied and name in ("lm_head.weight", "embed_out.weight")) and not name.startswith("pooler"):
            names[name] = tensor
    return dict(sorted(names.items()))


def observe(model, seen):
    def hook(name):
        def note(module, inputs, output):
            seen[name] = inputs[0].detach().double().reshape(-1, inputs[0].shape[-1]).square().mean(0)
        return note

    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.ndim == 2 and not isinstance(module, torch.nn.Embedding):
            module.register_forward_hook(hook(name + ".weight"))


def show(kind, settings):
    model, config = tiny_model(kind, settings)
    tensors, seen = file_tensors(model, config), {}
    with torch.no_grad():
        for seed, (name, tensor) in enumerate(tensors.items()):
            tensor.copy_(torch.from_numpy(draw(name, tuple(tensor.shape), seed + 1)))
    observe(model, seen)
    with torch.no_grad():
        model(torch.full((1, 8), 3))
    kept = json.loads(config.to_json_string(use_diff=False))
    print("model", json.dumps({key: kept[key] for key in KEYS if kept.get(key) is not None}))
    for name, tensor in tensors.items():
        print("tensor", name, *tensor.shape)
    embedding = next(name for name, module in model.named_modules() if module is model.get_input_embeddings())
    for name, values in seen.items():
        if not name.startswith("pooler"):
            own = name if name in tensors else embedding + ".weight"  # a tied head
            print("inputs", own, *(np.format_float_scientific(v, precision=5) for v in values.numpy()))


def main():
    for kind, settings in CASES:
        try:
            show(kind, settings)
        except Exception as failure:
            sys.exit(f"{kind}: {failure!r}")


if __name__ == "__main__":
    main()

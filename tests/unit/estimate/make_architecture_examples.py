#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes tests/data/estimate/architectures.txt: tiny models of each family of the table of architectures, and what
transformers says the inputs of their layers are, for architecture_test.cc to compare with.

usage: make_architecture_examples.py > tests/data/estimate/architectures.txt          (needs torch and transformers)

Weights are not in the file: both sides draw them by the rule of draw() below. All tokens have the same vector, so that
it does not matter which are drawn, nor what attention mixes; how it mixes is tested by itself. Convolutions are zeros
for that reason: pictures and sounds begin as biases and positions. Names are those of the files that transformers writes.
"""
import json
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

SMALL = {"vocab_size": 24, "num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 4,
         "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SHARED = {**SMALL, "num_key_value_heads": 2}
TANH = "gelu_pytorch_tanh"
# What estimate/model_settings.cc looks at.
KEYS = ("model_type", "num_attention_heads", "n_head", "num_key_value_heads", "num_kv_heads", "multi_query",
        "new_decoder_architecture", "parallel_attn", "head_dim", "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon",
        "norm_epsilon", "query_pre_attn_scalar", "attention_multiplier", "embedding_multiplier", "residual_multiplier",
        "use_parallel_residual", "rope_parameters", "partial_rotary_factor", "norm_eps", "encoder_attention_heads",
        "decoder_attention_heads", "text_config", "vision_config")
ENCODER = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 4, "hidden_act": TANH}
PICTURES = {**ENCODER, "image_size": 16, "patch_size": 4}
CASES = [
    ("llama", SHARED),
    ("mistral", {**SHARED, "head_dim": 8}),
    ("qwen2", SHARED),
    ("qwen3", {**SHARED, "head_dim": 8}),
    ("qwen3", {**SHARED, "head_dim": 8, "architectures": ["Qwen3Model"]}),  # without a head, names without "model."
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
    ("modernbert", {**SMALL, "hidden_activation": TANH, "cls_token_id": 1, "sep_token_id": 2}),
    ("vit", PICTURES),
    ("siglip", {"text_config": {**ENCODER, "vocab_size": 24, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2},
                "vision_config": {**PICTURES, "num_attention_heads": 2}}),
    ("siglip_vision_model", {**PICTURES, "vision_use_head": False}),
    ("whisper", {"vocab_size": 24, "num_mel_bins": 4, "d_model": 16, "activation_function": TANH,
                 "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 24, "max_source_positions": 64,
                 "decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 32, "max_target_positions": 64,
                 "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}),
]
# What stands behind the layers, and is not followed.
BEHIND = ("pooler", "logit_")


def draw(name, shape, seed):
    """The raw numbers of the Mersenne Twister as floats from -1 to 1; embeddings have one row, repeated."""
    if "sinks" in name:
        return np.full(shape, -100, np.float32)
    if len(shape) > 2 and ("patch_embed" in name or "conv" in name):
        return np.zeros(shape, np.float32)
    if "cls_token" in name or "projection.bias" in name:  # the first token, and all others without their pixels
        return np.full(shape, 0.25, np.float32)
    raw = np.random.RandomState(seed).randint(0, 2**32, int(np.prod(shape)), dtype=np.uint32)
    values = ((raw >> 8).astype(np.float32) / np.float32(1 << 23) - np.float32(1)).reshape(shape)
    if any(part in name for part in ("embed", "wte", "wpe")) and len(shape) > 1:
        values[...] = values.reshape(-1, shape[-1])[0]
    return values


def tiny_model(kind, settings):
    config = transformers.CONFIG_MAPPING[kind](**settings)
    if kind == "whisper":
        mapping = transformers.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING
    elif type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING and kind not in ("bert", "roberta") and not config.architectures:
        mapping = transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    else:
        mapping = transformers.MODEL_MAPPING
    return mapping[type(config)](config)


def drawn_model(kind, settings, folder):
    """The model that transformers loads from a file of drawn weights, and those that are of its layers."""
    model = tiny_model(kind, settings)
    model.save_pretrained(folder)
    tensors = load_file(f"{folder}/model.safetensors")
    names = sorted(name for name in tensors if not name.startswith(BEHIND))
    for seed, name in enumerate(names):
        tensors[name] = torch.from_numpy(draw(name, tuple(tensors[name].shape), seed + 1))
    save_file(tensors, f"{folder}/model.safetensors", {"format": "pt"})
    loaded = type(model).from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    return loaded, {name: tensors[name] for name in names}


def observe(model, tensors, seen):
    """Inputs of linear layers, by the name that their weight has in the file."""
    def hook(name, place=0):
        def note(module, inputs, output):
            seen[name] = inputs[place].detach().double().reshape(-1, inputs[place].shape[-1]).square().mean(0)
        return note

    for path, module in model.named_modules():
        if isinstance(module, torch.nn.MultiheadAttention):  # keys and values, by rows of one matrix
            module.register_forward_hook(hook(path + ".in_proj_weight", 1))
        weight = getattr(module, "weight", None)
        if not isinstance(weight, torch.Tensor) or weight.ndim != 2 or isinstance(module, torch.nn.Embedding):
            continue
        for name, tensor in tensors.items():
            if tensor.shape == weight.shape and torch.equal(tensor, weight):
                module.register_forward_hook(hook(name))


def inputs_of(kind, config):
    """What to run a model on."""
    tokens = torch.full((1, 8), 3)
    if kind == "whisper":
        return {"input_features": torch.zeros(1, config.num_mel_bins, 2 * config.max_source_positions),
                "decoder_input_ids": tokens}
    pixels = {"pixel_values": torch.zeros(1, 3, PICTURES["image_size"], PICTURES["image_size"])}
    if kind == "siglip":
        return {"input_ids": tokens, **pixels}
    return pixels if hasattr(config, "patch_size") else {"input_ids": tokens}


def kept(config):
    """The settings that are looked at, those in objects too."""
    return {key: kept(config[key]) if key in ("text_config", "vision_config") else config[key]
            for key in KEYS if config.get(key) is not None}


def show(kind, settings):
    seen = {}
    with tempfile.TemporaryDirectory() as folder:
        model, tensors = drawn_model(kind, settings, folder)
    observe(model, tensors, seen)
    with torch.no_grad():
        model(**inputs_of(kind, model.config))
    print("model", json.dumps(kept(json.loads(model.config.to_json_string(use_diff=False)))))
    for name, tensor in tensors.items():
        print("tensor", name, *tensor.shape)
    for name, values in seen.items():
        print("inputs", name, *(np.format_float_scientific(v, precision=5) for v in values.numpy()))


def main():
    for kind, settings in CASES:
        try:
            show(kind, settings)
        except Exception as failure:
            sys.exit(f"{kind}: {failure!r}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Proves that a Hugging Face folder and a GGUF are the same model: equal logits, each side computed by its own rules.

usage: check_hf_logits.py MODEL.gguf HF_DIR [--tokens N] [--tolerance T]

A plain numpy forward pass of the Llama architecture in float32. The GGUF side rotates neighbouring pairs (llama.cpp's
convention) and reads its settings from the key-values; the folder's side rotates the two halves of each head and reads
config.json. Exit 1 when any logit differs by more than the tolerance.
"""
import argparse
import glob
import json
import os

import numpy as np
from gguf import GGUFReader
from safetensors import safe_open

import gguf_to_hf
import safetensors_stream as st


def rotate_pairs(x, angles):
    even, odd = x[..., 0::2], x[..., 1::2]
    out = np.empty_like(x)
    out[..., 0::2] = even * np.cos(angles) - odd * np.sin(angles)
    out[..., 1::2] = even * np.sin(angles) + odd * np.cos(angles)
    return out


def rotate_halves(x, angles):
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * np.cos(angles) - second * np.sin(angles),
                           second * np.cos(angles) + first * np.sin(angles)], axis=-1)


def rms_norm(x, weight, epsilon):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attention(x, get, layer, config, rotate):
    n, heads, kv_heads = len(x), config["num_attention_heads"], config["num_key_value_heads"]
    size = config["hidden_size"] // heads
    frequencies = config["rope_theta"] ** -(np.arange(0, size, 2, dtype=np.float64) / size)
    angles = (np.arange(n)[:, None] * frequencies).astype(np.float32)[:, None, :]
    prefix = f"model.layers.{layer}.self_attn."
    q = rotate((x @ get(prefix + "q_proj.weight").T).reshape(n, heads, size), angles)
    k = rotate((x @ get(prefix + "k_proj.weight").T).reshape(n, kv_heads, size), angles)
    v = (x @ get(prefix + "v_proj.weight").T).reshape(n, kv_heads, size)
    mask = np.triu(np.full((n, n), -np.inf, np.float32), 1)
    out = np.empty_like(q)
    for head in range(heads):
        group = head * kv_heads // heads
        out[:, head] = softmax(q[:, head] @ k[:, group].T / np.sqrt(np.float32(size)) + mask) @ v[:, group]
    return out.reshape(n, -1) @ get(prefix + "o_proj.weight").T


def logits(tokens, get, config, rotate):
    epsilon = np.float32(config["rms_norm_eps"])
    x = get("model.embed_tokens.weight")[tokens]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        x = x + attention(rms_norm(x, get(prefix + "input_layernorm.weight"), epsilon), get, layer, config, rotate)
        h = rms_norm(x, get(prefix + "post_attention_layernorm.weight"), epsilon)
        gate = h @ get(prefix + "mlp.gate_proj.weight").T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ get(prefix + "mlp.up_proj.weight").T)) @ get(prefix + "mlp.down_proj.weight").T
    head = "model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"
    return rms_norm(x, get("model.norm.weight"), epsilon) @ get(head).T


def gguf_model(path):
    """(get, config) under Hugging Face's names, rows of Q and K in llama.cpp's order."""
    reader = GGUFReader(path)
    fields = gguf_to_hf.Fields(reader)
    tensors = {gguf_to_hf.hf_name(t.name): t for t in reader.tensors}

    def get(name):
        data = np.asarray(tensors[name].data)
        if data.dtype == np.uint8:
            data = st.from_bf16(data.view(np.uint16).reshape(tensors[name].shape[::-1]))
        return data.astype(np.float32)

    return get, gguf_to_hf.config(reader, fields, "f16")


def hf_model(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    where = {}
    for path in glob.glob(os.path.join(folder, "*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            where.update({name: path for name in file.keys()})

    def get(name):
        with open(where[name], "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            info = json.loads(file.read(size))[name]
            file.seek(8 + size + info["data_offsets"][0])
            data = file.read(info["data_offsets"][1] - info["data_offsets"][0])
        if info["dtype"] == "BF16":
            return st.from_bf16(np.frombuffer(data, np.uint16)).reshape(info["shape"])
        kind = {"F16": np.float16, "F32": np.float32}[info["dtype"]]
        return np.frombuffer(data, kind).astype(np.float32).reshape(info["shape"])

    return get, config


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf")
    parser.add_argument("folder")
    parser.add_argument("--tokens", type=int, default=12)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    options = parser.parse_args()
    get_a, config_a = gguf_model(options.gguf)
    get_b, config_b = hf_model(options.folder)
    tokens = np.random.default_rng(1).integers(0, config_a["vocab_size"], options.tokens)
    a = logits(tokens, get_a, config_a, rotate_pairs)
    b = logits(tokens, get_b, config_b, rotate_halves)
    # The wrong convention must be seen: otherwise equal logits would prove nothing.
    wrong = logits(tokens, get_b, config_b, rotate_pairs)
    print(f"largest logit difference {np.abs(a - b).max():.2e} (logits within {np.abs(a).max():.1f}); "
          f"with the other rotary order {np.abs(a - wrong).max():.2e}")
    raise SystemExit(0 if np.abs(a - b).max() <= options.tolerance < np.abs(a - wrong).max() else 1)


if __name__ == "__main__":
    main()

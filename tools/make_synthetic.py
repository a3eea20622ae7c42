#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes a sharded BF16 checkpoint of billions of random parameters in Hugging Face's layout, without holding it.

usage: make_synthetic.py OUT_DIR --billions 4|8 [--shard-size BYTES] [--seed N]       (0.05 for a trial)

Shapes of the Llama family, vocabulary matrix largest, head untied; Gaussian weights whose deviation varies over rows
and columns as in trained models. 4 billion take 8 GB of disk and about two minutes.
"""
import argparse
import json
import os

import numpy as np

import safetensors_stream as st

# billions: hidden, feed-forward, layers, key-value width, vocabulary
SHAPES = {0.05: (512, 1536, 8, 128, 32000), 4: (3072, 8192, 32, 1024, 128256), 8: (4096, 14336, 32, 1024, 128256)}
PIECE = 1 << 22  # weights made at a time


def pieces(shape, seed, scale):
    """Bytes of a BF16 matrix, some rows at a time."""
    rng = np.random.Generator(np.random.SFC64(seed))
    rows, cols = shape
    column = np.exp2(rng.normal(0, 0.3, cols)).astype(np.float32) * scale
    step = max(1, PIECE // cols)
    for first in range(0, rows, step):
        count = min(step, rows - first)
        values = rng.standard_normal((count, cols), dtype=np.float32)
        values *= np.exp2(rng.normal(0, 0.3, (count, 1))).astype(np.float32) * column
        yield st.to_bf16(values)


def matrices(billions):
    hidden, feed, layers, kv, vocabulary = SHAPES[billions]
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        for name, shape in {"self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (kv, hidden), "self_attn.v_proj": (kv, hidden),
                            "self_attn.o_proj": (hidden, hidden), "mlp.gate_proj": (feed, hidden), "mlp.up_proj": (feed, hidden),
                            "mlp.down_proj": (hidden, feed)}.items():
            yield prefix + name + ".weight", shape
        yield prefix + "input_layernorm.weight", (hidden,)
        yield prefix + "post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (vocabulary, hidden)


def entries(billions, seed):
    for number, (name, shape) in enumerate(matrices(billions)):
        if len(shape) == 1:
            yield st.Entry(name, "BF16", shape, st.to_bf16(np.ones(shape, np.float32)))
        else:
            yield st.Entry(name, "BF16", shape, lambda s=shape, n=number: pieces(s, [seed, n], s[1] ** -0.5))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--billions", type=float, default=4, choices=sorted(SHAPES))
    parser.add_argument("--shard-size", type=int, default=2_000_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    hidden, feed, layers, kv, vocabulary = SHAPES[options.billions]
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden, "intermediate_size": feed,
              "num_hidden_layers": layers, "num_attention_heads": hidden // 128, "num_key_value_heads": kv // 128, "head_dim": 128,
              "vocab_size": vocabulary, "tie_word_embeddings": False, "torch_dtype": "bfloat16"}
    with open(os.path.join(options.folder, "config.json"), "w", encoding="utf-8") as out:
        json.dump(config, out, indent=2)
    tensors = list(entries(options.billions, options.seed))
    st.write_sharded(options.folder, tensors, options.shard_size, {"format": "pt"})
    print(f"{sum(t.bytes() // 2 for t in tensors):,} parameters in {options.folder}")


if __name__ == "__main__":
    main()

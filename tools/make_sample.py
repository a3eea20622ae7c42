#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Takes about 5 million weights out of SmolLM2: every kind of tensor, from layers spread over the depth.

usage: make_sample.py [--times N] MODEL.gguf OUT.safetensors
       make_sample.py --crops MODEL.gguf OUT.safetensors

One whole matrix of each kind (Q, K, V, output, gate, up, down), each from another layer, and 2,560 rows of the embedding
spread over the vocabulary: 5,013,504 weights, F16. Encoders are compared on it. With --times 2 there is twice as much of all,
from other layers too, which is more than the rate search codes whole.
With --crops: ten tensors, of each the first 256 rows and 576 columns (1.4 million weights), for the slowest encoders.
"""
import argparse

import numpy as np
from gguf import GGUFReader

import safetensors_stream as st

LAYERS = {"attn_q": 3, "attn_k": 7, "attn_v": 11, "attn_output": 15, "ffn_gate": 19, "ffn_up": 23, "ffn_down": 27}
MODEL_LAYERS = 30
EMBEDDING_ROWS = 2560
CROP = (slice(256), slice(576))


def whole_sample(tensors, times):
    sample = {}
    for i in range(times):
        shifted = {kind: (layer + 13 * i) % MODEL_LAYERS for kind, layer in LAYERS.items()}
        sample |= {name: tensors[name] for name in block_names(shifted)}
    embedding, rows = tensors["token_embd.weight"], EMBEDDING_ROWS * times
    sample["token_embd.weight"] = embedding[::len(embedding) // rows][:rows]
    return sample


def crops(tensors):
    names = [*block_names(LAYERS), "blk.0.ffn_up.weight", "blk.14.ffn_down.weight", "token_embd.weight"]
    return {name: tensors[name][CROP] for name in names}


def block_names(layers):
    return [f"blk.{layer}.{kind}.weight" for kind, layer in layers.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", action="store_true")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("model")
    parser.add_argument("output")
    options = parser.parse_args()
    tensors = {t.name: np.asarray(t.data) for t in GGUFReader(options.model).tensors}
    sample = crops(tensors) if options.crops else whole_sample(tensors, options.times)
    entries = [st.Entry(name, "F16", values.shape, np.ascontiguousarray(values, dtype=np.float16)) for name, values in sample.items()]
    st.write(options.output, entries)
    print(f"{sum(values.size for values in sample.values()):,} weights in {options.output}")


if __name__ == "__main__":
    main()

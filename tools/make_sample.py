#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Takes about 5 million weights out of SmolLM2: every kind of tensor, from layers spread over the depth.

usage: make_sample.py MODEL.gguf OUT.safetensors

One whole matrix of each kind (Q, K, V, output, gate, up, down), each from another layer, and 2,560 rows of the embedding
spread over the vocabulary: 5,013,504 weights, F16. Slow encoders are compared on it.
"""
import sys

import numpy as np
from gguf import GGUFReader

import safetensors_stream as st

LAYERS = {"attn_q": 3, "attn_k": 7, "attn_v": 11, "attn_output": 15, "ffn_gate": 19, "ffn_up": 23, "ffn_down": 27}
EMBEDDING_ROWS = 2560


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    tensors = {t.name: np.asarray(t.data) for t in GGUFReader(sys.argv[1]).tensors}
    names = [f"blk.{layer}.{kind}.weight" for kind, layer in LAYERS.items()]
    sample = {name: tensors[name] for name in names}
    embedding = tensors["token_embd.weight"]
    sample["token_embd.weight"] = embedding[::len(embedding) // EMBEDDING_ROWS][:EMBEDDING_ROWS]
    entries = [st.Entry(name, "F16", values.shape, np.ascontiguousarray(values, dtype=np.float16)) for name, values in sample.items()]
    st.write(sys.argv[2], entries)
    print(f"{sum(values.size for values in sample.values()):,} weights in {sys.argv[2]}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes small checkpoints of every kind that the tests want: the same bytes for the same seed.

usage: make_test_models.py OUT_DIR [--seed N] [--only NAME,...]

moe          mixture of experts: 3-D expert tensors, router, BF16
conv         4-D and 3-D (conv1d, depthwise) kernels, F32 and F16
lora         low-rank deltas (sides of 4 to 16), 0-D scalars
dtypes       every dtype of safetensors, integers and both F8 included, zero-size tensors, odd names
heavy        heavy tails, one weight of 1000 sigma, constant rows, all zeros, subnormals, 8x8 to 16x20000
folder/      a sharded Hugging Face folder with other files beside it, tied embeddings
llama.gguf   a random two-layer Llama with a byte vocabulary that llama.cpp loads (F16)
"""
import argparse
import json
import os

import numpy as np
from gguf import GGUFWriter, LlamaFileType, TokenType

import safetensors_stream as st


def entry(name, dtype, values):
    """A tensor from float values, converted to `dtype`."""
    values = np.asarray(values, dtype=np.float32)
    data = {"F32": lambda: values, "F16": lambda: values.astype(np.float16), "BF16": lambda: st.to_bf16(values),
            "F64": lambda: values.astype(np.float64)}[dtype]()
    return st.Entry(name, dtype, values.shape, data)


def weights(rng, *shape, scale=0.02):
    """Gaussian, with the spread of scales over rows that trained matrices have."""
    rows = np.exp2(rng.normal(0, 0.5, shape[:-1] + (1,)))
    return (rng.standard_normal(shape) * rows * scale).astype(np.float32)


def moe(rng, path):
    entries = []
    for layer in range(2):
        prefix = f"model.layers.{layer}."
        entries += [entry(prefix + "mlp.experts.gate_up_proj", "BF16", weights(rng, 8, 96, 128)),
                    entry(prefix + "mlp.experts.down_proj", "BF16", weights(rng, 8, 128, 48)),
                    entry(prefix + "mlp.router.weight", "F32", weights(rng, 8, 128)),
                    entry(prefix + "self_attn.q_proj.weight", "BF16", weights(rng, 128, 128)),
                    entry(prefix + "input_layernorm.weight", "BF16", 1 + weights(rng, 128))]
    st.write(path, entries, {"format": "pt"})


def conv(rng, path):
    st.write(path, [entry("stem.weight", "F32", weights(rng, 32, 3, 7, 7)), entry("body.0.weight", "F32", weights(rng, 64, 32, 3, 3)),
                    entry("body.0.bias", "F32", weights(rng, 64)), entry("depthwise.weight", "F32", weights(rng, 256, 1, 31)),
                    entry("conv1d.weight", "F16", weights(rng, 96, 80, 3)), entry("point.weight", "F16", weights(rng, 128, 64, 1, 1)),
                    entry("head.weight", "F32", weights(rng, 100, 128))])


def lora(rng, path):
    entries = []
    for layer in range(3):
        for rank in (4, 8, 16):
            prefix = f"base_model.model.layers.{layer}.r{rank}"
            entries += [entry(prefix + ".lora_A.weight", "F32", weights(rng, rank, 576)),
                        entry(prefix + ".lora_B.weight", "F32", weights(rng, 576, rank)), entry(prefix + ".alpha", "F32", rank)]
    st.write(path, entries)


def dtypes(rng, path):
    entries = []
    for code, size in st.BYTES.items():
        if code in ("F32", "F16", "BF16", "F64"):
            entries.append(entry(f"float {code}", code, weights(rng, 64, 80)))
        elif code == "BOOL":
            entries.append(st.Entry("mask", code, (64, 80), rng.integers(0, 2, (64, 80), dtype=np.uint8)))
        elif code.startswith("F8"):
            # Every byte but NaN and infinity: E4M3 has NaN at 0x7f and 0xff, E5M2 has them from 0x7c on.
            top = 0x7F if code == "F8_E4M3" else 0x7C
            bits = rng.integers(0, top, (64, 80), dtype=np.uint8) | (rng.integers(0, 2, (64, 80), dtype=np.uint8) << 7)
            entries.append(st.Entry(f"float {code}", code, (64, 80), bits.astype(np.uint8)))
        else:
            entries.append(st.Entry(f"whole.{code}", code, (64, 80), rng.bytes(64 * 80 * size)))
    for number, name in enumerate(["empty rows", "empty/cols", "ünïcödé.权重", "dots..and...dots", "quote\"back\\slash", "tab\tin name",
                                   "x" * 300, "model.bitstream_not", "model.layers.0.weight "]):
        shape = (0, 64) if number == 0 else (64, 0) if number == 1 else (72, 96)
        entries.append(entry(name, "BF16", weights(rng, *shape) if number > 1 else np.zeros(shape, np.float32)))
    entries.append(entry("scalar", "F32", 3.25))
    st.write(path, entries)


def heavy(rng, path):
    spike = weights(rng, 256, 320)
    spike[17, 33] = 1000 * spike.std()
    dead = weights(rng, 128, 256)
    dead[5] = 0
    dead[:, 9] = 0
    outlier_column = weights(rng, 192, 256)
    outlier_column[:, 100] *= 200
    constant = np.repeat(weights(rng, 96, 1), 128, axis=1)
    rank_one = weights(rng, 128, 1) @ weights(rng, 1, 256)
    grid = np.round(weights(rng, 128, 256) / 0.005) * 0.005
    tensors = {"student_t": rng.standard_t(3, (256, 256)) * 0.02, "spike": spike, "dead": dead, "outlier_column": outlier_column,
               "constant_rows": constant, "zeros": np.zeros((96, 96)), "ones": np.ones((64, 64)), "rank_one": rank_one,
               "grid": grid, "tiny_values": weights(rng, 64, 96) * 1e-36, "large_values": weights(rng, 64, 96) * 1e6,
               "smallest": weights(rng, 8, 8), "thin": weights(rng, 16, 20000), "tall": weights(rng, 20000, 16),
               "odd": weights(rng, 333, 77)}
    st.write(path, [entry(f"{name}.weight", "F32", values) for name, values in tensors.items()])


def folder(rng, path):
    os.makedirs(os.path.join(path, "sub"), exist_ok=True)
    entries = [entry("model.embed_tokens.weight", "BF16", weights(rng, 512, 128))]
    for layer in range(3):
        prefix = f"model.layers.{layer}."
        entries += [entry(prefix + f"{name}.weight", "BF16", weights(rng, *shape)) for name, shape in
                    {"self_attn.q_proj": (128, 128), "self_attn.k_proj": (64, 128), "self_attn.v_proj": (64, 128),
                     "self_attn.o_proj": (128, 128), "mlp.gate_proj": (352, 128), "mlp.up_proj": (352, 128),
                     "mlp.down_proj": (128, 352)}.items()]
        entries.append(entry(prefix + "input_layernorm.weight", "BF16", 1 + weights(rng, 128)))
    entries.append(entry("model.norm.weight", "BF16", 1 + weights(rng, 128)))
    st.write_sharded(path, entries, 400_000, {"format": "pt"})
    files = {"config.json": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 128,
                             "tie_word_embeddings": True, "torch_dtype": "bfloat16"},
             "tokenizer_config.json": {"tokenizer_class": "none"}, "sub/notes.json": {"kept": True}}
    for name, content in files.items():
        with open(os.path.join(path, name), "w", encoding="utf-8") as out:
            json.dump(content, out)


def llama_gguf(rng, path, hidden=128, layers=2, heads=4, feed_forward=256):
    writer = GGUFWriter(path + ".partial", arch="llama")
    writer.add_name("random llama")
    writer.add_context_length(512)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + ["▁"] + [chr(c) for c in range(97, 123)]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL] + [TokenType.BYTE] * 256 + [TokenType.NORMAL] * 27
    vocabulary = -(-len(tokens) // 32) * 32
    while len(tokens) < vocabulary:
        tokens.append(f"<unused{len(tokens)}>")
        kinds.append(TokenType.UNUSED)
    writer.add_vocab_size(vocabulary)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * vocabulary)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)

    def matrix(name, rows, cols, scale):
        writer.add_tensor(name, weights(rng, rows, cols, scale=scale).astype(np.float16))

    matrix("token_embd.weight", vocabulary, hidden, 0.1)
    writer.add_tensor("output_norm.weight", np.ones(hidden, np.float32))
    for layer in range(layers):
        prefix = f"blk.{layer}."
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(prefix + norm + ".weight", (1 + 0.1 * rng.standard_normal(hidden)).astype(np.float32))
        for name, rows, cols in (("attn_q", hidden, hidden), ("attn_k", hidden // 2, hidden), ("attn_v", hidden // 2, hidden),
                                 ("attn_output", hidden, hidden), ("ffn_gate", feed_forward, hidden),
                                 ("ffn_up", feed_forward, hidden), ("ffn_down", hidden, feed_forward)):
            matrix(prefix + name + ".weight", rows, cols, cols**-0.5)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(path + ".partial", path)


MAKERS = {"moe": ("moe.safetensors", moe), "conv": ("conv.safetensors", conv), "lora": ("lora.safetensors", lora),
          "dtypes": ("dtypes.safetensors", dtypes), "heavy": ("heavy.safetensors", heavy), "folder": ("folder", folder),
          "llama": ("llama.gguf", llama_gguf)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(MAKERS), help="comma-separated names from the list above")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    for name in options.only.split(","):
        file, make = MAKERS[name]
        # One generator per file, so that --only changes nothing in the others.
        make(np.random.default_rng([options.seed, list(MAKERS).index(name)]), os.path.join(options.folder, file))


if __name__ == "__main__":
    main()

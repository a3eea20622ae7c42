#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns a Llama-architecture GGUF (F16, F32 or BF16) into a Hugging Face folder.

usage: gguf_to_hf.py IN.gguf OUT_DIR [--dtype f16|bf16|f32] [--shard-size BYTES]

Written: config.json, generation_config.json, sharded safetensors with their index, tokenizer.json and
tokenizer_config.json (byte-level BPE vocabularies only: vocabulary, merges, special tokens and the chat template are in
the GGUF; the pre-tokeniser's rules are not, so the GPT-2 rules with single digits, SmolLM2's, are written).
The rows of Q and K are put back from llama.cpp's order (rotary pairs side by side) to Hugging Face's (the two halves of
a head); tools/check_hf_logits.py proves it.
"""
import argparse
import json
import os
import re

import numpy as np
from gguf import GGUFReader

import safetensors_stream as st

TOP = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
       "output.weight": "lm_head.weight"}
BLOCK = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
         "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
# llama.cpp's token types.
CONTROL, USER_DEFINED = 3, 4


class Fields:
    """Key-values of a GGUF, under names without the architecture's prefix."""

    def __init__(self, reader):
        self.reader = reader
        self.arch = self.get("general.architecture")

    def get(self, name, default=None):
        field = self.reader.get_field(name)
        return default if field is None else field.contents()

    def of_model(self, name, default=None):
        return self.get(f"{self.arch}.{name}", default)


def hf_name(name):
    if name in TOP:
        return TOP[name]
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name)
    if not match or match[2] not in BLOCK:
        raise SystemExit(f"gguf_to_hf: no Hugging Face name for tensor {name}")
    return f"model.layers.{match[1]}.{BLOCK[match[2]]}.{match[3]}"


def undo_rotary_order(matrix, heads):
    """llama.cpp keeps the two numbers that rotate together side by side, Hugging Face half a head apart."""
    rows = matrix.shape[0]
    return matrix.reshape(heads, rows // heads // 2, 2, -1).swapaxes(1, 2).reshape(matrix.shape)


def hf_values(tensor, fields):
    values = np.asarray(tensor.data)
    if values.dtype == np.uint8:  # BF16 comes as raw bytes
        values = st.from_bf16(values.view(np.uint16).reshape(tensor.shape[::-1]))
    heads = {"attn_q": fields.of_model("attention.head_count"), "attn_k": fields.of_model("attention.head_count_kv")}
    for part, count in heads.items():
        if f".{part}." in tensor.name:
            return undo_rotary_order(values, count)
    return values


def entries(reader, fields, dtype):
    code, convert = {"f16": ("F16", lambda x: x.astype(np.float16)), "bf16": ("BF16", st.to_bf16),
                     "f32": ("F32", lambda x: x.astype(np.float32))}[dtype]
    for tensor in reader.tensors:
        shape = tuple(int(n) for n in tensor.shape[::-1])
        yield st.Entry(hf_name(tensor.name), code, shape, lambda t=tensor: [convert(hf_values(t, fields).astype(np.float32))])


def config(reader, fields, dtype):
    hidden, heads = fields.of_model("embedding_length"), fields.of_model("attention.head_count")
    names = {t.name for t in reader.tensors}
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": hidden,
            "intermediate_size": fields.of_model("feed_forward_length"), "num_hidden_layers": fields.of_model("block_count"),
            "num_attention_heads": heads, "num_key_value_heads": fields.of_model("attention.head_count_kv", heads),
            "head_dim": hidden // heads, "rms_norm_eps": float(f"{fields.of_model('attention.layer_norm_rms_epsilon'):.6g}"),
            "rope_theta": float(fields.of_model("rope.freq_base", 10000.0)), "rope_interleaved": False,
            "max_position_embeddings": fields.of_model("context_length"), "attention_bias": False, "mlp_bias": False,
            "tie_word_embeddings": "output.weight" not in names, "vocab_size": len(fields.get("tokenizer.ggml.tokens")),
            "bos_token_id": fields.get("tokenizer.ggml.bos_token_id"), "eos_token_id": fields.get("tokenizer.ggml.eos_token_id"),
            "torch_dtype": {"f16": "float16", "bf16": "bfloat16", "f32": "float32"}[dtype], "use_cache": True}


def tokenizer(fields):
    """tokenizer.json and tokenizer_config.json, or None when the vocabulary is not byte-level BPE."""
    if fields.get("tokenizer.ggml.model") != "gpt2":
        return None
    tokens, kinds = fields.get("tokenizer.ggml.tokens"), fields.get("tokenizer.ggml.token_type")
    added = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": kinds[i] == CONTROL} for i, t in enumerate(tokens) if kinds[i] in (CONTROL, USER_DEFINED)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    main = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
            "post_processor": None, "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                      "vocab": {t: i for i, t in enumerate(tokens)}, "merges": fields.get("tokenizer.ggml.merges")}}
    side = {"tokenizer_class": "GPT2Tokenizer", "model_max_length": fields.of_model("context_length"),
            "bos_token": tokens[fields.get("tokenizer.ggml.bos_token_id")], "eos_token": tokens[fields.get("tokenizer.ggml.eos_token_id")],
            "add_prefix_space": False, "clean_up_tokenization_spaces": False}
    template = fields.get("tokenizer.chat_template")
    if template:
        side["chat_template"] = template
    return {"tokenizer.json": main, "tokenizer_config.json": side}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("folder")
    parser.add_argument("--dtype", choices=("f16", "bf16", "f32"), default="f16")
    parser.add_argument("--shard-size", type=int, default=100_000_000, help="bytes of tensors per file (default 1e8)")
    options = parser.parse_args()
    reader = GGUFReader(options.source)
    fields = Fields(reader)
    if fields.arch != "llama":
        raise SystemExit(f"gguf_to_hf: architecture {fields.arch} is not supported, only llama")
    os.makedirs(options.folder, exist_ok=True)
    st.write_sharded(options.folder, list(entries(reader, fields, options.dtype)), options.shard_size, {"format": "pt"})
    settings = config(reader, fields, options.dtype)
    files = {"config.json": settings,
             "generation_config.json": {key: settings[key] for key in ("bos_token_id", "eos_token_id")}, **(tokenizer(fields) or {})}
    for name, content in files.items():
        with open(os.path.join(options.folder, name), "w", encoding="utf-8") as out:
            json.dump(content, out, indent=2, ensure_ascii=False)
            out.write("\n")


if __name__ == "__main__":
    main()

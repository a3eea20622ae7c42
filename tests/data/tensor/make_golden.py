#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the golden files of the tensor tests, from fixed seeds, with the reference Python packages.

  blocks.safetensors  TYPE.blocks (U8, random blocks) and TYPE.values (F32, what the gguf package dequantises);
                      Q8_0.input (F32) and Q8_0.output (U8, what it quantises); half.input (F32) and half.output (F16,
                      what numpy rounds)
  tiny.safetensors    tensors of many dtypes and shapes, by the safetensors package
  tiny.gguf           key-values of many types and tensors of several, by the gguf package

Usage: python make_golden.py [FOLDER]     needs: numpy, safetensors >= 0.4, gguf >= 0.10
"""
import pathlib
import sys

import gguf
import numpy as np
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

BLOCK_TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# Where each type keeps its F16 scales: random bytes there could be NaN, so they are drawn as numbers.
SCALES_AT = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2],
             "Q6_K": [208]}


def random_blocks(rng, name):
    elements, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    count = 5 if elements == 32 else 2
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in SCALES_AT[name]:
        scales = (rng.standard_normal(count) * 0.01).astype(np.float16)
        scales[-1] = np.float16(3e-6)  # subnormal
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks


def q8_0_input(rng):
    x = rng.standard_normal((8, 32)).astype(np.float32)
    x[1] = 0
    x[2] = np.arange(32) - 16 + 0.5  # after scaling by 127 / 16.5 no ties, but a symmetric block
    x[3] = np.arange(32) * 0.5
    x[3, 31] = 127  # scale 1: all the halves are ties
    x[4] = -x[3]
    x[5] *= 1e-9  # the scale is 0 in F16
    x[6] *= 1e4
    x[7] *= 1e-5  # the scale is subnormal in F16
    return x


def half_input(rng):
    codes = rng.integers(0, 0x7C00, 200, dtype=np.uint16)
    low = codes.view(np.float16).astype(np.float64)
    high = (codes + 1).view(np.float16).astype(np.float64)
    high[np.isinf(high)] = 65536
    middle = ((low + high) / 2).astype(np.float32)  # exact: one more bit
    values = np.concatenate([middle, np.nextafter(middle, np.float32(0)), np.nextafter(middle, np.float32(1e9))])
    special = np.array([0, -0.0, np.inf, -np.inf, 65504, 65519.996, 65520, 1e9, 2**-24, 2**-25, 2**-26, 1e-30],
                       dtype=np.float32)
    return np.concatenate([values, -values, special]).astype(np.float32)


def write_blocks(folder):
    rng = np.random.default_rng(20260101)
    tensors = {}
    for name in BLOCK_TYPES:
        blocks = random_blocks(rng, name)
        tensors[name + ".blocks"] = blocks
        tensors[name + ".values"] = dequantize(blocks, gguf.GGMLQuantizationType[name])
    tensors["Q8_0.input"] = q8_0_input(rng)
    with np.errstate(all="ignore"):
        tensors["Q8_0.output"] = quantize(tensors["Q8_0.input"], gguf.GGMLQuantizationType.Q8_0)
        tensors["half.input"] = half_input(rng)
        tensors["half.output"] = tensors["half.input"].astype(np.float16)
    save_file(tensors, folder / "blocks.safetensors")


def write_safetensors(folder):
    rng = np.random.default_rng(20260102)
    tensors = {
        "model.layers.0.mlp.weight": rng.standard_normal((3, 5)).astype(np.float32),
        "experts": rng.standard_normal((2, 3, 4)).astype(np.float16),
        "kernel": rng.standard_normal((2, 2, 3, 3)).astype(np.float64),
        "position_ids": np.arange(7, dtype=np.int64),
        "mask": np.array([True, False, True]),
        "scalar": np.array(2.5, dtype=np.float32),
        "empty": np.zeros((0, 4), dtype=np.float32),
        "odd \"name\" \\ \n \u00e9 \u4e2d": np.array([1, 2, 3], dtype=np.uint8),
    }
    save_file(tensors, folder / "tiny.safetensors", metadata={"format": "pt", "note": "golden \"file\""})


def write_gguf(folder):
    rng = np.random.default_rng(20260103)
    writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_rope_freq_base(10000.0)
    writer.add_token_list(["<s>", "</s>", "a"])
    writer.add_token_scores([0.0, -1.0, -2.5])
    writer.add_bool("tiny.flag", True)
    writer.add_int64("tiny.negative", -5)
    writer.add_uint64("tiny.large", 2**63)
    weights = rng.standard_normal((4, 64)).astype(np.float32)
    writer.add_tensor("token_embd.weight", weights)
    writer.add_tensor("half.weight", weights[:3, :5].astype(np.float16))
    for name in ["BF16", "Q8_0", "Q4_1"]:
        kind = gguf.GGMLQuantizationType[name]
        writer.add_tensor(f"{name}.weight", quantize(weights, kind), raw_dtype=kind)
    writer.add_tensor("norm", weights[0, :7])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    write_blocks(folder)
    write_safetensors(folder)
    write_gguf(folder)


if __name__ == "__main__":
    main()

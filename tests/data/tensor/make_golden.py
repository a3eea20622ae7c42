#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the golden files of the tensor tests, from fixed seeds, with the reference Python packages.

  blocks.safetensors  TYPE.blocks (U8, random blocks) and TYPE.values (F32, what ggml makes of them);
                      TYPE.codebook_blocks (U8) and TYPE.codebook_values (I8), likewise: every entry of a codebook;
                      Q8_0.input (F32) and Q8_0.output (U8, what the gguf package quantises); half.input (F32) and half.output (F16,
                      what numpy rounds)
  tiny.safetensors    tensors of many dtypes and shapes, by the safetensors package
  tiny.gguf           key-values of many types and tensors of several, by the gguf package

Usage: LLMCODEC_LLAMA_DIR=build/tools/llama/bin python make_golden.py [FOLDER]
Needs numpy, safetensors >= 0.4, gguf >= 0.19, and ggml 0.16 from tools/get_llama.sh.
"""
import ctypes
import os
import pathlib
import sys

import gguf
import numpy as np
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

# Where each type keeps its F16 scales: random bytes there could be NaN, so they are drawn as numbers.
SCALES_AT = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q1_0": [0], "Q2_0": [0], "Q2_K": [80, 82],
    "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ1_S": [0], "IQ2_XXS": [0], "IQ2_XS": [0],
    "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ4_NL": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64]}
# The types whose scales lie elsewhere or are no F16.
OTHER_TYPES = ["IQ1_M", "MXFP4", "NVFP4"]
SPECIAL = np.array([np.inf, np.nan, -np.inf], np.float16)


class Ggml:
    """Dequantisation by ggml's own library."""

    class Traits(ctypes.Structure):  # struct ggml_type_traits of ggml.h
        _fields_ = [("name", ctypes.c_char_p), ("elements", ctypes.c_int64), ("interleave", ctypes.c_int64),
                    ("size", ctypes.c_size_t), ("quantized", ctypes.c_bool),
                    ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64))]

    def __init__(self):
        library = ctypes.CDLL("libggml-base.so.0")
        library.ggml_get_type_traits.restype = ctypes.POINTER(self.Traits)
        self.traits = {}
        for number in range(43):
            traits = library.ggml_get_type_traits(number).contents
            self.traits[traits.name.decode().upper()] = traits

    def block(self, name):
        """Weights and bytes of a block."""
        return self.traits[name].elements, self.traits[name].size

    def dequantize(self, name, blocks):
        traits = self.traits[name]
        values = np.empty(blocks.size // traits.size * traits.elements, np.float32)
        traits.to_float(blocks.ctypes.data, values.ctypes.data, values.size)
        check_with_package(name, blocks, values)
        return values.reshape(len(blocks), -1)


def check_with_package(name, blocks, values):
    """The gguf package, written apart from ggml's library, must say the same where it knows the type."""
    kind = getattr(gguf.GGMLQuantizationType, name, None)
    known = kind is not None and kind in gguf.quants._type_traits
    if known:
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(dequantize(blocks, kind).ravel(), values, name)


def set_iq1_m_scale(block, scale):
    """A nibble of the F16 on top of each of the last four 16-bit words."""
    code = int(np.float16(scale).view(np.uint16))
    for i in range(4):
        block[49 + 2 * i] = block[49 + 2 * i] & 15 | (code >> (4 * i) & 15) << 4


def random_blocks(rng, ggml, name):
    """The scales of the first blocks are numbers (one of them subnormal), those of the last infinite or NaN."""
    elements, size = ggml.block(name)
    special = SPECIAL if elements <= 64 else SPECIAL[len(name) % 2:][:1]
    plain = 5 if elements <= 64 else 2
    blocks = rng.integers(0, 256, (plain + len(special), size), dtype=np.uint8)
    scales = np.concatenate([(rng.standard_normal(plain) * 0.01).astype(np.float16), special])
    scales[plain - 1] = np.float16(3e-6)
    for i, at in enumerate(SCALES_AT.get(name, [])):
        of_this = scales if i == 0 else rng.permutation(scales)
        blocks[:, at:at + 2] = of_this.view(np.uint8).reshape(-1, 2)
    if name == "IQ1_M":
        for block, scale in zip(blocks, scales):
            set_iq1_m_scale(block, scale)
    if name == "MXFP4":
        blocks[:, 0] = [0, 1, 2, 120, 127, 128, 254, 255]
    if name == "NVFP4":
        blocks[:, :4] = np.array([0, 1, 7, 8, 0x3c, 0x7e, 0x7f, 0x80, 0x88, 0xfe, 0xff, 0x41]).reshape(3, 4)[[0, 1, 2] * 2 + [0, 1]]
    return blocks


def codebook_blocks(rng, ggml, name):
    """Blocks in which every entry of the type's grid occurs, with random signs and scales that make the values small
    whole numbers."""
    d, count = {"IQ1_S": (8, 2048), "IQ2_XXS": (8, 256), "IQ2_XS": (8, 512), "IQ2_S": (8, 1024), "IQ3_XXS": (4, 256),
                "IQ3_S": (1, 512)}[name]
    indices = rng.permutation(count).reshape(-1, 64 if name.startswith("IQ3") else 32)
    blocks = np.zeros((len(indices), ggml.block(name)[1]), np.uint8)
    blocks[:, :2] = np.float16(d).reshape(1).view(np.uint8)
    if name == "IQ2_XXS":  # four indices, four times seven signs
        body = blocks[:, 2:].reshape(-1, 8, 8)
        body[:, :, :4] = indices.reshape(-1, 8, 4)
        body[:, :, 4:] = rng.integers(0, 1 << 28, body.shape[:2], dtype=np.uint32)[..., None].view(np.uint8)
    elif name == "IQ2_XS":  # index, seven signs
        words = indices | rng.integers(0, 128, indices.shape) << 9
        blocks[:, 2:66] = words.astype(np.uint16).view(np.uint8)
    else:
        blocks[:, 2:2 + indices.shape[1]] = indices & 255
    if name == "IQ3_XXS":
        blocks[:, 66:] = rng.integers(0, 1 << 28, (len(blocks), 8), dtype=np.uint32).view(np.uint8)
    if name in ("IQ2_S", "IQ3_S"):
        signs, upper = (34, 66) if name == "IQ2_S" else (74, 66)
        blocks[:, signs:signs + 32] = rng.integers(0, 256, (len(blocks), 32))
        bits = 2 if name == "IQ2_S" else 1
        parts = (indices >> 8).reshape(len(blocks), 8, -1)
        blocks[:, upper:upper + 8] = (parts << bits * np.arange(parts.shape[2])).sum(axis=2)
    if name == "IQ1_S":
        parts = (indices >> 8).reshape(-1, 8, 4)
        words = (parts << np.array([0, 3, 6, 9])).sum(axis=2) | rng.integers(0, 2, parts.shape[:2]) << 15
        blocks[:, 34:] = words.astype(np.uint16).view(np.uint8)
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
    ggml = Ggml()
    tensors = {}
    for name in [*SCALES_AT, *OTHER_TYPES]:
        blocks = random_blocks(rng, ggml, name)
        tensors[name + ".blocks"] = blocks
        tensors[name + ".values"] = ggml.dequantize(name, blocks)
    for name in ["IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"]:
        blocks = codebook_blocks(rng, ggml, name)
        values = ggml.dequantize(name, blocks)
        tensors[name + ".codebook_blocks"] = blocks
        tensors[name + ".codebook_values"] = values.astype(np.int8)
        assert (tensors[name + ".codebook_values"] == values).all(), name
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


def run_in_ggml():
    """Starts again under the loader of the folder that get_llama.sh makes, which has ggml's library."""
    library = pathlib.Path(os.environ["LLMCODEC_LLAMA_DIR"]).parent / "usr/lib/x86_64-linux-gnu"
    loader = str(library / "ld-linux-x86-64.so.2")
    os.environ["MAKE_GOLDEN_IN_GGML"] = "1"
    os.execv(loader, [loader, "--library-path", str(library), sys.executable, *sys.argv])


def main():
    if "MAKE_GOLDEN_IN_GGML" not in os.environ:
        run_in_ggml()
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    write_blocks(folder)
    write_safetensors(folder)
    write_gguf(folder)


if __name__ == "__main__":
    main()

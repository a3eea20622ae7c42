#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes quantised.safetensors, small layers in every quantised format, and dequantised.safetensors, what the libraries
that define these formats make of them, in BF16.

usage: make_schemes.py FOLDER
needs: torch, safetensors, transformers, compressed-tensors, bitsandbytes; auto-gptq and autoawq by `pip install --no-deps`
       (of each, one file is used, for neither is kept up any more)
"""
import importlib.metadata
import importlib.util
import json
import pathlib
import sys

import torch
from compressed_tensors.compressors.base import BaseCompressor
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from safetensors.torch import save_file
from transformers.integrations.finegrained_fp8 import Fp8Dequantize
from transformers.integrations.mxfp4 import convert_moe_packed_tensors
import bitsandbytes.functional as bnb

E4M3, E5M2, E8M0 = torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu
torch.manual_seed(20)
stored, expected = {}, {}


def module_of_file(package, path):
    """One module of a package whose __init__ does not load beside today's transformers."""
    file = importlib.metadata.distribution(package).locate_file(path)
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def add(module, tensors, weight, name="weight"):
    for key, tensor in tensors.items():
        stored[f"{module}.{key}"] = tensor.contiguous().clone()
    expected[f"{module}.{name}" if name else module] = weight.to(torch.bfloat16).contiguous().clone()


def random_f8(*shape, dtype=E4M3):
    return (torch.randn(*shape) * 60).to(dtype)


def random_scales(*shape):
    return torch.rand(*shape) * 0.01 + 0.001


def random_words(*shape):
    return torch.randint(-2**31, 2**31, shape, dtype=torch.int64).to(torch.int32)


# --- FP8 of transformers: blocks of any size, scales as floats or as exponents


def fine_grained(weight, scale):
    return Fp8Dequantize(None)._dequantize_one(weight, scale, torch.float32)


def add_fine_grained():
    weight, scale = random_f8(256, 64), random_scales(2, 1)
    add("fp8_block", {"weight": weight, "weight_scale_inv": scale}, fine_grained(weight, scale))
    weight, scale = random_f8(64, 96, dtype=E5M2), random_scales(4, 6).to(torch.bfloat16)
    add("fp8_e5m2", {"weight": weight, "weight_scale_inv": scale}, fine_grained(weight, scale))
    weight, scale = random_f8(32, 256), torch.randint(117, 122, (1, 2), dtype=torch.uint8).view(E8M0)
    add("fp8_exponents", {"weight": weight, "scale": scale}, fine_grained(weight, scale))
    weight, scale = random_f8(3, 32, 64), random_scales(3, 2, 4)
    add("experts", {"gate_up_proj": weight, "gate_up_proj_scale_inv": scale}, fine_grained(weight, scale), "gate_up_proj")
    weight = torch.randint(-128, 128, (24, 48), dtype=torch.int8)  # two E2M1 to a byte
    scale = torch.randint(117, 122, (24, 3), dtype=torch.uint8).view(E8M0)
    add("fp4_in_bytes", {"weight": weight, "scale": scale}, fine_grained(weight, scale))
    weight, scale = random_f8(32, 64), random_scales(1)[0]
    add("fp8_comfy", {"weight": weight, "scale_weight": scale, "scale_input": scale * 2}, weight.float() * scale)
    # Rows and columns that no block divides: transformers refuses them, DeepSeek's own code cuts the last blocks off.
    weight, scale = random_f8(140, 200), random_scales(2, 2)
    whole = scale.repeat_interleave(128, 0).repeat_interleave(128, 1)[:140, :200]
    add("fp8_cut", {"weight": weight, "weight_scale_inv": scale}, weight.float() * whole)


# --- compressed-tensors


def decompress(compressor, tensors, **arguments):
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**arguments))
    wide = {k: v.float() if v.dtype in (torch.bfloat16, torch.float16) else v for k, v in tensors.items()}
    return BaseCompressor.get_value_from_registry(compressor).decompress(wide, scheme)["weight"].float()


def add_compressed_tensors():
    for name, scale, strategy in (("channel", random_scales(32, 1).bfloat16(), "channel"), ("tensor", random_scales(1), "tensor")):
        tensors = {"weight": random_f8(32, 64), "weight_scale": scale}
        weight = decompress("float-quantized", tensors, num_bits=8, type="float", strategy=strategy)
        add(f"fp8_{name}", tensors | {"input_scale": random_scales(1)}, weight)
    tensors = {"weight": torch.randint(-128, 128, (32, 64), dtype=torch.int8), "weight_scale": random_scales(32, 1),
               "weight_zero_point": torch.randint(-20, 20, (32, 1), dtype=torch.int8)}
    add("int8_zeros", tensors, decompress("int-quantized", tensors, num_bits=8, type="int", strategy="channel", symmetric=False))
    for bits, columns in ((4, 96), (4, 100), (8, 64)):
        codes = torch.randint(-2**(bits - 1), 2**(bits - 1), (24, columns), dtype=torch.int8)
        tensors = {"weight_packed": pack_to_int32(codes, bits), "weight_shape": torch.tensor(codes.shape)}
        if columns == 96:
            tensors["weight_scale"] = random_scales(24, 3).bfloat16()
            zeros = torch.randint(-8, 8, (24, 3), dtype=torch.int8)
            asymmetric = tensors | {"weight_zero_point": pack_to_int32(zeros, bits, packed_dim=0).contiguous()}
            group = {"num_bits": bits, "type": "int", "strategy": "group", "group_size": 32}
            add("packed4_zeros", asymmetric, decompress("pack-quantized", asymmetric, symmetric=False, **group))
            add("packed4", tensors, decompress("pack-quantized", tensors, **group))
            order = torch.randperm(96).int() % 3
            weight = codes.float() * tensors["weight_scale"].float()[:, order.long()]
            add("packed4_order", tensors | {"weight_g_idx": order}, weight)
        else:
            tensors["weight_scale"] = random_scales(24, 1)
            add(f"packed{bits}_channel", tensors, decompress("pack-quantized", tensors, num_bits=bits, type="int", strategy="channel"))
    tensors = {"weight_packed": torch.randint(0, 256, (24, 32), dtype=torch.uint8), "weight_scale": (torch.rand(24, 4) * 400 + 1).to(E4M3),
               "weight_global_scale": torch.tensor([4096.0])}
    add("nvfp4", tensors, decompress_in_float("nvfp4-pack-quantized", tensors, 16, "tensor_group"))
    # ModelOpt stores the inverse of that global scale.
    add("nvfp4_modelopt", {"weight": tensors["weight_packed"], "weight_scale": tensors["weight_scale"], "weight_scale_2": torch.tensor(1 / 4096)},
        expected["nvfp4.weight"])
    tensors = {"weight_packed": torch.randint(0, 256, (24, 32), dtype=torch.uint8), "weight_scale": torch.randint(117, 122, (24, 2), dtype=torch.uint8)}
    add("mxfp4", tensors, decompress_in_float("mxfp4-pack-quantized", tensors, 32, "group"))


def decompress_in_float(compressor, tensors, size, strategy):
    return decompress(compressor, tensors, num_bits=4, type="float", strategy=strategy, group_size=size)


# --- the others


def add_gpt_oss():
    blocks = torch.randint(0, 256, (3, 24, 4, 16), dtype=torch.uint8)
    scales = torch.randint(117, 122, (3, 24, 4), dtype=torch.uint8)
    add("oss", {"gate_up_proj_blocks": blocks, "gate_up_proj_scales": scales}, convert_moe_packed_tensors(blocks, scales), "gate_up_proj")


def add_gptq():
    layers = module_of_file("auto_gptq", "auto_gptq/nn_modules/qlinear/qlinear_cuda.py")
    inputs, outputs, size = 128, 64, 32
    for bits in (2, 3, 4, 8):
        layer = layers.QuantLinear(bits, size, inputs, outputs, False)
        layer.qweight = random_words(*layer.qweight.shape)
        layer.qzeros = random_words(*layer.qzeros.shape)
        layer.scales = random_scales(*layer.scales.shape).half()
        layer.g_idx = (torch.randperm(inputs) // size).int() if bits == 4 else layer.g_idx
        tensors = {"qweight": layer.qweight, "qzeros": layer.qzeros, "scales": layer.scales, "g_idx": layer.g_idx}
        layer.scales = layer.scales.float()
        add(f"gptq{bits}", tensors, layer(torch.eye(inputs)).T)


def add_awq():
    awq = module_of_file("autoawq", "awq/utils/packing_utils.py")
    words, zeros, scales = random_words(128, 12), random_words(4, 12), random_scales(4, 96).half()
    weight = awq.dequantize_gemm(words, zeros, scales.float(), 4, 32)
    add("awq", {"qweight": words, "qzeros": zeros, "scales": scales}, weight.T)


def add_bitsandbytes():
    for nested in (False, True):
        for kind in ("nf4", "fp4"):
            weight = torch.randn(48, 100) * 0.02
            codes, state = bnb.quantize_4bit(weight, blocksize=64, compress_statistics=nested, quant_type=kind)
            tensors = {"weight": codes} | {f"weight.{k}": v for k, v in state.as_dict(packed=True).items()}
            add(f"{kind}{'_nested' if nested else ''}", tensors, bnb.dequantize_4bit(codes, state))
    codes, scales = torch.randint(-127, 128, (48, 64), dtype=torch.int8), torch.rand(48) + 0.1
    add("llm_int8", {"weight": codes, "SCB": scales, "weight_format": torch.zeros((), dtype=torch.uint8)},
        bnb.int8_vectorwise_dequant(codes, scales))


def main():
    for make in (add_fine_grained, add_compressed_tensors, add_gpt_oss, add_gptq, add_awq, add_bitsandbytes):
        make()
    plain = torch.randn(8, 8).bfloat16()
    add("plain", {"weight": plain}, plain)
    folder = pathlib.Path(sys.argv[1])
    save_file(stored, folder / "quantised.safetensors", {"format": "pt"})
    save_file(expected, folder / "dequantised.safetensors", {"format": "pt"})


if __name__ == "__main__":
    main()

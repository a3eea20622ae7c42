#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes the folder mlx, small layers as MLX quantises them in every mode, and dequantised_mlx.safetensors, what MLX itself
makes of them, in BF16.

usage: make_mlx.py FOLDER
needs: mlx[cpu]
"""
import json
import pathlib
import sys

import mlx.core as mx

MODES = [("affine", bits, group) for bits, group in ((2, 32), (3, 64), (4, 64), (5, 128), (6, 32), (8, 64))]
MODES += [("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)]


def main():
    mx.random.seed(20)
    folder = pathlib.Path(sys.argv[1])
    (folder / "mlx").mkdir(exist_ok=True)
    stored, expected, modules = {}, {}, {}
    for mode, bits, group in MODES:
        shape = (2, 6, 128) if mode == "affine" and bits == 4 else (6, 128)  # one stack of experts
        name = f"model.{mode}{bits}"
        weight, *rest = mx.quantize(mx.random.normal(shape), group_size=group, bits=bits, mode=mode)
        parts = dict(zip(("weight", "scales", "biases"), (weight, *rest)))
        stored |= {f"{name}.{part}": tensor for part, tensor in parts.items()}
        whole = mx.dequantize(weight, *rest, group_size=group, bits=bits, mode=mode)
        expected[f"{name}.weight"] = whole.astype(mx.float32).astype(mx.bfloat16)
        modules[name] = {"group_size": group, "bits": bits, "mode": mode}
    plain = mx.random.normal((8, 8)).astype(mx.bfloat16)
    stored["model.plain.weight"] = expected["model.plain.weight"] = plain
    mx.save_safetensors(str(folder / "mlx" / "model.safetensors"), stored, {"format": "mlx"})
    mx.save_safetensors(str(folder / "dequantised_mlx.safetensors"), expected, {"format": "mlx"})
    scheme = {"group_size": 64, "bits": 4} | modules
    config = {"model_type": "other", "quantization": scheme, "quantization_config": scheme}
    (folder / "mlx" / "config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    main()

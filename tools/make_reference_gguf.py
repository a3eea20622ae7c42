#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Dequantises a GGUF: matrices to F16, vectors to F32, every key-value kept.

usage: make_reference_gguf.py IN.gguf OUT.gguf [--dtype f16|f32]

This file, not the quantised one it comes from, is what all measurements compare against.
"""
import argparse
import os

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType, quants

# Written by GGUFWriter itself, or true only of the quantised file.
SKIPPED = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture", "general.file_type",
           "general.quantization_version")


def copy_fields(reader, writer):
    for field in reader.fields.values():
        if field.name in SKIPPED:
            continue
        kind = field.types[0]
        sub_kind = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_kind)


def values_of(tensor):
    """The tensor as float32, in numpy's (row-major) order."""
    if tensor.tensor_type in (GGMLQuantizationType.F32, GGMLQuantizationType.F16):
        return np.asarray(tensor.data, dtype=np.float32)
    return quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("destination")
    parser.add_argument("--dtype", choices=("f16", "f32"), default="f16")
    options = parser.parse_args()
    reader = GGUFReader(options.source)
    partial = options.destination + ".partial"
    writer = GGUFWriter(partial, arch=reader.get_field("general.architecture").contents())
    copy_fields(reader, writer)
    writer.add_file_type(LlamaFileType.MOSTLY_F16 if options.dtype == "f16" else LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        matrix = len(tensor.shape) > 1 and options.dtype == "f16"
        writer.add_tensor(tensor.name, values_of(tensor).astype(np.float16 if matrix else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(partial, options.destination)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-3-Clause
"""llama.cpp's own quantisers, by its own program `llama-quantize`, with an importance matrix.

Types of 256 weights a block fit no tensor whose columns are not a multiple of 256: llama.cpp takes a wider type of 32 a block
instead, so what a file is called and what it holds are two things. `types` says what it holds.
"""
import collections
import pathlib
import subprocess

import gguf


def quantise(quantizer, source, destination, name, imatrix):
    """llama-quantize SOURCE -> DESTINATION as type `name`. Raises CalledProcessError with the program's output."""
    command = [quantizer, "--imatrix", imatrix, source, destination, name, "1"]
    subprocess.run([str(a) for a in command], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


def stored(path):
    """(bits of all tensors, weights, share of weights per type) of a GGUF file; key-values and tokenizer are not counted."""
    bits, weights = 0, collections.Counter()
    for tensor in gguf.GGUFReader(pathlib.Path(path)).tensors:
        bits += 8 * int(tensor.n_bytes)
        weights[tensor.tensor_type.name] += int(tensor.n_elements)
    total = sum(weights.values())
    return bits, total, {name: count / total for name, count in weights.most_common()}

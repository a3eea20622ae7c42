# SPDX-License-Identifier: BSD-3-Clause
"""Half-Quadratic Quantization (Badri and Shaji, Mobius Labs, 2023, https://mobiusml.github.io/hqq_blog/), no data.

The scale of each group is that of its range; the zero is moved, as a real number, to lessen sum |w - w'|^p with p = 0.7,
which cares less for outliers than squares do. An auxiliary error e splits the problem (equation 1 there):

    e    <- shrink(w - w', beta)                 the proximal step of |.|^p  (equation 3)
    zero <- mean over the group of  q - (w - e) / scale                      (equation 5)

with beta from 10, times 1.01 a round, for at most 20 rounds or until the mean error no longer falls: the authors' values.
Their defaults: groups of 64 inputs, scale and zero in binary16, no second quantisation of these; 4-bit zeros start rounded.
"""
import numpy as np

from . import affine

GROUP, P, BETA, GROWTH, ROUNDS = 64, 0.7, 10.0, 1.01, 20
ZERO_BITS = 16


def shrink(error, beta):
    magnitude = np.maximum(np.abs(error), 1e-12)
    return np.sign(error) * np.maximum(magnitude - magnitude ** (P - 1) / beta, 0)


def range_grid(block, bits):
    top = 2**bits - 1
    low = block.min(axis=1, keepdims=True)
    scale = affine.stored_scale((block.max(axis=1, keepdims=True) - low) / top)
    zero = -low / scale
    return scale, np.rint(zero) if bits == 4 else zero, top


def restore(block, scale, zero, top):
    codes = np.clip(np.rint(block / scale + zero), 0, top)
    return codes, scale * (codes - zero)


def best_zero(block, scale, zero, top):
    beta, best, least = BETA, zero, np.inf
    for _ in range(ROUNDS):
        codes, restored = restore(block, scale, zero, top)
        error = np.abs(block - restored).mean(dtype=np.float64)
        if error >= least:
            break
        best, least = zero, error
        zero = (codes - (block - shrink(block - restored, beta)) / scale).mean(axis=1, keepdims=True)
        beta *= GROWTH
    return best


def quantise(matrix, bits, group=GROUP):
    blocks = matrix.reshape(-1, group)
    scale, zero, top = range_grid(blocks, bits)
    zero = best_zero(blocks, scale, zero, top).astype(np.float16).astype(np.float32)
    values = restore(blocks, scale, zero, top)[1].reshape(matrix.shape)
    return affine.Coded(values, matrix.size * bits + len(blocks) * (affine.SCALE_BITS + ZERO_BITS))

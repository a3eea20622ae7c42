# SPDX-License-Identifier: BSD-3-Clause
"""NormalFloat of 4 bits with double quantisation: QLoRA (Dettmers et al., arXiv 2305.14314), section 3; bitsandbytes' default.

Blocks of 64 weights in row order are divided by their largest magnitude, and each weight takes the nearest of 16 values that
a normal distribution would use equally often (equation 4, one side with 8 values and one with 7, and an exact zero). The
magnitudes, less their mean, are themselves stored with 8 bits in blocks of 256: 4 + 8/64 + 32/(64 * 256) = 4.127 bits.
"""
import statistics

import numpy as np

from . import affine

BLOCK, MAGNITUDES = 64, 256
FLOAT_BITS = 32


def code_book():
    """The 16 values, -1 to 1. The outermost quantile is the mean of the two that 16 and 15 levels would have."""
    outer = 1 - (1 / 32 + 1 / 30) / 2
    quantile = statistics.NormalDist().inv_cdf
    positive = [quantile(p) for p in np.linspace(outer, 0.5, 9)[:-1]]
    negative = [-quantile(p) for p in np.linspace(outer, 0.5, 8)[:-1]]
    return np.sort(np.array(negative + [0.0] + positive) / positive[0]).astype(np.float32)


def dynamic_code():
    """The 256 values of dynamic tree quantisation (arXiv 2110.02861, section 1.3): a run of exponent bits, the rest linear
    between 0.1 and 1 at each power of ten."""
    values = [0.0, 1.0]
    for exponent in range(7):
        edges = np.linspace(0.1, 1, 2**exponent + 1)
        middles = 10.0 ** (exponent - 6) * (edges[:-1] + edges[1:]) / 2
        values += [*middles, *-middles]
    return np.sort(values).astype(np.float32)


def nearest(values, book):
    """The nearest element of the sorted book."""
    return book[np.searchsorted((book[:-1] + book[1:]) / 2, values)]


def in_blocks(values, size):
    """[blocks, size], the last padded with zeros."""
    return np.pad(values.ravel(), (0, -values.size % size)).reshape(-1, size)


def by_magnitude(blocks, magnitudes, book):
    divisor = np.where(magnitudes > 0, magnitudes, 1)
    return nearest(blocks / divisor, book) * magnitudes


def stored_magnitudes(magnitudes):
    mean = magnitudes.mean(dtype=np.float32)
    blocks = in_blocks(magnitudes - mean, MAGNITUDES)
    largest = np.abs(blocks).max(axis=1, keepdims=True)
    return by_magnitude(blocks, largest, dynamic_code()).ravel()[: magnitudes.size] + mean


def quantise(matrix, bits=4):
    if bits != 4:
        raise ValueError("NF4 has 4 bits")
    blocks = in_blocks(matrix, BLOCK)
    magnitudes = stored_magnitudes(np.abs(blocks).max(axis=1))
    values = by_magnitude(blocks, magnitudes[:, None], code_book()).ravel()[: matrix.size].reshape(matrix.shape)
    outer_blocks = -(-len(blocks) // MAGNITUDES)
    return affine.Coded(values, matrix.size * bits + len(blocks) * 8 + (outer_blocks + 1) * FLOAT_BITS)

# SPDX-License-Identifier: BSD-3-Clause
"""What the methods share: the result, and the asymmetric uniform grid  w ~ scale * (q - zero),  q = 0 .. 2^bits - 1."""
import dataclasses

import numpy as np

SCALE_BITS = 16  # scales are stored as binary16 by every method here but NF4


@dataclasses.dataclass(frozen=True)
class Coded:
    values: np.ndarray
    bits: int


@dataclasses.dataclass(frozen=True)
class Grid:
    """scale, zero: [rows, 1], one grid per row."""
    scale: np.ndarray
    zero: np.ndarray
    top: int

    def nearest(self, x):
        codes = np.clip(np.rint(x / self.scale) + self.zero, 0, self.top)
        return self.scale * (codes - self.zero)


def stored_scale(scale):
    """As binary16 keeps it. Never zero: a group of zeros keeps any step."""
    return np.maximum(scale.astype(np.float16), np.finfo(np.float16).tiny).astype(np.float32)


def min_max(block, bits):
    """The grid from the least to the largest value of each row, zero included, so that `zero` is a code of `bits` bits."""
    top = 2**bits - 1
    low = np.minimum(block.min(axis=1, keepdims=True), 0)
    high = np.maximum(block.max(axis=1, keepdims=True), 0)
    scale = stored_scale((high - low) / top)
    return Grid(scale, np.clip(np.rint(-low / scale), 0, top), top)


def groups(columns, size):
    """Slices of `size` columns; the last may be shorter."""
    return [slice(start, min(start + size, columns)) for start in range(0, columns, size)]

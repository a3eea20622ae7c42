# SPDX-License-Identifier: BSD-3-Clause
"""SINQ: Sinkhorn-Normalized Quantization (Mueller et al., arXiv 2509.22944), without data.

Each tile of 64 inputs is divided by scales of its rows and of its columns until all have about the same deviation
(Algorithm 1: both logarithms move at once by the deviation over the least one, between 0.7 and 2 a round; 16 rounds; the
round with the least imbalance, equation 4, is kept). Then each row of the tile is rounded to nearest (asymmetric, whole
zeros), and its step takes in the row's scale:  w ~ row * (q - zero) * column  (equation 3).

Stored: per row and tile a binary16 scale and a zero of as many bits as a code; per column one binary16 scale.
"""
import numpy as np

from . import affine

TILE, ROUNDS, LEAST_MOVE, LARGEST_MOVE = 64, 16, 0.7, 2.0
LOG_SCALES = (-0.3, 10.0)  # where both logarithms stay


def deviations(tile):
    return tile.std(axis=1, ddof=1, keepdims=True), tile.std(axis=0, ddof=1, keepdims=True)


def imbalance(tile):
    """Largest over least deviation of all rows and columns; 1 is balanced."""
    rows, columns = deviations(tile)
    return max(rows.max(), columns.max()) / max(min(rows.min(), columns.min()), 1e-12)


def balance(tile):
    """Scales of rows [rows, 1] and columns [1, cols], float64."""
    tile = tile.astype(np.float64)
    target = min(d.clip(1e-3, 1e3).min() for d in deviations(tile)) + 1e-6
    logs = [np.zeros((len(tile), 1)), np.zeros((1, tile.shape[1]))]
    best, least = None, np.inf
    for _ in range(ROUNDS):
        scales = [np.exp(log) for log in logs]
        current = tile / scales[0] / scales[1]
        measured = imbalance(current)
        if measured > least:
            break
        best, least = scales, measured
        moves = [np.log((d / target).clip(LEAST_MOVE, LARGEST_MOVE)) for d in deviations(current)]
        logs = [(log + move).clip(*LOG_SCALES) for log, move in zip(logs, moves)]
    return best


def quantise_tile(tile, bits):
    rows, columns = balance(tile)
    columns = affine.stored_scale(columns)
    grid = affine.min_max((tile / columns / rows).astype(np.float32), bits)
    # The format has one scale for a row's step and balance together, and the codes are chosen for it as stored.
    stored = affine.Grid(affine.stored_scale(grid.scale * rows), grid.zero, grid.top)
    return stored.nearest(tile / columns) * columns


def quantise(matrix, bits):
    values = np.empty_like(matrix)
    slices = affine.groups(matrix.shape[1], TILE)
    for columns in slices:
        values[:, columns] = quantise_tile(matrix[:, columns], bits)
    side = len(slices) * matrix.shape[0] * (affine.SCALE_BITS + bits) + matrix.shape[1] * affine.SCALE_BITS
    return affine.Coded(values, matrix.size * bits + side)

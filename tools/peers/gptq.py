# SPDX-License-Identifier: BSD-3-Clause
"""GPTQ (Frantar et al., arXiv 2210.17323): columns are rounded one by one, and the error of each is made up for by the
columns that follow (Algorithm 1; equations 2 and 3 through one Cholesky factor).

H = second moments of the inputs, damped by 1 % of its mean diagonal (section 3.3, step 3). Columns go in falling order of
H's diagonal ("act-order", the authors' later addition). A group of 128 columns in coding order shares an asymmetric grid
per row, set when the group is reached. Updates beyond a batch of 128 columns are made once a batch (step 2).

Stored: codes, per row and group a binary16 scale and a zero of as many bits as a code, per column its group's number in the
fewest bits that hold it (GPTQModel spends 32 on each). H describes the original model's inputs; the authors collect it layer
by layer from the model quantised so far, which changes it little above 3 bits.
"""
import numpy as np

from . import affine

BATCH, DAMPING = 128, 0.01


def factor(moments):
    """U upper triangular with U^T U = inverse(H damped): row i holds what column i's error does to the later ones."""
    damped = moments + DAMPING * np.diag(moments).mean() * np.eye(len(moments))
    # inverse(H) = U^T U; with H reversed = L L^T, U = reversed inverse(L).
    lower = np.linalg.cholesky(damped[::-1, ::-1])
    return np.linalg.inv(lower)[::-1, ::-1]


def round_batch(weights, upper, grid_of):
    """Rounds all columns of a batch, changing those of `weights` that follow. Returns (values, errors / U_jj)."""
    values, errors = np.empty_like(weights), np.empty_like(weights)
    for j in range(weights.shape[1]):
        values[:, j] = grid_of(j).nearest(weights[:, j : j + 1])[:, 0]
        errors[:, j] = (weights[:, j] - values[:, j]) / upper[j, j]
        weights[:, j + 1 :] -= np.outer(errors[:, j], upper[j, j + 1 :])
    return values, errors


def quantise(matrix, bits, moments, group=BATCH):
    """moments: [cols, cols], mean of x x^T. group: columns that share a grid, 128 or a divisor of it."""
    diagonal = np.diag(moments)
    dead = diagonal == 0
    moments = np.where(np.diag(dead), 1, moments).astype(np.float64)
    order = np.argsort(-np.diag(moments), kind="stable")
    upper = factor(moments[np.ix_(order, order)]).astype(np.float32)
    weights = np.where(dead, 0, matrix)[:, order].astype(np.float32)
    values = np.empty_like(weights)
    for batch in affine.groups(weights.shape[1], BATCH):
        grids = {}

        def grid_of(j, start=batch.start, grids=grids):
            if j % group == 0:
                grids["now"] = affine.min_max(weights[:, start + j : min(start + j + group, weights.shape[1])], bits)
            return grids["now"]

        values[:, batch], errors = round_batch(weights[:, batch], upper[batch, batch], grid_of)
        weights[:, batch.stop :] -= errors @ upper[batch, batch.stop :]
    restored = np.empty_like(values)
    restored[:, order] = values
    return affine.Coded(restored, stored_bits(matrix.shape, bits, group))


def stored_bits(shape, bits, group):
    rows, columns = shape
    count = -(-columns // group)
    return rows * columns * bits + count * rows * (affine.SCALE_BITS + bits) + columns * (count - 1).bit_length()

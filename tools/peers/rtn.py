# SPDX-License-Identifier: BSD-3-Clause
"""Round to nearest: the baseline of every paper on quantisation, for example GPTQ (arXiv 2210.17323, section 4).

Each row is cut into groups of inputs; each group has the asymmetric grid from its least to its largest weight. Stored:
the codes, a binary16 scale and a zero of as many bits as a code. Uses no data.
"""
import numpy as np

from . import affine


def quantise(matrix, bits, group):
    values = np.empty_like(matrix)
    slices = affine.groups(matrix.shape[1], group)
    for columns in slices:
        values[:, columns] = affine.min_max(matrix[:, columns], bits).nearest(matrix[:, columns])
    return affine.Coded(values, matrix.size * bits + len(slices) * matrix.shape[0] * (affine.SCALE_BITS + bits))

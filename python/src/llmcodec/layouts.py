# SPDX-License-Identifier: BSD-3-Clause
"""How a matrix becomes pictures: weights as samples (spatial) or as the coefficients of blocks (spectral)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core
from ._codecs import Planes, samples_of
from ._errors import InvalidArgumentError

Floats = np.ndarray[Any, np.dtype[np.float32]]

_PICTURE = 1 << 19  # weights, about

__all__ = ["from_spatial", "from_spectral", "spatial", "spectral"]


def spatial(samples: npt.ArrayLike, *, pad: int = 512, picture_weights: int = _PICTURE) -> Planes:
    """Samples of a matrix (rows x columns) as pictures: plane x is the row, plane y the column. What a picture has beyond
    the matrix is `pad`.

    >>> samples = np.arange(60, dtype=np.uint16).reshape(6, 10)
    >>> pictures = llmcodec.layouts.spatial(samples)
    >>> pictures.shape
    (1, 10, 6)
    >>> bool((llmcodec.layouts.from_spatial(pictures, samples.shape) == samples).all())
    True
    """
    matrix = samples_of(samples, 16)[0]
    rows, cols = matrix.shape
    layout = _core.SpatialLayout.make(rows, cols, picture_weights)
    pictures = np.empty(layout.shape, np.uint16)
    layout.gather(matrix, pad, pictures)
    return pictures


def from_spatial(pictures: Planes, shape: tuple[int, int], *, picture_weights: int = _PICTURE) -> Planes:
    """The inverse, of a matrix of this shape."""
    matrix = np.empty(shape, np.uint16)
    layout = _core.SpatialLayout.make(*shape, picture_weights)
    layout.scatter(np.ascontiguousarray(pictures, np.uint16), matrix)
    return matrix


def spectral(normalised: npt.ArrayLike, outputs_per_block: int, *, picture_weights: int = _PICTURE) -> Floats:
    """Normalised weights as coefficients: pictures x strips x blocks x coefficients in scan order, 32 inputs times
    `outputs_per_block` (1 to 31) of them. Padding is 0. docs/format.md, 2.4.

    >>> weights = np.random.default_rng(0).standard_normal((64, 48)).astype(np.float32)
    >>> coefficients = llmcodec.layouts.spectral(weights, outputs_per_block=16)
    >>> coefficients.shape
    (1, 2, 4, 512)
    >>> bool((llmcodec.layouts.from_spectral(coefficients, weights.shape) == weights).all())
    True
    """
    matrix = np.ascontiguousarray(normalised, np.float32)
    if matrix.ndim != 2:
        raise InvalidArgumentError(f"a matrix has 2 dimensions, not {matrix.ndim}")
    rows, cols = matrix.shape
    layout = _core.SpectralLayout.make(rows, cols, outputs_per_block, picture_weights)
    coefficients = np.zeros(layout.shape, np.float32)
    layout.gather(matrix, coefficients.reshape(layout.shape[0], -1))
    return coefficients


def from_spectral(coefficients: Floats, shape: tuple[int, int], *, picture_weights: int = _PICTURE) -> Floats:
    """The inverse, of a matrix of this shape."""
    outputs_per_block = coefficients.shape[-1] // 32
    layout = _core.SpectralLayout.make(*shape, outputs_per_block, picture_weights)
    matrix = np.empty(shape, np.float32)
    flat = np.ascontiguousarray(coefficients, np.float32).reshape(coefficients.shape[0], -1)
    layout.scatter(flat, matrix)
    return matrix

# SPDX-License-Identifier: BSD-3-Clause
"""Scales of a matrix, as archives store them: weight = (normalised + zero) * row scale * column scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core

Matrix = np.ndarray[Any, np.dtype[np.float32]]

__all__ = ["Scales", "fit"]


class Scales:
    """Of one matrix; `fit` makes them. Their values are those that a decoder has: logarithmic codes of 8 bits."""

    def __init__(self, scales: _core.MatrixScales) -> None:
        self._scales = scales

    @property
    def kind(self) -> str:
        """As `fit` was given it."""
        return self._scales.kind

    @property
    def rows(self) -> Matrix:
        """One for each row; empty where the kind has none."""
        return np.array(self._scales.row_scales(), np.float32)

    @property
    def cols(self) -> Matrix:
        """One for each column; empty where the kind has none."""
        return np.array(self._scales.col_scales(), np.float32)

    @property
    def bytes(self) -> int:
        """What they take in an archive, before they are packed."""
        return self._scales.side_bytes

    def normalise(self, weights: npt.ArrayLike) -> Matrix:
        """Weights (rows x columns, float32) over their scales: about unit RMS."""
        given = np.ascontiguousarray(weights, np.float32)
        out = np.empty(given.shape, np.float32)
        self._scales.normalise(given, out)
        return out

    def denormalise(self, normalised: npt.ArrayLike) -> Matrix:
        """The inverse."""
        given = np.ascontiguousarray(normalised, np.float32)
        out = np.empty(given.shape, np.float32)
        self._scales.denormalise(given, out)
        return out


def fit(weights: npt.ArrayLike, kind: str = "dual", *, asymmetric: bool = False) -> Scales:
    """Fits scales to a matrix: one for the "tensor", for each "row", "column", "group:N" of columns, or "dual", each row
    and each column. InvalidArgumentError for NaN and infinite weights.

    >>> weights = np.random.default_rng(0).standard_normal((64, 48)).astype(np.float32)
    >>> scales = llmcodec.scales.fit(weights)
    >>> bool(np.allclose(scales.denormalise(scales.normalise(weights)), weights))
    True
    """
    return Scales(_core.fit_scales(np.ascontiguousarray(weights, np.float32), kind, asymmetric))

# SPDX-License-Identifier: BSD-3-Clause
"""Indices as safetensors takes them: integers, slices with positive steps, one ellipsis."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._errors import InvalidArgumentError


@dataclass(frozen=True)
class Axis:
    """What is taken of one axis: `length` places from `start` on, `step` apart; an integer's axis is not in the result."""

    start: int
    length: int
    step: int
    kept: bool


def axes_of(index: Any, shape: Sequence[int], *, booleans: bool = True) -> list[Axis]:
    """One Axis for each side of `shape`. InvalidArgumentError for what numpy would take and safetensors does not, too.

    `booleans`: True is the integer 1, as safetensors has it for numpy; to PyTorch it is a mask.
    """
    parts = list(index) if isinstance(index, tuple) else [index]
    if not booleans and any(isinstance(part, bool) for part in parts):
        raise InvalidArgumentError("a mask, and no integers and slices")
    ellipses = [position for position, part in enumerate(parts) if part is Ellipsis]
    if len(ellipses) > 1:
        raise InvalidArgumentError("only one ellipsis (...) in an index")
    missing = len(shape) - (len(parts) - len(ellipses))
    if missing < 0:
        raise InvalidArgumentError(f"{len(parts)} indices for the {len(shape)} dimensions of {list(shape)}")
    at = ellipses[0] if ellipses else len(parts)
    parts[at : at + 1] = [slice(None)] * missing
    return [_axis(part, number, size) for number, (part, size) in enumerate(zip(parts, shape, strict=True))]


def _axis(part: Any, number: int, size: int) -> Axis:
    if isinstance(part, slice):
        if part.step is not None and operator.index(part.step) < 1:
            raise InvalidArgumentError(f"a step of {part.step}: steps are positive")
        places = range(*part.indices(size))
        return Axis(places.start, len(places), places.step, kept=True)
    try:
        place = operator.index(part)
    except TypeError:
        raise InvalidArgumentError(f"index {number} is neither integer, slice nor ellipsis: {part!r}") from None
    if not -size <= place < size:
        raise InvalidArgumentError(f"index {place} is out of range: dimension {number} has size {size}")
    return Axis(place % size, 1, 1, kept=False)

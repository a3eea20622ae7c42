# SPDX-License-Identifier: BSD-3-Clause
"""Which weights are compared on: pieces of tensors of every kind, from layers spread over the depth, chosen by a seed alone."""

from __future__ import annotations

import math
import os
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from llmcodec import _core, scales
from llmcodec._errors import Error, InvalidArgumentError
from llmcodec._models import inspect
from llmcodec._system import encoded

Matrix = np.ndarray[Any, np.dtype[np.float32]]

PIECE_COLS = 512  # at most: the height of the picture
STACK = 4  # pictures of the layouts `frames` and `stacked`
_SMALLEST_SIDE = 32  # of tensors that are compared
_BLOCK = 32  # rows of pictures are a multiple of it: with 144, libx265 pads a tenth of the samples
_SMALLEST_WIDTH = 64  # of pieces: below it libx265 and libsvtav1 pad pictures


@dataclass(frozen=True)
class Piece:
    """Rows and columns of one tensor of one model."""

    model: str
    tensor: str
    kind: str
    role: str
    layer: int | None
    tensor_rows: int
    tensor_cols: int
    first_row: int
    rows: int
    first_col: int
    cols: int

    @property
    def weights(self) -> int:
        """How many it has."""
        return self.rows * self.cols

    def described(self) -> dict[str, Any]:
        """As results.json has it."""
        return asdict(self)


@dataclass(frozen=True)
class Source:
    """What an encoder is given: normalised weights, what they stand for, and what it takes to tell a decoder."""

    weights: Matrix
    pictures: int
    row_scales: Matrix
    col_scales: Matrix
    side_bpw: float  # of scales and orders, in bits per weight of the whole tensor


class NoSource(Exception):
    """This layout cannot be made of this tensor, for a reason that a row says."""


def kind_of(name: str) -> tuple[str, int | None]:
    """What a tensor is in every layer, and which layer this one is of.

    >>> kind_of("model.layers.12.self_attn.q_proj.weight")
    ('model.layers.*.self_attn.q_proj.weight', 12)
    >>> kind_of("token_embd.weight")
    ('token_embd.weight', None)
    """
    numbers = re.findall(r"(?<=[._])\d+(?=[._])", name)
    return re.sub(r"(?<=[._])\d+(?=[._])", "*", name), int(numbers[0]) if numbers else None


def _candidates(model: str, pattern: str | None) -> list[tuple[str, str, int, int]]:
    """Name, role, rows and columns of the tensors of a model that would be coded and are large enough."""
    matches = _matcher(pattern)
    found = []
    for tensor in inspect(model).tensors:
        if not tensor.coded or not matches(tensor.name) or len(tensor.shape) < 2 or tensor.same_as:
            continue
        rows, cols = math.prod(tensor.shape[:-1]), tensor.shape[-1]
        if len(tensor.shape) > 2 and min(tensor.shape[-2:]) < _SMALLEST_SIDE:  # a convolution: one row for each output
            rows, cols = tensor.shape[0], math.prod(tensor.shape[1:])
        if min(rows, cols) >= _SMALLEST_SIDE:
            found.append((tensor.name, tensor.role, rows, cols))
    return found


def _matcher(pattern: str | None) -> Any:
    try:
        compiled = re.compile(pattern or "")
    except re.error as error:
        raise InvalidArgumentError(f"--tensors {pattern!r} is no regular expression: {error}") from None
    return compiled.search


def choose_pieces(models: Sequence[str], pattern: str | None, piece_weights: int, seed: int) -> list[Piece]:
    """All pieces there are to choose from, one a tensor, in the order in which they are taken: the first few are of as many
    kinds and models as can be, and each kind begins at another depth.

    InvalidArgumentError where no tensor is left.
    """
    groups: list[list[Piece]] = []
    for model in models:
        of_kind: dict[str, list[Piece]] = {}
        for name, role, rows, cols in _candidates(model, pattern):
            kind, layer = kind_of(name)
            piece = _piece(model, name, kind, role, layer, rows, cols, piece_weights, seed)
            of_kind.setdefault(kind, []).append(piece)
        groups.extend(_by_depth(pieces, position, len(of_kind)) for position, pieces in enumerate(of_kind.values()))
    if not groups:
        asked = f" match {pattern!r} and" if pattern else ""
        raise InvalidArgumentError(f"no tensors of {', '.join(models)}{asked} are coded matrices of at least 32 x 32")
    order = list(range(len(groups)))
    random.Random(seed).shuffle(order)
    rounds = max(len(group) for group in groups)
    return [groups[g][i] for i in range(rounds) for g in order if i < len(groups[g])]


def _by_depth(pieces: list[Piece], position: int, kinds: int) -> list[Piece]:
    """Of one kind: first a layer that depends on the kind, then always the one farthest from those taken."""
    left = sorted(pieces, key=lambda piece: (piece.layer or 0, piece.tensor))
    taken = [left.pop(min(len(left) - 1, (2 * position + 1) * len(left) // (2 * kinds)))]
    while left:
        depths = [piece.layer or 0 for piece in taken]
        farthest = max(left, key=lambda piece: (min(abs((piece.layer or 0) - d) for d in depths), -(piece.layer or 0)))
        left.remove(farthest)
        taken.append(farthest)
    return taken


def _piece(
    model: str, name: str, kind: str, role: str, layer: int | None, rows: int, cols: int, weights: int, seed: int
) -> Piece:
    """A block of rows, at a place that the seed and the tensor's name decide. Room is left for the layout `frames`."""
    piece_cols = min(cols, PIECE_COLS)
    piece_rows = min(rows, max(weights // piece_cols // _BLOCK * _BLOCK, _SMALLEST_WIDTH))
    place = random.Random(f"{seed} {name}")
    stack_rows = min(rows, STACK * piece_rows)
    first_row = place.randrange((rows - stack_rows) // 32 + 1) * 32
    first_col = place.randrange((cols - piece_cols) // 32 + 1) * 32
    return Piece(model, name, kind, role, layer, rows, cols, first_row, piece_rows, first_col, piece_cols)


def neighbours(piece: Piece, pieces: Iterable[Piece]) -> list[Piece]:
    """This piece and the same place of the tensors of its kind in the layers that follow (or precede, at the end)."""
    same = [p for p in pieces if (p.model, p.kind, p.tensor_rows, p.tensor_cols) == _family(piece) and p.layer is not None]
    same.sort(key=lambda p: p.layer or 0)
    if piece.layer is None or len(same) < STACK:
        raise NoSource(f"fewer than {STACK} layers have a tensor like {piece.tensor}")
    at = min([p.tensor for p in same].index(piece.tensor), len(same) - STACK)
    return [_moved(p, piece) for p in same[at : at + STACK]]


def _family(piece: Piece) -> tuple[str, str, int, int]:
    return piece.model, piece.kind, piece.tensor_rows, piece.tensor_cols


def _moved(piece: Piece, to: Piece) -> Piece:
    return Piece(**(piece.described() | {"first_row": to.first_row, "first_col": to.first_col}))


def _following(piece: Piece) -> list[Piece]:
    rows = piece.rows
    if piece.first_row + STACK * rows > piece.tensor_rows:
        rows = (piece.tensor_rows - piece.first_row) // STACK // _BLOCK * _BLOCK
    if rows < _SMALLEST_SIDE:
        raise NoSource(f"{piece.tensor} has too few rows for {STACK} pictures")
    return [Piece(**(piece.described() | {"first_row": piece.first_row + i * rows, "rows": rows})) for i in range(STACK)]


def read(piece: Piece) -> Matrix:
    """Its weights."""
    rows = _core.read_tensor(encoded(piece.model), piece.tensor, piece.first_row, piece.first_row + piece.rows)
    weights = np.ascontiguousarray(np.asarray(rows)[:, piece.first_col : piece.first_col + piece.cols], np.float32)
    if weights.shape != (piece.rows, piece.cols):
        raise NoSource(f"{piece.tensor} is read as {rows.shape[1]} columns, not as {piece.tensor_cols}")
    if not np.isfinite(weights).all():
        raise NoSource(f"{piece.tensor} has weights that are not finite")
    if not weights.any():
        raise NoSource(f"all weights of this piece of {piece.tensor} are zero")
    return weights


def make_source(piece: Piece, layout: str, scale_kind: str, pieces: Sequence[Piece]) -> Source:
    """The piece in a layout and with scales of a kind. NoSource where that cannot be."""
    parts = {"stacked": lambda: neighbours(piece, pieces), "frames": lambda: _following(piece)}.get(layout, lambda: [piece])()
    try:
        weights = np.concatenate([read(part) for part in parts])
        normalised, row_scales, col_scales = _scaled(weights, scale_kind)
    except Error as error:
        raise NoSource(str(error)) from None
    source = Source(normalised, len(parts), row_scales, col_scales, _scale_bits(piece, scale_kind))
    if layout == "transposed":
        return Source(np.ascontiguousarray(normalised.T), 1, col_scales, row_scales, source.side_bpw)
    return _sorted(source, piece) if layout == "sorted" else source


def _scaled(weights: Matrix, kind: str) -> tuple[Matrix, Matrix, Matrix]:
    """Normalised weights, and the scales of rows and columns."""
    made = scales.fit(weights, kind)
    of_all = made.denormalise(np.ones(weights.shape, np.float32))
    cols = made.cols if len(made.cols) else np.ones(weights.shape[1], np.float32)
    return made.normalise(weights), np.ascontiguousarray(of_all[:, 0] / cols[0]), cols


def _scale_bits(piece: Piece, kind: str) -> float:
    """A byte a scale, as archives have them before they are packed, over the weights of the whole tensor."""
    of_rows, of_cols = 8 / piece.tensor_cols, 8 / piece.tensor_rows
    return {"row": of_rows, "column": of_cols, "dual": of_rows + of_cols}.get(kind, 8 / (piece.tensor_rows * piece.tensor_cols))


def _sorted(source: Source, piece: Piece) -> Source:
    """Rows and columns in the order of what they weigh. A decoder knows the order of scales that it has; else it is told."""
    real = source.weights * source.row_scales[:, None] * source.col_scales[None, :]
    flat = float(np.ptp(source.row_scales)) == 0, float(np.ptp(source.col_scales)) == 0
    by_row = np.sqrt(np.mean(real**2, axis=1)) if flat[0] else source.row_scales
    by_col = np.sqrt(np.mean(real**2, axis=0)) if flat[1] else source.col_scales
    rows, cols = np.argsort(by_row, kind="stable"), np.argsort(by_col, kind="stable")
    told = [math.lgamma(n + 1) / math.log(2) for n in (piece.tensor_rows, piece.tensor_cols)]
    order_bits = sum(bits for bits, unknown in zip(told, flat, strict=True) if unknown)
    return Source(
        np.ascontiguousarray(source.weights[np.ix_(rows, cols)]),
        source.pictures,
        np.ascontiguousarray(source.row_scales[rows]),
        np.ascontiguousarray(source.col_scales[cols]),
        source.side_bpw + order_bits / (piece.tensor_rows * piece.tensor_cols),
    )


def model_name(path: str) -> str:
    """What a model is called in tables: the last part of its path."""
    return os.path.basename(os.path.normpath(path))

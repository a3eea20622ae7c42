# SPDX-License-Identifier: BSD-3-Clause
"""Which tensors of the model's files are which matrices of the running model.

Where a Hugging Face file has a matrix under the model's own name, that is it. Everything else is found by its values: GGUF
files have other names, rows of queries and keys in another order, and experts in one tensor each; transformers fuses
experts that folders hold one by one. Each row of a file's tensor is looked up among the rows of the model, so that an
entry of the written files has the file's own name and the file's own order of rows, or is left out.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ._multiplications import Matrix
from ._options import is_gguf

_ROWS_AT_ONCE = 4096
# Columns and hash of a row -> the matrices that have it, and where.
_Rows = dict[tuple[int, int], dict[Matrix, list[int]]]


@dataclass
class Placed:
    """A tensor of the model's files: for each of its matrices, which one of the model it is."""

    name: str
    matrices: list[tuple[Matrix, Any]]  # and the model's row behind each of the file's rows; None: as they are
    stacked: bool  # of three dimensions


def placed_tensors(source: str, model: Any, seen: Iterable[Matrix]) -> list[Placed]:
    """The tensors of the model's files that are among the matrices `seen`, by name."""
    by_parameter: dict[str, list[Matrix]] = {}
    for matrix in seen:
        by_parameter.setdefault(matrix.parameter, []).append(matrix)
    parameters = dict(model.named_parameters())
    if is_gguf(source):
        return _by_values(_gguf_tensors(source), by_parameter, parameters)
    found, shapes = [], _safetensors_shapes(source)
    for name in sorted(shapes.keys() & by_parameter.keys()):
        matrices = sorted(by_parameter.pop(name), key=lambda m: m.number or 0)
        # Stored as inputs x outputs, its columns are outputs: entries by column would be wrong.
        if shapes[name][1] == tuple(parameters[name].shape) and not matrices[0].transposed:
            found.append(Placed(name, [(m, None) for m in _all_of(matrices, parameters[name])], parameters[name].dim() == 3))
    if by_parameter:
        rest = {name: entry for name, entry in shapes.items() if name not in parameters}
        found += _by_values(_safetensors_tensors(rest), by_parameter, parameters)
    return sorted(found, key=lambda placed: placed.name)


def _all_of(matrices: list[Matrix], parameter: Any) -> list[Matrix]:
    if parameter.dim() == 2:
        return matrices
    return [matrices[0]._replace(number=number) for number in range(parameter.shape[0])]


def _by_values(tensors: Iterator[tuple[str, Any]], seen: dict[str, list[Matrix]], parameters: dict[str, Any]) -> list[Placed]:
    rows, dtypes = _rows_of_model(seen, parameters)
    found = []
    for name, values in tensors:
        stacked = values.dim() == 3
        matrices = [_look_up(matrix, rows, dtypes) for matrix in (values if stacked else values[None])]
        kept = [matrix for matrix in matrices if matrix is not None]
        if kept and len(kept) == len(matrices):
            found.append(Placed(name, kept, stacked))
    return sorted(found, key=lambda placed: placed.name)


def _rows_of_model(seen: dict[str, list[Matrix]], parameters: dict[str, Any]) -> tuple[_Rows, set[Any]]:
    """The rows of all matrices that were seen, and the dtypes of these."""
    rows: _Rows = {}
    for name, matrices in seen.items():
        for matrix in _all_of(matrices, parameters[name]):
            values = parameters[name].detach() if matrix.number is None else parameters[name].detach()[matrix.number]
            values = values.T if matrix.transposed else values
            for row, value in enumerate(_hashes(values.cpu())):
                rows.setdefault((values.shape[1], value), {}).setdefault(matrix, []).append(row)
    return rows, {parameters[name].dtype for name in seen}


def _look_up(values: Any, rows: _Rows, dtypes: set[Any]) -> tuple[Matrix, Any] | None:
    """The matrix all rows of `values` belong to, if there is one: rows that are alike are taken in their order."""
    for dtype in dtypes:
        hashes = _hashes(values.to(dtype))
        for matrix in rows.get((values.shape[1], hashes[0]), ()) if hashes else ():
            order = _order(matrix, hashes, values.shape[1], rows)
            if order is not None:
                return matrix, order
    return None


def _order(matrix: Matrix, hashes: list[int], columns: int, rows: _Rows) -> Any:
    taken: dict[int, int] = {}
    order = []
    for value in hashes:
        places = rows.get((columns, value), {}).get(matrix, ())
        at = taken.get(value, 0)
        if at >= len(places):
            return None
        taken[value] = at + 1
        order.append(places[at])
    return torch.tensor(order)


def _hashes(matrix: Any) -> list[int]:
    """A number of 64 bits for every row."""
    generator = torch.Generator().manual_seed(1)
    factors = torch.randint(-(1 << 62), 1 << 62, (matrix.shape[1],), generator=generator) * 2 + 1
    whole = {2: torch.int16, 4: torch.int32, 8: torch.int64}[matrix.dtype.itemsize]
    found: list[int] = []
    for first in range(0, matrix.shape[0], _ROWS_AT_ONCE):
        bits = matrix[first : first + _ROWS_AT_ONCE].contiguous().view(whole).long()
        found += (bits * factors).sum(-1).tolist()
    return found


def _gguf_tensors(path: str) -> Iterator[tuple[str, Any]]:
    import gguf

    for tensor in gguf.GGUFReader(path).tensors:
        if len(tensor.shape) in (2, 3):
            yield tensor.name, torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())


def _safetensors_shapes(folder: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Tensor -> its file and shape, of the weights that transformers loads."""
    import safetensors

    index = os.path.join(folder, "model.safetensors.index.json")
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), "*.safetensors")))
    if os.path.exists(os.path.join(folder, "model.safetensors")):
        paths = [os.path.join(folder, "model.safetensors")]
    elif os.path.exists(index):
        with open(index, encoding="utf-8") as file:
            paths = sorted({os.path.join(folder, name) for name in json.load(file)["weight_map"].values()})
    found = {}
    for path in paths:
        with safetensors.safe_open(path, "pt") as file:
            for name in file.keys():
                found[name] = (path, tuple(file.get_slice(name).get_shape()))
    return found


def _safetensors_tensors(shapes: dict[str, tuple[str, tuple[int, ...]]]) -> Iterator[tuple[str, Any]]:
    import safetensors

    for name, (path, shape) in sorted(shapes.items()):
        if len(shape) in (2, 3):
            with safetensors.safe_open(path, "pt") as file:
                tensor = file.get_tensor(name)
            if tensor.is_floating_point() and tensor.dtype.itemsize > 1:
                yield name, tensor

# SPDX-License-Identifier: BSD-3-Clause
"""Sees every product of a model's inputs with one of its weights, whatever module makes it.

nn.Linear, transformers' Conv1D, and experts that are slices of one fused parameter all end in one of few functions of
PyTorch, so these are watched instead of modules: nothing has to be known of a family.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode


class Matrix(NamedTuple):
    """One matrix of the model: a parameter of two dimensions, or matrix `number` of one of three."""

    parameter: str
    number: int | None
    transposed: bool  # stored as inputs x outputs


class Matrices:
    """Finds the matrix that a tensor is, or is a view of, by where it lies."""

    def __init__(self, model: Any) -> None:
        self._parameters = sorted(
            ((p.data_ptr(), name, p) for name, p in model.named_parameters() if p.dim() in (2, 3) and p.numel()),
            key=lambda entry: entry[0],
        )
        self._starts = [start for start, _, _ in self._parameters]

    def find(self, weight: Any, transposed: bool) -> Matrix | None:
        at = bisect.bisect_right(self._starts, weight.data_ptr()) - 1
        if at < 0 or weight.dim() != 2:
            return None
        start, name, parameter = self._parameters[at]
        offset = (weight.data_ptr() - start) // parameter.element_size()
        if offset >= parameter.numel() or weight.numel() != parameter.shape[-1] * parameter.shape[-2]:
            return None
        stored_as_used = weight.shape == parameter.shape[-2:] and weight.stride() == parameter.stride()[-2:]
        return Matrix(name, offset // parameter.stride(0) if parameter.dim() == 3 else None, transposed == stored_as_used)


class Multiplications(TorchFunctionMode):
    """While active, calls observe(matrix, inputs, outputs) for every product with a matrix of the model."""

    def __init__(self, matrices: Matrices, observe: Callable[[Matrix, Any, Any], None]) -> None:
        super().__init__()
        self._matrices, self._observe = matrices, observe

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operands = _operands(func, args, kwargs or {})
        if operands is not None:
            inputs, weight, transposed = operands
            matrix = self._matrices.find(weight, transposed)
            if matrix is not None and inputs.numel() > 0:  # else an expert that no token chose
                self._observe(matrix, inputs, result)
        return result


def _operands(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any, bool] | None:
    """(inputs, weight, whether the weight is inputs x outputs), if func multiplies with a weight."""
    if func is torch.nn.functional.linear:
        return args[0], args[1] if len(args) > 1 else kwargs["weight"], False
    if func is torch.addmm and len(args) == 3:
        return args[1], args[2], True
    if func in (torch.matmul, torch.mm, torch.Tensor.matmul, torch.Tensor.__matmul__) and len(args) == 2:
        return args[0], args[1], True
    return None

# SPDX-License-Identifier: BSD-3-Clause
"""Arrays of a framework over plain bytes: the library writes into the bytes, and the array is a view of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ._errors import InvalidArgumentError, UnsupportedError

#: Dtypes of safetensors that are no floating-point ones.
INTEGERS = frozenset(("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "C64"))

_NUMPY = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}
# Of ml_dtypes, which gives numpy these.
_ML_DTYPES = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}
_TORCH = _NUMPY | _ML_DTYPES
NAMES = {name: dtype for dtype, name in _TORCH.items()}

_ALIGNMENT = 64  # of PyTorch's memory on the CPU

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Framework(Protocol):
    """What arrays are made with."""

    own_indices: bool
    """Whether an index that is no matter of integers and slices is left to the framework, as safetensors does."""

    def check(self, dtype: str) -> None:
        """Raises UnsupportedError for a dtype of safetensors that it does not have."""

    def memory(self, size: int) -> tuple[Bytes, Any]:
        """New bytes, and what array() is to be given for them."""

    def array(self, base: Any, dtype: str, shape: Sequence[int]) -> Any:
        """All of these bytes as an array."""

    def strided(self, base: Any, dtype: str, offset: int, axes: Sequence[tuple[int, int]]) -> Any:
        """A contiguous array of some of the elements: from number `offset` on, of (length, step in elements) along axes."""


class Numpy:
    """Arrays of numpy; BF16 and FP8 through ml_dtypes."""

    own_indices = False

    def __init__(self, device: object = "cpu") -> None:
        if str(device) != "cpu":
            raise InvalidArgumentError(f"device {device} is not for numpy, whose arrays are on the cpu")

    def check(self, dtype: str) -> None:
        numpy_dtype(dtype)

    def memory(self, size: int) -> tuple[Bytes, Any]:
        memory = np.empty(size, np.uint8)
        return memory, memory

    def array(self, base: Any, dtype: str, shape: Sequence[int]) -> Any:
        return base.view(numpy_dtype(dtype)).reshape(shape)

    def strided(self, base: Any, dtype: str, offset: int, axes: Sequence[tuple[int, int]]) -> Any:
        flat = base.view(numpy_dtype(dtype))[offset:]
        strides = [step * flat.itemsize for _, step in axes]
        view = np.lib.stride_tricks.as_strided(flat, [length for length, _ in axes], strides)
        return np.array(view, copy=True)


class Torch:
    """Tensors of PyTorch."""

    own_indices = True

    def __init__(self, device: object = "cpu") -> None:
        try:
            import torch
        except ImportError as error:
            raise UnsupportedError("framework 'pt' needs PyTorch: pip install torch, or use framework 'np'") from error
        self._torch = torch
        try:
            self._device = torch.device(device if isinstance(device, (str, int)) else str(device))
        except RuntimeError as error:
            raise InvalidArgumentError(f"device {device} is not known: {error}") from error

    def check(self, dtype: str) -> None:
        self._dtype(dtype)

    def memory(self, size: int) -> tuple[Bytes, Any]:
        # numpy asks the system for huge pages, PyTorch does not: what is decoded into it is there a twentieth sooner. Tensors
        # begin where PyTorch would have them begin.
        memory = np.empty(size + _ALIGNMENT, np.uint8)
        begin = -memory.ctypes.data % _ALIGNMENT
        memory = memory[begin : begin + size]
        return memory, self._torch.from_numpy(memory)

    def array(self, base: Any, dtype: str, shape: Sequence[int]) -> Any:
        sides = list(shape)
        if dtype == "F4":  # two in a byte, as PyTorch counts them
            sides[-1] //= 2
        return base.view(self._dtype(dtype)).reshape(sides).to(self._device)

    def strided(self, base: Any, dtype: str, offset: int, axes: Sequence[tuple[int, int]]) -> Any:
        flat = base.view(self._dtype(dtype))
        lengths, steps = [length for length, _ in axes], [step for _, step in axes]
        return self._torch.as_strided(flat, lengths, steps, offset).clone().to(self._device)

    def _dtype(self, dtype: str) -> Any:
        name = "float4_e2m1fn_x2" if dtype == "F4" else _TORCH.get(dtype)
        found = None if name is None else getattr(self._torch, name, None)
        if found is None:
            raise UnsupportedError(
                f"PyTorch {self._torch.__version__} has no dtype for {dtype}: pass dtype='F32', or decompress the model"
            )
        return found


def framework_of(name: str, device: object = "cpu") -> Framework:
    """By the names of safetensors."""
    if name in ("np", "numpy"):
        return Numpy(device)
    if name in ("pt", "torch", "pytorch"):
        return Torch(device)
    raise InvalidArgumentError(f"framework {name!r} is not known: 'np' and 'pt' are")


@functools.cache
def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """numpy's for one of safetensors; UnsupportedError, with the remedy, where it has none."""
    if dtype in _NUMPY:
        return np.dtype(_NUMPY[dtype])
    if dtype not in _ML_DTYPES:
        raise UnsupportedError(f"numpy has no dtype for {dtype}: pass dtype='F32', or decompress the model")
    try:
        import ml_dtypes
    except ImportError as error:
        raise UnsupportedError(
            f"numpy has no dtype for {dtype} by itself: pip install ml_dtypes, or pass dtype='F32'"
        ) from error
    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _ML_DTYPES[dtype]))
    return found

# SPDX-License-Identifier: BSD-3-Clause
"""Archives of numpy arrays, in the shape of `safetensors.numpy`. BF16 and FP8 are dtypes of the package ml_dtypes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ._errors import InvalidArgumentError, in_tensor
from ._frameworks import NAMES, Bytes
from ._progress import ProgressOption
from ._reader import safe_open
from ._system import Path
from ._writer import Given, write, written_bytes
from .reports import CompressReport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._models import CodingOptions

Array = np.ndarray[Any, Any]

__all__ = ["load", "load_file", "save", "save_file"]


def load_file(filename: Path, *, dtype: str | None = None, threads: int = 0) -> dict[str, Array]:
    """All tensors of an archive (a file, an index, or a folder), by name. `dtype` as in `llmcodec.safe_open`.

    >>> tensors = llmcodec.numpy.load_file("model.llmc.safetensors")
    >>> tensors["embed.weight"].shape
    (200, 128)
    """
    with safe_open(filename, "np", dtype=dtype, threads=threads) as archive:
        return archive.get_tensors()


def load(data: bytes, *, dtype: str | None = None, threads: int = 0) -> dict[str, Array]:
    """The same for an archive of one file in memory.

    >>> with open("model.llmc.safetensors", "rb") as file:
    ...     sorted(llmcodec.numpy.load(file.read()))
    ['embed.weight', 'up.weight']
    """
    with safe_open._of_bytes(data, "np", dtype, threads) as archive:
        return archive.get_tensors()


def save_file(
    tensors: Mapping[str, Array],
    filename: Path,
    metadata: Mapping[str, str] | None = None,
    *,
    progress: ProgressOption = None,
    **options: Unpack[CodingOptions],
) -> CompressReport:
    """Compresses arrays into the archive `filename`. Matrices are coded, vectors and integers stored exactly; equal arrays
    are stored once.

    tensors     arrays by name, of any shape, memory order and byte order, without NaN
    metadata    what the restored safetensors file will have, such as {"format": "pt"}
    options     `llmcodec.CodingOptions`: bpw=3.0, step=0.1, keep="head", ...

    >>> weights = {"up": np.random.default_rng(0).standard_normal((256, 512), np.float32), "norm": np.ones(512)}
    >>> llmcodec.numpy.save_file(weights, "layer.llmc.safetensors", bpw=5).snr_db > 20
    True
    """
    return write(_all_given(tensors), filename, metadata, progress, options)


def save(
    tensors: Mapping[str, Array],
    metadata: Mapping[str, str] | None = None,
    *,
    progress: ProgressOption = None,
    **options: Unpack[CodingOptions],
) -> bytes:
    """The same as bytes.

    >>> data = llmcodec.numpy.save({"w": np.eye(64, dtype=np.float32)}, step=0.1)
    >>> llmcodec.numpy.load(data)["w"].shape
    (64, 64)
    """
    return written_bytes(_all_given(tensors), metadata, progress, options)


def _all_given(tensors: Mapping[str, Array]) -> dict[str, Given]:
    return {name: _given(name, array) for name, array in tensors.items()}


def _given(name: str, array: Array) -> Given:
    if not isinstance(name, str):
        raise TypeError(f"a tensor's name is a str, not {type(name).__name__}")
    if not isinstance(array, np.ndarray):
        raise TypeError(f"tensor '{name}' is no numpy array but {type(array).__name__}")
    dtype = NAMES.get(array.dtype.name)
    if dtype is None:
        raise in_tensor(InvalidArgumentError, name, f"dtype {array.dtype} cannot be stored")
    flat = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).reshape(-1)
    return dtype, array.shape, _bytes(np.ascontiguousarray(flat))


def _bytes(flat: Array) -> Bytes:
    return flat.view(np.uint8)

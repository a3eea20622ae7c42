# SPDX-License-Identifier: BSD-3-Clause
"""Archives of PyTorch tensors, in the shape of `safetensors.torch`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from ._errors import InvalidArgumentError, in_tensor
from ._frameworks import NAMES
from ._progress import ProgressOption
from ._reader import safe_open
from ._system import Path
from ._writer import Given, write, written_bytes
from .reports import CompressReport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._models import CodingOptions

__all__ = ["load", "load_file", "load_model", "save", "save_file", "save_model"]


def load_file(
    filename: Path, device: str | int | torch.device = "cpu", *, dtype: str | None = None, threads: int = 0
) -> dict[str, torch.Tensor]:
    """All tensors of an archive (a file, an index, or a folder), by name. `dtype` as in `llmcodec.safe_open`.

    >>> tensors = llmcodec.torch.load_file("model.llmc.safetensors")
    >>> tensors["embed.weight"].dtype
    torch.bfloat16
    """
    with safe_open(filename, "pt", device, dtype=dtype, threads=threads) as archive:
        return archive.get_tensors()


def load(data: bytes, *, dtype: str | None = None, threads: int = 0) -> dict[str, torch.Tensor]:
    """The same for an archive of one file in memory."""
    with safe_open._of_bytes(data, "pt", dtype, threads) as archive:
        return archive.get_tensors()


def save_file(
    tensors: Mapping[str, torch.Tensor],
    filename: Path,
    metadata: Mapping[str, str] | None = None,
    *,
    progress: ProgressOption = None,
    **options: Unpack[CodingOptions],
) -> CompressReport:
    """Compresses tensors into the archive `filename`. Matrices are coded, vectors and integers stored exactly; equal tensors,
    and such that share memory, are stored once and come back under each name.

    tensors     dense tensors by name, on any device, without NaN
    metadata    what the restored safetensors file will have; {"format": "pt"} unless it is given
    options     `llmcodec.CodingOptions`: bpw=3.0, step=0.1, keep="head", ...

    >>> layer = torch.nn.Linear(256, 128)
    >>> llmcodec.torch.save_file(layer.state_dict(), "linear.llmc.safetensors", bpw=6).snr_db > 25
    True
    """
    return write(_all_given(tensors), filename, _metadata(metadata), progress, options)


def save(
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str] | None = None,
    *,
    progress: ProgressOption = None,
    **options: Unpack[CodingOptions],
) -> bytes:
    """The same as bytes."""
    return written_bytes(_all_given(tensors), _metadata(metadata), progress, options)


def save_model(
    model: torch.nn.Module,
    filename: Path,
    metadata: Mapping[str, str] | None = None,
    *,
    progress: ProgressOption = None,
    **options: Unpack[CodingOptions],
) -> CompressReport:
    """Compresses the parameters and buffers of a model.

    >>> model = torch.nn.Sequential(torch.nn.Linear(128, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
    >>> report = llmcodec.torch.save_model(model, "model.llmc.safetensors", bpw=5)
    >>> llmcodec.torch.load_model(model, "model.llmc.safetensors")
    ([], [])
    """
    return save_file(model.state_dict(), filename, metadata, progress=progress, **options)


def load_model(
    model: torch.nn.Module,
    filename: Path,
    strict: bool = True,
    device: str | int | torch.device = "cpu",
    *,
    threads: int = 0,
) -> tuple[list[str], list[str]]:
    """Loads an archive into a model, and gives the names that are missing in the archive and those that the model has not.

    With `strict`, either is a RuntimeError, as in PyTorch. A parameter that shares its memory with one that was loaded
    is not missing.
    """
    state = load_file(filename, device, threads=threads)
    result = model.load_state_dict(state, strict=False)
    own = model.state_dict()
    loaded = {_place(tensor) for name, tensor in own.items() if name in state}
    missing = sorted(name for name in result.missing_keys if _place(own[name]) not in loaded)
    unexpected = sorted(result.unexpected_keys)
    if strict and (missing or unexpected):
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(model).__name__}: missing {missing}, unexpected {unexpected}"
        )
    return missing, unexpected


def _place(tensor: torch.Tensor) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    return tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride())


def _metadata(given: Mapping[str, str] | None) -> Mapping[str, str]:
    return {"format": "pt"} if given is None else given  # without it, transformers refuses the restored file


def _all_given(tensors: Mapping[str, torch.Tensor]) -> dict[str, Given]:
    return {name: _given(name, tensor) for name, tensor in tensors.items()}


def _given(name: str, tensor: torch.Tensor) -> Given:
    if not isinstance(name, str):
        raise TypeError(f"a tensor's name is a str, not {type(name).__name__}")
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"tensor '{name}' is no torch.Tensor but {type(tensor).__name__}")
    if tensor.layout != torch.strided:
        raise in_tensor(InvalidArgumentError, name, "is sparse: make it dense by .to_dense()")
    dtype = NAMES.get(str(tensor.dtype).removeprefix("torch."))
    if dtype is None:
        raise in_tensor(InvalidArgumentError, name, f"dtype {tensor.dtype} cannot be stored")
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    if tensor.is_complex():
        flat = torch.view_as_real(flat.resolve_conj()).reshape(-1)
    return dtype, tuple(tensor.shape), flat.resolve_neg().view(torch.uint8).numpy()

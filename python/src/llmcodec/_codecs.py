# SPDX-License-Identifier: BSD-3-Clause
"""Codecs of planes: samples in, bytes out, and back. They know nothing of tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core
from ._errors import InvalidArgumentError
from ._system import Path, control

Planes = np.ndarray[Any, np.dtype[np.uint16]]


@dataclass(frozen=True)
class CodecInfo:
    """What a codec is and takes; `quality` is (finest, coarsest) of its own parameter, None where it has none."""

    name: str
    version: str
    stream_format: str
    bit_depths: tuple[int, ...]
    quality: tuple[float, float] | None
    lossless: bool
    exact_decoder: bool
    chroma_420: bool
    can_encode: bool = True
    can_decode: bool = True
    missing_reason: str = ""


class Codec:
    """A codec by its specification, "vvc", "raw", or an encoder of your FFmpeg with options: "libx265:preset=medium".

    UnsupportedError, with the reason, for one that is not to be had here. `llmcodec.codecs()` lists them all.

    >>> codec = llmcodec.Codec("vvc")
    >>> planes = np.random.default_rng(0).integers(400, 600, (2, 64, 96), np.uint16)  # pictures x rows x columns
    >>> stream = codec.encode(planes, quality=10)
    >>> back = codec.decode(stream, planes.shape)
    >>> bool(np.abs(back.astype(int) - planes).mean() < 2)
    True
    """

    def __init__(self, spec: str, *, ffmpeg: Path | None = None, timeout: float | None = None) -> None:
        self._codec = _core.Codec(spec, control(1, ffmpeg, timeout))

    @property
    def spec(self) -> str:
        """The specification as archives have it."""
        return self._codec.spec

    @property
    def info(self) -> CodecInfo:
        """What it takes."""
        return _info(self._codec.info)

    def encode(self, planes: npt.ArrayLike, quality: float = 0, bit_depth: int = 10) -> bytes:
        """Codes pictures of samples 0 to 2^bit_depth - 1: integers, rows x columns, or pictures x rows x columns.

        `quality` is the codec's own parameter (QP, CRF, ...); six more save about one bit of a sample.
        """
        return self._codec.encode(samples_of(planes, bit_depth), bit_depth, quality)

    def decode(self, stream: bytes, shape: tuple[int, ...], bit_depth: int = 10) -> Planes:
        """The pictures of a stream, which has exactly these (CorruptError if not)."""
        if len(shape) not in (2, 3) or min(shape) < 1:
            raise InvalidArgumentError(f"shape {shape}: rows x columns, or pictures x rows x columns")
        planes = np.empty((1,) * (3 - len(shape)) + tuple(shape), np.uint16)
        self._codec.decode(stream, planes, bit_depth)
        return planes.reshape(shape)

    def __repr__(self) -> str:
        return f"llmcodec.Codec({self.spec!r})"


def codecs(*, ffmpeg: Path | None = None, timeout: float | None = None) -> list[CodecInfo]:
    """All codecs that could be: what they take, and where one is missing, why.

    >>> [codec.name for codec in llmcodec.codecs() if codec.name in ("raw", "vvc")]
    ['raw', 'vvc']
    """
    return [
        _info(status.info, status.can_encode, status.can_decode, status.missing_reason)
        for status in _core.list_codecs(control(1, ffmpeg, timeout))
    ]


def samples_of(planes: npt.ArrayLike, bit_depth: int) -> Planes:
    """Pictures x rows x columns. InvalidArgumentError for other shapes, fractions, and samples out of range."""
    array = np.asarray(planes)
    if array.ndim not in (2, 3) or array.size == 0:
        raise InvalidArgumentError(f"planes of shape {array.shape}: rows x columns, or pictures x rows x columns")
    if array.dtype.kind not in "ui":
        raise InvalidArgumentError(f"samples are integers, and these are {array.dtype}")
    if not 1 <= bit_depth <= 16 or array.min() < 0 or array.max() >= 1 << bit_depth:
        raise InvalidArgumentError(f"samples from {array.min()} to {array.max()} at {bit_depth} bits")
    return np.ascontiguousarray(array.reshape((-1, *array.shape[-2:])), np.uint16)


def _info(info: _core.CodecInfo, can_encode: bool = True, can_decode: bool = True, missing: str = "") -> CodecInfo:
    return CodecInfo(
        info.name,
        info.version,
        info.stream_format,
        tuple(info.bit_depths),
        None if info.lossless_only else (info.finest_quality, info.coarsest_quality),
        info.lossless,
        info.exact_decoder,
        info.chroma_420,
        can_encode,
        can_decode,
        missing,
    )

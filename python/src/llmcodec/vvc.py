# SPDX-License-Identifier: BSD-3-Clause
"""Our H.266 encoder and decoder on numpy planes. The streams are ordinary ones: `ffplay` shows them."""

from __future__ import annotations

import numpy.typing as npt

from . import _core
from ._codecs import Codec, Planes

__all__ = ["decode", "encode"]


def encode(planes: npt.ArrayLike, qp: int = 30, *, bit_depth: int = 10, hashes: bool = True) -> bytes:
    """Codes pictures, rows x columns or pictures x rows x columns, of samples 0 to 2^bit_depth - 1.

    qp          of the slices: 0 to 63 at 8 bits, -8 to 63 at 10
    hashes      the stream has the MD5 of each picture, which decoders check

    >>> picture = (np.add.outer(np.arange(72), np.arange(100)) * 5).astype(np.uint16)
    >>> stream = llmcodec.vvc.encode(picture, qp=20)
    >>> llmcodec.vvc.decode(stream).shape
    (1, 72, 100)
    """
    return Codec(f"vvc:hash={int(hashes)}").encode(planes, qp, bit_depth)


def decode(stream: bytes) -> Planes:
    """The pictures of any stream of our subset of H.266 (docs/vvc-profile.md), pictures x rows x columns.

    CorruptError, with the offset, for broken streams and pictures that their hash denies; UnsupportedError for tools
    outside the subset.
    """
    return _core.decode_vvc(stream)

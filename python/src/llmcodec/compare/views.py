# SPDX-License-Identifier: BSD-3-Clause
"""Weights as a codec sees them: a corner of the plane, what came back, the difference, and the spectrum of the plane."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from llmcodec._codecs import Codec
from llmcodec._errors import Error

from .sample import NoSource, Piece, make_source

SIDE = 96
_CODECS = ("vvc", "libvvenc", "libx265", "libsvtav1", "JPEG")
_DEVIATIONS = 3.0  # from mid-grey to black and white


def views_of(
    rows: Sequence[Mapping[str, Any]],
    task_of: Callable[[Mapping[str, Any], int], Mapping[str, Any]],
    points: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Of the first piece, by the codecs that are best known, at the middle of the rates that were measured."""
    made = []
    first = [r for r, p in zip(rows, points, strict=True) if p["piece"] == 0 and not r["varies"] and r["failed"] is None]
    for codec in _CODECS:
        own = sorted((row for row in first if row["codec"] == codec), key=lambda row: row["rate"])
        if own:
            row = own[len(own) // 2]
            view = _view(row, task_of(row, 0))
            made += [view] if view is not None else []
    return made


def _view(row: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        source = make_source(Piece(**task["piece"]), "plain", row["scales"], [])
        codec = Codec(row["spec"], ffmpeg=task["ffmpeg"], timeout=task["timeout"])
        depth = row["coded_bit_depth"]
        deviation = float(np.sqrt(np.mean(np.square(source.weights, dtype=np.float64))))
        scale, middle = row["plane_scale"] / deviation, 1 << (depth - 1)
        plane = np.clip(np.rint(source.weights.T * scale + middle), 0, 2 * middle - 1).astype(np.uint16)
        back = codec.decode(codec.encode(plane, row["quality"] or 0, depth), plane.shape, depth)
    except (Error, NoSource):
        return None  # the picture is an illustration: its row says what was measured
    unit = row["plane_scale"]
    given, got = ((samples.astype(np.float64) - middle) / unit for samples in (plane, back))
    spectrum = np.log2(np.abs(np.fft.fftshift(np.fft.fft2(given[:SIDE, :SIDE]))) + 1e-3)
    pictures = {
        "plane": _grey(given),
        "reconstruction": _grey(got),
        "residual": _grey(got - given),
        "spectrum": _stretched(spectrum),
    }
    size = {"width": min(SIDE, plane.shape[1]), "height": min(SIDE, plane.shape[0])}
    return {key: row[key] for key in ("codec", "spec", "model", "tensor", "bpw", "snr_db")} | size | pictures


def _grey(values: Any) -> str:
    return _text(np.clip(128 + values[:SIDE, :SIDE] * (127 / _DEVIATIONS), 0, 255))


def _stretched(values: Any) -> str:
    low, high = np.percentile(values, [1, 99])
    return _text(np.clip((values - low) * (255 / max(high - low, 1e-9)), 0, 255))


def _text(samples: Any) -> str:
    return base64.b64encode(np.rint(samples).astype(np.uint8).tobytes()).decode()

# SPDX-License-Identifier: BSD-3-Clause
"""For researchers: codecs of planes, our VVC, scales and layouts."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest
from conftest import FFMPEG, needs_ffmpeg, weights

import llmcodec
import llmcodec.layouts
import llmcodec.scales
import llmcodec.vvc


def planes(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(300, 700, (3, 72, 100)).astype(np.uint16)


def test_lossless_and_lossy_codecs() -> None:
    given = planes()
    raw = llmcodec.Codec("raw")
    assert np.array_equal(raw.decode(raw.encode(given), given.shape), given)
    vvc = llmcodec.Codec("vvc")
    sizes = [len(vvc.encode(given, quality)) for quality in (0, 12, 24)]
    assert sizes[0] > sizes[1] > sizes[2]
    assert vvc.info.name == "vvc" and vvc.info.quality == (-8, 63) and repr(vvc) == "llmcodec.Codec('vvc')"
    one = vvc.decode(vvc.encode(given[0], -8), given[0].shape)
    assert one.shape == given[0].shape and np.abs(one.astype(int) - given[0]).mean() < 1


@needs_ffmpeg
def test_an_encoder_of_ffmpeg() -> None:
    given = planes(1) // 4
    codec = llmcodec.Codec("libx265:preset=ultrafast", ffmpeg=FFMPEG)
    back = codec.decode(codec.encode(given, 10, bit_depth=8), given.shape, bit_depth=8)
    assert np.abs(back.astype(int) - given).mean() < 5


@needs_ffmpeg
def test_our_streams_are_ordinary_ones(tmp_path: os.PathLike[str]) -> None:
    given = planes(2)
    path = os.path.join(tmp_path, "stream.266")
    with open(path, "wb") as file:
        file.write(llmcodec.vvc.encode(given, qp=18))
    raw = subprocess.run(
        [str(FFMPEG), "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "gray10le", "-"], capture_output=True, check=True
    )
    theirs = np.frombuffer(raw.stdout, np.uint16).reshape(given.shape)
    with open(path, "rb") as file:
        assert np.array_equal(llmcodec.vvc.decode(file.read()), theirs)


def test_wrong_planes_and_streams() -> None:
    codec = llmcodec.Codec("vvc")
    for wrong in (np.zeros(5, int), np.zeros((0, 3), int), np.full((4, 4), 1024), np.full((4, 4), -1), np.zeros((4, 4))):
        with pytest.raises(llmcodec.InvalidArgumentError):
            codec.encode(wrong)
    with pytest.raises(llmcodec.InvalidArgumentError):
        codec.encode(planes(), quality=99)
    stream = codec.encode(planes(), 20)
    with pytest.raises(llmcodec.CorruptError):
        codec.decode(stream, (2, 72, 100))
    for wrong_stream in (b"", b"\0" * 100, stream[: len(stream) // 2]):
        with pytest.raises(llmcodec.CorruptError):
            llmcodec.vvc.decode(wrong_stream)
    with pytest.raises(llmcodec.InvalidArgumentError):
        codec.decode(stream, (3,))


def test_codecs_say_what_is_missing() -> None:
    listed = {codec.name: codec for codec in llmcodec.codecs(ffmpeg="/nowhere/ffmpeg")}
    assert listed["vvc"].can_encode and not listed["libx265"].can_encode and listed["libx265"].missing_reason


@pytest.mark.parametrize("kind", ["tensor", "row", "column", "group:16", "dual"])
@pytest.mark.parametrize("asymmetric", [False, True])
def test_scales(kind: str, asymmetric: bool) -> None:
    matrix = weights(3, 48, 80) * np.exp2(np.arange(48) % 5)[:, None].astype(np.float32) + (0.3 if asymmetric else 0)
    scales = llmcodec.scales.fit(matrix, kind, asymmetric=asymmetric)
    normalised = scales.normalise(matrix)
    assert 0.5 < normalised.std() < 2 and scales.kind == kind
    # A zero point that is large beside the normalised weights takes digits of the floats away.
    assert np.allclose(scales.denormalise(normalised), matrix, rtol=1e-5, atol=1e-3 if asymmetric else 1e-6)
    assert len(scales.rows) == (48 if kind in ("row", "dual") else 0)
    assert len(scales.cols) == (80 if kind in ("column", "dual") else 0)
    if kind == "row" and not asymmetric:
        assert np.allclose(normalised * scales.rows[:, None], matrix, rtol=1e-5)
    with pytest.raises(llmcodec.InvalidArgumentError):
        scales.normalise(matrix.T)


def test_wrong_matrices() -> None:
    matrix = weights(4, 16, 16)
    matrix[3, 4] = np.inf
    for wrong, kind in ((matrix, "dual"), (np.zeros((0, 4)), "row"), (weights(1, 8, 8), "diagonal")):
        with pytest.raises(llmcodec.InvalidArgumentError):
            llmcodec.scales.fit(wrong, kind)
    with pytest.raises(TypeError):
        llmcodec.scales.fit(np.zeros(7))


def test_layouts_of_several_pictures() -> None:
    matrix = np.random.default_rng(5).integers(0, 1024, (300, 200)).astype(np.uint16)
    pictures = llmcodec.layouts.spatial(matrix, picture_weights=8000)
    assert len(pictures) > 4 and pictures[0, 5, 7] == matrix[7, 5]
    assert np.array_equal(llmcodec.layouts.from_spatial(pictures, matrix.shape, picture_weights=8000), matrix)
    floats = weights(6, 300, 200)
    coefficients = llmcodec.layouts.spectral(floats, 14, picture_weights=8000)
    assert len(coefficients) > 4 and coefficients.shape[-1] == 14 * 32
    assert np.array_equal(llmcodec.layouts.from_spectral(coefficients, floats.shape, picture_weights=8000), floats)
    for call in (
        lambda: llmcodec.layouts.from_spatial(pictures[:2], matrix.shape, picture_weights=8000),
        lambda: llmcodec.layouts.from_spectral(coefficients, (30, 20)),
        lambda: llmcodec.layouts.spectral(floats, 40),
    ):
        with pytest.raises(llmcodec.InvalidArgumentError):
            call()

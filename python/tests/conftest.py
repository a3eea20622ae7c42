# SPDX-License-Identifier: BSD-3-Clause
"""Models that the tests compress, made anew for each run: the same weights every time."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import shutil

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import llmcodec

HAS_TORCH = importlib.util.find_spec("torch") is not None
FFMPEG = os.environ.get("LLMCODEC_FFMPEG") or shutil.which("ffmpeg")

needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="no PyTorch: ./dev test --full brings it")
needs_ffmpeg = pytest.mark.skipif(not FFMPEG, reason="no ffmpeg: ./dev tools ffmpeg")


def weights(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * np.float32(0.02)


def tensors() -> dict[str, np.ndarray]:
    """Every kind of tensor: coded and exact, of all ranks, tied, empty, scalar."""
    embed = weights(1, 200, 128).astype(ml_dtypes.bfloat16)
    return {
        "embed.weight": embed,
        "experts.weight": weights(2, 3, 64, 96).astype(np.float16),
        "conv.weight": weights(3, 48, 16, 3, 3),
        "head.weight": embed.copy(),
        "ids": np.arange(12, dtype=np.int64).reshape(3, 4),
        "mask": np.array([True, False, True]),
        "norm.weight": 1 + weights(4, 128),
        "scalar": np.array(3.5, np.float32),
        "small.weight": weights(5, 12, 20),
        "up.weight": weights(6, 320, 256),
        "zero": np.zeros((0, 4), np.float32),
    }


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with a model, its archive, and what `decompress` restores; with a Hugging Face folder and its archive."""
    folder = tmp_path_factory.mktemp("models")
    safetensors.numpy.save_file(tensors(), folder / "model.safetensors", {"format": "pt"})
    llmcodec.compress(folder / "model.safetensors", folder / "archive.safetensors", step=0.3)
    llmcodec.decompress(folder / "archive.safetensors", folder / "restored.safetensors")
    (folder / "hf").mkdir()
    (folder / "hf/config.json").write_text(json.dumps({"model_type": "test"}))
    shutil.copy(folder / "model.safetensors", folder / "hf/model.safetensors")
    llmcodec.compress(folder / "hf", folder / "sharded", step=0.3, shard_size=20_000)
    return folder


@pytest.fixture
def archive(models: pathlib.Path) -> pathlib.Path:
    return models / "archive.safetensors"


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A model that takes a while: some seconds to compress."""
    folder = tmp_path_factory.mktemp("large")
    pieces = {f"layer.{i}.weight": weights(i, 1024, 2048) for i in range(6)}
    safetensors.numpy.save_file(pieces, folder / "model.safetensors")
    return folder / "model.safetensors"


@pytest.fixture
def in_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bits(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()

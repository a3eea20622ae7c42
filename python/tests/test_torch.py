# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch tensors in and out."""

from __future__ import annotations

import pathlib

import pytest
from conftest import HAS_TORCH

if not HAS_TORCH:
    pytest.skip("no PyTorch: ./dev test --full brings it", allow_module_level=True)

import numpy as np
import safetensors.torch
import torch

import llmcodec
import llmcodec.numpy
import llmcodec.torch


def test_what_is_read_is_what_decompress_restores(models: pathlib.Path) -> None:
    restored = safetensors.torch.load_file(models / "restored.safetensors")
    read = llmcodec.torch.load_file(models / "archive.safetensors")
    assert read.keys() == restored.keys()
    for name, tensor in restored.items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor), name
    arrays = llmcodec.numpy.load_file(models / "archive.safetensors")
    assert np.array_equal(arrays["up.weight"], read["up.weight"].numpy())
    data = (models / "archive.safetensors").read_bytes()
    assert torch.equal(llmcodec.torch.load(data)["embed.weight"], restored["embed.weight"])


def test_every_dtype_comes_back(tmp_path: pathlib.Path) -> None:
    names = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]
    given = {name: torch.randn(64, 96).to(getattr(torch, name)) for name in names if hasattr(torch, name)}
    for name in ("int8", "uint8", "int16", "int32", "int64", "bool", "complex64", "uint16", "uint32", "uint64"):
        given[name] = torch.arange(40).reshape(5, 8).to(getattr(torch, name))
    given["scalar"], given["empty"] = torch.tensor(2.5), torch.zeros(0, 3)
    llmcodec.torch.save_file(given, tmp_path / "a", step=0.01)
    read = llmcodec.torch.load_file(tmp_path / "a")
    for name, tensor in given.items():
        assert read[name].dtype == tensor.dtype and read[name].shape == tensor.shape, name
        if tensor.shape == (64, 96):
            assert (read[name].double() - tensor.double()).abs().max() < 0.5, name
        else:
            assert read[name].tolist() == tensor.tolist(), name


def test_models_with_tied_weights(tmp_path: pathlib.Path) -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(256, 128)
            self.head = torch.nn.Linear(128, 256, bias=False)
            self.head.weight = self.embed.weight

    model, other = Tied(), Tied()
    report = llmcodec.torch.save_model(model, tmp_path / "model", step=0.01)
    assert [t.name for t in report.tensors if t.same_as] == ["head.weight"]
    assert llmcodec.torch.load_model(other, tmp_path / "model") == ([], [])
    assert (other.head.weight - model.head.weight).abs().max() < 0.1
    assert other.head.weight is other.embed.weight
    # An archive of a file that has one of the two names.
    llmcodec.torch.save_file({"embed.weight": model.embed.weight}, tmp_path / "one", step=0.01)
    assert llmcodec.torch.load_model(other, tmp_path / "one") == ([], [])
    llmcodec.torch.save_file({"stray": torch.zeros(3)}, tmp_path / "stray")
    with pytest.raises(RuntimeError, match=r"missing \['embed.weight', 'head.weight'\], unexpected \['stray'\]"):
        llmcodec.torch.load_model(other, tmp_path / "stray")
    assert llmcodec.torch.load_model(other, tmp_path / "stray", strict=False)[1] == ["stray"]


def test_views_and_what_is_no_tensor(tmp_path: pathlib.Path) -> None:
    matrix = torch.arange(60).reshape(6, 10)
    given = {
        "t": matrix.T,
        "cut": matrix[::2, 1::3],
        "grad": torch.nn.Parameter(torch.ones(3)),
        "conj": torch.tensor([1 + 2j]).conj(),
    }
    llmcodec.torch.save_file(given, tmp_path / "a")
    read = llmcodec.torch.load_file(tmp_path / "a")
    assert all(torch.equal(read[name], tensor) for name, tensor in given.items())
    with pytest.raises(TypeError):
        llmcodec.torch.save_file({"a": np.zeros(3)}, tmp_path / "b")  # type: ignore[dict-item]
    with pytest.raises(llmcodec.InvalidArgumentError, match="sparse"):
        llmcodec.torch.save_file({"a": torch.eye(3).to_sparse()}, tmp_path / "b")


def test_what_is_loaded_can_be_written_to(models: pathlib.Path) -> None:
    with llmcodec.safe_open(models / "archive.safetensors", "pt") as archive:
        tensor = archive.get_slice("up.weight")[3:5]
        tensor += 1
        assert tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * 4
        assert archive.get_tensor("scalar").shape == ()

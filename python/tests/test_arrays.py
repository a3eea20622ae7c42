# SPDX-License-Identifier: BSD-3-Clause
"""Arrays in and out: dtypes, shards, requests for another dtype, one call for many tensors."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import threading

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from conftest import bits, tensors, weights

import llmcodec
import llmcodec.numpy


def test_what_is_read_is_what_decompress_restores(models: pathlib.Path) -> None:
    with safetensors.safe_open(models / "restored.safetensors", "np") as file:
        restored = file.get_tensors()
    for path in ("archive.safetensors", "sharded", "sharded/model.safetensors.index.json"):
        read = llmcodec.numpy.load_file(models / path)
        assert read.keys() == restored.keys()
        for name, array in restored.items():
            assert read[name].dtype == array.dtype and read[name].shape == array.shape
            if path == "archive.safetensors":
                assert bits(read[name]) == bits(array), name
    assert bits(read["embed.weight"]) == bits(read["head.weight"])


def test_every_dtype_comes_back(tmp_path: pathlib.Path) -> None:
    floats = ["float64", "float32", "float16"]
    small = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
    given = {str(np.dtype(kind)): weights(1, 64, 96).astype(kind) for kind in (*floats, *small)}
    exact = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool", "complex64"]
    exact_only = [ml_dtypes.float8_e8m0fnu, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2fnuz]
    for kind in (*exact, *exact_only):
        given[str(np.dtype(kind))] = (np.arange(40).reshape(5, 8) % 2).astype(kind)
    llmcodec.numpy.save_file(given, tmp_path / "a", step=0.01, keep="fnu")
    read = llmcodec.numpy.load_file(tmp_path / "a")
    for name, array in given.items():
        assert read[name].dtype == array.dtype, name
        if array.shape == (5, 8):
            assert bits(read[name]) == bits(array), name
        else:
            error = read[name].astype(np.float64) - array.astype(np.float64)
            assert np.abs(error).max() < 0.01, name
            assert np.abs(error).max() > 0 or array.dtype.itemsize == 1, name


def test_another_dtype_on_the_way(models: pathlib.Path) -> None:
    own = llmcodec.numpy.load_file(models / "archive.safetensors")
    for dtype, kind in (("F32", np.float32), ("f16", np.float16), ("BF16", ml_dtypes.bfloat16), ("F64", np.float64)):
        read = llmcodec.numpy.load_file(models / "archive.safetensors", dtype=dtype)
        assert read["up.weight"].dtype == kind and read["norm.weight"].dtype == kind
        assert read["ids"].dtype == np.int64 and read["mask"].dtype == bool
        assert np.array_equal(read["up.weight"], own["up.weight"].astype(kind))
    with llmcodec.safe_open(models / "archive.safetensors", "np", dtype="F16") as archive:
        assert archive.get_slice("up.weight").get_dtype() == "F16"
        assert archive.get_slice("up.weight")[3].dtype == np.float16
    for wrong in ("F17", "I32", "Q4_K"):
        with pytest.raises(llmcodec.UnsupportedError):
            llmcodec.numpy.load_file(models / "archive.safetensors", dtype=wrong)


def test_save_takes_every_memory_order(tmp_path: pathlib.Path) -> None:
    matrix = np.arange(60, dtype=np.int32).reshape(6, 10)
    given = {
        "t": matrix.T,
        "cut": matrix[::2, 1::3],
        "back": matrix[::-1],
        "swapped": matrix.astype(">i4"),
        "read": matrix.copy(),
    }
    given["read"].flags.writeable = False
    llmcodec.numpy.save_file(given, tmp_path / "a", {"note": "ü"})
    read = llmcodec.numpy.load_file(tmp_path / "a")
    assert all(np.array_equal(read[name], array) for name, array in given.items())
    assert all(array.flags.writeable and array.flags.c_contiguous for array in read.values())
    with llmcodec.safe_open(tmp_path / "a", "np") as archive:
        assert archive.metadata() == {"note": "ü"}


def test_nan_is_refused_by_name(tmp_path: pathlib.Path) -> None:
    given = tensors()
    given["up.weight"][5, 7] = np.nan
    with pytest.raises(llmcodec.InvalidArgumentError) as caught:
        llmcodec.numpy.save_file(given, tmp_path / "a", bpw=3)
    assert caught.value.tensor == "up.weight"
    assert list(tmp_path.iterdir()) == []


def test_the_same_bytes_on_any_number_of_threads(tmp_path: pathlib.Path) -> None:
    written = {llmcodec.numpy.save(tensors(), step=0.3, threads=threads) for threads in (1, 2, 5)}
    assert len(written) == 1


def test_threads_share_a_handle(models: pathlib.Path) -> None:
    with llmcodec.safe_open(models / "archive.safetensors", "np") as archive:
        expected = archive.get_tensors()
        wrong: list[object] = []

        def read(seed: int) -> None:
            random = np.random.default_rng(seed)
            for _ in range(20):
                name = str(random.choice(list(expected)))
                if bits(archive.get_tensor(name)) != bits(expected[name]):
                    wrong.append(name)
                row = int(random.integers(320))
                if bits(archive.get_slice("up.weight")[row]) != bits(expected["up.weight"][row]):
                    wrong.append(row)

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_gguf_comes_as_floats(tmp_path: pathlib.Path) -> None:
    import gguf

    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "test")
    blocks = gguf.quants.quantize(weights(1, 64, 256), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("kept.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("coded.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    llmcodec.compress(path, tmp_path / "archive", step=0.1, keep="kept")
    with llmcodec.safe_open(tmp_path / "archive", "np") as archive:
        assert archive.metadata() is None
        assert archive.get_slice("kept.weight").get_dtype() == "F32"
        assert np.array_equal(archive.get_tensor("kept.weight"), gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q8_0))
        assert archive.get_tensor("coded.weight").dtype == np.float16
        assert archive.get_slice("kept.weight")[3:9, ::5].tolist() == archive.get_tensor("kept.weight")[3:9, ::5].tolist()


def test_bf16_without_ml_dtypes_names_the_remedy(models: pathlib.Path) -> None:
    script = (
        "import sys; sys.modules['ml_dtypes'] = None\n"
        "import llmcodec\n"
        "with llmcodec.safe_open(sys.argv[1], 'np') as archive:\n"
        "    assert archive.get_tensor('up.weight').shape == (320, 256)\n"
        "    try: archive.get_tensors()\n"
        "    except llmcodec.UnsupportedError as error: print(error, error.tensor)\n"
        "print(llmcodec.numpy.load_file(sys.argv[1], dtype='F32')['embed.weight'].dtype)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, models / "archive.safetensors"], capture_output=True, text=True, check=True
    )
    assert "pip install ml_dtypes" in run.stdout and run.stdout.endswith("embed.weight\nfloat32\n")

# SPDX-License-Identifier: BSD-3-Clause
"""Every call of safetensors' Python interface and ours beside it, on the same tensors.

Each row is an expression of `f`, a handle of one or the other, and what is expected of ours: SAME as safetensors (the same
values, dtypes and shapes; or both an error, ours one of llmcodec), or MORE: safetensors refuses or fails, and we give
what numpy does.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from conftest import HAS_TORCH, bits, needs_torch

import llmcodec
import llmcodec.numpy

SAME, MORE = "same", "more"

HANDLE = [
    ("f.keys()", SAME),
    ("sorted(f.offset_keys())", SAME),
    ("f.metadata()", SAME),
    *[(f"f.get_tensor({name!r})", SAME) for name in ("up.weight", "experts.weight", "conv.weight", "norm.weight", "ids")],
    *[(f"f.get_tensor({name!r})", SAME) for name in ("mask", "scalar", "zero", "small.weight")],
    ("f.get_tensor('absent')", SAME),
    ("f.get_tensor(1)", SAME),
    ("f.get_tensor()", SAME),
    ("f.get_tensors()['up.weight']", SAME),
    ("sorted(f.get_tensors())", SAME),
    ("f.get_tensors(['norm.weight', 'ids'])", MORE),
    ("f.get_slice('absent')", SAME),
    ("f.get_slice('experts.weight').get_shape()", SAME),
    ("f.get_slice('experts.weight').get_dtype()", SAME),
    ("f.get_slice('embed.weight').get_dtype()", SAME),
    ("f.get_slice('ids').get_dtype()", SAME),
    ("len(f)", SAME),
    ("'ids' in f", SAME),
    ("f['ids']", SAME),
]

SLICES = {
    "up.weight": [
        ("[:]", SAME),
        ("[...]", SAME),
        ("[()]", SAME),
        ("[0]", SAME),
        ("[-1]", SAME),
        ("[319]", SAME),
        ("[320]", SAME),
        ("[-321]", SAME),
        ("[17:40]", SAME),
        ("[-40:-17]", MORE),
        ("[::7]", SAME),
        ("[5:300:100]", SAME),
        ("[::-1]", SAME),
        ("[::0]", SAME),
        ("[3:3]", SAME),
        ("[9:3]", MORE),
        ("[10:10_000]", MORE),
        ("[-10_000:2]", MORE),
        ("[:, 3]", SAME),
        ("[:, -3:]", MORE),
        ("[2:9, 1::3]", SAME),
        ("[..., 1]", SAME),
        ("[1, ..., 2]", SAME),
        ("[..., 1, ...]", SAME),
        ("[1, 2]", SAME),
        ("[1, 2, 3]", SAME),
        ("[True]", SAME),
        ("[np.int64(7)]", SAME),
        ("[None]", SAME),
        ("[[0, 2]]", SAME),
        ("[np.array([0, 2])]", SAME),
        ("['a']", SAME),
        ("[1.5]", SAME),
        ("['a':]", SAME),
    ],
    "experts.weight": [("[1]", SAME), ("[1:, ::5, 3]", SAME), ("[-1, -1, -1]", SAME), ("[:, 2]", SAME), ("[..., ::95]", SAME)],
    "conv.weight": [("[5:9]", SAME), ("[3, 2]", SAME), ("[:, :, 1, 1]", SAME), ("[-1, ..., 2]", SAME), ("[7, 8, 1:, 0]", SAME)],
    "ids": [("[1:]", SAME), ("[:, -1]", SAME), ("[2, 3]", SAME)],
    "mask": [("[0:2]", SAME), ("[-1]", SAME)],
    "scalar": [("[...]", SAME), ("[()]", SAME), ("[:]", SAME), ("[0]", SAME)],
    "zero": [("[...]", MORE), ("[:]", MORE), ("[0:0]", MORE), ("[0]", SAME), ("[:, 1]", MORE)],
}

OPEN = [
    ("open(path, framework='np').keys()", SAME),
    ("open(str(path), 'numpy').keys()", SAME),
    ("open(path)", SAME),
    ("open(path, framework='cobol')", SAME),
    ("open(path, framework='np', device='cpu').keys()", SAME),
    ("open(path, framework='np', device='cuda')", SAME),
    ("open(path, framework='np', device='abacus')", SAME),
    ("open(path.with_name('absent'), framework='np')", SAME),
    ("open(3, framework='np')", SAME),
    ("open(path.parent, framework='np')", SAME),
    ("open(cut, framework='np')", SAME),
    ("open(empty, framework='np')", SAME),
    ("open(text, framework='np')", SAME),
    ("np_.load_file(path)['up.weight']", SAME),
    ("np_.load_file(path.with_name('absent'))", SAME),
    ("np_.load(path.read_bytes())['up.weight']", SAME),
    ("np_.load(b'123')", SAME),
    ("np_.load(cut.read_bytes())", SAME),
]

SAVE = [
    ("{'a': np.arange(6).reshape(2, 3)}", SAME),
    ("{'a': np.arange(6.0, dtype='>f4')}", SAME),
    ("{'a': np.array(2.5), 'b': np.zeros((0, 3), np.int8)}", SAME),
    ("{'a': np.array([1j], np.complex64)}", SAME),
    ("{}", SAME),
    ("{'a': np.arange(20).reshape(4, 5)[:, ::2]}", MORE),  # safetensors writes other numbers
    ("{'a': 1}", SAME),
    ("{1: np.zeros(3)}", SAME),
    ("{'a': np.array(['x'])}", SAME),
    ("[]", SAME),
]


def outcome(expression: str, names: dict[str, Any]) -> Any:
    try:
        return eval(expression, {"np": np, **names})
    except Exception as error:
        return error


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, np.ndarray):
        ours = np.asarray(ours)
        return ours.dtype == theirs.dtype and ours.shape == theirs.shape and bits(ours) == bits(theirs)
    if hasattr(theirs, "untyped_storage"):
        return ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tolist() == theirs.tolist()
    return type(ours) is type(theirs) and ours == theirs


def check(expected: str, ours: Any, theirs: Any) -> None:
    """Both an error, or both the same; of errors that Python itself raises, the same class."""
    if expected == MORE:
        assert not isinstance(ours, Exception), ours
        return
    if not isinstance(theirs, Exception):
        assert not isinstance(ours, Exception), ours
        assert same(ours, theirs), (ours, theirs)
        return
    assert isinstance(ours, Exception), ours
    if isinstance(theirs, FileNotFoundError):
        assert isinstance(ours, FileNotFoundError) and isinstance(ours, llmcodec.Error)
    elif isinstance(theirs, (safetensors.SafetensorError, OSError)):
        assert isinstance(ours, llmcodec.Error), repr(ours)
    else:
        assert type(ours) is type(theirs), (ours, theirs)


@pytest.fixture(scope="module", params=["np", *(["pt"] if HAS_TORCH else [])])
def handles(request: pytest.FixtureRequest, models: pathlib.Path) -> Any:
    """Ours of the archive, and safetensors' of what `decompress` makes of it."""
    with llmcodec.safe_open(models / "archive.safetensors", request.param) as ours:
        with safetensors.safe_open(models / "restored.safetensors", request.param) as theirs:
            yield ours, theirs


@pytest.mark.parametrize(("expression", "expected"), HANDLE)
def test_handle(handles: Any, expression: str, expected: str) -> None:
    ours, theirs = (outcome(expression, {"f": handle}) for handle in handles)
    check(expected, ours, theirs)


@pytest.mark.parametrize(("name", "index", "expected"), [(name, *row) for name, rows in SLICES.items() for row in rows])
def test_slices(handles: Any, name: str, index: str, expected: str) -> None:
    ours, theirs = (outcome(f"f.get_slice({name!r}){index}", {"f": handle}) for handle in handles)
    check(expected, ours, theirs)
    if expected == MORE:
        whole = handles[0].get_tensor(name)
        wanted = outcome(f"whole{index}", {"whole": whole})
        assert ours.shape == wanted.shape and ours.tolist() == wanted.tolist()


@pytest.mark.parametrize(
    "expression", ["f.keys()", "f.offset_keys()", "f.metadata()", "f.get_tensor('ids')", "f.get_slice('ids')"]
)
def test_closed_handle(models: pathlib.Path, expression: str) -> None:
    with llmcodec.safe_open(models / "archive.safetensors", "np") as ours:
        piece = ours.get_slice("up.weight")
    with safetensors.safe_open(models / "restored.safetensors", "np") as theirs:
        other = theirs.get_slice("up.weight")
    assert same(piece[3:5], other[3:5])  # a slice works on
    results = [outcome(expression, {"f": handle}) for handle in (ours, theirs)]
    check(SAME, *results)
    assert str(results[0]) == str(results[1]) == "File is closed"


@pytest.mark.parametrize(("expression", "expected"), OPEN)
def test_opening(models: pathlib.Path, tmp_path: pathlib.Path, expression: str, expected: str) -> None:
    results = []
    for opener, module, name in (
        (llmcodec.safe_open, llmcodec.numpy, "archive.safetensors"),
        (safetensors.safe_open, safetensors.numpy, "restored.safetensors"),
    ):
        # BF16 is none of safetensors.numpy's dtypes when it reads bytes.
        path = tmp_path / name
        if module is safetensors.numpy:
            whole = safetensors.numpy.load_file(models / name)
            module.save_file({key: value for key, value in whole.items() if value.dtype.kind != "V"}, path)
        else:
            path.write_bytes((models / name).read_bytes())
        (tmp_path / "cut").write_bytes(path.read_bytes()[:-9])
        (tmp_path / "empty").write_bytes(b"")
        (tmp_path / "text").write_text("once upon a time")
        names = {key: tmp_path / key for key in ("cut", "empty", "text")}
        results.append(outcome(expression, {"open": opener, "np_": module, "path": path, **names}))
    if "keys()" in expression:
        assert not isinstance(results[0], Exception) and not isinstance(results[1], Exception)
        assert set(results[1]) <= set(results[0])
        return
    check(expected, *results)


@pytest.mark.parametrize(("given", "expected"), SAVE)
def test_saving(tmp_path: pathlib.Path, given: str, expected: str) -> None:
    results = []
    for module in (llmcodec.numpy, safetensors.numpy):
        path = tmp_path / module.__name__
        results.append(outcome(f"(m.save_file({given}, path), m.load_file(path))[1]", {"m": module, "path": path}))
        in_memory = outcome(f"m.load(m.save({given}))", {"m": module})
        assert isinstance(in_memory, Exception) == isinstance(results[-1], Exception), in_memory
    if expected == MORE:
        wanted = eval(given)
        assert results[0].keys() == wanted.keys() and all((results[0][key] == wanted[key]).all() for key in wanted)
    elif isinstance(results[1], AttributeError):  # what is no dict and no array: ours say so
        assert isinstance(results[0], (TypeError, AttributeError))
    else:
        check(expected, *results)


def test_the_table_has_every_method() -> None:
    """What safetensors gets, ours has, and the table has a row for it."""
    for theirs, ours, rows in (
        (safetensors.safe_open, llmcodec.safe_open, " ".join(row[0] for row in HANDLE)),
        (safetensors.numpy, llmcodec.numpy, " ".join(row[0] for row in OPEN) + " save save_file"),
    ):
        names = {name for name in dir(theirs) if not name.startswith("_") and callable(getattr(theirs, name))}
        names -= {"safe_open", "deserialize", "serialize", "serialize_file", "TensorSpec", "Dict", "List", "Optional", "Union"}
        assert names <= set(dir(ours)), names
        assert all(name in rows for name in names), names


@needs_torch
def test_torch_has_every_function() -> None:
    import safetensors.torch

    import llmcodec.torch

    assert {"load", "load_file", "load_model", "save", "save_file", "save_model"} <= set(dir(safetensors.torch))
    assert {"load", "load_file", "load_model", "save", "save_file", "save_model"} == set(llmcodec.torch.__all__)

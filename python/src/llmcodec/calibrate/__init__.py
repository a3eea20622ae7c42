# SPDX-License-Identifier: BSD-3-Clause
"""How much inputs and outputs of a model's layers matter, measured on text that the model writes itself, or another.

>>> from llmcodec import calibrate
>>> made = calibrate.collect("model", hessian="moments.safetensors", imatrix="imatrix.gguf")  # doctest: +SKIP
>>> llmcodec.compress("model", "small", bpw=3, importance=made.imatrix, hessian=made.hessian)  # doctest: +SKIP

`llmcodec.compress("model", "small", bpw=3, calibrate="self")` does both. Needs PyTorch and transformers
(pip install 'llmcodec[calibrate]'), which run every family of causal language models, from a Hugging Face folder or a GGUF
file. docs/importance.md says what the files hold.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from llmcodec._core import version as _version
from llmcodec._errors import InvalidArgumentError, UnsupportedError
from llmcodec._system import cache_folder

from ._options import Calibration, Say, Source, silent
from ._work import WorkFolder, run_key

__all__ = ["Calibration", "Source", "cached", "collect"]


def collect(
    model: str | os.PathLike[str],
    *,
    imatrix: str | os.PathLike[str] | None = None,
    hessian: str | os.PathLike[str] | None = None,
    text: str | os.PathLike[str] | None = None,
    random: bool = False,
    self_written: bool = False,
    tokens: int | None = None,
    length: int | None = None,
    seed: int = 1,
    chat: float = 0.0,
    dtype: str = "auto",
    device: str = "cpu",
    threads: int = 0,
    progress: Say = silent,
) -> Calibration:
    """Runs `model`, a Hugging Face folder or a GGUF file, and writes `imatrix`, `hessian` (second moments), or both.

    On the text of the file `text` (or its field "text", of JSON lines), on `random` token ids, or, without either, on text
    that the model writes itself. `tokens` in all (40,960), at most, in sequences of `length` (of a text 512, else 256).
    `chat`: the share of self-written sequences that start as the chat template does. `dtype`: "float32", "bfloat16", or
    "auto", which is the latter where the processor has instructions for it. `progress` is called with lines for people.

    The same model, options and version give the same bytes on one machine with the same number of threads. What an
    interrupted run leaves beside its output, the next one goes on with.
    """
    outputs = {"imatrix": imatrix, "hessian": hessian}
    paths = {kind: os.path.abspath(os.fspath(path)) for kind, path in outputs.items() if path is not None}
    if not paths:
        raise InvalidArgumentError("nothing to write: give imatrix, hessian or both")
    source = Source.of(
        model, text=text, random=random, self_written=self_written, tokens=tokens, length=length, seed=seed, chat=chat
    )
    _check_place(source, paths)
    _check_packages()
    key = run_key(source.model, source.options() | {"dtype": dtype, "device": device, "kinds": sorted(paths)}, _version)
    work = WorkFolder(next(iter(paths.values())) + ".work", key)
    return _run(source, paths, work, dtype=dtype, device=device, threads=threads, progress=progress)


def cached(
    model: str | os.PathLike[str],
    *,
    text: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: Say = silent,
    **options: Any,
) -> Calibration:
    """As collect(), with both files in the user's cache: what is there already costs nothing.

    The folder is $XDG_CACHE_HOME/llmcodec/calibration, or ~/.cache/llmcodec/calibration. Its files are found by the hash of
    the model's files, the options and the version, so that a changed model is calibrated anew; they can be removed at any
    time.
    """
    dtype, device = options.pop("dtype", "auto"), options.pop("device", "cpu")
    source = Source.of(model, text=text, **options)
    key = run_key(source.model, source.options() | {"dtype": dtype, "device": device}, _version)
    folder = os.path.join(cache_folder(), "calibration", key)
    paths = {"imatrix": os.path.join(folder, "imatrix.gguf"), "hessian": os.path.join(folder, "moments.safetensors")}
    if all(os.path.exists(path) for path in paths.values()):
        progress(f"calibration: {folder} has the moments of this model")
        return Calibration(**paths)
    _check_packages()
    os.makedirs(folder, exist_ok=True)
    return _run(
        source,
        paths,
        WorkFolder(os.path.join(folder, "work"), key),
        dtype=dtype,
        device=device,
        threads=threads,
        progress=progress,
    )


def _run(source: Source, paths: dict[str, str], work: WorkFolder, **options: Any) -> Calibration:
    from ._collector import Collector

    with contextlib.closing(work):
        return Collector(source, paths, work, **options).run()


def _check_place(source: Source, paths: dict[str, str]) -> None:
    inputs = [os.path.abspath(source.model)] + ([os.path.abspath(source.text)] if source.text else [])
    for path in paths.values():
        if os.path.realpath(path) in map(os.path.realpath, inputs) or os.path.isdir(path):
            raise InvalidArgumentError(f"{path}: is an input or a folder, and cannot be the output")
        if not os.path.isdir(os.path.dirname(path)):
            raise InvalidArgumentError(f"{path}: its folder does not exist")
    if len(set(paths.values())) != len(paths):
        raise InvalidArgumentError("imatrix and hessian are one file")


def _check_packages() -> None:
    try:
        import gguf
        import safetensors
        import torch
        import transformers
    except ImportError as error:
        raise UnsupportedError(f"calibration needs more packages: pip install 'llmcodec[calibrate]' ({error})") from error
    del gguf, safetensors, torch, transformers

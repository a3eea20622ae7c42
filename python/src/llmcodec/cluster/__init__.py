# SPDX-License-Identifier: BSD-3-Clause
"""compress, decompress and verify on a cluster of Ray (docs/cluster.md).

    report = llmcodec.cluster.compress("s3://models/Llama-3-70B", "s3://models/Llama-3-70B.llmc", bpw=3, address="auto")
    files = llmcodec.cluster.decompress("s3://models/Llama-3-70B.llmc", "/shared/Llama-3-70B", address="auto")

The bytes are those that one machine writes. The same call goes on where an interrupted one was.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from llmcodec._models import noted
from llmcodec._progress import ProgressOption, shown
from llmcodec._system import byte_count
from llmcodec.reports import CompressReport

from . import _run
from ._ray import RayRunner
from ._run import TASK_WEIGHTS, Runner
from ._tasks import Machine

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from llmcodec._models import CodingOptions

__all__ = ["compress", "decompress", "verify"]


def compress(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    address: str | None = None,
    task_threads: int = 1,
    task_weights: int | str = TASK_WEIGHTS,
    in_flight: int | None = None,
    scratch: str | None = None,
    command: str | None = None,
    progress: ProgressOption = None,
    **options: Unpack[CodingOptions],
) -> CompressReport:
    """Codes the model `source` into the archive `output`, each a path that all machines have or a URL of any store of fsspec.

    address         of the cluster: "auto" for the one of this machine; None: $RAY_ADDRESS, else a cluster of this machine alone
    task_threads    threads of a task, and the CPUs that it asks for
    task_weights    weights of a task, about
    in_flight       tasks on their way at most; None: two for each that can run
    scratch         folder on each machine for files on their way to a store
    command         what the archive records; None: the call of `llmcodec.compress` that writes it

    All other options are those of `llmcodec.compress`; `threads` is for the planning, which this machine does.
    """
    given: dict[str, Any] = dict(options)
    restart = bool(given.pop("restart", False))
    machine = _machine(task_threads, given.pop("ffmpeg", None), given.pop("timeout", None), scratch)
    texts = os.fspath(source), os.fspath(output)
    with shown(progress) as sink:
        return noted(
            _run.compress(
                _runner(address, task_threads, in_flight),
                *texts,
                given,
                machine=machine,
                command=_command(texts, given) if command is None else command,
                task_weights=byte_count(task_weights),
                restart=restart,
                tell=sink or void_all,
            )
        )


def decompress(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    saturate: bool = False,
    format: str | None = None,
    shard_size: int | str | None = None,
    restart: bool = False,
    address: str | None = None,
    task_threads: int = 1,
    in_flight: int | None = None,
    scratch: str | None = None,
    ffmpeg: str | None = None,
    timeout: float | None = None,
    progress: ProgressOption = None,
) -> int:
    """Restores the model from an archive, with the bytes of `llmcodec.decompress`; gives the number of files of weights.

    Each of these is a task; a model in one file, such as a GGUF file, is one task.
    """
    restoring = (dtype or "", saturate, False, format or "", 0 if shard_size is None else byte_count(shard_size))
    machine = _machine(task_threads, ffmpeg, timeout, scratch)
    runner = _runner(address, task_threads, in_flight)
    with shown(progress) as sink:
        texts = os.fspath(source), os.fspath(output)
        return _run.decompress(runner, *texts, restoring, machine=machine, restart=restart, tell=sink or void_all)


def verify(
    source: str | os.PathLike[str],
    *,
    address: str | None = None,
    task_threads: int = 1,
    task_weights: int | str = TASK_WEIGHTS,
    in_flight: int | None = None,
    scratch: str | None = None,
    ffmpeg: str | None = None,
    timeout: float | None = None,
    progress: ProgressOption = None,
) -> tuple[int, int]:
    """Checks an archive as `llmcodec.verify` does; gives the numbers of tensors and parameters."""
    machine = _machine(task_threads, ffmpeg, timeout, scratch)
    runner = _runner(address, task_threads, in_flight)
    with shown(progress) as sink:
        weights = byte_count(task_weights)
        return _run.verify_archive(runner, os.fspath(source), machine=machine, task_weights=weights, tell=sink or void_all)


def _machine(threads: int, ffmpeg: Any, timeout: float | None, scratch: str | None) -> Machine:
    return Machine(threads, None if ffmpeg is None else os.fspath(ffmpeg), timeout, scratch)


def _runner(address: str | None, threads: int, in_flight: int | None) -> Runner:
    return RayRunner(address, threads, in_flight)


def _command(paths: tuple[str, str], options: dict[str, Any]) -> str:
    from llmcodec._models import recorded_call
    from llmcodec._urls import is_url, redacted

    return recorded_call("compress", tuple(redacted(path) if is_url(path) else path for path in paths), options)


def void_all(*_: object) -> None:
    """Takes what is told, which nobody wants to know."""

# SPDX-License-Identifier: BSD-3-Clause
"""What one machine does for the others: a piece of an archive, a file of a restored model, a look at some tensors."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmcodec import _core
from llmcodec._system import control, encoded

from ._source import CACHE, Source, path_of
from ._store import Folder

#: As `_core.restore_file` takes them: dtype, saturate, as_source, format, shard_size.
Restoring = tuple[str, bool, bool, str, int]

_PROCESS = 220 << 20
"""What Python, its packages and the library take before they work."""
_GROUP = 96 << 20
"""Pictures that a thread codes at once, with all that they take (docs/architecture.md)."""


_M_MMAP_THRESHOLD = -3  # malloc.h


@dataclass(frozen=True)
class Machine:
    """What a task may take of its machine."""

    threads: int = 1
    ffmpeg: str | None = None
    timeout: float | None = None
    scratch: str | None = None

    def control(self) -> _core.Control:
        """For the library."""
        return control(self.threads, self.ffmpeg, self.timeout)


@dataclass(frozen=True)
class Done:
    """What came of a task."""

    seconds: float
    peak: int
    """Bytes of memory that the process had at once."""


@dataclass(frozen=True)
class Task:
    """One of the functions below, and what it is given."""

    work: Callable[..., None]
    arguments: tuple[Any, ...]
    name: str
    weights: int
    memory: int


def run(work: Callable[..., None], arguments: tuple[Any, ...]) -> Done:
    """Does a task, and measures it."""
    start = time.monotonic()
    _give_back()
    with contextlib.suppress(OSError):
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak begins anew
    work(*arguments)
    return Done(time.monotonic() - start, _peak())


def _give_back() -> None:
    # Ray runs tasks on a thread whose memory glibc takes in heaps of 64 MB, and keeps what is freed in them: after fifty tasks
    # a process had 700 MB. Large blocks of their own go back at once, and the rest before the next task.
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 20)
        libc.malloc_trim(0)


def _peak() -> int:
    try:
        with open("/proc/self/status") as file:
            found = re.search(r"^VmHWM:\s*(\d+) kB", file.read(), re.M)
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0


def memory_of_coding(piece: _core.PieceInfo, machine: Machine, remote: bool) -> int:
    """At most what a piece takes: pictures in work, the coded ones, and with a closed loop, for each matrix in work, the
    moments and the factors that they become, in single precision; those made last are kept."""
    loop = (8 * min(machine.threads, piece.loops) + 4 * (piece.loops > 0)) * piece.loop_cols**2
    streams = piece.weights  # 3 bits a weight, twice while they become a file, and room to spare
    return _PROCESS + machine.threads * _GROUP + loop + streams + (CACHE if remote else 0)


def memory_of_decoding(machine: Machine, remote: bool) -> int:
    """At most what the decoding of any tensors takes: groups of 8 million weights, those of each thread and two more."""
    return _PROCESS + (machine.threads + 2) * _GROUP + (CACHE if remote else 0)


def code(order: bytes, source: Source, hessian: Source | None, machine: Machine, folder: Folder, name: str) -> None:
    """Codes a piece into the folder."""
    moments = b"" if hessian is None else encoded(path_of(hessian))
    folder.write(name, _core.code_piece(order, encoded(path_of(source)), moments, machine.control(), None))


def restore_file(source: Source, options: Restoring, number: int, machine: Machine, folder: Folder, name: str) -> None:
    """Restores one of the files of a model into the folder."""
    with _scratch(machine) as scratch:
        path = os.path.join(scratch, "file")
        _core.restore_file(encoded(path_of(source)), encoded(path), options, machine.control(), number)
        folder.take(path, name)


def restore_whole(source: Source, options: Restoring, machine: Machine, folder: Folder, name: str) -> None:
    """Restores a model that is one file into the folder."""
    with _scratch(machine) as scratch:
        path = os.path.join(scratch, name)
        _core.decompress(encoded(path_of(source)), encoded(path), *options, machine.control(), None)
        for made in sorted(os.listdir(scratch)):
            folder.take(os.path.join(scratch, made), made)


def verify(source: Source, first: int, count: int, machine: Machine) -> None:
    """Looks at tensors of an archive."""
    _core.verify_tensors(encoded(path_of(source)), first, count, machine.control())


@contextlib.contextmanager
def _scratch(machine: Machine) -> Any:
    path = tempfile.mkdtemp(prefix="llmcodec-cluster-", dir=machine.scratch)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)

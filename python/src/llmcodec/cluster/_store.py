# SPDX-License-Identifier: BSD-3-Clause
"""Where the work of a cluster goes: files with plain names in a folder on the disk or of any store of fsspec."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from llmcodec._errors import Error, IoError, MissingFileError, printable
from llmcodec._transport import ATTEMPTS, BACK_OFF, io_error
from llmcodec._urls import is_plain, is_url, printable_place, redacted_text

_T = TypeVar("_T")


@dataclass(frozen=True)
class Folder:
    """A folder that need not be there. Files appear in it whole or not at all."""

    place: str

    @property
    def remote(self) -> bool:
        return is_url(self.place)

    @property
    def shown(self) -> str:
        """For people: without secrets."""
        return printable_place(self.place)

    def _at(self, name: str) -> str:
        assert is_plain(name), name
        return f"{self.place.rstrip('/')}/{name}"

    def _do(self, name: str, work: Callable[[Any, str], _T]) -> _T:
        """Something with a file of the store, again and again where it fails for reasons of the moment."""
        import fsspec

        store, path = fsspec.core.url_to_fs(self._at(name))
        for attempt in range(ATTEMPTS):
            try:
                return work(store, path)
            except FileNotFoundError as error:
                raise io_error(MissingFileError, self._at(name), "is not there") from error
            except (PermissionError, IsADirectoryError, NotImplementedError) as error:
                raise io_error(IoError, self._at(name), redacted_text(str(error)) or type(error).__name__) from error
            except Exception as error:  # of somebody's store, which raises what it likes
                if attempt + 1 == ATTEMPTS:
                    message = f"{redacted_text(str(error)) or type(error).__name__}; given up after {ATTEMPTS} attempts"
                    raise io_error(IoError, self._at(name), message) from error
                time.sleep(BACK_OFF * 2**attempt)
        raise AssertionError

    def _on_disk(self, name: str, work: Callable[[str], _T]) -> _T:
        path = self._at(name)
        try:
            return work(path)
        except OSError as error:
            cls: type[Error] = MissingFileError if isinstance(error, FileNotFoundError) else IoError
            raise cls(f"{printable(path)}: {error.strerror}", message=error.strerror or "", file=path) from error

    def read(self, name: str) -> bytes:
        """All of a file."""
        if self.remote:
            data: bytes = self._do(name, lambda store, path: store.cat_file(path))
            return data
        return self._on_disk(name, _read)

    def write(self, name: str, data: bytes) -> None:
        """A file anew."""
        if self.remote:
            self._do(name, lambda store, path: store.pipe_file(path, data))
        else:
            self._on_disk(name, lambda path: _write(path, data))

    def take(self, path: str, name: str) -> None:
        """A file of this machine, which is gone then."""
        if self.remote:
            self._do(name, lambda store, to: store.put_file(path, to))
            os.unlink(path)
        else:
            self._on_disk(name, lambda to: _move(path, to))

    def sizes(self, below: str = "") -> dict[str, int]:
        """The files in the folder or in one below it, by the names inside that one."""
        place = self._at(below) if below else self.place.rstrip("/")
        if not self.remote:
            try:
                return {entry.name: entry.stat().st_size for entry in os.scandir(place) if entry.is_file()}
            except FileNotFoundError:
                return {}
        import fsspec

        store, path = fsspec.core.url_to_fs(place)
        try:
            store.invalidate_cache()
            found = store.find(path, maxdepth=1, detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:
            raise io_error(IoError, place, redacted_text(str(error)) or type(error).__name__) from error
        return {name.rpartition("/")[2]: facts["size"] for name, facts in found.items()}

    def names(self) -> set[str]:
        """Whatever is in the folder itself."""
        if not self.remote:
            return set(os.listdir(self.place)) if os.path.isdir(self.place) else set()
        return set(self.sizes())

    def remove(self) -> None:
        """The folder and all that is in it."""
        if not self.remote:
            shutil.rmtree(self.place, ignore_errors=True)
            return
        import fsspec

        store, path = fsspec.core.url_to_fs(self.place.rstrip("/"))
        if store.exists(path):
            store.rm(path, recursive=True)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _write(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # Two machines may write the same piece, where one was thought to be lost.
    partial = f"{path}.{os.uname().nodename}.{os.getpid()}.partial"
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _move(path: str, to: str) -> None:
    os.makedirs(os.path.dirname(to), exist_ok=True)
    partial = f"{to}.{os.uname().nodename}.{os.getpid()}.partial"
    shutil.move(path, partial)
    os.replace(partial, to)

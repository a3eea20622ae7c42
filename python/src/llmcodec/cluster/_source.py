# SPDX-License-Identifier: BSD-3-Clause
"""Models and archives that are read on several machines: in a folder that all of them see, or in any store of fsspec.

Of what is in a store, the library is shown a folder of empty files of the right names and sizes, and reads through functions
(`_core.ElsewhereFile`): a machine fetches the headers and the bytes that it works on, and needs no room on its disk.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmcodec import _core
from llmcodec._errors import CorruptError, IoError, MissingFileError, UnsupportedError, printable
from llmcodec._transport import Identity, Stop, StoreTransport, Transport, io_error, transport_of
from llmcodec._urls import beside, inside, is_plain, is_url, name_of, printable_place, redacted_text

CACHE = 64 << 20
"""Bytes of stores that a process keeps in memory, besides the beginnings of files."""
_BLOCK = 4 << 20
_HEAD = 256 << 10  # of each file that was looked at: most headers


@dataclass(frozen=True)
class File:
    """A file as it was when the work began. `tag` changes when it does."""

    name: str
    url: str
    size: int
    tag: str | None


@dataclass(frozen=True)
class Source:
    """A model, an archive or a file of moments, on its way to other machines: files of a folder, and which of them is the one
    that was named (empty: the folder itself)."""

    folder: str
    entry: str
    files: tuple[File, ...]

    @property
    def remote(self) -> bool:
        return is_url(self.folder)

    @property
    def shown(self) -> str:
        """For people: without secrets."""
        return printable_place(self.folder)

    def facts(self) -> list[list[Any]]:
        """What it is known by."""
        return [[file.name, file.size, file.tag] for file in self.files]


def look(place: str | os.PathLike[str]) -> Source:
    """What is there now. A file stands for those that belong to it as well: an index for its shards, a part of a split GGUF
    model for the others."""
    text = os.fspath(place)
    where = _Store(text) if is_url(text) else _Disk(os.path.abspath(text))
    whole = where.whole()
    if whole is not None:
        return Source(where.folder, "", tuple(sorted(whole, key=lambda file: file.name)))
    files = [where.file(where.name)]
    if where.name.endswith(".index.json"):
        files += [where.file(name) for name in _shards_of(where.read(where.name))]
    files += [where.file(name) for name in _parts_of(where.name)]
    return Source(where.folder, where.name, tuple(files))


def _shards_of(index: bytes) -> list[str]:
    """The files that an index names; none where it is no index: the library says what is wrong with it."""
    try:
        named = set(json.loads(index)["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return sorted(name for name in named if isinstance(name, str) and is_plain(name))


def _parts_of(name: str) -> list[str]:
    found = re.fullmatch(r"(.*)-\d{5}-of-(\d{5})\.gguf", name)
    every = [f"{found[1]}-{i:05}-of-{found[2]}.gguf" for i in range(1, int(found[2]) + 1)] if found else []
    return [each for each in every if each != name]


class _Disk:
    """A path, and what lies beside it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.folder, self.name = (path, "") if os.path.isdir(path) else os.path.split(path)

    def whole(self) -> list[File] | None:
        """The files of a folder; None where it is a file."""
        if self.name:
            return None
        walk = [(at, file) for at, _, files in os.walk(self.folder) for file in files]
        paths = [path for at, file in walk if os.path.isfile(path := os.path.join(at, file))]
        return [self.file(os.path.relpath(path, self.folder)) for path in paths]

    def file(self, name: str) -> File:
        path = os.path.join(self.folder, name)
        try:
            status = os.stat(path)
        except OSError as error:
            cls = MissingFileError if isinstance(error, FileNotFoundError) else IoError
            raise cls(f"{printable(path)}: {error.strerror}", message=error.strerror or "", file=path) from error
        return File(name, path, status.st_size, str(status.st_mtime_ns))

    def read(self, name: str) -> bytes:
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()


class _Store:
    """The same of a URL."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError as error:
            raise UnsupportedError('stores need fsspec: pip install "llmcodec[cluster]"') from error
        self._url = url.rstrip("/")
        self._store, self._path = self._asked(self._url, lambda: fsspec.core.url_to_fs(self._url))
        facts = self._asked(self._url, lambda: self._store.info(self._path))
        self.folder, self.name = self._url, ""
        if facts.get("type") != "directory":
            self.folder, self.name = beside(self._url, "")[:-1], name_of(self._url)

    def whole(self) -> list[File] | None:
        if self.name:
            return None
        found: dict[str, Any] = self._asked(self._url, lambda: self._store.find(self._path, detail=True))
        if not found:
            raise io_error(MissingFileError, self._url, "is an empty folder")
        names = {path.removeprefix(self._path.rstrip("/")).lstrip("/"): facts for path, facts in found.items()}
        return [self._file(name, inside(self._url, name), facts) for name, facts in names.items()]

    def file(self, name: str) -> File:
        url = self._url if name == self.name else beside(self._url, name)
        path = self._path if name == self.name else f"{self._path.rpartition('/')[0]}/{name}"
        return self._file(name, url, self._asked(url, lambda: self._store.info(path)))

    def _file(self, name: str, url: str, facts: dict[str, Any]) -> File:
        if not is_plain(name):
            raise io_error(CorruptError, self._url, f"holds {printable(name)!r}, which is no plain name of a file")
        if not isinstance(facts.get("size"), int):
            raise io_error(UnsupportedError, url, "the store does not say how long the file is")
        tags = (facts.get(key) for key in ("ETag", "etag", "version_id", "LastModified", "mtime"))
        return File(name, url, facts["size"], next((str(tag) for tag in tags if tag is not None), None))

    def read(self, name: str) -> bytes:
        data: bytes = self._asked(self._url, lambda: self._store.cat_file(self._path))
        return data

    def _asked(self, url: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except FileNotFoundError as error:
            raise io_error(MissingFileError, url, "is not there") from error
        except Exception as error:  # of somebody's store, which raises what it likes
            raise io_error(IoError, url, redacted_text(str(error)) or type(error).__name__) from error


class _Blocks:
    """What the reads of a process share: the blocks used last."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._loading: dict[tuple[str, int], threading.Lock] = {}

    def get(self, reads: _Reads, number: int) -> bytes:
        key = (reads.file.url, number)
        with self._lock:
            own = self._loading.setdefault(key, threading.Lock())
        with own:
            with self._lock:
                if key in self._blocks:
                    self._blocks.move_to_end(key)
                    return self._blocks[key]
            first = number * _BLOCK
            block = reads.fetch(first, min(_BLOCK, reads.file.size - first))
            with self._lock:
                self._blocks[key] = block
                while len(self._blocks) * _BLOCK > CACHE:
                    self._blocks.popitem(last=False)
                self._loading.pop(key, None)
            return block


_blocks = _Blocks()


class _Reads:
    """A file of a store, for the library's threads."""

    def __init__(self, file: File) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._head = b""
        self._stop = Stop()

    def _open(self) -> Transport:
        with self._lock:
            if self._transport is None:
                transport = transport_of(self.file.url)
                if isinstance(transport, StoreTransport):
                    found = transport.identity(self._stop)
                    if found.size != self.file.size or (found.tag or "") != (self.file.tag or ""):
                        raise io_error(IoError, self.file.url, "is no longer what the work was ordered for")
                self._transport = transport
            return self._transport

    def fetch(self, offset: int, size: int) -> bytes:
        memory = bytearray(size)
        if size:
            # The tag of a server is compared by HTTP itself; that of a listing may be written otherwise.
            tag = self.file.tag if isinstance(self._open(), StoreTransport) else None
            self._open().fill(offset, memoryview(memory), Identity(self.file.size, tag), self._stop)
        return bytes(memory)

    def __call__(self, offset: int, memory: memoryview) -> None:
        end = offset + len(memory)
        if end <= _HEAD:
            if not self._head:
                self._head = self.fetch(0, min(_HEAD, self.file.size))
            memory[:] = self._head[offset:end]
        elif len(memory) >= _BLOCK:
            memory[:] = self.fetch(offset, len(memory))
        else:
            done = 0
            while done < len(memory):
                number, skip = divmod(offset + done, _BLOCK)
                part = _blocks.get(self, number)[skip : skip + len(memory) - done]
                memory[done : done + len(part)] = part
                done += len(part)

    def interrupt(self) -> None:
        """Ends the reads that wait for the store."""
        stop, self._stop = self._stop, Stop()
        stop.set()


class _Mirror:
    """The folder that the library is shown."""

    def __init__(self, source: Source) -> None:
        # As the system spells it, for paths are compared as texts.
        self._root = os.path.realpath(tempfile.mkdtemp(prefix="llmcodec-cluster-"))
        name = name_of(source.folder)
        self._folder = os.path.join(self._root, name if is_plain(name) else "model")
        self.path = os.path.join(self._folder, source.entry) if source.entry else self._folder
        self._files = []
        for file in source.files:
            path = os.path.join(self._folder, file.name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as empty:
                empty.truncate(file.size)
            self._files.append(_core.ElsewhereFile(os.fsencode(path), file.size, _Reads(file)))

    def close(self) -> None:
        self._files.clear()
        shutil.rmtree(self._root, ignore_errors=True)


_mirrors: OrderedDict[Source, _Mirror] = OrderedDict()
_MOST_MIRRORS = 4  # of one run there are two


def path_of(source: Source) -> str:
    """Where the library finds it on this machine."""
    if not source.remote:
        path = os.path.join(source.folder, source.entry) if source.entry else source.folder
        if look(path).files != source.files:
            message = "is not the same here as where the work was ordered, or was changed since"
            raise IoError(f"{printable(path)}: {message}", message=message, file=path)
        return path
    if source not in _mirrors:
        while len(_mirrors) >= _MOST_MIRRORS:
            _mirrors.popitem(last=False)[1].close()
        _mirrors[source] = _Mirror(source)
    return _mirrors[source].path


@atexit.register
def _forget() -> None:
    while _mirrors:
        _mirrors.popitem()[1].close()

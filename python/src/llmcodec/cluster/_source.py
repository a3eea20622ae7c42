# SPDX-License-Identifier: BSD-3-Clause
"""Models and archives that are read on several machines: in a folder that all of them see, or in any store of fsspec.

Of what is in a store, the library is shown a folder of empty files of the right names and sizes, and reads through functions
(`_core.ElsewhereFile`): a machine fetches the headers and the bytes that it works on, and needs no room on its disk.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from llmcodec import _core
from llmcodec._errors import CorruptError, IoError, MissingFileError, UnsupportedError, printable
from llmcodec._transport import Identity, Stop, StoreTransport, Transport, io_error, transport_of
from llmcodec._urls import inside, is_plain, is_url, name_of, redacted, redacted_text

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
    """A model, an archive or a file of moments, on its way to other machines."""

    place: str
    name: str
    folder: bool
    files: tuple[File, ...]

    @property
    def remote(self) -> bool:
        return is_url(self.place)

    @property
    def shown(self) -> str:
        """For people: without secrets."""
        return redacted(self.place) if self.remote else printable(self.place)

    def facts(self) -> list[list[Any]]:
        """What it is known by."""
        return [[file.name, file.size, file.tag] for file in self.files]


def look(place: str | os.PathLike[str]) -> Source:
    """What is there now."""
    text = os.fspath(place)
    return _look_at_store(text) if is_url(text) else _look_at_disk(text)


def _tag(status: os.stat_result) -> str:
    return str(status.st_mtime_ns)


def _look_at_disk(path: str) -> Source:
    path = os.path.abspath(path)
    name = os.path.basename(path.rstrip("/"))
    try:
        if not os.path.isdir(path):
            status = os.stat(path)
            return Source(path, name, False, (File(name, path, status.st_size, _tag(status)),))
        files = []
        for folder, _, names in os.walk(path):
            for file in (os.path.join(folder, each) for each in names):
                if os.path.isfile(file):
                    status = os.stat(file)
                    files.append(File(os.path.relpath(file, path), file, status.st_size, _tag(status)))
        return Source(path, name, True, tuple(sorted(files, key=lambda file: file.name)))
    except OSError as error:
        cls = MissingFileError if isinstance(error, FileNotFoundError) else IoError
        raise cls(f"{printable(path)}: {error.strerror}", message=error.strerror or "", file=path) from error


def _look_at_store(url: str) -> Source:
    try:
        import fsspec
    except ImportError as error:
        raise UnsupportedError('stores need fsspec: pip install "llmcodec[cluster]"') from error
    try:
        store, path = fsspec.core.url_to_fs(url)
        said = store.info(path)
        folder = said.get("type") == "directory"
        found: dict[str, Any] = store.find(path, detail=True) if folder else {said["name"]: said}
    except FileNotFoundError as error:
        raise io_error(MissingFileError, url, "is not there") from error
    except Exception as error:  # of somebody's store, which raises what it likes
        raise io_error(IoError, url, redacted_text(str(error)) or type(error).__name__) from error
    files = []
    for each, facts in found.items():
        name = each.rstrip("/").removeprefix(path.rstrip("/")).lstrip("/") if folder else name_of(url)
        if not is_plain(name):
            raise io_error(CorruptError, url, f"holds {printable(name)!r}, which is no plain name of a file")
        at = inside(url, name) if folder else url
        identity = _identity(at, facts)
        files.append(File(name, at, identity.size, identity.tag))
    if not files:
        raise io_error(MissingFileError, url, "is not there, or an empty folder")
    return Source(url, name_of(url.rstrip("/")), folder, tuple(sorted(files, key=lambda file: file.name)))


def _identity(url: str, facts: dict[str, Any]) -> Identity:
    if not isinstance(facts.get("size"), int):
        raise io_error(UnsupportedError, url, "the store does not say how long the file is")
    tags = (facts.get(key) for key in ("ETag", "etag", "version_id", "LastModified", "mtime"))
    return Identity(facts["size"], next((str(tag) for tag in tags if tag is not None), None))


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
        self.path = os.path.join(self._root, source.name if is_plain(source.name) else "model")
        self._files = []
        for file in source.files:
            path = os.path.join(self.path, file.name) if source.folder else self.path
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
        if _look_at_disk(source.place).files != source.files:
            message = "is not the same here as where the work was ordered, or was changed since"
            raise IoError(f"{source.shown}: {message}", message=message, file=source.place)
        return source.place
    if source not in _mirrors:
        while len(_mirrors) >= _MOST_MIRRORS:
            _mirrors.popitem(last=False)[1].close()
        _mirrors[source] = _Mirror(source)
    return _mirrors[source].path


@atexit.register
def _forget() -> None:
    while _mirrors:
        _mirrors.popitem()[1].close()

# SPDX-License-Identifier: BSD-3-Clause
"""Archives elsewhere: headers and descriptions are read first, then the bytes of what is asked for, ahead of the library."""

from __future__ import annotations

import hashlib
import json
import struct
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from . import _core, _remote_cache
from ._errors import AccessError, CorruptError, MissingFileError
from ._frameworks import Bytes
from ._transport import Identity, Stop, Transport, io_error, transport_of
from ._urls import beside, inside, is_plain, name_of, redacted

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PARALLEL = 8
"""Requests at a time."""
_FIRST = 16 << 10  # bytes of a file that are asked for before its header says more
_MOST_OF_HEADER = 100_000_000  # as the library has it
_MOST_OF_INDEX = 256 << 20
_MOST_REQUESTS = 3  # for one tensor
_LEAST_PIECE = 4 << 20
_BATCH = 128 << 20  # bytes fetched while those before are decoded

Read = Callable[[int, memoryview], None]
Range = tuple[int, int, int]
"""(file, offset, bytes)"""


class RemoteFile:
    """A file elsewhere. What was fetched of it ahead is in memory; the library reads from there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.transport: Transport = transport_of(url)
        self.identity = Identity(0, None)
        self.header: dict[str, Any] = {}  # of safetensors; empty where there is none that could be read
        self.head: list[tuple[int, bytes]] = []  # header and description
        self._ahead: tuple[tuple[int, bytearray], ...] = ()
        self._lock = threading.Lock()
        self._stop = Stop()
        self._new = False  # not from the cache

    def open(self) -> None:
        """Learns what the file is, and gets header and description: from the cache, or in up to three requests."""
        entry = _remote_cache.load(self.url)
        stop = self._stop
        identity, first, kept = self.transport.start(_FIRST, None if entry is None else entry.tag, stop)
        if kept and entry is not None:
            self.identity, self.head = Identity(entry.size, entry.tag), entry.blocks
            self.header = _header(self.head[0][1])
            return
        self.identity = identity
        length = min(8 + struct.unpack("<Q", first[:8])[0], identity.size) if len(first) >= 8 else 0
        if len(first) < length <= _MOST_OF_HEADER:
            first += self.fetch(len(first), length - len(first), stop)
        self.head = [(0, first)]
        self.header = _header(first)
        for offset, size in _descriptions(self.header, length, identity.size):
            if offset + size > len(first):
                have = max(len(first) - offset, 0)
                tail = first[offset:] + self.fetch(offset + have, size - have, stop)
                self.head.append((offset, tail))
        self._new = True

    def keep(self) -> None:
        """Puts header and description into the cache, now that the library has found them sound."""
        size, tag = self.identity.size, self.identity.tag
        if self._new and tag is not None and tag.startswith('"'):
            _remote_cache.store(self.url, _remote_cache.Entry(size, tag, self.head))

    def probe(self) -> None:
        """Learns what the file is, and gets its first bytes: of a file that is no archive."""
        self.identity, first, _ = self.transport.start(_FIRST, None, self._stop)
        self.head = [(0, first)]

    def fingerprint(self) -> str:
        """Another one for a file with other bytes: the description has the checksums of all the rest."""
        digest = hashlib.sha256(str(self.identity.size).encode())
        for _, block in self.head:
            digest.update(block)
        return digest.hexdigest()

    def fetch(self, offset: int, size: int, stop: Stop) -> bytes:
        """Bytes that are not in memory."""
        memory = bytearray(size)
        if size != 0:
            self.transport.fill(offset, memoryview(memory), self.identity, stop)
        return bytes(memory)

    def has(self, offset: int, size: int) -> bool:
        """Whether these bytes came with the header."""
        return any(begin <= offset and offset + size <= begin + len(block) for begin, block in self.head)

    def __call__(self, offset: int, memory: memoryview) -> None:
        """Reads, for the library."""
        held: tuple[tuple[int, bytes | bytearray], ...] = (*self.head, *self._ahead)
        for begin, block in held:
            if begin <= offset and offset + len(memory) <= begin + len(block):
                memory[:] = memoryview(block)[offset - begin : offset - begin + len(memory)]
                return
        memory[:] = self.fetch(offset, len(memory), self._stop)

    def interrupt(self) -> None:
        """Ends the reads of the library that wait for the server."""
        stop, self._stop = self._stop, Stop()
        stop.set()

    def hold(self, block: tuple[int, bytearray]) -> None:
        """Keeps bytes that were fetched ahead."""
        with self._lock:
            self._ahead = (*self._ahead, block)

    def release(self, block: tuple[int, bytearray]) -> None:
        """Forgets them."""
        with self._lock:
            self._ahead = tuple(held for held in self._ahead if held is not block)


def _header(first: bytes) -> dict[str, Any]:
    """The header at the beginning of these bytes. Nothing for what is none: the library says what is wrong with it."""
    try:
        said = json.loads(first[8 : 8 + struct.unpack("<Q", first[:8])[0]])
    except (ValueError, struct.error, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _descriptions(header: dict[str, Any], start: int, size: int) -> Iterator[tuple[int, int]]:
    for name, said in header.items():
        if name.startswith("llmcodec.description.") and isinstance(said, dict):
            place = said.get("data_offsets")
            if isinstance(place, list) and len(place) == 2 and all(isinstance(n, int) for n in place):
                begin, end = start + place[0], start + place[1]
                if start <= begin < end <= size and end - begin <= _MOST_OF_INDEX:
                    yield begin, end - begin


class Fetches:
    """Requests of one call, several at a time. Used as a context: what still runs at its end is stopped."""

    def __init__(self, besides: int = 0) -> None:
        self.stop = Stop()
        # Held by whoever asks a server; `besides` threads may do something else meanwhile.
        self.turn = threading.Semaphore(PARALLEL)
        self._pool = ThreadPoolExecutor(PARALLEL + besides, "llmcodec-fetch")

    def __enter__(self) -> Fetches:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def end(self) -> None:
        """Stops what still runs, and waits until it has."""
        self.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, work: Callable[[], None]) -> Future[None]:
        """Starts a piece of work."""
        return self._pool.submit(work)

    @staticmethod
    def finish(futures: Iterable[Future[None]]) -> None:
        """Waits for all of these, or for the first that fails."""
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()

    def all(self, works: Iterable[Callable[[], None]]) -> None:
        """Does all of these."""
        self.finish([self.submit(work) for work in works])


class _Ahead:
    """Ranges on their way into memory, where the library will find them until this is released."""

    def __init__(self, files: Sequence[RemoteFile], ranges: Iterable[Range], fetches: Fetches, most: int) -> None:
        self._held: list[tuple[RemoteFile, tuple[int, bytearray]]] = []
        self._futures: list[Future[None]] = []
        merged = list(coalesced(part for part in ranges if not files[part[0]].has(*part[1:])))
        for number, offset, size in merged:
            file, memory = files[number], bytearray(size)
            self._held.append((file, (offset, memory)))
            for begin, end in cut(size, max(most // len(merged), 1)):
                part = memoryview(memory)[begin:end]
                self._futures.append(fetches.submit(_filling(file, offset + begin, part, fetches.stop)))

    def wait(self) -> None:
        """Until all is there."""
        Fetches.finish(self._futures)
        for file, block in self._held:
            file.hold(block)

    def release(self) -> None:
        """Lets go of the memory."""
        for file, block in self._held:
            file.release(block)


def _filling(file: RemoteFile, offset: int, memory: memoryview, stop: Stop) -> Callable[[], None]:
    return lambda: file.transport.fill(offset, memory, file.identity, stop)


def coalesced(ranges: Iterable[Range]) -> Iterator[Range]:
    """The ranges in order, such that are neighbours, or nearly so, as one."""
    last: Range | None = None
    for number, offset, size in sorted(ranges):
        if size == 0:
            continue
        if last is not None and last[0] == number:
            end = max(last[1] + last[2], offset + size)
            if (offset - last[1] - last[2]) * 100 <= last[2] + size:
                last = number, last[1], end - last[1]
                continue
        if last is not None:
            yield last
        last = number, offset, size
    if last is not None:
        yield last


def cut(size: int, most: int) -> Iterator[tuple[int, int]]:
    """[0, size) in up to `most` pieces, none of which is too small to be worth a request."""
    count = max(1, min(most, size // _LEAST_PIECE))
    for number in range(count):
        yield size * number // count, size * (number + 1) // count


def open_files(files: list[RemoteFile], reads: Sequence[Read], control: _core.Control) -> _core.Archive:
    """The archive in these files, which `reads` read."""
    places = [(redacted(file.url).encode(), file.identity.size) for file in files]
    core = _core.Archive.open_sources([(*place, read) for place, read in zip(places, reads, strict=True)], control)
    for file in files:
        file.keep()
    return core


class RemoteArchive:
    """An archive elsewhere, in the shape of `_core.Archive`."""

    def __init__(self, files: list[RemoteFile], control: _core.Control) -> None:
        self.files = files
        self.core = open_files(files, files, control)
        self.tensors = self.core.tensors
        self.metadata = self.core.metadata
        self.find = self.core.find
        self.byte_size = self.core.byte_size
        self.decode = self.core.decode
        self._listed = self.core.tensors()

    def batches(self, tensors: Iterable[int]) -> Generator[list[int], None, None]:
        """The tensors in parts, of which each has been fetched when it comes, and the one after it is on its way."""
        parts = list(self._parts(tensors))
        with Fetches() as fetches:
            ahead = self._start(parts[0], fetches) if parts else None
            for number, part in enumerate(parts):
                current, ahead = ahead, None
                assert current is not None
                current.wait()
                if number + 1 < len(parts):
                    ahead = self._start(parts[number + 1], fetches)
                try:
                    yield part
                finally:
                    current.release()

    def decode_rows(self, tensor: int, first: int, last: int, memory: Bytes, dtype: str, threads: int) -> None:
        """Rows, of which only the pictures that hold them are fetched."""
        with self._fetched(self.core.stored(tensor, (first, last))):
            self.core.decode_rows(tensor, first, last, memory, dtype, threads)

    @contextmanager
    def _fetched(self, ranges: list[Range]) -> Iterator[None]:
        with Fetches() as fetches:
            ahead = _Ahead(self.files, ranges, fetches, _MOST_REQUESTS)
            ahead.wait()
            try:
                yield
            finally:
                ahead.release()

    def _start(self, part: list[int], fetches: Fetches) -> _Ahead:
        places = {self._listed[number].position: number for number in part}
        ranges = [stored for number in places.values() for stored in self.core.stored(number)]
        return _Ahead(self.files, ranges, fetches, _MOST_REQUESTS if len(places) == 1 else PARALLEL)

    def _parts(self, tensors: Iterable[int]) -> Iterator[list[int]]:
        """In the order of the files. Equal tensors, which have one position, are decoded together."""
        part: list[int] = []
        held, last = 0, -1
        for number in sorted(tensors, key=lambda wanted: self._listed[wanted].position):
            tensor = self._listed[number]
            if tensor.position != last:
                size = sum(stored[2] for stored in self.core.stored(number))
                if part and held + size > _BATCH:
                    yield part
                    part, held = [], 0
                held, last = held + size, tensor.position
            part.append(number)
        if part:
            yield part


def index_names(url: str, text: bytes) -> list[str]:
    """The shards that an index lists, sorted. Names from the web are data: plain ones and no others."""
    try:
        listed = json.loads(text)["weight_map"].values()
        names = sorted(set(listed))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        names = []
    if not names:
        raise io_error(CorruptError, url, "is no index of shards (it has no weight_map)")
    for name in names:
        if not isinstance(name, str) or not is_plain(name) or "/" in name:
            raise io_error(CorruptError, url, "names a shard that is no plain name of a file")
    return names


def whole(url: str, most: int) -> bytes:
    """All of a small file."""
    file = RemoteFile(url)
    file.probe()
    first = file.head[0][1]
    if file.identity.size > most:
        raise io_error(CorruptError, url, f"has {file.identity.size} bytes; {most} at most can be right")
    return first + file.fetch(len(first), file.identity.size - len(first), Stop())


class Located:
    """An archive's files, as a URL leads to them. `index`: the URL and the text of the index, where there is one."""

    def __init__(self, urls: list[str], index: tuple[str, bytes] | None = None) -> None:
        self.index = index
        self.files = [RemoteFile(url) for url in urls]
        with Fetches() as fetches:
            fetches.all([file.open for file in self.files])


def located(url: str) -> Located:
    """What is there: a file, an index with its shards, or the folder of either. MissingFileError where nothing is; AccessError
    where there may be something that is refused."""
    name = name_of(url)
    if name.endswith(".json"):
        return _of_index(url, whole(url, _MOST_OF_INDEX))
    if name.endswith(".safetensors"):
        return Located([url])
    refused: AccessError | None = None
    try:
        text = whole(inside(url, INDEX), _MOST_OF_INDEX)
    except MissingFileError:
        pass
    except AccessError as error:
        refused = error
    else:
        return _of_index(inside(url, INDEX), text)
    for place in (inside(url, SINGLE), url) if name else (inside(url, SINGLE),):
        try:
            return Located([place])
        except MissingFileError:
            continue
        except AccessError as error:
            refused = error
    if refused is not None:
        raise refused
    raise io_error(MissingFileError, url, f"is no archive: neither it nor {INDEX} nor {SINGLE} in it is there")


def _of_index(url: str, text: bytes) -> Located:
    return Located([beside(url, name) for name in index_names(url, text)], (url, text))


def open_remote(url: str, control: _core.Control) -> RemoteArchive:
    """The archive at a URL: a file, an index, or a folder."""
    return RemoteArchive(located(url).files, control)

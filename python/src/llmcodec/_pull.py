# SPDX-License-Identifier: BSD-3-Clause
"""`pull`: an archive from the web onto the disk, in parallel pieces, each tensor checked when its bytes are there."""

from __future__ import annotations

import json
import os
import queue
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import _core
from ._errors import CorruptError, InternalError, InvalidArgumentError, printable
from ._progress import ProgressOption, shown
from ._pull_folder import JOURNAL, Folder, intervals, numbers, write_at
from ._pull_tensors import Sink, write_tensors
from ._remote import Fetches, Located, RemoteFile, located, open_files
from ._system import Path, control
from ._transport import io_error
from ._urls import beside, is_plain, is_url, name_of

PIECE = 8 << 20
"""Bytes that are fetched at once, and kept or not as a whole."""
_GGUF_HEADER = "llmcodec.gguf_header"
_WRITERS = 4
_EVERY = 5.0  # seconds between two journals


class Target:
    """A file that is to be here, and which of its pieces are."""

    def __init__(self, name: str, remote: RemoteFile, key: str) -> None:
        self.name, self.remote, self.key = name, remote, key
        self.size = remote.identity.size
        self.pieces = -(-self.size // PIECE)
        self.done: set[int] = set()
        self.at_its_place = False  # a file of an earlier pull, which is checked like any other
        self.fd = -1

    def open(self, folder: Folder, said: Any) -> None:
        """Takes up what an earlier pull left."""
        known = isinstance(said, dict) and said.get("key") == self.key and said.get("piece") == PIECE
        try:
            self.fd = folder.open(self.name + ".partial", os.O_RDWR)
        except FileNotFoundError:
            if self._take_finished(folder):
                return
            self.fd = folder.open(self.name + ".partial", os.O_RDWR | os.O_CREAT)
            known = False
        if known and os.fstat(self.fd).st_size == self.size:
            self.done = {n for n in numbers(said.get("done")) if n < self.pieces}
        else:
            os.ftruncate(self.fd, 0)
            os.ftruncate(self.fd, self.size)

    def _take_finished(self, folder: Folder) -> bool:
        try:
            fd = folder.open(self.name, os.O_RDONLY)
        except FileNotFoundError:
            return False
        if os.fstat(fd).st_size != self.size:
            os.close(fd)
            return False
        self.fd, self.at_its_place, self.done = fd, True, set(range(self.pieces))
        return True

    def leave_place(self, folder: Folder) -> None:
        """The file of that name is another one: a new one will take its place."""
        os.close(self.fd)
        self.fd = folder.open(self.name + ".partial", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.ftruncate(self.fd, self.size)
        self.at_its_place = False

    def close(self) -> None:
        """Lets go of the file."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def begin(self, piece: int) -> int:
        """Where a piece, or the end, is."""
        return min(piece * PIECE, self.size)

    def length(self, piece: int) -> int:
        """Bytes of a piece."""
        return self.begin(piece + 1) - self.begin(piece)

    def touched(self, offset: int, size: int) -> range:
        """The pieces that have some of these bytes."""
        return range(offset // PIECE, -(-(offset + size) // PIECE))

    def fetch(self, piece: int, fetches: Fetches) -> None:
        """Gets a piece and writes it."""
        memory = bytearray(self.length(piece))
        if self.remote.has(self.begin(piece), len(memory)):
            self.remote(self.begin(piece), memoryview(memory))
        else:
            with fetches.turn:  # another piece is under way while this one is written
                self.remote.transport.fill(self.begin(piece), memoryview(memory), self.remote.identity, fetches.stop)
        write_at(self.fd, self.begin(piece), memory)

    def read(self, offset: int, memory: memoryview) -> None:
        """From the disk, for the library."""
        while memory:
            count = os.preadv(self.fd, [memory], offset)
            if count == 0:
                raise OSError("the file became shorter while it was read")
            offset, memory = offset + count, memory[count:]

    def journalled(self) -> dict[str, Any]:
        """What the journal says of it."""
        return {"key": self.key, "piece": PIECE, "done": intervals(self.done)}


@dataclass(eq=False)
class Check:
    """What is to be checked when these pieces are there."""

    target: Target
    pieces: set[int]
    work: Callable[[], None]
    missing: set[int] = field(default_factory=set)
    passed: bool = False
    failed: bool = False  # once: its pieces were fetched again


class Pull:
    """One pull at work."""

    def __init__(self, folder: Folder, targets: list[Target], checks: list[Check], sink: Sink | None) -> None:
        self._folder, self._targets, self._checks, self._sink = folder, targets, checks, sink
        self._finished: queue.SimpleQueue[tuple[Target, int, BaseException | None]] = queue.SimpleQueue()
        self._running = 0
        self._written: set[Target] = set()
        self._last = time.monotonic()
        self._by_piece: dict[tuple[str, int], list[Check]] = {}
        for check in checks:
            check.missing = check.pieces - check.target.done
            for piece in check.pieces:
                self._by_piece.setdefault((check.target.name, piece), []).append(check)

    def run(self) -> None:
        """Until every piece is there and every check has passed."""
        self._folder.check_room(sum(t.length(n) for t in self._targets for n in range(t.pieces) if n not in t.done))
        with Fetches(_WRITERS) as fetches:
            try:
                for target in self._targets:
                    self._start(target, set(range(target.pieces)) - target.done, fetches)
                self._check([check for check in self._checks if not check.missing], fetches)
                while self._running:
                    self._step(fetches)
            finally:
                fetches.end()
                self._take_finished()
                self._write_journal()
        if not all(check.passed for check in self._checks):
            raise InternalError("not everything was checked that was pulled")

    def _start(self, target: Target, pieces: Iterable[int], fetches: Fetches) -> None:
        for piece in sorted(pieces):
            self._running += 1
            fetches.submit(self._fetching(target, piece, fetches))

    def _fetching(self, target: Target, piece: int, fetches: Fetches) -> Callable[[], None]:
        def work() -> None:
            failure: BaseException | None = None
            try:
                target.fetch(piece, fetches)
            except BaseException as error:
                failure = error
            self._finished.put((target, piece, failure))

        return work

    def _step(self, fetches: Fetches) -> None:
        try:
            target, piece, failure = self._finished.get(timeout=0.2)
        except queue.Empty:
            self._tell("")
            return
        self._running -= 1
        if failure is not None:
            raise failure
        self._check(self._got(target, piece), fetches)
        self._tell(target.name)
        if time.monotonic() - self._last > _EVERY:
            self._write_journal()

    def _got(self, target: Target, piece: int) -> list[Check]:
        target.done.add(piece)
        self._written.add(target)
        ready = []
        for check in self._by_piece.get((target.name, piece), []):
            check.missing.discard(piece)
            if not check.missing and not check.passed:
                ready.append(check)
        return ready

    def _take_finished(self) -> None:
        """What was written until the end is not to be fetched again."""
        while not self._finished.empty():
            target, piece, failure = self._finished.get()
            if failure is None:
                target.done.add(piece)
                self._written.add(target)

    def _check(self, checks: list[Check], fetches: Fetches) -> None:
        for check in checks:
            if check.missing:
                continue  # another one has just had its pieces fetched again
            try:
                check.work()
                check.passed = True
            except CorruptError:
                again = check.target.at_its_place or not check.failed
                check.failed = not check.target.at_its_place
                self._drop(check)
                if not again:
                    raise
                self._start(check.target, set(range(check.target.pieces)) - check.target.done, fetches)

    def _drop(self, check: Check) -> None:
        pieces = set(check.pieces)
        if check.target.at_its_place:
            pieces = set(range(check.target.pieces))
            check.target.leave_place(self._folder)
        check.target.done -= pieces
        for piece in pieces:
            for other in self._by_piece.get((check.target.name, piece), []):
                other.missing.add(piece)
                other.passed = False

    def _tell(self, name: str) -> None:
        if self._sink is not None:
            done = sum(min(len(t.done) * PIECE, t.size) for t in self._targets)
            self._sink("pull", done, sum(t.size for t in self._targets), name)

    def _write_journal(self) -> None:
        # What the journal has must be on the disk.
        for target in self._written:
            if not target.at_its_place:
                os.fdatasync(target.fd)
        self._written.clear()
        self._folder.write_journal({target.name: target.journalled() for target in self._targets})
        self._last = time.monotonic()


def _archive_targets(found: Located) -> list[Target]:
    targets = []
    for file in found.files:
        name = name_of(file.url)
        if not is_plain(name) or "/" in name or name.startswith(".llmcodec-"):
            raise io_error(CorruptError, file.url, "has no plain name for a file of this machine")
        targets.append(Target(name, file, file.fingerprint()))
    return targets


def _beside_targets(found: Located, core: _core.Archive) -> list[Target]:
    listed = core.files_beside()
    if not all(is_plain(name) for name, _ in listed):
        raise io_error(CorruptError, found.files[0].url, "lists a file whose name is not plain")
    remotes = [RemoteFile(beside(found.files[0].url, name)) for name, _ in listed]
    with Fetches() as fetches:  # of an empty file no range can be had
        fetches.all([remote.probe for remote, (_, size) in zip(remotes, listed, strict=True) if size != 0])
    targets = []
    for remote, (name, size) in zip(remotes, listed, strict=True):
        if remote.identity.size != size:
            message = f"has {remote.identity.size} bytes, and the archive's description says {size}"
            raise io_error(CorruptError, remote.url, message)
        targets.append(Target(name, remote, f"{size}"))
    return targets


def _checks(core: _core.Archive, archive: list[Target], extra: list[Target]) -> list[Check]:
    checks = []
    places = {tensor.position: number for number, tensor in enumerate(core.tensors())}
    for number in places.values():
        ranges = [part for part in core.stored(number) if part[2] != 0]
        if ranges:
            target = archive[ranges[0][0]]
            pieces = {piece for _, offset, size in ranges for piece in target.touched(offset, size)}
            checks.append(Check(target, pieces, partial(core.check_stored, number)))
    for target in archive:
        pieces = {piece for offset, block in target.remote.head for piece in target.touched(offset, len(block))}
        checks.append(Check(target, pieces, partial(_check_head, target)))
        if _GGUF_HEADER in target.remote.header:
            checks.append(Check(target, set(range(target.pieces)), core.check_stored))
    beside = [Check(t, set(range(t.pieces)), partial(core.check_beside, t.name, t.read)) for t in extra]
    return [*checks, *beside]


def _check_index(url: str, text: bytes, targets: list[Target]) -> None:
    """The index is kept as it is, and so must say where the tensors are."""
    listed = dict(json.loads(text)["weight_map"])
    there = {name: target.name for target in targets for name in target.remote.header if name != "__metadata__"}
    if listed != there:
        raise io_error(CorruptError, url, "says of other tensors than its shards have: they are not of one archive")


def _check_head(target: Target) -> None:
    for offset, block in target.remote.head:
        memory = bytearray(len(block))
        target.read(offset, memoryview(memory))
        if memory != block:
            raise io_error(
                CorruptError, target.remote.url, "the header on the disk is not the one that was read before", offset
            )


class _Reads:
    """A file on its way, for the library: header and description as they were read at first, and all else from the disk."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __call__(self, offset: int, memory: memoryview) -> None:
        if self._target.remote.has(offset, len(memory)):
            self._target.remote(offset, memory)
        else:
            self._target.read(offset, memory)


def pull(url: str, output: Path, *, tensors: str | None = None, progress: ProgressOption = None) -> list[str]:
    """Fetches the archive at a URL, with the files that lie beside it, into the folder `output`; gives the paths of all files.

    url         an archive, an index of shards, or the folder of either (docs/remote.md)
    tensors     a regular expression: instead of the archive, the tensors in whose names it is found, decoded, are written to
                `tensors.safetensors`, an ordinary safetensors file
    progress    as everywhere: True shows a bar, a function is told; in bytes

    What was stopped goes on where it was when the same is called again. Every tensor is checked, and a file gets its name
    when all are there.
    """
    if not is_url(url):
        raise InvalidArgumentError(f"{printable(str(url))!r} is no URL")
    with shown(progress) as sink:
        if tensors is not None:
            return write_tensors(url, output, tensors, sink)
        found = located(url)
        archive = _archive_targets(found)
        core = open_files(found.files, [_Reads(target) for target in archive], control())
        extra = _beside_targets(found, core)
        folder = Folder(output)
        try:
            with folder.errors():
                return _pull_into(folder, found, [*extra, *archive], _checks(core, archive, extra), sink)
        finally:
            for target in (*archive, *extra):
                target.close()
            folder.close()


def _pull_into(folder: Folder, found: Located, targets: list[Target], checks: list[Check], sink: Sink | None) -> list[str]:
    names = [target.name for target in targets] + ([] if found.index is None else [name_of(found.index[0])])
    partials = [name + ".partial" for name in names]
    if len({*names, *partials, JOURNAL}) != 2 * len(names) + 1 or not all(map(is_plain, names)):
        raise io_error(CorruptError, found.files[0].url, "has two files of one name, or names that are not plain")
    if found.index is not None:
        _check_index(*found.index, targets)
    folder.check_other_weights(set(names))
    said = folder.journal()
    for target in targets:
        target.open(folder, said.get(target.name))
    Pull(folder, targets, checks, sink).run()
    for target in targets:
        if not target.at_its_place:
            folder.rename(target.name + ".partial", target.name)
    if found.index is not None:
        folder.write(names[-1], found.index[1])
    folder.flush()
    folder.remove(JOURNAL)
    return [os.path.join(folder.path, name) for name in names]

# SPDX-License-Identifier: BSD-3-Clause
"""Some tensors of an archive elsewhere, decoded, as an ordinary safetensors file."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import closing

import numpy as np

from ._errors import InvalidArgumentError
from ._frameworks import Bytes, Numpy
from ._pull_folder import JOURNAL, Folder, intervals, numbers, write_at
from ._reader import Opened
from ._remote import RemoteArchive, open_remote
from ._safetensors import header_bytes
from ._system import Path, control
from ._transport import io_error

NAME = "tensors.safetensors"

Sink = Callable[[str, int, int, str], None]


def write_tensors(url: str, output: Path, pattern: str, sink: Sink | None) -> list[str]:
    """Writes those whose names the pattern is found in, and gives the path. What was stopped goes on where it was."""
    try:
        found = re.compile(pattern).search
    except re.error as error:
        raise InvalidArgumentError(f"{pattern!r} is no regular expression: {error}") from error
    archive = open_remote(url, control())
    opened = Opened(archive, Numpy(), None, 0)
    wanted = [number for name, number in opened.names.items() if found(name)]
    if not wanted:
        raise io_error(InvalidArgumentError, url, f"no tensor has a name with {pattern!r} in it")
    folder = Folder(output)
    try:
        with folder.errors():
            _write(folder, _Part(archive, opened, wanted), archive, opened, sink)
        return [os.path.join(folder.path, NAME)]
    finally:
        folder.close()


class _Part:
    """The file that is to be, and which of its tensors, by their place in it, are there."""

    def __init__(self, archive: RemoteArchive, opened: Opened, numbers: list[int]) -> None:
        self._archive, self._opened = archive, opened
        # Wide elements first, so that each tensor is aligned to its own.
        sizes = {number: archive.byte_size(number, opened.dtype(number)) for number in numbers}
        self.numbers = sorted(numbers, key=lambda n: -(sizes[n] // max(opened.tensors[n].elements, 1)))
        header: dict[str, object] = {"__metadata__": archive.metadata()}
        self._ranges: dict[int, tuple[int, int]] = {}
        self.total = 0  # bytes of tensors
        for number in self.numbers:
            tensor, begin = opened.tensors[number], self.total
            self.total += sizes[number]
            self._ranges[number] = begin, sizes[number]
            header[tensor.name] = {"dtype": opened.dtype(number), "shape": tensor.shape, "data_offsets": [begin, self.total]}
        self._begin = header_bytes(header)
        self._key = hashlib.sha256(self._begin + "".join(file.fingerprint() for file in archive.files).encode()).hexdigest()
        self.done: set[int] = set()
        self._fd = -1

    def open(self, folder: Folder) -> None:
        """Takes up what an earlier pull of the same tensors left."""
        said = folder.journal().get(NAME)
        self._fd = folder.open(NAME + ".partial", os.O_RDWR | os.O_CREAT)
        size = len(self._begin) + self.total
        if isinstance(said, dict) and said.get("key") == self._key and os.fstat(self._fd).st_size == size:
            self.done = {self.numbers[place] for place in numbers(said.get("done")) if place < len(self.numbers)}
            return
        folder.check_room(size)
        os.ftruncate(self._fd, 0)
        os.ftruncate(self._fd, size)
        write_at(self._fd, 0, self._begin)

    def close(self) -> None:
        """Lets go of the file."""
        if self._fd >= 0:
            os.close(self._fd)

    def write(self, number: int) -> None:
        """Decodes a tensor, whose bytes are here, into its place."""
        begin, size = self._ranges[number]
        memory: Bytes = np.empty(size, np.uint8)
        self._archive.decode([(number, memory)], self._opened.dtype(number), 0)
        write_at(self._fd, len(self._begin) + begin, memory.data)
        self.done.add(number)

    def bytes_done(self) -> int:
        """Of tensors."""
        return sum(self._ranges[number][1] for number in self.done)

    def keep(self, folder: Folder) -> None:
        """What the journal has must be on the disk."""
        os.fsync(self._fd)
        done = intervals(place for place, number in enumerate(self.numbers) if number in self.done)
        folder.write_journal(folder.journal() | {NAME: {"key": self._key, "done": done}})


def _write(folder: Folder, part: _Part, archive: RemoteArchive, opened: Opened, sink: Sink | None) -> None:
    part.open(folder)
    missing = [number for number in part.numbers if number not in part.done]
    with closing(part), closing(archive.batches(missing)) as batches:
        for batch in batches:
            for number in batch:
                part.write(number)
                if sink is not None:
                    sink("pull", part.bytes_done(), part.total, opened.tensors[number].name)
            part.keep(folder)
    folder.rename(NAME + ".partial", NAME)
    others = {name: said for name, said in folder.journal().items() if name != NAME}
    if others:
        folder.write_journal(others)
    else:
        folder.remove(JOURNAL)

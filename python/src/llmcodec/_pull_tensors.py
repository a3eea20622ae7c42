# SPDX-License-Identifier: BSD-3-Clause
"""Some tensors of an archive elsewhere, decoded, as an ordinary safetensors file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import closing

import numpy as np

from ._errors import InvalidArgumentError
from ._frameworks import Bytes, Numpy
from ._pull_folder import Folder
from ._reader import Opened
from ._remote import RemoteArchive, open_remote
from ._safetensors import header_bytes
from ._system import Path, control
from ._transport import io_error

NAME = "tensors.safetensors"


def write_tensors(url: str, output: Path, pattern: str, sink: Callable[[str, int, int, str], None] | None) -> list[str]:
    """Writes those whose names the pattern is found in, and gives the path."""
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise InvalidArgumentError(f"{pattern!r} is no regular expression: {error}") from error
    archive = open_remote(url, control())
    opened = Opened(archive, Numpy(), None, 0)
    numbers = [number for name, number in opened.names.items() if wanted.search(name)]
    if not numbers:
        raise io_error(InvalidArgumentError, url, f"no tensor has a name with {pattern!r} in it")
    folder = Folder(output)
    try:
        with folder.errors():
            _write(folder, archive, opened, numbers, sink)
        return [os.path.join(folder.path, NAME)]
    finally:
        folder.close()


def _write(
    folder: Folder,
    archive: RemoteArchive,
    opened: Opened,
    numbers: list[int],
    sink: Callable[[str, int, int, str], None] | None,
) -> None:
    # Wide elements first, so that each tensor is aligned to its own.
    sizes = {number: archive.byte_size(number, opened.dtype(number)) for number in numbers}
    numbers = sorted(numbers, key=lambda n: -(sizes[n] // max(opened.tensors[n].elements, 1)))
    header: dict[str, object] = {"__metadata__": archive.metadata()}
    places, total = {}, 0
    for number in numbers:
        tensor = opened.tensors[number]
        places[number] = total
        ends = [total, total + sizes[number]]
        header[tensor.name] = {"dtype": opened.dtype(number), "shape": tensor.shape, "data_offsets": ends}
        total = ends[1]
    begin = header_bytes(header)
    folder.check_room(len(begin) + total)
    with os.fdopen(folder.open(NAME + ".partial", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
        file.write(begin)
        done = 0
        with closing(archive.batches(numbers)) as batches:
            for number in (number for batch in batches for number in batch):
                memory: Bytes = np.empty(sizes[number], np.uint8)
                archive.decode([(number, memory)], opened.dtype(number), 0)
                file.seek(len(begin) + places[number])
                file.write(memory.data)
                done += sizes[number]
                if sink is not None:
                    sink("pull", done, total, opened.tensors[number].name)
        file.flush()
        os.fsync(file.fileno())
    folder.rename(NAME + ".partial", NAME)

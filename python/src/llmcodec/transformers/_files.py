# SPDX-License-Identifier: BSD-3-Clause
"""The files of an archive, as transformers reads those of a plain model: tensors under their own names, decoded on demand.

transformers opens each file of weights by the `safe_open` of safetensors that its module `modeling_utils` has imported.
`install` puts our function there, which opens archives, and leaves all other files to safetensors. Everything else of
transformers, such as the conversions that fuse experts, sees a plain model.
"""

from __future__ import annotations

import os
import re
import threading
from typing import Any

import safetensors
import transformers
from transformers import modeling_utils

from llmcodec import _core
from llmcodec._errors import UnsupportedError
from llmcodec._reader import Opened, SafeSlice, safe_open
from llmcodec._system import encoded

TESTED = "transformers 5.23"
_SHARD = re.compile(r"^(.*)-(\d{5,})-of-\d{5,}\.safetensors$")
_AHEAD = 1 << 24  # weights that are decoded together: as fast as all at once, and little beside a model


class ReadAhead:
    """Whole tensors, asked for one by one and from several threads, but decoded several at a time.

    transformers sorts the names, numbers by their value, and asks in this order. So the tensors that follow are decoded with
    the one that is asked for. What was decoded in vain is let go with the next batch.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._order = sorted(opened.names, key=_natural)
        self._places = {name: place for place, name in enumerate(self._order)}
        self._lock = threading.Lock()
        self._decoded: dict[str, Any] = {}

    def take(self, name: str) -> Any:
        with self._lock:
            if name not in self._decoded:
                self._decoded = {}  # before the next batch, not beside it
                self._decoded = self._opened.read(self._batch(name))
            return self._decoded.pop(name)

    def _batch(self, name: str) -> list[str]:
        batch: list[str] = []
        weights = 0
        for following in self._order[self._places[name] :]:
            weights += self._opened.tensors[self._opened.names[following]].elements
            if batch and weights > _AHEAD:
                break
            batch.append(following)
        return batch


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


class WholeOrPart:
    """A slice of which the whole comes from the tensors that are decoded ahead."""

    def __init__(self, name: str, part: SafeSlice, ahead: ReadAhead) -> None:
        self._name, self._part, self._ahead = name, part, ahead

    def get_shape(self) -> list[int]:
        return self._part.get_shape()

    def get_dtype(self) -> str:
        return self._part.get_dtype()

    def __getitem__(self, index: Any) -> Any:
        return self._ahead.take(self._name) if index is Ellipsis else self._part[index]


class ArchiveFile:
    """A file of an archive, with the methods of a handle of safetensors. Of several shards the first one has the tensors of
    all, for an archive is opened as a whole, and transformers puts the tensors of all shards together anyway."""

    def __init__(self, filename: str, device: Any) -> None:
        shard = _SHARD.match(filename)
        self._archive = safe_open(filename if shard is None else f"{shard[1]}.safetensors.index.json", "pt", device)
        self._names = self._archive.keys() if shard is None or int(shard[2]) == 1 else []
        self._ahead = ReadAhead(self._archive._open())

    def __enter__(self) -> ArchiveFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.__exit__(None, None, None)

    def keys(self) -> list[str]:
        return list(self._names)

    def metadata(self) -> dict[str, str] | None:
        return self._archive.metadata()

    def get_tensor(self, name: str) -> Any:
        return self._archive.get_tensor(name)

    def get_slice(self, name: str) -> Any:
        return WholeOrPart(name, self._archive.get_slice(name), self._ahead)


def open_file(filename: str | os.PathLike[str], framework: str, device: Any = "cpu", **options: Any) -> Any:
    """`safetensors.safe_open`, for archives too."""
    if not is_archive(filename):
        return safetensors.safe_open(filename, framework=framework, device=device, **options)
    return ArchiveFile(os.fspath(filename), device)


def is_archive(filename: str | os.PathLike[str]) -> bool:
    """Whether a file of weights is one of an archive."""
    return _core.is_archive(encoded(filename))


def install() -> None:
    """Has transformers open files by `open_file`. UnsupportedError for a version that opens them in another way."""
    if modeling_utils.__dict__.get("safe_open") not in (safetensors.safe_open, open_file):
        raise UnsupportedError(
            f"transformers {transformers.__version__} opens files of weights in a way that llmcodec does not know ({TESTED} is "
            "tested): install that, or restore the model by llmcodec.decompress()"
        )
    modeling_utils.safe_open = open_file

# SPDX-License-Identifier: BSD-3-Clause
"""Headers and descriptions of archives elsewhere, kept on the disk for the next time; known by URL and ETag.

An entry is one line of JSON and then bytes, under a checksum. What is not as it was written is dropped, and nothing here is
ever a reason to fail: without a cache the bytes are fetched.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import tempfile
from dataclasses import dataclass

from ._system import cache_folder
from ._urls import redacted

Blocks = list[tuple[int, bytes]]

MOST_BYTES = 256 << 20
_MOST_OF_ONE = 64 << 20
_SUFFIX = ".head"


@dataclass(frozen=True)
class Entry:
    """What is known of a file, and blocks of it by their offset."""

    size: int
    tag: str
    blocks: Blocks


def folder() -> pathlib.Path:
    """Where entries are."""
    return pathlib.Path(cache_folder())


def _path(url: str) -> pathlib.Path:
    # Of the URL without its secrets: a signature is another one each time, and none is to be found out from a name.
    return folder() / (hashlib.sha256(redacted(url).encode()).hexdigest() + _SUFFIX)


def load(url: str) -> Entry | None:
    """The entry of this URL, whatever its tag."""
    try:
        path = _path(url)
        with open(path, "rb") as file:
            head, body = file.readline(4096), file.read(_MOST_OF_ONE + 1)
    except (OSError, RuntimeError):
        return None
    try:
        return _parsed(url, json.loads(head), body)
    except (ValueError, KeyError, TypeError, RecursionError):
        path.unlink(missing_ok=True)
        return None


def _parsed(url: str, said: dict[str, object], body: bytes) -> Entry:
    if said["url"] != redacted(url) or said["sha256"] != hashlib.sha256(body).hexdigest():
        raise ValueError("another entry")
    size, tag, lengths = said["size"], said["tag"], said["blocks"]
    if not (isinstance(size, int) and isinstance(tag, str) and isinstance(lengths, list)):
        raise TypeError("no entry")
    blocks, at = [], 0
    for offset, length in lengths:
        blocks.append((int(offset), body[at : at + int(length)]))
        at += int(length)
    return Entry(size, tag, blocks)


def store(url: str, entry: Entry) -> None:
    """Keeps an entry, and drops the oldest ones where there are too many."""
    body = b"".join(block for _, block in entry.blocks)
    said = {
        "url": redacted(url),
        "size": entry.size,
        "tag": entry.tag,
        "blocks": [[offset, len(block)] for offset, block in entry.blocks],
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    head = json.dumps(said).encode() + b"\n"
    if len(body) > _MOST_OF_ONE or len(head) > 4096:
        return
    try:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder(), suffix=".new", delete=False) as file:
            file.write(head + body)
        os.replace(file.name, _path(url))
        _drop_oldest()
    except (OSError, RuntimeError):
        return


def _drop_oldest() -> None:
    found = [(entry.stat(), entry) for entry in folder().iterdir() if entry.suffix in (_SUFFIX, ".new")]
    left = sum(status.st_size for status, _ in found)
    for status, entry in sorted(found, key=lambda item: item[0].st_mtime):
        if left <= MOST_BYTES:
            break
        entry.unlink(missing_ok=True)
        left -= status.st_size

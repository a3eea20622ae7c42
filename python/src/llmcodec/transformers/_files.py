# SPDX-License-Identifier: BSD-3-Clause
"""The files of an archive, as transformers reads those of a plain model: tensors under their own names, decoded on demand.

transformers opens each file of weights by the `safe_open` of safetensors that its module `modeling_utils` has imported.
`install` puts our function there, which opens archives, and leaves all other files to safetensors. Everything else of
transformers, such as the conversions that fuse experts, sees a plain model.
"""

from __future__ import annotations

import os
import re
from typing import Any

import safetensors
import transformers
from transformers import modeling_utils

from llmcodec import _core
from llmcodec._errors import UnsupportedError
from llmcodec._reader import safe_open
from llmcodec._system import encoded

TESTED = "transformers 5.23"
_SHARD = re.compile(r"^(.*)-(\d{5,})-of-\d{5,}\.safetensors$")


class ArchiveFile:
    """A file of an archive, with the methods of a handle of safetensors. Of several shards the first one has the tensors of
    all, for an archive is opened as a whole, and transformers puts the tensors of all shards together anyway."""

    def __init__(self, filename: str, device: Any) -> None:
        shard = _SHARD.match(filename)
        self._archive = safe_open(filename if shard is None else f"{shard[1]}.safetensors.index.json", "pt", device)
        self._names = self._archive.keys() if shard is None or int(shard[2]) == 1 else []

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
        return self._archive.get_slice(name)


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

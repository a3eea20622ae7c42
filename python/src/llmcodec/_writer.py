# SPDX-License-Identifier: BSD-3-Clause
"""Archives of tensors that are in memory."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from typing import Any

from . import _core
from ._frameworks import Bytes
from ._models import coding_options, noted, recorded_call
from ._progress import ProgressOption, shown
from ._system import Path, encoded
from .reports import CompressReport, made

#: A tensor's dtype (by its name in safetensors), shape, and bytes.
Given = tuple[str, tuple[int, ...], Bytes]


def write(
    tensors: Mapping[str, Given],
    filename: Path,
    metadata: Mapping[str, str] | None,
    progress: ProgressOption,
    options: Mapping[str, Any],
) -> CompressReport:
    """What `save_file` of each framework does with its tensors."""
    return _written(tensors, encoded(filename), metadata, progress, options, recorded_call("save_file", (filename,), options))


def written_bytes(
    tensors: Mapping[str, Given],
    metadata: Mapping[str, str] | None,
    progress: ProgressOption,
    options: Mapping[str, Any],
) -> bytes:
    """What `save` of each framework does: through a file, for the library writes one, in the folder for temporary files."""
    with tempfile.TemporaryDirectory(prefix="llmcodec_") as folder:
        path = os.path.join(folder, "archive.safetensors")
        _written(tensors, os.fsencode(path), metadata, progress, options, recorded_call("save", (), options))
        with open(path, "rb") as file:
            return file.read()


def _written(
    tensors: Mapping[str, Given],
    output: bytes,
    metadata: Mapping[str, str] | None,
    progress: ProgressOption,
    options: Mapping[str, Any],
    command: str,
) -> CompressReport:
    made_options = coding_options("save_file", options)
    made_options.output = output
    made_options.command = command
    given = [(name, *tensor) for name, tensor in tensors.items()]
    with shown(progress) as sink:
        text = _core.compress_arrays(given, dict(metadata or {}), made_options, sink)
    # Tensors without a model's files say little of themselves, which is no surprise to who gave them.
    return noted(made(CompressReport, json.loads(text)), logging.INFO)

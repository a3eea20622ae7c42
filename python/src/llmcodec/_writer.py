# SPDX-License-Identifier: BSD-3-Clause
"""Archives of tensors that are in memory."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from . import _core
from ._frameworks import Bytes
from ._models import _recorded, coding_options, noted
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
    made_options = coding_options("save_file", options)
    made_options.output = encoded(filename)
    made_options.command = _recorded("llmcodec.save_file", (filename,), options)
    given = [(name, *tensor) for name, tensor in tensors.items()]
    with shown(progress) as sink:
        text = _core.compress_arrays(given, dict(metadata or {}), made_options, sink)
    # Tensors without a model's files say little of themselves, which is no surprise to who gave them.
    return noted(made(CompressReport, json.loads(text)), logging.INFO)


def bytes_of(save_file: Callable[[str], object]) -> bytes:
    """What `save_file` writes into a file; for that one is needed, in the folder for temporary files."""
    with tempfile.TemporaryDirectory(prefix="llmcodec_") as folder:
        path = os.path.join(folder, "archive.safetensors")
        save_file(path)
        with open(path, "rb") as file:
            return file.read()

# SPDX-License-Identifier: BSD-3-Clause
"""What an interrupted run leaves for the next one, and where finished files are kept: both by the run's key.

The key is a hash of the model's files, the options that change the result, and the version of this package.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Mapping
from typing import Any

from llmcodec._errors import UnsupportedError

_MODEL_FILES = (".safetensors", ".json", ".model", ".jinja", ".txt")


def run_key(source: str, options: Mapping[str, Any], version: str) -> str:
    """Reads the model's files once. A text counts by its content."""
    state = hashlib.sha256(json.dumps([version, sorted(options.items())]).encode())
    for path in model_files(source) + ([options["text"]] if options.get("text") else []):
        with open(path, "rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
        state.update(f"\n{os.path.basename(path)} {digest.hexdigest()}".encode())
    return state.hexdigest()[:32]


def model_files(source: str) -> list[str]:
    if not os.path.isdir(source):
        return [source]
    names = sorted(name for name in os.listdir(source) if name.endswith(_MODEL_FILES))
    return [os.path.join(source, name) for name in names]


class WorkFolder:
    """A folder for one run at a time; what a run of another key left there is thrown away."""

    def __init__(self, path: str, key: str) -> None:
        self.path = path
        os.makedirs(path, exist_ok=True)
        self._lock = open(self.file("lock"), "w", encoding="utf-8")  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise UnsupportedError(
                f"{path}: another calibration is at work here: wait for it, and then run this again"
            ) from error
        if self._text("key") != key:
            for name in set(os.listdir(path)) - {"lock"}:
                os.remove(self.file(name))
            self._write("key", key)

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def load(self, name: str, *kinds: Any) -> Any:
        """What was saved under this name, of tensors, Python's own types and `kinds`; None if nothing was, or it is damaged."""
        import torch

        try:
            with torch.serialization.safe_globals(list(kinds)):
                return torch.load(self.file(name), weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
            return None

    def save(self, name: str, value: Any) -> None:
        import torch

        torch.save(value, self.file(name + ".partial"))
        os.replace(self.file(name + ".partial"), self.file(name))

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Lets another run in."""
        self._lock.close()

    def _text(self, name: str) -> str:
        try:
            with open(self.file(name), encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""

    def _write(self, name: str, text: str) -> None:
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write(text)

# SPDX-License-Identifier: BSD-3-Clause
"""What a calibration is asked for, and what it gives."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from llmcodec._errors import InvalidArgumentError, UnsupportedError

Say = Callable[[str], None]
# Of a calibration, where nothing else is asked for: 0.197 of KL at 3 bits on SmolLM2, where 204,800 of the web gave 0.189.
TOKENS = 40_960


def silent(_line: str) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class Calibration:
    """The files that were written; each None if it was not asked for."""

    imatrix: str | None = None
    hessian: str | None = None


@dataclass(frozen=True)
class Source:
    """A model and the tokens that it is run on."""

    model: str  # the folder, or the GGUF file
    kind: str  # "text", "random" or "self"
    text: str | None
    tokens: int
    length: int
    seed: int
    chat: float

    @staticmethod
    def of(
        model: str | os.PathLike[str],
        *,
        text: str | os.PathLike[str] | None = None,
        random: bool = False,
        self_written: bool = False,
        tokens: int | None = None,
        length: int | None = None,
        seed: int = 1,
        chat: float = 0.0,
    ) -> Source:
        if (text is not None) + random + self_written > 1:
            raise InvalidArgumentError("text, random and self_written exclude each other")
        kind = "text" if text is not None else "random" if random else "self"
        tokens = TOKENS if tokens is None else tokens
        length = (512 if kind == "text" else 256) if length is None else length
        if not 2 <= length <= tokens:
            raise InvalidArgumentError(f"length {length}: sequences have 2 tokens at least, and no more than tokens={tokens}")
        if not 0 <= chat <= 1 or (chat and kind != "self"):
            raise InvalidArgumentError("chat is a share from 0 to 1 of self-written text")
        if text is not None and not os.path.isfile(text):
            raise InvalidArgumentError(f"{os.fspath(text)}: no such file")
        path = None if text is None else os.fspath(text)
        return Source(model_source(os.fspath(model)), kind, path, tokens, length, seed, chat)

    def options(self) -> dict[str, Any]:
        """All but the model."""
        return {key: value for key, value in asdict(self).items() if key != "model"}

    def described(self) -> str:
        return {"text": os.path.basename(self.text or ""), "random": "random token ids", "self": "written by the model"}[
            self.kind
        ]


def is_gguf(path: str) -> bool:
    if os.path.isdir(path):
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"GGUF"


def model_source(path: str) -> str:
    """The folder or the GGUF file that `path` belongs to: weights in safetensors mean their folder."""
    if not os.path.exists(path):
        raise InvalidArgumentError(f"{path}: no such file or folder")
    if is_gguf(path):
        return path
    folder = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
    if not os.path.isfile(os.path.join(folder, "config.json")):
        raise UnsupportedError(f"{path}: neither a GGUF file nor weights of a Hugging Face folder with a config.json")
    return folder

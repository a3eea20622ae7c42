# SPDX-License-Identifier: BSD-3-Clause
"""Exceptions: one class per remedy, as the library's kinds of errors are (docs/cli.md, "Errors and exit codes")."""

from __future__ import annotations

import os
import re


class Error(Exception):
    """What every error of this package is.

    `str(error)` is one line: "FILE: tensor 'NAME': offset N: MESSAGE", absent parts left out. Its parts are the
    attributes `file`, `tensor`, `offset` (bytes from the start of the file), each None where it is not known, and
    `message`. `kind` is the name that `--json` prints.
    """

    kind = "internal"

    def __init__(
        self,
        text: str = "",
        *,
        message: str | None = None,
        file: str | None = None,
        tensor: str | None = None,
        offset: int | None = None,
    ) -> None:
        super().__init__(text)
        self.message = text if message is None else message
        self.file = file
        self.tensor = tensor
        self.offset = offset


class IoError(Error, OSError):
    """The system refused: no space, no permission, a disk that fails."""

    kind = "io"


class MissingFileError(IoError, FileNotFoundError):
    """The file is not there, or one that belongs to it, such as a shard."""


class AccessError(IoError, PermissionError):
    """A server or store refuses to give the file. Stores whose folders may not be listed say so of absent files too."""


class CorruptError(Error):
    """The file breaks its own format: it was cut or changed, or is something else."""

    kind = "corrupt"


class UnsupportedError(Error):
    """A sound file, or a wish, that is not handled here; or a program that is not installed."""

    kind = "unsupported"


class InvalidArgumentError(Error, ValueError):
    """The caller's values are wrong: a name that the archive has not, a target out of reach, NaN in a tensor."""

    kind = "invalid_argument"


class LimitError(Error):
    """A stated limit on sizes or time was passed, or there is no thread to be had."""

    kind = "limit"


class InterruptError(Error):
    """The work was stopped from within. Ctrl-C is KeyboardInterrupt, as everywhere in Python."""

    kind = "interrupted"


class InternalError(Error):
    """A mistake of this package: please report it."""

    kind = "internal"


_KINDS: dict[str, type[Error]] = {
    cls.kind: cls
    for cls in (
        IoError,
        CorruptError,
        UnsupportedError,
        InvalidArgumentError,
        LimitError,
        InterruptError,
        InternalError,
    )
}


for _class in (Error, MissingFileError, *_KINDS.values()):
    _class.__module__ = "llmcodec"  # where users find them


def printable(text: str) -> str:
    """A text from a file as terminals may have it: what they would obey is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def in_tensor(cls: type[Error], name: str, message: str) -> Error:
    """An error of this side about a tensor, worded as the library's are."""
    return cls(f"tensor '{printable(name)}': {message}", message=message, tensor=name)


def from_library(kind: str, text: str, message: str, file: str | None, tensor: str | None, offset: int | None) -> Error:
    """The exception for an error of the C++ library, which calls this."""
    cls = _KINDS[kind]
    elsewhere = file is not None and re.match(r"[A-Za-z][A-Za-z0-9+.:-]*://", file) is not None
    if cls is IoError and file is not None and not elsewhere and not os.path.lexists(file):
        cls = MissingFileError
    return cls(text, message=message, file=file, tensor=tensor, offset=offset)

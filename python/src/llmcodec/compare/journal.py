# SPDX-License-Identifier: BSD-3-Clause
"""What a comparison has done so far, line by line: first the plan, then the rows as they come. A killed run goes on from it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import IO, Any

from llmcodec._errors import InvalidArgumentError, IoError


class Journal:
    """The file `PATH.partial` of results that are to be PATH. One process at a time has it."""

    def __init__(self, output: str, restart: bool) -> None:
        self.path = f"{output}.partial"
        try:
            self._file: IO[bytes] = open(self.path, "a+b")  # noqa: SIM115 (close() does)
        except OSError as error:
            raise IoError(f"{self.path}: {error.strerror}", file=self.path, message=str(error.strerror)) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise IoError(f"{self.path}: another `llmcodec compare` is writing it", file=self.path) from None
        if restart:
            self._file.truncate(0)

    def read(self) -> tuple[dict[str, Any] | None, dict[str, dict[str, Any]]]:
        """The plan, None of a new journal, and the rows by their points. A line that was cut with its writer is dropped."""
        self._file.seek(0)
        lines, kept = self._file.read().split(b"\n"), 0
        records = []
        for line in lines[:-1]:
            try:
                records.append(json.loads(line))
            except ValueError:
                break
            kept += len(line) + 1
        self._file.truncate(kept)
        if not records:
            return None, {}
        if not all(isinstance(record, dict) for record in records) or any(
            key not in record for key, record in zip(["plan"] + ["row"] * len(records), records, strict=False)
        ):
            raise InvalidArgumentError(f"{self.path} is no journal of a comparison: remove it, or pass --restart")
        return records[0]["plan"], {record["row"]["point"]: record["row"] for record in records[1:]}

    def write_plan(self, plan: dict[str, Any]) -> None:
        """The first record."""
        self._append({"plan": plan})

    def write_row(self, row: dict[str, Any]) -> None:
        """A point that is done."""
        self._append({"row": row})

    def _append(self, record: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(record, allow_nan=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise IoError(f"{self.path}: {error.strerror}", file=self.path, message=str(error.strerror)) from None

    def remove(self) -> None:
        """The results are written."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        self.close()

    def close(self) -> None:
        """Leaves it for the next run."""
        self._file.close()

# SPDX-License-Identifier: BSD-3-Clause
"""results.json: what it holds (docs/compare.md), how it is written, and the checks of a file that comes from a stranger."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from typing import Any

from llmcodec._errors import CorruptError, IoError, LimitError

FORMAT = 1
_KEY = "llmcodec_compare"
_MAX_BYTES = 1 << 28
# What rows must have, and of which type; None where nothing was measured.
_ROW_TEXTS = (
    "codec",
    "spec",
    "preset",
    "profile",
    "frames",
    "layout",
    "tools",
    "scales",
    "model",
    "tensor",
    "kind",
    "role",
    "combination",
)
_ROW_NUMBERS = ("rate", "bpw", "snr_db", "gap_db", "encode_mws", "decode_mws", "encode_cpu_s", "decode_cpu_s", "weights")
# What two runs of one plan may differ in, at the top.
_RUN = ("created", "machine", "command", "seconds", "request", "costs")


def write(path: str, results: dict[str, Any]) -> None:
    """The whole file or nothing, under its name."""
    beside = f"{path}.new"
    try:
        with open(beside, "w", encoding="utf-8") as file:
            json.dump({_KEY: FORMAT} | results, file, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise IoError(f"{path}: {error.strerror}", file=path, message=str(error.strerror)) from None


def load(path: str) -> dict[str, Any]:
    """The file as it is, checked: CorruptError names what is wrong with it, LimitError is for one above 256 MiB."""
    try:
        if os.path.getsize(path) > _MAX_BYTES:
            raise LimitError(f"{path}: larger than 256 MiB", file=path)
        with open(path, encoding="utf-8") as file:
            found = json.load(file, parse_constant=_no_constant)
    except OSError as error:
        raise IoError(f"{path}: {error.strerror}", file=path, message=str(error.strerror)) from None
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, f"no JSON: {error}") from None
    if not isinstance(found, dict) or found.get(_KEY) != FORMAT:
        raise _corrupt(path, f"no results of `llmcodec compare`: '{_KEY}' is not {FORMAT}")
    problem = next(_problems(found), None)
    if problem is not None:
        raise _corrupt(path, problem)
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _corrupt(path: str, message: str) -> CorruptError:
    return CorruptError(f"{path}: {message}", file=path, message=message)


def _problems(found: dict[str, Any]) -> Iterator[str]:
    for key, kind in (
        ("rows", list),
        ("models", list),
        ("pictures", list),
        ("left_out", list),
        ("anchor", dict),
        ("request", dict),
    ):
        if not isinstance(found.get(key), kind):
            yield f"'{key}' is no {'list' if kind is list else 'object'}"
            return
    for key in ("rows", "models", "pictures", "left_out"):
        if not all(isinstance(entry, dict) for entry in found[key]):
            yield f"'{key}' holds something that is no object"
            return
    for at, row in enumerate(found["rows"]):
        yield from (f"row {at}: {problem}" for problem in _row_problems(row))


def _row_problems(row: dict[str, Any]) -> Iterator[str]:
    for key in _ROW_TEXTS:
        if not isinstance(row.get(key), str):
            yield f"'{key}' is no text"
    if not isinstance(row.get("failed"), (str, type(None))):
        yield "'failed' is no text"
    if not isinstance(row.get("layer"), (int, type(None))) or not isinstance(row.get("varies"), list):
        yield "'layer' or 'varies' is of another type"
    for key in _ROW_NUMBERS:
        value = row.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
            yield f"'{key}' is no number"
        elif value is not None and not math.isfinite(value):
            yield f"'{key}' is not finite"
    measured = [row.get(key) for key in ("bpw", "snr_db", "gap_db", "weights")]
    if row.get("failed") is None and any(value is None for value in measured):
        yield "neither measured nor failed"


def without_times(results: dict[str, Any]) -> dict[str, Any]:
    """What two runs of the same plan have in common: everything but times and where they were made."""
    from .point import TIMES

    kept = {key: value for key, value in results.items() if key not in _RUN}
    kept["rows"] = [{key: value for key, value in row.items() if key not in TIMES} for row in results["rows"]]
    return kept

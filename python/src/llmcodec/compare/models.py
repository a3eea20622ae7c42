# SPDX-License-Identifier: BSD-3-Clause
"""Rows about whole models in results: perplexity, divergence and tasks, as a table with the original first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .summary import number

# Key of a row, what it is called, digits. Values are numbers, or objects of numbers by text or task.
_MEASURES = (
    ("perplexity", "perplexity", 2),
    ("kl", "KL", 4),
    ("top1_percent", "same first token %", 1),
    ("tasks", "", 1),
)


def table_of(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Headings and cells; a column for every text and task that some row has.

    Of each model "FP16" comes first, then the highest rates.
    """
    columns = [(key, part, digits, title) for key, name, digits in _MEASURES for part, title in _parts(rows, key, name)]
    cells = [["model", "codec", "bits per weight", *(title for *_, title in columns)]]
    for row in sorted(rows, key=lambda row: (str(row.get("model", "")), row.get("codec") != "FP16", -_rate(row))):
        values = [_value(row.get(key), part) for key, part, _, _ in columns]
        shown = [number(value, digits) for value, (_, _, digits, _) in zip(values, columns, strict=True)]
        cells.append([str(row.get("model", "")), str(row.get("codec", "")), number(_value(row.get("bpw"), None)), *shown])
    return cells


def _rate(row: Mapping[str, Any]) -> float:
    """Bits that were asked for, or those that were spent."""
    return _value(row.get("asked_bpw"), None) or _value(row.get("bpw"), None) or 0.0


def _parts(rows: Sequence[Mapping[str, Any]], key: str, name: str) -> list[tuple[str | None, str]]:
    found: dict[str | None, str] = {}
    for row in rows:
        value = row.get(key)
        if isinstance(value, dict):
            found |= {str(part): f"{name} {part}".strip() for part in value}
        elif value is not None:
            found[None] = name
    return list(found.items())


def _value(value: Any, part: str | None) -> float | None:
    if part is not None:
        value = value.get(part) if isinstance(value, dict) else None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if is_number else None

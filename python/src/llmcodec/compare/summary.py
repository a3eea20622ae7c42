# SPDX-License-Identifier: BSD-3-Clause
"""What a comparison found, in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .statistics import Interval, Line, Study


def text_of(loaded: Mapping[str, Any]) -> str:
    """Tables of the codecs, and of what was varied."""
    study = Study(loaded)
    if not study.rows:
        return "nothing was measured" + "".join(f"\n  {row['codec']}: {row['failed']}" for row in study.failed[:20])
    parts = [loaded.get("selection") or "", _codecs(study)]
    variants = study.variants()
    if variants:
        parts.append("One thing changed, against the same codec without it:\n" + _variants(variants))
    missing = _missing(loaded, study)
    if missing:
        parts.append("Not measured:\n" + "\n".join(missing))
    return "\n\n".join(part for part in parts if part)


def _missing(loaded: Mapping[str, Any], study: Study) -> list[str]:
    """One line for each codec: how many settings, and the first reason."""
    reasons: dict[str, dict[str, str]] = {}
    for row in study.failed:
        reasons.setdefault(row["codec"], {})[row["combination"]] = str(row["failed"])
    for left in loaded["left_out"]:
        reasons.setdefault(str(left.get("codec", "")), {})[str(left.get("combination", ""))] = str(left.get("reason", ""))
    return [
        f"  {codec}: {len(found)} setting{'s' if len(found) > 1 else ''}, {_short(next(iter(found.values())))}"
        for codec, found in sorted(reasons.items())
    ]


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A number, or a dash."""
    return "-" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def with_interval(found: Interval | None, digits: int = 2) -> str:
    """A mean with half of its interval's width: "+0.31 ± 0.05"."""
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return number(found.mean, digits, sign=True)
    return f"{number(found.mean, digits, sign=True)} ± {(found.high - found.low) / 2:.{digits}f}"


def speed_text(mws: float | None) -> str:
    """Million weights a second, three digits."""
    return "-" if mws is None else f"{mws:.3g}"


def codec_columns(study: Study) -> list[str]:
    """Headings of the table of codecs."""
    return [
        "codec",
        *(f"gap dB at {rate:g}" for rate in study.rates),
        f"SNR dB against {study.anchor}",
        "rate %",
        "valid bits",
        "encode Mw/s",
        "decode Mw/s",
        "tensors",
    ]


def codec_cells(line: Line, study: Study) -> list[str]:
    """The row of one codec."""
    valid = "-" if line.valid_bpw is None else f"{line.valid_bpw[0]:.2f} to {line.valid_bpw[1]:.2f}"
    return [
        line.name,
        *(number(line.gaps.get(rate)) for rate in study.rates),
        with_interval(line.snr_db),
        with_interval(line.rate_percent, 1),
        valid,
        speed_text(line.encode_mws),
        speed_text(line.decode_mws),
        str(line.tensors),
    ]


VARIANT_COLUMNS = ["codec", "changed", "SNR dB", "rate %", "encode Mw/s", "tensors"]


def variant_cells(line: Line) -> list[str]:
    """The row of one variant."""
    snr, rate = with_interval(line.snr_db), with_interval(line.rate_percent, 1)
    return [line.codec, line.name, snr, rate, speed_text(line.encode_mws), str(line.tensors)]


def _codecs(study: Study) -> str:
    return _table([codec_columns(study), *(codec_cells(line, study) for line in study.codecs())], 1)


def _variants(lines: Sequence[Line]) -> str:
    return _table([VARIANT_COLUMNS, *(variant_cells(line) for line in lines)], 2)


def _table(cells: list[list[str]], texts: int) -> str:
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = []
    for row in cells:
        parts = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:157] + "..."

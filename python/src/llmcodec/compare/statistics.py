# SPDX-License-Identifier: BSD-3-Clause
"""What the rows say together: Bjøntegaard differences, gaps at a rate, Pareto fronts, and how sure means over tensors are.

Bjøntegaard differences are the mean distance of two curves over the range that both have: G. Bjøntegaard, "Calculation of
average PSNR differences between RD-curves", ITU-T VCEG-M33, 2001; with piecewise cubic interpolation that keeps monotone data
monotone (F. N. Fritsch and R. E. Carlson, SIAM J. Numer. Anal. 17, 1980; in the weights of Fritsch and Butland, 1984), as
JCT-VC's common test conditions and ITU-T HSTP-VID-WPOM do it. The rate is in logarithms; here it is bits per weight, scales
included, and the quality is the SNR of the weights.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Row = Mapping[str, Any]
Curve = list[tuple[float, float]]  # bits per weight, SNR in dB; both rising
Vector = np.ndarray[Any, np.dtype[np.float64]]

DB_PER_BIT = 20 * math.log10(2)
RESAMPLES = 2000
SETTINGS = ("preset", "profile", "bit_depth", "frames", "layout", "tools", "scales")


class Interval(NamedTuple):
    """A mean over tensors, and where it lies with 95 % (None of fewer than three tensors)."""

    mean: float
    low: float | None
    high: float | None
    tensors: int


class Difference(NamedTuple):
    """Of two curves: per cent of rate at the same SNR, dB of SNR at the same rate, and the bits over which the latter holds."""

    rate_percent: float
    snr_db: float
    low_bpw: float
    high_bpw: float


class Pchip:
    """The interpolant: `integral(a, b)` and values inside the range of x, which rises strictly."""

    def __init__(self, x: Sequence[float] | Vector, y: Sequence[float] | Vector) -> None:
        self.x, self.y = np.asarray(x, float), np.asarray(y, float)
        self.slopes = _slopes(self.x, self.y)

    def __call__(self, at: float) -> float:
        i = int(np.clip(np.searchsorted(self.x, at) - 1, 0, len(self.x) - 2))
        return float(np.polyval(self._cubic(i), at - self.x[i]))

    def integral(self, low: float, high: float) -> float:
        """Of the piecewise cubics, exactly."""
        total = 0.0
        for i in range(len(self.x) - 1):
            a, b = max(low, self.x[i]), min(high, self.x[i + 1])
            if a < b:
                whole = np.polyint(self._cubic(i))
                total += float(np.polyval(whole, b - self.x[i]) - np.polyval(whole, a - self.x[i]))
        return total

    def _cubic(self, i: int) -> list[float]:
        width = self.x[i + 1] - self.x[i]
        rise = (self.y[i + 1] - self.y[i]) / width
        first, last = self.slopes[i], self.slopes[i + 1]
        return [(first + last - 2 * rise) / width**2, (3 * rise - 2 * first - last) / width, first, self.y[i]]


def _slopes(x: Vector, y: Vector) -> Vector:
    width, rise = np.diff(x), np.diff(y) / np.diff(x)
    if len(rise) == 1:
        return np.array([rise[0], rise[0]])
    slopes = np.zeros(len(x))
    for i in range(1, len(x) - 1):
        if rise[i - 1] * rise[i] > 0:  # a weighted harmonic mean; 0 at a turn
            before, after = 2 * width[i] + width[i - 1], width[i] + 2 * width[i - 1]
            slopes[i] = (before + after) / (before / rise[i - 1] + after / rise[i])
    slopes[0] = _end(width[0], width[1], rise[0], rise[1])
    slopes[-1] = _end(width[-1], width[-2], rise[-1], rise[-2])
    return slopes


def _end(width: float, next_width: float, rise: float, next_rise: float) -> float:
    """Of three points, held back so that the shape is kept."""
    slope = ((2 * width + next_width) * rise - width * next_rise) / (width + next_width)
    if slope * rise <= 0:
        return 0.0
    return 3 * rise if rise * next_rise <= 0 and abs(slope) > 3 * abs(rise) else float(slope)


def curve_of(points: Iterable[tuple[float, float]]) -> Curve:
    """Sorted by rate; of points that do not rise in both, the first is kept."""
    curve: Curve = []
    for bpw, snr in sorted(points):
        if bpw > 0 and (not curve or (bpw > curve[-1][0] * (1 + 1e-9) and snr > curve[-1][1] + 1e-9)):
            curve.append((bpw, snr))
    return curve


def difference(anchor: Curve, other: Curve) -> Difference | None:
    """How `other` differs from `anchor`; None where they have no range in common, or fewer than three points each."""
    if min(len(anchor), len(other)) < 3:
        return None
    (rate_a, snr_a), (rate_b, snr_b) = (
        (np.log10([point[0] for point in curve]), np.array([point[1] for point in curve])) for curve in (anchor, other)
    )
    low, high = max(rate_a[0], rate_b[0]), min(rate_a[-1], rate_b[-1])
    low_snr, high_snr = max(snr_a[0], snr_b[0]), min(snr_a[-1], snr_b[-1])
    if high - low < 1e-6 or high_snr - low_snr < 1e-6:
        return None
    of_snr = [Pchip(rate, snr).integral(low, high) / (high - low) for rate, snr in ((rate_a, snr_a), (rate_b, snr_b))]
    of_rate = [
        Pchip(snr, rate).integral(low_snr, high_snr) / (high_snr - low_snr) for rate, snr in ((rate_a, snr_a), (rate_b, snr_b))
    ]
    return Difference(100 * (10 ** (of_rate[1] - of_rate[0]) - 1), of_snr[1] - of_snr[0], float(10**low), float(10**high))


def snr_at(curve: Curve, bpw: float) -> float | None:
    """Of a curve between its points; a point within 3 % stands for the rate itself, moved along 6.02 dB a bit."""
    if len(curve) >= 2 and curve[0][0] <= bpw <= curve[-1][0]:
        return Pchip([point[0] for point in curve], [point[1] for point in curve])(bpw)
    near = min(curve, key=lambda point: abs(point[0] - bpw), default=None)
    if near is None or abs(near[0] - bpw) > 0.03 * bpw:
        return None
    return near[1] + DB_PER_BIT * (bpw - near[0])


def interval(values: Sequence[float], seed: int = 1) -> Interval | None:
    """Mean and 95 % interval by the bootstrap: tensors are drawn again, RESAMPLES times."""
    if not values:
        return None
    array = np.asarray(values, float)
    if len(array) < 3:
        return Interval(float(array.mean()), None, None, len(array))
    drawn = np.random.default_rng(seed).integers(0, len(array), (RESAMPLES, len(array)))
    low, high = np.percentile(array[drawn].mean(axis=1), [2.5, 97.5])
    return Interval(float(array.mean()), float(low), float(high), len(array))


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the points that no other one beats in both coordinates, larger being better, by the first coordinate.

    >>> pareto({"a": (1, 5), "b": (2, 3), "c": (1, 4)})
    ['b', 'a']
    """
    front: list[str] = []
    best = -math.inf
    for name, (_, quality) in sorted(points.items(), key=lambda item: (-item[1][0], -item[1][1], item[0])):
        if quality > best:
            front.append(name)
            best = quality
    return front


@dataclass(frozen=True)
class Line:
    """One combination in a table: differences from the anchor (or from what it varies), gaps at rates, speeds."""

    name: str
    codec: str
    row: Row  # one of its rows, for its settings
    tensors: int
    rate_percent: Interval | None
    snr_db: Interval | None
    valid_bpw: tuple[float, float] | None
    gaps: dict[float, float]
    encode_mws: float | None
    decode_mws: float | None


class Study:
    """The measured rows of one results file, by combination and tensor."""

    def __init__(self, loaded: Mapping[str, Any]) -> None:
        self.rows = [row for row in loaded["rows"] if row["failed"] is None]
        self.failed = [row for row in loaded["rows"] if row["failed"] is not None]
        self.rates = sorted({row["rate"] for row in self.rows})
        self._of: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            self._of[row["combination"]].append(row)
        self.bases = {row["codec"]: row["combination"] for row in self.rows if not row["varies"]}
        anchor = loaded["anchor"].get("codec")
        self.anchor = anchor if anchor in self.bases else next(iter(self.bases), "")

    def codecs(self) -> list[Line]:
        """The encoders in their base settings against the anchor, best first."""
        reference = self.bases.get(self.anchor)
        lines = [self._line(name, combination, reference) for name, combination in self.bases.items()]
        return sorted(lines, key=lambda line: (-(line.snr_db.mean if line.snr_db else -1e9), line.name))

    def variants(self) -> list[Line]:
        """What was varied, each against the same encoder without it, by what is varied."""
        lines = []
        for combination, rows in self._of.items():
            if rows[0]["varies"]:
                name = ", ".join(_said(key, rows[0][key]) for key in rows[0]["varies"] if key in SETTINGS)
                lines.append(self._line(name, combination, self._reference(rows[0])))
        return sorted(lines, key=lambda line: (line.row["varies"], line.codec, line.name))

    def _reference(self, row: Row) -> str | None:
        from .grid import Combination, reference_of

        base = self._of.get(self.bases.get(row["codec"], ""))
        if base is None:
            return None
        kept = reference_of(Combination("", "", varies=tuple(row["varies"])))
        wanted = {key: (row if key in kept else base[0])[key] for key in SETTINGS}
        same = (
            c
            for c, rows in self._of.items()
            if rows[0]["codec"] == row["codec"] and all(rows[0][k] == v for k, v in wanted.items())
        )
        return next(same, None)

    def curves(self, combination: str) -> dict[tuple[str, str], Curve]:
        """By model and tensor."""
        points: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        for row in self._of[combination]:
            points[row["model"], row["tensor"]].append((row["bpw"], row["snr_db"]))
        return {tensor: curve_of(of) for tensor, of in points.items()}

    def _line(self, name: str, combination: str, reference: str | None) -> Line:
        rows, curves = self._of[combination], self.curves(combination)
        against = self.curves(reference) if reference is not None and reference != combination else {}
        found = [d for d in (difference(against[t], curve) for t, curve in curves.items() if t in against) if d is not None]
        valid = (max(d.low_bpw for d in found), min(d.high_bpw for d in found)) if found else None
        zero = Interval(0.0, None, None, len(curves)) if reference == combination else None
        return Line(
            name,
            rows[0]["codec"],
            rows[0],
            len(curves),
            interval([d.rate_percent for d in found]) or zero,
            interval([d.snr_db for d in found]) or self._by_rate(curves, against) or zero,
            valid,
            {rate: gap for rate in self.rates if (gap := self.gap_at(combination, rate)) is not None},
            speed(rows, "encode_mws"),
            speed(rows, "decode_mws"),
        )

    def _by_rate(self, curves: Mapping[Any, Curve], against: Mapping[Any, Curve]) -> Interval | None:
        """Where curves are too short for areas: the difference at the rates that both have."""
        found = []
        for tensor in curves.keys() & against.keys():
            pairs = [(snr_at(curves[tensor], rate), snr_at(against[tensor], rate)) for rate in self.rates]
            both = [a - b for a, b in pairs if a is not None and b is not None]
            found += [sum(both) / len(both)] if both else []
        return interval(sorted(found))

    def gap_at(self, combination: str, rate: float) -> float | None:
        """Mean distance to the Gaussian bound at a rate. Of a combination on fewer tensors than the anchor: the anchor's mean,
        and the mean difference on the tensors that both have."""
        own = self._gaps(combination, rate)
        reference = self.bases.get(self.anchor)
        anchor = self._gaps(reference, rate) if reference is not None else {}
        shared = own.keys() & anchor.keys()
        if not own:
            return None
        if not shared or len(own) >= len(anchor):
            return sum(own.values()) / len(own)
        return sum(anchor.values()) / len(anchor) + sum(own[t] - anchor[t] for t in shared) / len(shared)

    def _gaps(self, combination: str, rate: float) -> dict[tuple[str, str], float]:
        found = {tensor: snr_at(curve, rate) for tensor, curve in self.curves(combination).items()}
        return {tensor: DB_PER_BIT * rate - snr for tensor, snr in found.items() if snr is not None}

    def gaps_by(self, codec: str, rate: float, key: str) -> dict[Any, Interval]:
        """Gaps of an encoder's base setting by `kind`, `role`, `layer` or `model`."""
        combination = self.bases[codec]
        of = {(row["model"], row["tensor"]): row[key] for row in self._of[combination]}
        groups: dict[Any, list[float]] = defaultdict(list)
        for tensor, gap in sorted(self._gaps(combination, rate).items()):
            groups[of[tensor]].append(gap)
        return {group: found for group, values in groups.items() if (found := interval(values)) is not None}


def _said(setting: str, value: Any) -> str:
    """How a setting is called where it is the only one that is named."""
    if setting in ("preset", "tools"):
        return str(value).removeprefix("preset=")
    return f"{value} bits" if setting == "bit_depth" else f"{setting.replace('_', ' ')} {value}"


def speed(rows: Iterable[Row], key: str) -> float | None:
    """Million weights per second over all rows that have it: all weights over all time."""
    pairs = [(row["weights"], row[key]) for row in rows if row.get(key)]
    time = sum(weights / mws for weights, mws in pairs)
    return sum(weights for weights, _ in pairs) / time if time > 0 else None

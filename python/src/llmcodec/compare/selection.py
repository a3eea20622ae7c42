# SPDX-License-Identifier: BSD-3-Clause
"""Which points are measured: as many as a budget has room for, by costs that the first points have taught.

A point is a combination, a piece and a rate. What is chosen depends on the request, the seed and those costs; once it is
written down it does not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .grid import Combination
from .sample import STACK

SHARE = 0.7  # of the budget is planned for: costs are estimates
_BASE_CAP, _VARIANT_CAP = 0.12, 0.05  # of all there is, for one combination
# Pieces for the encoders' base settings and for what is varied around them, round after round.
_ROUNDS = ((1, 1), (2, 1), (3, 1), (3, 2), (4, 2), (6, 3), (8, 4), (12, 6), (16, 8), (24, 12), (32, 16))


@dataclass(frozen=True)
class Point:
    """One thing to measure; `piece` counts the chosen pieces."""

    combination: Combination
    piece: int
    rate: float

    def key(self) -> str:
        """What tells it from the others."""
        return f"{self.combination.key()} | {self.piece} | {self.rate:g}"


@dataclass(frozen=True)
class LeftOut:
    """A combination of which nothing is measured, and why."""

    combination: Combination
    reason: str


def piece_weights(budget: float | None) -> int:
    """How large pieces are: starts of processes should not be most of the time, nor one piece most of the budget."""
    if budget is None or budget > 900:
        return 1 << 17
    return 1 << (16 if budget >= 240 else 15)


def pilot_rate(rates: Sequence[float]) -> float:
    """At which the first points are measured."""
    return sorted(rates)[len(rates) // 2]


def rates_of(combination: Combination, rates: Sequence[float]) -> list[float]:
    """All for an encoder itself, three for what is varied: enough for a curve."""
    ordered = sorted(rates)
    if not combination.varies or len(ordered) <= 3:
        return ordered
    return sorted({ordered[0], ordered[len(ordered) // 2], ordered[-1]})


def seconds_of(combination: Combination, costs: Mapping[str, float]) -> float:
    """What a point takes, by its own first point in `costs`, or by its encoder's and how their `cost` compare."""
    pictures = STACK if combination.layout in ("frames", "stacked") else 1
    if combination.scales == "estimate":
        return 0.0
    own = costs.get(combination.key())
    if own is not None:
        return own
    base = costs.get(f"{combination.codec} base", combination.base_cost)
    slower = combination.cost / combination.base_cost
    return base * max(pictures * slower, 0.3)


class Selection:
    """Fills a budget in rounds, those combinations first that come first."""

    def __init__(
        self,
        combinations: Sequence[Combination],
        pieces: int,
        rates: Sequence[float],
        costs: Mapping[str, float],
        room: float | None,
    ) -> None:
        self._combinations, self._pieces, self._rates, self._costs = combinations, pieces, rates, costs
        self._all = self._room = float("inf") if room is None else room
        self._taken: dict[str, int] = {}
        self._rates_of: dict[str, list[float]] = {}
        self.left_out: list[LeftOut] = []

    def fill(self, base_pieces: int, variant_pieces: int) -> list[Point]:
        """The points, by combination, piece and rate."""
        for base, varied in _ROUNDS:
            for combination in self._combinations:
                most = base_pieces if not combination.varies else variant_pieces
                self._widen(combination, min(varied if combination.varies else base, most, self._pieces))
        for combination in self._combinations:
            if combination.key() not in self._taken:
                one = seconds_of(combination, self._costs)
                reason = f"one point would take about {one:.0f} s, and the budget has no room for it"
                self.left_out.append(LeftOut(combination, reason))
        return list(self._points())

    def _widen(self, combination: Combination, wanted: int) -> None:
        key, one = combination.key(), seconds_of(combination, self._costs)
        taken = self._taken.get(key, 0)
        if wanted <= taken:
            return
        if taken == 0:
            self._rates_of[key] = rates_of(combination, self._rates)
            if not self._fits(combination, one * len(self._rates_of[key])):
                self._rates_of[key] = [pilot_rate(self._rates)]
        cost = (wanted - taken) * one * len(self._rates_of[key])
        # What was measured to learn its cost is there in any case.
        if self._fits(combination, cost + taken * one * len(self._rates_of[key])) or (taken == 0 and key in self._costs):
            self._taken[key] = wanted
            self._room -= cost

    def _fits(self, combination: Combination, cost: float) -> bool:
        cap = self._all * (_VARIANT_CAP if combination.varies else _BASE_CAP)
        return cost <= min(self._room, cap)

    def _points(self) -> Iterator[Point]:
        for combination in self._combinations:
            for piece in range(self._taken.get(combination.key(), 0)):
                for rate in self._rates_of[combination.key()]:
                    yield Point(combination, piece, rate)

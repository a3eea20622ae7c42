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

SHARE = 0.9  # of the budget is planned for: first points also start programs, so costs are estimated too high
_BASE_CAP, _VARIANT_CAP = 0.15, 0.06  # of all there is, for one combination
# Round after round: pieces and rates of the encoders' base settings, and of what is varied around them. First all encoders get
# a point, then a curve, then more tensors.
_ROUNDS = (
    (1, 1, 0, 0),
    (1, 3, 0, 0),
    (2, 3, 1, 1),
    (2, 99, 1, 3),
    (3, 99, 2, 3),
    (4, 99, 3, 3),
    (6, 99, 4, 3),
    (8, 99, 5, 3),
    (12, 99, 6, 3),
    (16, 99, 8, 3),
    (24, 99, 12, 3),
    (32, 99, 16, 3),
)


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


def some_rates(rates: Sequence[float], count: int) -> list[float]:
    """All, or the middle one, or that with the lowest and the highest: three are enough for a curve."""
    ordered = sorted(rates)
    if count >= len(ordered):
        return ordered
    return sorted({ordered[0], pilot_rate(rates), ordered[-1]}) if count >= 3 else [pilot_rate(rates)]


def seconds_of(combination: Combination, costs: Mapping[str, float]) -> float:
    """What a point takes, by its own first point in `costs`, or by its encoder's and how their `cost` compare."""
    pictures = STACK if combination.layout in ("frames", "stacked") else 1
    if combination.scales == "estimate":
        return 0.0  # it is only said why not
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
        self._taken: dict[str, tuple[int, list[float]]] = {}
        self.left_out: list[LeftOut] = []

    def fill(self, base_pieces: int, variant_pieces: int) -> list[Point]:
        """The points, by combination, piece and rate."""
        for base, base_rates, varied, varied_rates in _ROUNDS:
            for combination in self._combinations:
                if combination.varies:
                    self._widen(combination, min(varied, variant_pieces), varied_rates)
                else:
                    self._widen(combination, min(base, base_pieces), base_rates)
        for combination in self._combinations:
            if combination.key() not in self._taken:
                one = seconds_of(combination, self._costs)
                reason = f"no room in the budget: about {one:.1f} s a point"
                self.left_out.append(LeftOut(combination, reason))
        return list(self._points())

    def _widen(self, combination: Combination, pieces: int, rates: int) -> None:
        """Takes as many points of a combination, if there is room."""
        pieces = min(pieces, self._pieces)
        wanted = some_rates(self._rates, rates)
        taken = self._taken.get(combination.key(), (0, []))
        one = seconds_of(combination, self._costs)
        whole, more = one * pieces * len(wanted), one * (pieces * len(wanted) - taken[0] * len(taken[1]))
        cap = self._all * (_VARIANT_CAP if combination.varies else _BASE_CAP)
        # What was measured to learn its cost is there in any case.
        is_pilot = not taken[0] and combination.key() in self._costs
        if pieces > 0 and more > 0 and (is_pilot or (whole <= cap and more <= self._room)):
            self._taken[combination.key()] = pieces, wanted
            self._room -= 0 if is_pilot else more
        elif pieces > 0 and not taken[0] and one == 0:
            self._taken[combination.key()] = 1, some_rates(self._rates, 1)

    def _points(self) -> Iterator[Point]:
        for combination in self._combinations:
            pieces, rates = self._taken.get(combination.key(), (0, []))
            for piece in range(pieces):
                for rate in rates:
                    yield Point(combination, piece, rate)

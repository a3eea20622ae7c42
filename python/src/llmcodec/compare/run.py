# SPDX-License-Identifier: BSD-3-Clause
"""The walk of `llmcodec compare`: pieces, first points, plan, all points, results."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmcodec import __version__
from llmcodec._errors import InvalidArgumentError
from llmcodec._system import packaged_ffmpeg

from . import grid, results, views
from .journal import Journal
from .sample import Piece, choose_pieces, model_name
from .selection import SHARE, Point, Selection, piece_weights, pilot_rate, seconds_of, some_rates
from .statistics import SETTINGS
from .workers import Workers

_LARGEST_PIECE = 1 << 20  # weights
DEFAULT_RATES = (1.5, 2.0, 2.5, 3.0, 4.0)
_PILOT_SHARE = 0.02  # of the budget that one first point may take


@dataclass(frozen=True)
class Request:
    """What was asked for; `budget` in seconds, None for all there is."""

    models: tuple[str, ...]
    output: str
    tensors: str | None = None
    codecs: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    base_only: bool = False
    rates: tuple[float, ...] = DEFAULT_RATES
    budget: float | None = 1200.0
    anchor: str | None = None
    seed: int = 1
    pieces: int = 16
    piece_weights: int | None = None
    plan_of: str | None = None
    jobs: int = 0
    ffmpeg: str | None = None
    timeout: float | None = None
    restart: bool = False

    def recorded(self) -> dict[str, Any]:
        """What a run that is resumed must have been asked as well."""
        asked = {
            key: getattr(self, key)
            for key in (
                "tensors",
                "codecs",
                "profiles",
                "base_only",
                "rates",
                "budget",
                "anchor",
                "seed",
                "pieces",
                "piece_weights",
                "plan_of",
            )
        }
        files = [{"name": model_name(path), "bytes": _size(path)} for path in self.models]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asked.items()} | {"models": files}


@dataclass(frozen=True)
class Progress:
    """Points that are done, and the seconds that the others will take, None while nobody knows."""

    done: int
    total: int
    seconds_left: float | None
    phase: str


Tell = Callable[[Progress], None]


def _size(path: str) -> int:
    """Bytes of a model: of its file, or of what lies in its folder."""
    if os.path.isdir(path):
        return sum(entry.stat().st_size for entry in os.scandir(path) if entry.is_file())
    return os.path.getsize(path) if os.path.exists(path) else 0


def compare(request: Request, tell: Tell) -> dict[str, Any]:
    """Measures, writes the results, and gives them. After KeyboardInterrupt the same request goes on from the journal."""
    _check(request)
    start = time.monotonic()
    journal = Journal(request.output, request.restart)
    try:
        plan, rows = journal.read()
        if plan is not None and plan["request"] != request.recorded():
            raise InvalidArgumentError(f"{journal.path} is of another comparison: remove it, or pass --restart")
        with Workers(request.jobs or os.cpu_count() or 1) as workers:
            if plan is None:
                plan, rows = _make_plan(request, workers, tell, start)
                journal.write_plan(plan)
                for row in rows.values():
                    journal.write_row(row)
            _measure_all(request, plan, rows, workers, journal, tell)
        finished = _results(request, plan, rows)
        finished["seconds"] = round(time.monotonic() - start, 1)
        results.write(request.output, finished)
        journal.remove()
        return finished
    finally:
        journal.close()


def _check(request: Request) -> None:
    if not request.models:
        raise InvalidArgumentError("no model to compare on")
    if len({model_name(path) for path in request.models}) < len(request.models):
        raise InvalidArgumentError("two models with the same name: tables would not tell them apart")
    if not request.rates or not all(0.1 <= rate <= 12 for rate in request.rates):
        raise InvalidArgumentError(f"rates {list(request.rates)}: one or more, from 0.1 to 12 bits per weight")
    if request.budget is not None and not request.budget > 0:
        raise InvalidArgumentError(f"a budget of {request.budget} seconds")
    if request.pieces < 1 or request.jobs < 0 or not 1024 <= (request.piece_weights or 1024) <= _LARGEST_PIECE:
        raise InvalidArgumentError("pieces and jobs are counts, and a piece has from 1024 to 1048576 weights")


def _task(request: Request, plan: Mapping[str, Any], combination: Mapping[str, Any], piece: int, rate: float) -> dict[str, Any]:
    pieces = plan["pieces"] if combination["layout"] == "stacked" else []
    paths = {model_name(path): path for path in request.models}
    placed = [described | {"model": paths[described["model"]]} for described in [plan["pieces"][piece], *pieces]]
    return {
        "spec": combination["spec"],
        "layout": combination["layout"],
        "scales": combination["scales"],
        "bit_depth": combination["bit_depth"],
        "piece": placed[0],
        "pieces": placed[1:],
        "rate": rate,
        "ffmpeg": request.ffmpeg or (None if "LLMCODEC_FFMPEG" in os.environ else packaged_ffmpeg()),
        "timeout": request.timeout or max(60.0, (request.budget or 18000.0) / 5),
    }


def _make_plan(
    request: Request, workers: Workers, tell: Tell, start: float
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The plan, and the rows of the points that it took to make it."""
    if request.plan_of is not None:
        return _plan_of_another(request), {}
    encoders = grid.select_encoders(request.codecs)
    profiles = grid.select_profiles(request.profiles)
    combinations = list(map(grid.base_of, encoders)) if request.base_only else grid.grid(encoders, profiles)
    weights = request.piece_weights or piece_weights(request.budget)
    pieces = choose_pieces(request.models, request.tensors, weights, request.seed)
    plan: dict[str, Any] = {
        "request": request.recorded(),
        "anchor": grid.base_of(_find(encoders, grid.anchor_of(encoders, request.anchor))).described(),
        "combinations": [combination.described() for combination in combinations],
        "pieces": [_without_path(piece) for piece in pieces],
    }
    rows, costs, broken = _pilots(request, plan, combinations, workers, tell)
    usable = [combination for combination in combinations if combination.codec not in broken]
    jobs = request.jobs or os.cpu_count() or 1
    room = None if request.budget is None else max(SHARE * request.budget - (time.monotonic() - start), 0) * jobs
    selection = Selection(usable, len(pieces), request.rates, costs, room)
    points = selection.fill(request.pieces, max(request.pieces // 2, 1))
    keys = {point.key() for point in points}
    points += [point for point in _pilot_points(combinations, request) if point.key() in rows and point.key() not in keys]
    left_out = [(left.combination, left.reason) for left in selection.left_out]
    left_out += [(c, f"{c.codec}: {broken[c.codec]}") for c in combinations if c.codec in broken and c.varies]
    plan["points"] = [{"point": p.key(), "combination": p.combination.key(), "piece": p.piece, "rate": p.rate} for p in points]
    plan["left_out"] = [{"combination": c.key(), "codec": c.codec, "reason": reason} for c, reason in left_out]
    plan["costs"] = {p.key(): round(seconds_of(p.combination, costs), 3) for p in points}
    plan["selection"] = _words(request, weights, len(pieces), points)
    return plan, rows


def _find(encoders: Sequence[grid.Encoder], name: str) -> grid.Encoder:
    return next(encoder for encoder in encoders if encoder.name == name)


def _without_path(piece: Piece) -> dict[str, Any]:
    """Results are passed on: where the model lay is nobody's affair."""
    return piece.described() | {"model": model_name(piece.model)}


def _plan_of_another(request: Request) -> dict[str, Any]:
    """The points of another results file, to be measured here."""
    other = results.load(str(request.plan_of))
    plan = other.get("plan")
    if not isinstance(plan, dict) or not _is_sound(plan):
        raise InvalidArgumentError(f"{request.plan_of} has no plan that could be measured")
    missing = {piece["model"] for piece in plan["pieces"]} - {model_name(path) for path in request.models}
    if missing:
        raise InvalidArgumentError(f"{request.plan_of} is of {', '.join(sorted(missing))}: give the same models")
    return plan | {"request": request.recorded(), "anchor": other["anchor"], "costs": other.get("costs", {})}


def _is_sound(plan: Mapping[str, Any]) -> bool:
    """Whether somebody else's plan has all that a run looks up, and pieces of sizes that are chosen here."""
    try:
        combinations = {combination["id"] for combination in plan["combinations"]}
        settings = {"spec", "codec", "bit_depth", "varies", *SETTINGS}
        pieces = [Piece(**piece) for piece in plan["pieces"]]
        return (
            all(settings <= combination.keys() for combination in plan["combinations"])
            and all(min(piece.rows, piece.cols) > 0 and piece.weights <= _LARGEST_PIECE for piece in pieces)
            and all(min(piece.first_row, piece.first_col) >= 0 for piece in pieces)
            and all(0 <= p["piece"] < len(pieces) and p["combination"] in combinations for p in plan["points"])
            and all(isinstance(p["point"], str) and 0.1 <= p["rate"] <= 12 for p in plan["points"])
            and isinstance(plan["selection"], str)
            and isinstance(plan["left_out"], list)
        )
    except (KeyError, TypeError, AttributeError):
        return False


def _pilot_points(combinations: Sequence[grid.Combination], request: Request) -> list[Point]:
    return [Point(c, 0, pilot_rate(request.rates)) for c in combinations if c.varies in ((), ("preset",))]


def _pilots(
    request: Request, plan: Mapping[str, Any], combinations: Sequence[grid.Combination], workers: Workers, tell: Tell
) -> tuple[dict[str, dict[str, Any]], dict[str, float], dict[str, str]]:
    """One point of every encoder, then of its presets as far as they are not too slow: rows, seconds by combination, and why
    encoders are not to be had."""
    rows: dict[str, dict[str, Any]] = {}
    costs: dict[str, float] = {}
    broken: dict[str, str] = {}
    points = _pilot_points(combinations, request)
    for phase in ((), ("preset",)):
        most = float("inf") if request.budget is None or not phase else _PILOT_SHARE * request.budget
        chosen = [
            p
            for p in points
            if p.combination.varies == phase and p.combination.codec not in broken and seconds_of(p.combination, costs) <= most
        ]
        described = {p.key(): p for p in chosen}
        tasks = [(p.key(), _task(request, plan, p.combination.described(), 0, p.rate)) for p in chosen]
        for done, (key, measured) in enumerate(workers.run(tasks)):
            combination = described[key].combination
            rows[key] = {"point": key} | measured
            if measured["failed"] is not None and not phase:
                broken[combination.codec] = measured["failed"]
            costs[combination.key()] = max(measured["wall_s"] - measured.get("setup_s", 0.0), 0.01)
            if not phase:
                costs[f"{combination.codec} base"] = costs[combination.key()]
            tell(Progress(done + 1, len(tasks), None, "first points"))
    return rows, costs, broken


def _words(request: Request, weights: int, candidates: int, points: Sequence[Point]) -> str:
    used = len({point.piece for point in points})
    budget = "no budget" if request.budget is None else f"a budget of {request.budget:g} s"
    varied = some_rates(request.rates, 3)
    return (
        f"{used} of {candidates} tensors, of each a block of at most {weights} weights at a place that the seed {request.seed} "
        "and the tensor's name decide; tensors in an order in which every kind comes early and layers are spread "
        f"over the depth. With {budget}: {len(points)} points, by the costs of the first ones; encoders' base settings at all "
        f"rates, what is varied around them at {', '.join(f'{rate:g}' for rate in varied)} bits, slow ones on fewer tensors."
    )


def _measure_all(
    request: Request, plan: Mapping[str, Any], rows: dict[str, dict[str, Any]], workers: Workers, journal: Journal, tell: Tell
) -> None:
    combinations = {combination["id"]: combination for combination in plan["combinations"]}
    costs = plan["costs"]
    left = [point for point in plan["points"] if point["point"] not in rows]
    left.sort(key=lambda point: (-costs.get(point["point"], 1.0), point["point"]))  # long ones first: cores end together
    waiting = sum(costs.get(point["point"], 1.0) for point in left)
    done_cost, start = 0.0, time.monotonic()
    tasks = [(p["point"], _task(request, plan, combinations[p["combination"]], p["piece"], p["rate"])) for p in left]
    for key, measured in workers.run(tasks):
        rows[key] = {"point": key} | measured
        journal.write_row(rows[key])
        done_cost += costs.get(key, 1.0)
        elapsed = time.monotonic() - start
        speed = done_cost / elapsed if done_cost > 0 and elapsed > 0 else 0
        tell(Progress(len(rows), len(plan["points"]), (waiting - done_cost) / speed if speed else None, "points"))


def _results(request: Request, plan: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    combinations = {combination["id"]: combination for combination in plan["combinations"]}
    made = [
        _row(combinations[point["combination"]], plan["pieces"][point["piece"]], point, rows[point["point"]])
        for point in plan["points"]
    ]
    return {
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": _command(request),
        "machine": _machine(),
        "versions": {"llmcodec": __version__, "python": platform.python_version(), "numpy": np.__version__}
        | {row["codec"]: row["version"] for row in made if row.get("version")},
        "request": plan["request"],
        "anchor": plan["anchor"],
        "selection": plan["selection"],
        "costs": plan["costs"],
        "plan": {key: plan[key] for key in ("combinations", "pieces", "points", "left_out", "selection")},
        "left_out": plan["left_out"],
        "rows": made,
        "models": [],
        "pictures": views.views_of(made, lambda row, piece: _task(request, plan, row, piece, row["rate"]), plan["points"]),
    }


def _row(
    combination: Mapping[str, Any], piece: Mapping[str, Any], point: Mapping[str, Any], measured: Mapping[str, Any]
) -> dict[str, Any]:
    of_piece = {key: piece[key] for key in ("model", "tensor", "kind", "role", "layer")}
    of_combination = {key: value for key, value in combination.items() if key != "id"}
    return {
        "combination": combination["id"],
        **of_combination,
        **of_piece,
        "piece": point["piece"],
        "rate": point["rate"],
        **measured,
    }


def _command(request: Request) -> str:
    """What measures the same points again; models by their names alone."""
    words = ["llmcodec", "compare", *map(model_name, request.models)]
    for name in ("tensors", "anchor", "piece_weights"):
        if getattr(request, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(request, name))]
    for name in ("codecs", "profiles"):
        for value in getattr(request, name):
            words += [f"--{name}", value]
    words += ["--base-only"] if request.base_only else []
    words += [
        "--rates",
        ",".join(f"{rate:g}" for rate in request.rates),
        "--seed",
        str(request.seed),
        "--pieces",
        str(request.pieces),
    ]
    words += ["--budget", "none" if request.budget is None else f"{request.budget:g}s", "-o", os.path.basename(request.output)]
    return shlex.join(words)


def _machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    return {"processor": model, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}"}

# SPDX-License-Identifier: BSD-3-Clause
"""The commands `llmcodec compare` and `llmcodec report`, which are this package's and not the program's."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmcodec._command_line import EXIT_CODES, StatusLine, duration
from llmcodec._errors import Error, InvalidArgumentError, printable

if TYPE_CHECKING:
    from .run import Progress

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class _Line:
    """How many points are measured."""

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._line = quiet, StatusLine()

    def __call__(self, progress: Progress) -> None:
        if self._quiet or not self._line.due(progress.done >= progress.total):
            return
        left = "" if progress.seconds_left is None else f", {duration(progress.seconds_left)} left"
        self._line.show(f"{progress.done} of {progress.total} {progress.phase}{left}")

    def end(self) -> None:
        """The line is done with."""
        self._line.end()


def seconds_of(text: str) -> float | None:
    """Seconds of "90", "90s", "20m", "1.5h"; None of "none".

    >>> seconds_of("20m"), seconds_of("none")
    (1200.0, None)
    """
    if text == "none":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)([smh]?)", text)
    if match is None or float(match[1]) <= 0:
        raise InvalidArgumentError(f"a budget of '{text}': 90s, 20m, 1.5h and none are budgets")
    return float(match[1]) * _UNITS[match[2]]


def codec_list(given: list[str]) -> tuple[str, ...]:
    """Names separated by commas; one with options, which have commas themselves, is the whole of what was given.

    >>> codec_list(["vvc,raw", "libx265:preset=slow,tune=psnr"])
    ('vvc', 'raw', 'libx265:preset=slow,tune=psnr')
    """
    names: list[str] = []
    for text in given:
        one = "=" in text or (text.startswith("control:") and "," not in text)
        names += [text] if one else [name.strip() for name in text.split(",") if name.strip()]
    return tuple(names)


def _rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(rate) for rate in text.split(","))
    except ValueError:
        raise InvalidArgumentError(f"rates '{text}': numbers separated by commas") from None


def compare_main(arguments: list[str]) -> int:
    """What `llmcodec compare` does, and its exit code (docs/cli.md)."""
    given = _compare_parser().parse_args(arguments)
    line = _Line(given.quiet)

    def work() -> None:
        from . import summary
        from .run import DEFAULT_RATES, Request, compare

        request = Request(
            models=tuple(given.models),
            output=given.output,
            tensors=given.tensors,
            codecs=codec_list(given.codecs),
            profiles=codec_list(given.profiles),
            base_only=given.base_only,
            rates=DEFAULT_RATES if given.rates is None else _rates(given.rates),
            budget=seconds_of(given.budget),
            anchor=given.anchor,
            seed=given.seed,
            pieces=given.pieces,
            piece_weights=given.piece_weights,
            plan_of=given.plan_of,
            jobs=given.jobs,
            ffmpeg=given.ffmpeg,
            timeout=given.timeout,
            restart=given.restart,
        )
        measured = compare(request, line)
        line.end()
        print(printable_lines(summary.text_of(measured)))

    again = f"the same command goes on: llmcodec compare ... -o {given.output}"
    return _guarded(work, again)


def report_main(arguments: list[str]) -> int:
    """What `llmcodec report` does, and its exit code."""
    parser = argparse.ArgumentParser(
        prog="llmcodec report", description="Results of `llmcodec compare` as a page, and as a table here."
    )
    parser.add_argument("results", help="results.json")
    parser.add_argument("-o", "--output", metavar="FILE", help="the page; without it only the table is printed")
    parser.add_argument("--quiet", action="store_true", help="no table")
    given = parser.parse_args(arguments)

    def work() -> None:
        from . import results, summary

        loaded = results.load(given.results)
        if given.output is not None:
            from .page import write_page

            write_page(loaded, given.output)
        if not given.quiet:
            print(printable_lines(summary.text_of(loaded)))

    return _guarded(work, "")


def _compare_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmcodec compare", description="Compares codecs, and what can be set of them, on the weights of models."
    )
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help="whatever `llmcodec compress` takes")
    add("-o", "--output", required=True, metavar="FILE", help="the results, JSON; FILE.partial until they are complete")
    add("--tensors", metavar="REGEX", help="only tensors whose name matches somewhere")
    add(
        "--codecs",
        metavar="LIST",
        action="append",
        default=[],
        help="all (the default), or names and specifications; repeatable",
    )
    add(
        "--profiles",
        metavar="LIST",
        action="append",
        default=[],
        help="all (the default), or of intra, low_delay, random_access",
    )
    add("--base-only", action="store_true", help="codecs in their own settings; nothing is varied")
    add("--rates", metavar="LIST", help="bits per weight; default 1.5,2,2.5,3,4")
    add("--budget", default="20m", metavar="TIME", help="90s, 20m, 1.5h; none: all there is. Default 20m")
    add("--anchor", metavar="CODEC", help="what the others are compared with; default libx265")
    add("--pieces", type=int, default=16, metavar="N", help="tensors at most. Default 16")
    add("--piece-weights", type=int, metavar="N", help="weights of a tensor at most; default by the budget")
    add("--seed", type=int, default=1, metavar="N", help="which tensors, and where in them. Default 1")
    add("--plan-of", metavar="FILE", help="measures the points of these results again")
    add("--jobs", type=int, default=0, metavar="N", help="points at a time; default one per core")
    add("--ffmpeg", metavar="FILE", help="the program for its codecs")
    add("--timeout", type=float, metavar="SECONDS", help="of one run of an encoder")
    add("--restart", action="store_true", help="throws an interrupted run away")
    add("--quiet", action="store_true", help="no progress")
    return parser


def printable_lines(text: str) -> str:
    """Lines whose names come from files, as terminals may have them."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _guarded(work: Callable[[], None], again: str) -> int:
    try:
        work()
    except Error as error:
        print(f"llmcodec: error: {printable(str(error))}", file=sys.stderr)
        return EXIT_CODES[error.kind]
    except KeyboardInterrupt:
        print(f"\nstopped; {again}", file=sys.stderr)
        return 130
    return 0

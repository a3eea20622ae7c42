# SPDX-License-Identifier: BSD-3-Clause
"""The command `llmcodec pull`, which is this package's and not the program's."""

from __future__ import annotations

import argparse
import sys
import time

from ._errors import Error, printable
from ._progress import Progress
from ._pull import pull
from ._urls import redacted

EXIT_CODES = {"invalid_argument": 2, "io": 3, "corrupt": 4, "unsupported": 5, "limit": 6, "internal": 70, "interrupted": 130}


class _Line:
    """A line that says how far it is: over and over on a terminal, else every ten seconds."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = self._start = time.monotonic()
        self._first = -1

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._first < 0:
            self._first = progress.done  # what an earlier pull has fetched says nothing of the speed
        if now - self._last < (0.2 if self._terminal else 10) and progress.done < progress.total:
            return
        self._last = now
        speed = (progress.done - self._first) / max(now - self._start, 0.001)
        left = (progress.total - progress.done) / speed if speed > 0 else -1
        share = 100 * progress.done // max(progress.total, 1)
        text = f"{share:3} % of {_size(progress.total)}, {_size(int(speed))}/s, {_time(left)} left"
        print(f"\r{text:60}" if self._terminal else text, end="" if self._terminal else "\n", file=sys.stderr, flush=True)

    def end(self) -> None:
        """The line is done with."""
        if self._terminal and self._first >= 0:
            print(file=sys.stderr)


def _size(count: int) -> str:
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.1f} {unit}"


def _time(seconds: float) -> str:
    if seconds < 0 or seconds > 1e7:
        return "?"
    minutes, left = divmod(int(seconds + 0.5), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}" if minutes >= 60 else f"{minutes}:{left:02}"


def main(arguments: list[str]) -> int:
    """What the command does, and its exit code (docs/cli.md)."""
    parser = argparse.ArgumentParser(
        prog="llmcodec pull", description="Fetches an archive from the web; goes on where it was stopped."
    )
    parser.add_argument("url", help="an archive, an index of shards, or the folder of either: https://, hf://, s3://, ...")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="the folder that gets the files")
    parser.add_argument("--tensors", metavar="REGEX", help="only these tensors, decoded, into DIR/tensors.safetensors")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    given = parser.parse_args(arguments)
    line = None if given.quiet else _Line()
    try:
        paths = pull(given.url, given.output, tensors=given.tensors, progress=line)
    except Error as error:
        print(
            f"\nllmcodec: error: {error}" if line is not None and sys.stderr.isatty() else f"llmcodec: error: {error}",
            file=sys.stderr,
        )
        return EXIT_CODES[error.kind]
    except KeyboardInterrupt:
        print(f"\nstopped; the same command goes on: llmcodec pull {redacted(given.url)} -o {given.output}", file=sys.stderr)
        return 130
    if line is not None:
        line.end()
    for path in paths:
        print(printable(path))
    return 0

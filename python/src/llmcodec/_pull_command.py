# SPDX-License-Identifier: BSD-3-Clause
"""The command `llmcodec pull`, which is this package's and not the program's."""

from __future__ import annotations

import argparse
import sys
import time

from ._command_line import EXIT_CODES, StatusLine, duration
from ._errors import Error, printable
from ._progress import Progress
from ._pull import pull
from ._urls import redacted


class _Line:
    """How much of an archive is there."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._line = StatusLine(last=self._start)
        self._first = -1

    def __call__(self, progress: Progress) -> None:
        if self._first < 0:
            self._first = progress.done  # what an earlier pull has fetched says nothing of the speed
        if not self._line.due(progress.done >= progress.total):
            return
        speed = (progress.done - self._first) / max(time.monotonic() - self._start, 0.001)
        left = (progress.total - progress.done) / speed if speed > 0 else -1
        share = 100 * progress.done // max(progress.total, 1)
        self._line.show(f"{share:3} % of {_size(progress.total)}, {_size(int(speed))}/s, {duration(left)} left")

    def end(self) -> None:
        """The line is done with."""
        self._line.end()


def _size(count: int) -> str:
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.1f} {unit}"


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

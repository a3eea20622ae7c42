# SPDX-License-Identifier: BSD-3-Clause
"""What the commands of this package share: exit codes, durations, and the line that says how far a run is."""

from __future__ import annotations

import sys
import time

EXIT_CODES = {"invalid_argument": 2, "io": 3, "corrupt": 4, "unsupported": 5, "limit": 6, "internal": 70, "interrupted": 130}
"""By kind of error, as the program has them (docs/cli.md)."""


def duration(seconds: float) -> str:
    """Minutes and seconds, with hours where there are."""
    if seconds < 0 or seconds > 1e7:
        return "?"
    minutes, left = divmod(int(seconds + 0.5), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}" if minutes >= 60 else f"{minutes}:{left:02}"


class StatusLine:
    """A line on standard error: over and over on a terminal, else every ten seconds. `width` blanks out what was there."""

    def __init__(self, width: int = 60, last: float = 0.0) -> None:
        self._terminal = sys.stderr.isatty()
        self._width, self._last, self._begun = width, last, False

    def due(self, finished: bool) -> bool:
        """Whether it is time to show the next one; the last one always is."""
        self._begun = True
        now = time.monotonic()
        if now - self._last < (0.2 if self._terminal else 10) and not finished:
            return False
        self._last = now
        return True

    def show(self, text: str) -> None:
        """In place of the one before."""
        print(
            f"\r{text:{self._width}}" if self._terminal else text,
            end="" if self._terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    def end(self) -> None:
        """The line is done with; the next one is due at once."""
        if self._terminal and self._begun:
            print(file=sys.stderr)
        self._begun, self._last = False, 0.0

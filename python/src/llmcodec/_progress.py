# SPDX-License-Identifier: BSD-3-Clause
"""What a call of the library tells while it works, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ._errors import UnsupportedError, printable

_Sink = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Progress:
    """How far a phase is: `done` of `total` weights (of rows, in `bench`), and the tensor in work."""

    phase: str
    done: int
    total: int
    tensor: str


#: False or None: nothing. True: a bar of tqdm. A function: called with a `Progress`, some twenty times a second, on the
#: thread that made the call; an exception that it raises ends the call in good order and comes out of it.
ProgressOption = bool | Callable[[Progress], object] | None


class _Bars:
    """A bar of tqdm for each phase."""

    def __init__(self) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise UnsupportedError("progress=True needs tqdm: pip install tqdm, or pass a function") from error
        self._tqdm: Any = tqdm
        self._bar: Any = None
        self._phase = ""

    def __call__(self, phase: str, done: int, total: int, tensor: str) -> None:
        if phase != self._phase:
            self.close()
            self._bar = self._tqdm(total=total, desc=phase, unit="w", unit_scale=True)
            self._phase = phase
        self._bar.set_postfix_str(printable(tensor), refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


@contextmanager
def shown(progress: ProgressOption) -> Iterator[_Sink | None]:
    """What the library is given for this option."""
    if callable(progress):
        call = progress
        yield lambda phase, done, total, tensor: void(call(Progress(phase, done, total, tensor)))
    elif progress:
        bars = _Bars()
        try:
            yield bars
        finally:
            bars.close()
    else:
        yield None


def void(_: object) -> None:
    """Takes what a caller's function returns, which means nothing here."""

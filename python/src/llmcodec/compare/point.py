# SPDX-License-Identifier: BSD-3-Clause
"""One point: one combination on one piece at one rate. What a process of the comparison does, over and over.

`python -m llmcodec.compare.point` reads tasks as lines of JSON and answers each with one; it ends when nobody is left to ask.
"""

from __future__ import annotations

import functools
import json
import math
import os
import queue
import sys
import threading
import time
from typing import Any

import numpy as np

from llmcodec import __version__, _core
from llmcodec._errors import Error
from llmcodec._system import control

from . import controls, grid
from .sample import NoSource, Piece, Source, make_source

_SHORTEST = 0.003  # seconds of processor time that a speed is worked out from
TOLERANCE = 0.03  # of the rate: curves are interpolated
_GAUSSIAN_DB = 20 * math.log10(2)  # a bit is worth
# Of a row, what depends on the machine's haste and not on what was measured.
TIMES = ("encode_cpu_s", "decode_cpu_s", "encode_mws", "decode_mws", "wall_s", "setup_s")


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """The measured part of a row. `failed` is its reason where there is none."""
    start = time.monotonic()
    row: dict[str, Any] = {"failed": None, "note": ""}
    try:
        if task["scales"] == "estimate":
            raise NoSource(grid.ESTIMATE_REASON)
        source = _source(json.dumps(task["piece"]), task["layout"], task["scales"], json.dumps(task["pieces"]))
        of = _control if task["spec"].startswith("control:") else _encoder
        row |= of(task, source)
        row |= _with_side(row, source.side_bpw)
    except (Error, NoSource) as error:
        row["failed"] = str(error) or type(error).__name__
    return row | {"wall_s": time.monotonic() - start}


@functools.lru_cache(maxsize=4)
def _source(piece: str, layout: str, scales: str, pieces: str) -> Source:
    return make_source(
        Piece(**json.loads(piece)),
        "plain" if layout == "spectral" else layout,
        scales,
        [Piece(**described) for described in json.loads(pieces)],
    )


def _with_side(row: dict[str, Any], side_bpw: float) -> dict[str, Any]:
    """Bits of all that a decoder needs; `gap_db` is the distance to the bound of Gaussian weights."""
    bpw = row["stream_bpw"] + side_bpw
    return {"side_bpw": side_bpw, "bpw": bpw, "gap_db": _GAUSSIAN_DB * bpw - row["snr_db"]}


def _encoder(task: dict[str, Any], source: Source) -> dict[str, Any]:
    options = _core.BenchOptions()
    options.tolerance = TOLERANCE
    options.bit_depth = 0 if task["spec"] == "raw" or task["layout"] == "spectral" else task["bit_depth"]
    given = (task["piece"]["tensor"], source.weights, source.pictures, source.row_scales, source.col_scales)
    # The rate that was asked for has room for the scales.
    wanted = max(task["rate"] - source.side_bpw, 0.1)
    given_control = control(1, task["ffmpeg"], task["timeout"])
    setup_s = _setup(task["spec"], given_control)
    bench = json.loads(_core.bench([given], [task["spec"]], [wanted], options, given_control, None))[0]
    if bench["bpw"] == 0:
        raise NoSource(bench["note"])
    if bench["snr_db"] is None:
        raise NoSource("no SNR that is finite")
    return {
        "stream_bpw": bench["bpw"],
        "snr_db": bench["snr_db"],
        "encode_cpu_s": bench["encode_seconds"],
        "decode_cpu_s": bench["decode_seconds"],
        "encode_mws": _resolved(bench["encode_mws"], bench["weights"]),
        "decode_mws": _resolved(bench["decode_mws"], bench["weights"]),
        "weights": bench["weights"],
        "pictures": source.pictures,
        "coded_bit_depth": bench["bit_depth"],
        "quality": bench["quality"],
        "plane_scale": bench["plane_scale"],
        "version": bench["version"],
        "setup_s": setup_s,
        "note": bench["note"],
    }


def _resolved(mws: float, weights: int) -> float | None:
    """A speed, unless the time was too short for the clock of processor time."""
    return mws if weights / (mws * 1e6) >= _SHORTEST else None


def _setup(spec: str, given: _core.Control) -> float:
    """Seconds to find the program and to try the encoder: once in a process, and no part of what a point costs."""
    start = time.monotonic()
    if not spec.startswith("vvc:layout=spectral"):
        _core.Codec(spec, given)
    return time.monotonic() - start


def _control(task: dict[str, Any], source: Source) -> dict[str, Any]:
    wanted = max(task["rate"] - source.side_bpw, 0.1)
    step, coded = controls.find_step(task["spec"], source.weights, wanted, TOLERANCE)
    bpw = coded.bits / source.weights.size
    scales = np.outer(source.row_scales, source.col_scales).astype(np.float64)
    real, error = source.weights * scales, (coded.decoded - source.weights) * scales
    times = {"encode": coded.encode_seconds, "decode": coded.decode_seconds}
    measured: dict[str, Any] = {
        "stream_bpw": bpw,
        "snr_db": 10 * math.log10(float(np.sum(real**2)) / max(float(np.sum(error**2)), 1e-300)),
        "weights": source.weights.size,
        "pictures": source.pictures,
        "coded_bit_depth": None,
        "quality": None,
        "plane_scale": float(np.sqrt(np.mean(np.square(source.weights, dtype=np.float64)))) / step,
        "version": f"llmcodec {__version__}",
        "note": "off target" if abs(bpw - wanted) > TOLERANCE * wanted else "",
    }
    for name, seconds in times.items():
        measured[f"{name}_cpu_s"] = seconds
        size = source.weights.size
        measured[f"{name}_mws"] = None if seconds is None else _resolved(size / max(seconds, 1e-3) / 1e6, size)
    return measured


def serve() -> None:
    """Answers tasks until standard input ends; then this process ends at once, whatever it is at: nobody would hear of it."""
    tasks: queue.Queue[str] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin:
            tasks.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        answer = measure(json.loads(tasks.get()))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()

# SPDX-License-Identifier: BSD-3-Clause
"""The command `llmcodec cluster`, which is this package's and not the program's."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from typing import Any

from llmcodec._command_line import EXIT_CODES, StatusLine
from llmcodec._errors import Error, InvalidArgumentError, printable
from llmcodec._progress import Progress
from llmcodec._system import byte_count
from llmcodec._urls import is_url, printable_place, redacted
from llmcodec.reports import CompressReport

from . import compress, decompress, verify

_TARGETS = ("bpw", "size", "snr", "step")
# What belongs to the cluster, and not to what is made: no part of the command that an archive records.
_OF_CLUSTER = (
    "--address",
    "--task-threads",
    "--in-flight",
    "--task-weights",
    "--scratch",
    "--ffmpeg",
    "--timeout",
    "--threads",
)


class _Line:
    """How far the phase is."""

    def __init__(self) -> None:
        self._line = StatusLine(width=120)
        self._phase, self._start, self._first = "", 0.0, 0

    def __call__(self, progress: Progress) -> None:
        phase, done, total = progress.phase, progress.done, progress.total
        now = time.monotonic()
        if phase != self._phase:
            self.end()
            self._phase, self._start, self._first = phase, now, done
        if not self._line.due(done >= total):
            return
        speed = (done - self._first) / max(now - self._start, 0.001)
        left = f", {(total - done) / speed:.0f} s left" if speed > 0 else ""
        self._line.show(
            f"{phase} {100 * done // max(total, 1):3} %  {speed / 1e6:.1f} Mw/s{left}  {printable(progress.tensor)[:80]}"
        )

    def end(self) -> None:
        """The line is done with."""
        self._line.end()
        self._phase = ""


def recorded(arguments: Sequence[str]) -> str:
    """The command that writes the same archive on one machine."""
    kept, skip = [], False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if skip or name in ("--quiet", "--restart"):
            skip = False
        elif name in _OF_CLUSTER:
            skip = not equals
        else:
            kept.append(redacted(argument) if is_url(argument) else argument)
    return shlex.join(["llmcodec", "compress", *kept])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmcodec cluster",
        description="compress, decompress and verify on a cluster of Ray (docs/cluster.md)",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="work", required=True)
    coding = commands.add_parser(
        "compress", help="an archive, byte for byte the one of `llmcodec compress`", allow_abbrev=False
    )
    coding.add_argument("source", metavar="SOURCE", help="a model: a path that all machines have, or a URL of any store")
    coding.add_argument("-o", "--output", required=True, metavar="OUT")
    for name in _TARGETS:
        coding.add_argument(f"--{name}", type=byte_count if name == "size" else float)
    for name in ("codec", "layout", "scales", "plan", "importance", "hessian"):
        coding.add_argument(f"--{name}")
    coding.add_argument("--asymmetric", action="store_true", default=None)
    coding.add_argument("--bit-depth", type=int)
    coding.add_argument("--shard-size", type=byte_count)
    for name in ("set", "code", "keep", "carry"):
        coding.add_argument(f"--{name}", action="append")
    coding.add_argument("--threads", type=int, default=0, help="of planning, on this machine; 0: one per core")
    restoring = commands.add_parser("decompress", help="a model, a task for each file of weights", allow_abbrev=False)
    restoring.add_argument("source", metavar="SOURCE", help="an archive: a path that all machines have, or a URL of any store")
    restoring.add_argument("-o", "--output", required=True, metavar="OUT")
    restoring.add_argument("--dtype", choices=("f32", "f16", "bf16", "q8_0"))
    restoring.add_argument("--saturate", action="store_true")
    restoring.add_argument("--format", choices=("safetensors", "gguf"))
    restoring.add_argument("--shard-size", type=byte_count)
    checking = commands.add_parser("verify", help="checks every tensor and every checksum", allow_abbrev=False)
    checking.add_argument("source", metavar="SOURCE", help="an archive: a path that all machines have, or a URL of any store")
    for command in (coding, restoring, checking):
        command.add_argument("--address", help="of the cluster; default: $RAY_ADDRESS, else a cluster of this machine alone")
        command.add_argument("--task-threads", type=int, default=1, metavar="N", help="threads and CPUs of a task")
        command.add_argument(
            "--in-flight", type=int, metavar="N", help="tasks on their way; default: two for each that can run"
        )
        command.add_argument("--scratch", metavar="DIR", help="on each machine, for files on their way to a store")
        command.add_argument("--ffmpeg", metavar="FILE", help="on each machine; default: as for other commands")
        command.add_argument("--timeout", type=float, metavar="SECONDS")
        command.add_argument("--quiet", action="store_true", help="no progress")
        if command is not restoring:
            command.add_argument("--task-weights", type=byte_count, metavar="N", help="weights of a task, about; default 32Mi")
        if command is not checking:
            command.add_argument("--restart", action="store_true", help="throw an interrupted run away")
    return parser


def _run(given: argparse.Namespace, arguments: list[str], line: _Line | None) -> None:
    options: dict[str, Any] = {key: value for key, value in vars(given).items() if value is not None}
    for key in ("work", "quiet", "source"):
        options.pop(key, None)
    options["progress"] = line
    if given.work == "verify":
        tensors, parameters = verify(given.source, **options)
        _end(line, f"{printable_place(given.source)}: sound; {tensors} tensors, {parameters} parameters")
    elif given.work == "decompress":
        files = decompress(given.source, options.pop("output"), **options)
        _end(line, f"{printable_place(given.output)}: {files} file{'s' if files > 1 else ''} of weights")
    else:
        report: CompressReport = compress(given.source, options.pop("output"), command=recorded(arguments), **options)
        text = f"{report.bytes} bytes, {report.bpw:.3f} bpw, SNR {report.snr_db:.2f} dB"
        for note in report.notes:
            print(f"note: {printable(note)}", file=sys.stderr)
        _end(line, f"{printable_place(given.output)}: {text}")


def _end(line: _Line | None, text: str) -> None:
    if line is not None:
        line.end()
    print(text)


def main(arguments: list[str]) -> int:
    """What the command does, and its exit code (docs/cli.md)."""
    parser = _parser()
    given = parser.parse_args(arguments)
    line = None if given.quiet else _Line()
    try:
        if given.work == "compress" and sum(getattr(given, name) is not None for name in _TARGETS) > 1:
            raise InvalidArgumentError("one target at most: --bpw, --size, --snr or --step")
        _run(given, arguments[1:], line)
    except Error as error:
        if line is not None:
            line.end()
        print(f"llmcodec: error: {error}", file=sys.stderr)
        return EXIT_CODES[error.kind]
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on", file=sys.stderr)
        return 130
    return 0

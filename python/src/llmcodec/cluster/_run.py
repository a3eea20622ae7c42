# SPDX-License-Identifier: BSD-3-Clause
"""compress, decompress and verify as tasks of a cluster. What they need to go on after a lost driver is in the folder
`OUT.cluster` beside the output: what was asked for, the order of work, and the pieces that are done."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from llmcodec import __version__, _core
from llmcodec._errors import InvalidArgumentError, MissingFileError
from llmcodec._models import coding_options
from llmcodec._system import encoded
from llmcodec._urls import is_url, name_of
from llmcodec.reports import CompressReport, made

from ._source import Source, look, path_of
from ._store import Folder
from ._tasks import (
    Done,
    Machine,
    Restoring,
    Task,
    code,
    memory_of_coding,
    memory_of_decoding,
    restore_file,
    restore_whole,
    verify,
)

TASK_WEIGHTS = 32 << 20
"""Weights of a task, about: half a minute of one core, and 12 MB of results at 3 bits."""
_REQUEST, _ORDER, _PIECES, _RESTORED = "request.json", "order", "pieces", "restored"
_INDEX = "model.safetensors.index.json"

Tell = Callable[[str, int, int, str], None]
"""Phase, weights done, in all, and what is in work."""


class Runner(Protocol):
    """Whoever runs tasks: a cluster."""

    def run(self, tasks: Sequence[Task], done: Callable[[Task, Done | None, int], None]) -> None:
        """All of them, in any order."""


class Journal:
    """The folder beside the output."""

    def __init__(self, output: str, request: dict[str, Any], restart: bool) -> None:
        self.folder = Folder(output + ".cluster")
        self.text = json.dumps({"llmcodec_cluster": 1, "version": __version__, **request}, sort_keys=True, indent=1)
        try:
            said = self.folder.read(_REQUEST)
        except MissingFileError:
            said = None
        if said is None and self.folder.names():
            raise self._error(
                "holds files, and none of them says that a run of this program left them: remove it, or name another output"
            )
        if said is not None and not restart and said != self.text.encode():
            raise self._error(
                "an interrupted run with other settings or another source left this; finish that run with its own settings, or "
                "pass --restart to throw it away"
            )
        self.resumed = said is not None and not restart
        if not self.resumed:
            self.folder.remove()
            self.folder.write(_REQUEST, self.text.encode())

    def _error(self, message: str) -> InvalidArgumentError:
        return InvalidArgumentError(f"{self.folder.shown}: {message}", message=message, file=self.folder.shown)


class _Count:
    """Tells how far the tasks are."""

    def __init__(self, phase: str, tell: Tell, all_tasks: int, done_tasks: int, total: int, done: int) -> None:
        self._phase, self._tell = phase, tell
        self._tasks, self._done_tasks = all_tasks, done_tasks
        self._total, self._done = total, done
        self._peak = self._declared = 0

    def __call__(self, task: Task, result: Done | None, running: int) -> None:
        if result is not None:
            self._done_tasks += 1
            self._done += task.weights
            self._peak, self._declared = max(self._peak, result.peak), max(self._declared, task.memory)
        tasks = f"{self._done_tasks} of {self._tasks} tasks, {running} on their way"
        memory = f", peak {self._peak >> 20} of {self._declared >> 20} MiB" if self._peak else ""
        self._tell(self._phase, self._done, self._total, tasks + memory)


def piece_name(number: int) -> str:
    """Of the file that a piece is in."""
    return f"{_PIECES}/{number:06}.piece"


def compress(
    runner: Runner,
    source: str,
    output: str,
    options: Mapping[str, Any],
    *,
    machine: Machine,
    command: str,
    task_weights: int,
    restart: bool,
    tell: Tell,
) -> CompressReport:
    """Codes the model `source` into the archive `output` (docs/cluster.md)."""
    output = _absolute(output)
    model = look(source)
    if not model.entry and output.startswith(model.folder.rstrip("/") + "/"):
        raise InvalidArgumentError("the output is inside the model's folder, which may not change while it is read")
    known = {key: _known(options[key]) for key in ("plan", "importance", "hessian") if options.get(key)}
    request = {
        "work": "compress",
        "source": model.facts(),
        "options": {key: value for key, value in options.items() if key not in (*known, "threads") and value is not None},
        "known": {key: value.facts() if isinstance(value, Source) else value for key, value in known.items()},
        "command": command,
        "task_weights": task_weights,
    }
    journal = Journal(output, request, restart)
    paths = {key: path_of(value) if isinstance(value, Source) else value for key, value in known.items()}
    given = coding_options("cluster.compress", {**options, **paths, "ffmpeg": machine.ffmpeg, "timeout": machine.timeout})
    given.input, given.command = encoded(path_of(model)), command
    with _Place(output, machine) as place:
        given.output = encoded(place.path)
        ordered = _core.OrderedPieces.parse(_order(journal, given, task_weights, tell))
        hessian = known.get("hessian")
        moments = hessian if isinstance(hessian, Source) else None
        _code(runner, ordered, journal, model, moments, machine, tell)
        report = made(CompressReport, json.loads(_core.assemble(given, ordered, _reader(journal.folder), tell)))
        place.publish()
    journal.folder.remove()
    return report


def _absolute(output: str) -> str:
    """As other machines, and processes in other folders, can take it."""
    return output.rstrip("/") if is_url(output) else os.path.abspath(output)


def _known(place: Any) -> Source | str:
    """A file of what is known; "none", the one word that `importance` takes, is no file."""
    return "none" if place == "none" else look(place)


def _order(journal: Journal, given: _core.CompressOptions, task_weights: int, tell: Tell) -> bytes:
    try:
        return journal.folder.read(_ORDER)
    except MissingFileError:
        order, _ = _core.order_work(given, task_weights, tell)
        journal.folder.write(_ORDER, order)
        return order


def _code(
    runner: Runner,
    ordered: _core.OrderedPieces,
    journal: Journal,
    model: Source,
    hessian: Source | None,
    machine: Machine,
    tell: Tell,
) -> None:
    pieces = ordered.pieces()
    there = journal.folder.sizes(_PIECES)
    left = [i for i in range(len(pieces)) if piece_name(i).rpartition("/")[2] not in there]
    done = sum(piece.weights for piece in pieces) - sum(pieces[i].weights for i in left)
    count = _Count("encode", tell, len(pieces), len(pieces) - len(left), sum(piece.weights for piece in pieces), done)
    remote = model.remote or (hessian is not None and hessian.remote)
    tasks = []
    for i in left:
        memory = memory_of_coding(pieces[i], machine, remote)
        moments = hessian if pieces[i].loop_cols else None
        arguments = (ordered.order_of(i), model, moments, machine, journal.folder, piece_name(i))
        tasks.append(Task(code, arguments, pieces[i].name, pieces[i].weights, memory))
    runner.run(tasks, count)


def _reader(folder: Folder) -> Callable[[int], bytes]:
    return lambda number: folder.read(piece_name(number))


class _Place:
    """Where an output grows: at its place on a disk that is here, else on this one until it is whole."""

    def __init__(self, output: str, machine: Machine) -> None:
        self._output = output
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self.path = output
        if is_url(output):
            self._scratch = tempfile.TemporaryDirectory(prefix="llmcodec-cluster-", dir=machine.scratch)
            self.path = os.path.join(self._scratch.name, name_of(output) or "archive")

    def __enter__(self) -> _Place:
        return self

    def __exit__(self, *_: object) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()

    def publish(self) -> None:
        """Into the store; what makes a model of the other files, the index, goes last."""
        if self._scratch is None:
            return
        if not os.path.isdir(self.path):
            parent, _, name = self._output.rpartition("/")
            Folder(parent).take(self.path, name)
            return
        for name in _files_below(self.path):
            Folder(self._output).take(os.path.join(self.path, name), name)


def _files_below(folder: str) -> list[str]:
    names = [os.path.relpath(os.path.join(at, name), folder) for at, _, files in os.walk(folder) for name in files]
    return sorted(names, key=lambda name: (name.endswith(".index.json"), name))


def decompress(
    runner: Runner, source: str, output: str, restoring: Restoring, *, machine: Machine, restart: bool, tell: Tell
) -> int:
    """Restores the model of an archive, a task for each file of weights; gives their number."""
    output = _absolute(output)
    archive = look(source)
    path = path_of(archive)
    files = _core.restored_files(encoded(path), restoring)
    request = {"work": "decompress", "source": archive.facts(), "options": list(restoring)}
    _check_free(output, Folder(output + ".cluster"))
    journal = Journal(output, request, restart)
    memory = memory_of_decoding(machine, archive.remote)
    folder = Folder(output)
    if not files:
        parent, _, name = output.rpartition("/")
        weights = sum(elements for _, elements, _ in _core.verify_rest(encoded(path)))
        task = Task(restore_whole, (archive, restoring, machine, Folder(parent), name), name, weights, memory)
        runner.run([task], _Count("decode", tell, 1, 0, weights, 0))
        journal.folder.remove()
        return 1
    total = sum(parameters for _, _, parameters in files)
    there = journal.folder.sizes(_RESTORED)
    left = [i for i in range(len(files)) if f"{i:06}" not in there]
    tasks = [
        Task(_restore, (archive, restoring, i, machine, folder, files[i][0], journal.folder), files[i][0], files[i][2], memory)
        for i in left
    ]
    done = total - sum(files[i][2] for i in left)
    runner.run(tasks, _Count("decode", tell, len(files), len(files) - len(left), total, done))
    with tempfile.TemporaryDirectory(prefix="llmcodec-cluster-", dir=machine.scratch) as scratch:
        _core.restore_rest(encoded(path), encoded(os.path.join(scratch, "rest")), restoring)
        for name in _files_below(os.path.join(scratch, "rest")):
            folder.take(os.path.join(scratch, "rest", name), name)
    journal.folder.remove()
    return len(files)


def _restore(
    source: Source, options: Restoring, number: int, machine: Machine, folder: Folder, name: str, journal: Folder
) -> None:
    restore_file(source, options, number, machine, folder, name)
    journal.write(f"{_RESTORED}/{number:06}", b"done\n")


def _check_free(output: str, journal: Folder) -> None:
    """Nothing of the user's is replaced: the output is absent, or what an interrupted run left."""
    if _REQUEST in journal.names():
        return
    if Folder(output).names() or (not is_url(output) and os.path.lexists(output) and not os.path.isdir(output)):
        message = "is there already: a cluster writes file by file, and replaces none; give another name, or remove it"
        shown = Folder(output).shown
        raise InvalidArgumentError(f"{shown}: {message}", message=message, file=shown)


def verify_archive(runner: Runner, source: str, *, machine: Machine, task_weights: int, tell: Tell) -> tuple[int, int]:
    """Checks all that `llmcodec verify` checks; gives the numbers of tensors and of parameters."""
    archive = look(source)
    tensors = _core.verify_rest(encoded(path_of(archive)))
    memory = memory_of_decoding(machine, archive.remote)
    tasks: list[Task] = []
    first = weights = 0
    for i, (_, elements, _) in enumerate(tensors):
        weights += elements
        if weights >= task_weights or i + 1 == len(tensors):
            more = f" and {i - first} more" if i > first else ""
            tasks.append(Task(verify, (archive, first, i + 1 - first, machine), tensors[first][0] + more, weights, memory))
            first, weights = i + 1, 0
    total = sum(elements for _, elements, _ in tensors)
    runner.run(tasks, _Count("verify", tell, len(tasks), 0, total, 0))
    return len(tensors), total

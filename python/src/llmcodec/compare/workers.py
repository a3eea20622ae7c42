# SPDX-License-Identifier: BSD-3-Clause
"""Processes that measure points, several at a time: CPU time of a process's children is its own affair, and a codec that
brings its process down takes one point with it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

Task = dict[str, Any]
_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Workers:
    """`with Workers(2) as workers: for point, measured in workers.run(tasks): ...`, in the order in which they end."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._processes: list[subprocess.Popen[str] | None] = [None] * count
        self._stopped = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        for process in self._processes:
            if process is not None:
                process.kill()
                process.wait()
                for stream in (process.stdin, process.stdout):
                    if stream is not None:
                        stream.close()

    def run(self, tasks: Sequence[tuple[str, Task]]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Measures all of them, the first ones first."""
        waiting: queue.SimpleQueue[tuple[str, Task]] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[str, dict[str, Any]] | BaseException] = queue.SimpleQueue()
        for task in tasks:
            waiting.put(task)

        def work(slot: int) -> None:
            try:
                while not self._stopped:
                    try:
                        point, task = waiting.get_nowait()
                    except queue.Empty:
                        return
                    done.put((point, self._ask(slot, task)))
            except BaseException as error:
                done.put(error)

        for slot in range(min(self._count, len(tasks))):
            threading.Thread(target=work, args=(slot,), daemon=True).start()
        for _ in tasks:
            answer = done.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer

    def _ask(self, slot: int, task: Task) -> dict[str, Any]:
        process = self._processes[slot]
        if process is None or process.poll() is not None:
            process = self._processes[slot] = self._start()
        assert process.stdin is not None and process.stdout is not None
        answer = ""
        try:
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except (OSError, ValueError):  # it is gone
            pass
        if answer:
            measured: dict[str, Any] = json.loads(answer)
            return measured
        process.kill()
        ended = process.wait()
        return {
            "failed": f"the measuring process ended with {'signal' if ended < 0 else 'code'} {abs(ended)}",
            "note": "",
            "wall_s": 0.0,
        }

    @staticmethod
    def _start() -> subprocess.Popen[str]:
        paths = [_PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            [sys.executable, "-m", "llmcodec.compare.point"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C is for the process that asks: a point that dies of it would be a row
        )

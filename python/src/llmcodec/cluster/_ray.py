# SPDX-License-Identifier: BSD-3-Clause
"""Tasks on a cluster of Ray (https://docs.ray.io): largest first, a bounded number on their way, again where they were lost."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from llmcodec._errors import Error, IoError, LimitError, UnsupportedError

from ._tasks import Done, Task, run

ATTEMPTS = 8
"""Times that a task is begun anew after its machine was lost, or a store failed."""
_AHEAD = 2  # tasks on their way for each that can run: no machine waits, and little is lost with the driver


class RayRunner:
    """Runs tasks on the cluster that Ray knows: at `address`, of $RAY_ADDRESS, or of this machine alone."""

    def __init__(self, address: str | None, threads: int, in_flight: int | None) -> None:
        try:
            import ray
        except ImportError as error:
            raise UnsupportedError('a cluster needs Ray: pip install "llmcodec[cluster]"') from error
        self._ray: Any = ray
        self._threads = threads
        self._in_flight = in_flight
        if not ray.is_initialized():
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise IoError(f"no cluster of Ray at {address or 'this machine'}: {error}") from error
        self._remote = ray.remote(run)

    def width(self) -> int:
        """How many tasks may be on their way now; machines come and go."""
        if self._in_flight is not None:
            return self._in_flight
        return _AHEAD * max(1, int(self._ray.cluster_resources().get("CPU", 1)) // self._threads)

    def check(self, tasks: Sequence[Task]) -> None:
        """LimitError where no machine can ever have the largest task: Ray would wait for one that can."""
        needed = max(task.memory for task in tasks)
        largest = max(tasks, key=lambda task: task.memory)
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if any(node.get("memory", 0) >= needed and node.get("CPU", 0) >= self._threads for node in nodes):
            return
        most = max((int(node.get("memory", 0)) for node in nodes), default=0)
        cpus = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        raise LimitError(
            f"{largest.name} needs {needed} bytes and {self._threads} CPUs on one machine, and the largest of the cluster "
            f"offers {most} bytes and {cpus} CPUs (ray start --memory, --num-cpus)"
        )

    def run(self, tasks: Sequence[Task], done: Callable[[Task, Done | None, int], None]) -> None:
        """Runs all tasks. `done` is told of each that is, and now and then of none, with the number on their way."""
        if not tasks:
            return
        self.check(tasks)
        waiting = deque(sorted(tasks, key=lambda task: -task.weights))
        running: dict[Any, Task] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.width():
                    task = waiting.popleft()
                    running[self._submit(task)] = task
                ready, _ = self._ray.wait(list(running), num_returns=1, timeout=1)
                for reference in ready:
                    task = running.pop(reference)
                    done(task, self._result(reference, task), len(running))
                if not ready:
                    done(tasks[0], None, len(running))
        finally:
            for reference in running:
                self._ray.cancel(reference, force=True)

    def _submit(self, task: Task) -> Any:
        options = self._remote.options(
            num_cpus=self._threads,
            memory=task.memory,
            max_retries=ATTEMPTS,
            retry_exceptions=[IoError],
            scheduling_strategy="SPREAD",
            name=f"{task.work.__name__} {task.name}",
        )
        return options.remote(task.work, task.arguments)

    def _result(self, reference: Any, task: Task) -> Done:
        try:
            result: Done = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, Error):
                raise error.cause from None
            raise IoError(f"{task.name}: {error.cause or error}") from error
        except self._ray.exceptions.RayError as error:
            text = str(error).strip().partition("\n")[0]
            raise IoError(
                f"{task.name}: Ray has given it up (of what is lost with its machine it makes {ATTEMPTS} more attempts): {text}"
            ) from error
        return result

"""Crew: processes that read for this one, and end when it ends, however it ends."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from workbench.errors import ExecutionError, WorkbenchError

Item = TypeVar("Item")
Result = TypeVar("Result")
_ONE = {"POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Lost(Generic[Item]):
    """Name the item whose process ended before it was done.

    Parameters
    ----------
    item
        What it was given.
    """

    item: Item


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    line: Connection
    item: Any = None
    started: bool = False


class Crew:
    """Hold processes that compute one item at a time; used as a context.

    Parameters
    ----------
    workers
        Number of processes; with 1 this process computes by itself.

    Notes
    -----
    A process reads its work from a socket whose other end only this process holds: when this one
    is gone, killed too, it reads the end and stops.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._crew: list[_Worker] = []

    def __enter__(self) -> Self:
        """Return itself; `start` starts the processes."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the processes: what they still do is not wanted."""
        self.stop()

    def stop(self) -> None:
        """Stop the processes; from here on this process computes by itself."""
        for worker in self._crew:
            worker.line.close()
            worker.process.kill()
        for worker in self._crew:
            worker.process.wait()
        self._crew.clear()
        self.workers = 1

    @property
    def ready(self) -> bool:
        """Whether its processes have started."""
        return len(self._crew) == self.workers > 1 and all(
            worker.started or worker.line.poll() for worker in self._crew
        )

    def start(self) -> None:
        """Start the processes, if there are none yet; they import while this one goes on."""
        if self.workers > 1:
            while len(self._crew) < self.workers:
                self._crew.append(_start())

    def compute(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[Result | Lost[Item]]:
        """Yield `function` of every item, in the order in which they are done.

        Parameters
        ----------
        function
            A function of a module; it, the items and the results are pickled.
        items
            What to compute it for; taken one at a time, as processes become free.

        Raises
        ------
        WorkbenchError
            The one that the function raised in another process.
        ExecutionError
            If it raised something else there: its class is told, its words are not.
        """
        if self.workers == 1:
            yield from map(function, items)
            return
        self.start()
        waiting = iter(items)
        busy: list[_Worker] = []
        free = deque(self._crew)
        more = True
        while True:
            while more and free:
                try:
                    item = next(waiting)
                except StopIteration:
                    more = False
                    break
                worker = free.popleft()
                worker.item = item
                with suppress(OSError):  # if it died, its line tells
                    worker.line.send((function, item))
                busy.append(worker)
            if not busy:
                return
            ready = set(wait([worker.line for worker in busy]))
            for worker in [w for w in busy if w.line in ready]:
                try:
                    good, result = worker.line.recv()
                except (EOFError, OSError):
                    busy.remove(worker)
                    free.append(self._replace(worker))
                    yield Lost(worker.item)
                    continue
                if not worker.started:  # its first word says that it is there
                    worker.started = True
                    continue
                busy.remove(worker)
                free.append(worker)
                if not good:
                    if isinstance(result, WorkbenchError):
                        raise result
                    raise ExecutionError(
                        f"A process that reads for the scan failed: {result}",
                        where="workbench scan",
                        todo="Scan with one worker and --debug, at the site only",
                    )
                yield result

    def _replace(self, worker: _Worker) -> _Worker:
        worker.line.close()
        worker.process.wait()
        self._crew.remove(worker)
        if not worker.started:
            raise ExecutionError(
                "A process that shall read for the scan does not start",
                where=f"workbench scan, exit code {worker.process.returncode}",
                todo="Scan with --workers 1",
            )
        self._crew.append(_start())
        return self._crew[-1]


def _start() -> _Worker:
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", "from workbench.catalog.crew import serve; serve()",
                 str(theirs.fileno())],
                env={**os.environ, **_ONE, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for the process that asked
            )  # fmt: skip
        except OSError as error:
            ours.close()
            raise ExecutionError(
                "A process that shall read for the scan does not start: "
                f"{os.strerror(error.errno or 0)}",
                where="workbench scan",
                todo="Scan with --workers 1",
            ) from None
    return _Worker(process, Connection(ours.detach()))


def serve() -> None:
    """Compute what arrives on the socket that the last argument names, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = Connection(int(sys.argv[-1]))
    answer: tuple[bool, Any] = (True, None)
    while True:
        try:
            line.send(answer)
            asked = line.recv_bytes()
        except (EOFError, OSError):
            return
        try:
            function, item = pickle.loads(asked)  # noqa: S301 - from the process that started this
            answer = (True, function(item))
        except WorkbenchError as error:
            answer = (False, error)
        except Exception as error:  # noqa: BLE001 - told by its class, where it can be acted on
            answer = (False, type(error).__name__)

"""Parallel: a study at several sites at a time, each in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from workbench.errors import ExecutionError, UsageError, WorkbenchError
from workbench.execution import run_study
from workbench.running.progress import Event, Listener
from workbench.running.publication import RUNS
from workbench.running.run import Run, open_run

if TYPE_CHECKING:
    from workbench.site import Site
    from workbench.study import Study

STOP_S = 10.0
"""How long an interrupted process may take to stop its kernels, in s, before it is killed."""


@dataclass(frozen=True)
class _Order:
    """What a process is told to run; study and site are read again there."""

    study: Path
    site: Path
    parameters: dict[str, object]
    options: dict[str, Any]


def run_sites(
    study: Study,
    sites: Sequence[Site],
    parameters: Mapping[str, object] | None = None,
    *,
    jobs: int = 2,
    runs: Path = RUNS,
    sample: int | None = None,
    use_cache: bool = True,
    explain: bool = False,
    progress: Listener | None = None,
) -> list[Run | WorkbenchError]:
    """Run a study at several sites; one that fails does not stop the others.

    Parameters
    ----------
    study
        What to run.
    sites
        Where; each once.
    parameters, runs, sample, use_cache, explain
        As in `run_study`.
    jobs
        How many sites run at a time.
    progress
        Called in this process with each event of each site.

    Returns
    -------
    list
        For each site in order its `Run`, or the error that stopped it.

    Raises
    ------
    UsageError
        When a site is named twice.
    KeyboardInterrupt
        When the user stops it; kernels are stopped, and the same call goes on from there.
    """
    ids = [site.id for site in sites]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise UsageError(
            f"The site {twice[0]!r} is named twice", where="--site", todo="Name each site once"
        )
    given = study.parameter_values(parameters)
    options: dict[str, Any] = {"runs": runs, "sample": sample}
    how = {"use_cache": use_cache, "explain": explain}
    if jobs == 1 or len(sites) == 1:
        return [
            _attempt(study, site, given, {**options, **how, "progress": progress}) for site in sites
        ]
    orders = [_Order(study.path, site.path, dict(given), {**options, **how}) for site in sites]
    errors = _Processes(orders, ids, jobs, progress).run()
    return [
        errors.get(i) or open_run(study, site, given, **options) for i, site in enumerate(sites)
    ]


def _attempt(
    study: Study, site: Site, given: Mapping[str, object], options: dict[str, Any]
) -> Run | WorkbenchError:
    try:
        return run_study(study, site, given, **options)
    except WorkbenchError as error:
        return error


class _Processes:
    """Some orders, `jobs` at a time."""

    def __init__(
        self, orders: list[_Order], ids: list[str], jobs: int, progress: Listener | None
    ) -> None:
        self.orders, self.ids, self.jobs, self.progress = orders, ids, max(jobs, 1), progress
        self.active: dict[Connection, tuple[int, SpawnProcess]] = {}
        self.errors: dict[int, WorkbenchError] = {}
        self.ended: set[int] = set()

    def run(self) -> dict[int, WorkbenchError]:
        """Return the error of each order that did not end well."""
        waiting = list(range(len(self.orders)))
        try:
            while waiting or self.active:
                while waiting and len(self.active) < self.jobs:
                    self.start(waiting.pop(0))
                for connection in wait(list(self.active)):
                    self.receive(connection)  # type: ignore[arg-type]
        finally:
            self.stop()
        return self.errors

    def start(self, index: int) -> None:
        context = get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(self.orders[index], sender))
        process.start()
        sender.close()
        self.active[receiver] = (index, process)

    def receive(self, connection: Connection) -> None:
        index, process = self.active[connection]
        try:
            message = connection.recv()
        except EOFError:
            del self.active[connection]
            connection.close()
            process.join()
            if index not in self.ended:
                self.errors[index] = ExecutionError(
                    f"The process of the site {self.ids[index]!r} died",
                    where=f"site {self.ids[index]}, exit code {process.exitcode}",
                    todo="Look for lack of memory, and run the same command again",
                )
            return
        if isinstance(message, Event):
            if self.progress is not None:
                self.progress(message)
            return
        self.ended.add(index)
        if isinstance(message, WorkbenchError):
            self.errors[index] = message

    def stop(self) -> None:
        """Interrupt what still runs, so that it stops its kernel."""
        processes = [process for _, process in self.active.values()]
        for process in processes:
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.SIGINT)
        for process in processes:
            process.join(STOP_S)
            if process.is_alive():
                process.kill()
                process.join()


def _work(order: _Order, sender: Connection) -> None:
    """Run one order; the last message is an error, or None when it ended well."""
    from workbench.site import read_site
    from workbench.study import read_study

    signal.signal(signal.SIGINT, _interrupt)
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        study, site = read_study(order.study), read_site(order.site)
        run_study(study, site, order.parameters, progress=sender.send, **order.options)
        sender.send(None)
    except WorkbenchError as error:
        sender.send(error)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(1) from None  # the parent is gone
    except Exception as error:  # noqa: BLE001 - its message may hold patient data: only the class
        sender.send(
            ExecutionError(
                f"The run stopped unexpectedly: {type(error).__name__}",
                where=str(order.site),
                todo="Run this site alone with --debug, at the site only",
            )
        )


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler
    # A terminal sends the signal to every process, and the parent sends it again: one is enough.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _follow_parent() -> None:
    """Stop when the process that started this one is gone."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGINT)

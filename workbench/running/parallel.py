"""Parallel: something done at several sites at a time, each in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
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


Work = Callable[["Study", "Site", Listener, dict[str, Any]], object]
"""A function of a module: what is done for a site, with the options of the call."""


@dataclass(frozen=True)
class _Order:
    """What a process is told to do; study and site are read again there."""

    work: Work
    study: Path
    site: Path
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
    given = study.parameter_values(parameters)
    where: dict[str, Any] = {"runs": runs, "sample": sample}
    options = {"parameters": dict(given), "use_cache": use_cache, "explain": explain, **where}
    found = at_sites(_run, study, sites, options, jobs=jobs, progress=progress)
    return [
        error if isinstance(error, WorkbenchError) else open_run(study, site, given, **where)
        for site, error in zip(sites, found, strict=True)
    ]


def _run(study: Study, site: Site, progress: Listener, options: dict[str, Any]) -> None:
    run_study(study, site, progress=progress, **options)


def at_sites(
    work: Work,
    study: Study,
    sites: Sequence[Site],
    options: dict[str, Any],
    *,
    jobs: int = 2,
    progress: Listener | None = None,
) -> Generator[Any, None, None]:
    """Do something for several sites, and yield for each in order what came of it.

    Parameters
    ----------
    work
        What to do.
    study
        For which study.
    sites
        Where; each once.
    options
        Given to `work`; as what it returns they can be pickled.
    jobs
        At how many sites at a time, each in a process of its own; with 1 in this one.
    progress
        Called in this process with each event of each site.

    Yields
    ------
    object
        What `work` returned, or the `WorkbenchError` that stopped it.

    Raises
    ------
    UsageError
        When a site is named twice.
    """
    ids = [site.id for site in sites]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise UsageError(
            f"The site {twice[0]!r} is named twice", where="--site", todo="Name each site once"
        )
    tell = progress or (lambda _: None)
    if jobs == 1 or len(sites) == 1:
        for site in sites:
            try:
                done = work(study, site, tell, options)
            except WorkbenchError as error:
                done = error
            yield done
        return
    orders = [_Order(work, study.path, site.path, options) for site in sites]
    yield from _Processes(orders, ids, jobs, tell).run()


class _Processes:
    """Some orders, `jobs` at a time."""

    def __init__(self, orders: list[_Order], ids: list[str], jobs: int, tell: Listener) -> None:
        self.orders, self.ids, self.jobs, self.tell = orders, ids, max(jobs, 1), tell
        self.active: dict[Connection, tuple[int, SpawnProcess]] = {}
        self.ended: dict[int, object] = {}

    def run(self) -> Iterator[object]:
        """Yield what came of each order, in their order."""
        waiting = list(range(len(self.orders)))
        try:
            for index in range(len(self.orders)):
                while index not in self.ended:
                    while waiting and len(self.active) < self.jobs:
                        self.start(waiting.pop(0))
                    self.listen()
                yield self.ended[index]
            while self.active:  # they have told all, and end by themselves
                self.listen()
        finally:
            self.stop()

    def start(self, index: int) -> None:
        context = get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(self.orders[index], sender))
        process.start()
        sender.close()
        self.active[receiver] = (index, process)

    def listen(self) -> None:
        for connection in wait(list(self.active)):
            self.receive(connection)  # type: ignore[arg-type]

    def receive(self, connection: Connection) -> None:
        index, process = self.active[connection]
        try:
            message = connection.recv()
        except EOFError:
            del self.active[connection]
            connection.close()
            process.join()
            died = ExecutionError(
                f"The process of the site {self.ids[index]!r} died",
                where=f"site {self.ids[index]}, exit code {process.exitcode}",
                todo="Look for lack of memory, and run the same command again",
            )
            self.ended.setdefault(index, died)
            return
        if isinstance(message, Event):
            self.tell(message)
        else:
            self.ended[index] = message[0]

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
    """Do one order; the last message is a tuple of what came of it."""
    from workbench.site import read_site
    from workbench.study import read_study

    signal.signal(signal.SIGINT, _interrupt)
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        study, site = read_study(order.study), read_site(order.site)
        sender.send((order.work(study, site, sender.send, order.options),))
    except WorkbenchError as error:
        sender.send((error,))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(1) from None  # the parent is gone
    except Exception as error:  # noqa: BLE001 - its message may hold patient data: only the class
        stopped = ExecutionError(
            f"The work at a site stopped unexpectedly: {type(error).__name__}",
            where=str(order.site),
            todo="Name this site alone, with --debug, at the site only",
        )
        sender.send((stopped,))


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

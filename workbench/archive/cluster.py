"""Cluster: the Dask workers that a site names, or threads of this process."""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.cache import workbench_digest
from workbench.errors import ExecutionError, SiteError, show

if TYPE_CHECKING:
    from workbench.site import Site

Item = TypeVar("Item")
Result = TypeVar("Result")
WAIT_S = 60
"""Longest wait for a first worker, in seconds."""
ANSWER_S = 10
"""Longest wait for a scheduler to answer, in seconds."""
SETTINGS = {
    # Without this limit a run without workers waits for ever.
    "distributed.scheduler.no-workers-timeout": f"{WAIT_S}s",
    "distributed.scheduler.allowed-failures": 3,
    # What a worker frees it would give back to the system at once, and ask for again: Dask's own
    # setting does so for the sake of memory, and makes short tasks over arrays a third slower.
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1
    ),
}
_connected: dict[str, Workers] = {}


@dataclass(frozen=True)
class Workers:
    """Name who computes.

    Parameters
    ----------
    client
        A `distributed.Client`, or None for threads of this process.
    threads
        Number of threads; all cores if None.
    """

    client: Any = None
    threads: int | None = None

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return `function` of every item, in order, each computed as one task.

        Parameters
        ----------
        function
            A pure function; on other machines it, the items and the results are pickled, and
            paths must be the same there.
        items
            What to compute it for.

        Raises
        ------
        ExecutionError
            If a task was lost with its worker several times, or no worker came.
        """
        dask = _import("dask")
        tasks = [dask.delayed(function, pure=False)(item) for item in items]
        if self.client is None:
            # By its function, not by its name: the name would import all of distributed.
            threaded = _import("dask.threaded").get
            return list(dask.compute(*tasks, scheduler=threaded, num_workers=self.threads))

        distributed = _import("distributed")
        lost = (distributed.KilledWorker, distributed.scheduler.NoValidWorkerError, TimeoutError)
        try:
            return list(self.client.gather(self.client.compute(tasks)))
        except lost as error:
            raise ExecutionError(
                f"The workers could not finish: {type(error).__name__}",
                where="dask",
                todo="Look at the workers' memory and logs, then run again",
            ) from None


@contextmanager
def open_cluster(site: Site | None) -> Iterator[Workers]:
    """Connect to the workers that a site names under `[dask]`, and leave them at the end.

    Parameters
    ----------
    site
        The site: `scheduler = "tcp://…"` for a running scheduler, `workers = N` for N processes
        on this machine, or threads with `processes = false`. Threads if it says nothing.

    Yields
    ------
    Workers

    Raises
    ------
    SiteError
        If the scheduler does not answer, or has no worker.
    """
    declared: Mapping[str, Any] = {} if site is None else (site.dask or {})
    scheduler, number = declared.get("scheduler"), declared.get("workers")
    if not scheduler and not (number and declared.get("processes")):
        yield Workers(threads=number)
        return

    dask, distributed = _import("dask"), _import("distributed")
    with dask.config.set(SETTINGS), ExitStack() as stack:
        if scheduler:
            yield Workers(stack.enter_context(_reach(str(scheduler))))
            return
        cluster = distributed.LocalCluster(
            n_workers=number, threads_per_worker=1, processes=True, dashboard_address=None
        )
        stack.enter_context(cluster)
        yield Workers(stack.enter_context(distributed.Client(cluster, set_as_default=False)))


def connect(site: Site | None) -> Workers:
    """Return the workers of a site; the connection stays open until this process ends.

    Raises
    ------
    SiteError
        As `open_cluster`.
    """
    key = json.dumps({} if site is None else dict(site.dask or {}), sort_keys=True)
    if key not in _connected:
        stack = ExitStack()
        _connected[key] = stack.enter_context(open_cluster(site))
        atexit.register(stack.close)
    return _connected[key]


def _reach(scheduler: str) -> Any:  # noqa: ANN401 - Dask's classes are not typed
    where = f"dask.scheduler {show(scheduler)}"
    try:
        client = _import("distributed").Client(
            scheduler, timeout=f"{ANSWER_S}s", set_as_default=False
        )
    except (OSError, TimeoutError, ValueError):
        raise SiteError(
            "The Dask scheduler does not answer",
            where=where,
            todo="Start it with `dask scheduler`, or correct the address",
        ) from None
    try:
        client.wait_for_workers(1, timeout=WAIT_S)
    except TimeoutError:
        client.close()
        raise SiteError(
            f"The Dask scheduler has no worker after {WAIT_S} s",
            where=where,
            todo="Start one with `dask worker ADDRESS`",
        ) from None
    here = workbench_digest()
    others = [found for found in client.run(workbench_digest).values() if found != here]
    if others:
        client.close()
        raise SiteError(
            f"{len(others)} Dask workers run another version of the workbench",
            where=where,
            todo="Install the same version on all machines of the cluster",
        )
    return client


def _import(name: str) -> Any:  # noqa: ANN401 - Dask's signatures are not typed
    return import_module(name)

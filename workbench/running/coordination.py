"""Coordination: the coordinator's step, which pools verified releases in a notebook."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import PoolingError
from workbench.exchange.places import pooled_of, releases_of
from workbench.notebook import Kernel, kernel_environment, run_notebook
from workbench.pooled.table import Used
from workbench.pooling import Pooled, read_pooled
from workbench.running.disk import writing
from workbench.running.lock import lock_folder

if TYPE_CHECKING:
    from workbench.study import Study


def run_pool(study: Study) -> Pooled:
    """Run the pooling notebook of a study and return what it wrote.

    Parameters
    ----------
    study
        The study, with releases below its folder.

    Raises
    ------
    PoolingError
        If the study does not pool, or the notebook stops.
    ExecutionError
        If another process pools the study; names its pid and host.
    """
    if study.pool_notebook is None:
        raise PoolingError(
            "The study does not pool",
            where="study.toml",
            todo='Add [pool] with notebook = "90_pool.ipynb"',
        )
    folder = study.folder.resolve()
    output = pooled_of(study).relative_to(study.folder)
    with _alone(releases_of(study)), tempfile.TemporaryDirectory(prefix="workbench-pool-") as made:
        kernel = Kernel(folder, kernel_environment(None), "workbench-pool")
        try:
            stopped = run_notebook(
                folder / study.pool_notebook,
                Path(made, "notebook.ipynb"),
                {"site": "", "run_dir": "", "output_dir": str(output)},
                kernel,
                lambda _cell, _of: None,
            )
        finally:
            kernel.close()
    if stopped is not None:
        raise PoolingError(
            f"The pooling notebook stopped with {stopped.error} in cell {stopped.cell}",
            where=str(study.folder / study.pool_notebook),
            todo="Run it in JupyterLab from the study folder, or 'workbench verify' first",
        )
    return read_pooled(pooled_of(study))


def read_earlier(study: Study) -> tuple[Used, ...]:
    """Return the releases that the last pooling used; none where nothing readable is there."""
    try:
        return read_pooled(pooled_of(study)).releases
    except PoolingError:  # it will be replaced anyway
        return ()


def compare_pooled(before: Sequence[Used], now: Sequence[Used]) -> list[str]:
    """Return what another pooling changes, in lines for a person; none where nothing does.

    Parameters
    ----------
    before
        The releases that were pooled last; empty for the first pooling.
    now
        Those that will be.
    """
    old, new = ({used.site: used.release for used in given} for given in (before, now))
    if not old or old == new:
        return []
    changes = {
        "no longer pooled": old.keys() - new.keys(),
        "pooled for the first time": new.keys() - old.keys(),
        "another release": {s for s in old.keys() & new.keys() if old[s] != new[s]},
    }
    counts = f"Replacing the pooled result: {len(old)} releases before, {len(new)} now"
    return [counts, *(f"  {what}: {', '.join(sorted(s))}" for what, s in changes.items() if s)]


@contextlib.contextmanager
def _alone(releases: Path) -> Iterator[None]:
    """Hold the pooling of a study for this process alone."""
    folder = releases / ".pooling"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")  # a lock says nothing in another checkout
    with lock_folder(folder):
        yield

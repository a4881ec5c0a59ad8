"""Coordination: the coordinator's step, which pools verified releases in a notebook."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import PoolingError
from workbench.notebook import Kernel, kernel_environment, run_notebook
from workbench.pooling import Pooled, read_pooled

if TYPE_CHECKING:
    from workbench.study import Study

POOLED = Path("releases") / "pooled"
"""Where the pooled tables lie, below the study folder."""


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
    """
    if study.pool_notebook is None:
        raise PoolingError(
            "The study does not pool",
            where="study.toml",
            todo='Add [pool] with notebook = "90_pool.ipynb"',
        )
    folder = study.folder.resolve()
    with tempfile.TemporaryDirectory(prefix="workbench-pool-") as temporary:
        executed = Path(temporary, "notebook.ipynb")
        kernel = Kernel(folder, kernel_environment(None), "workbench-pool")
        try:
            stopped = run_notebook(
                folder / study.pool_notebook,
                executed,
                {"site": "", "run_dir": "", "output_dir": str(POOLED)},
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
    return read_pooled(folder / POOLED)

"""Run: the run of a study at a site, its folder and what lies there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cache import digest_value
from workbench.errors import ExecutionError, UsageError, show
from workbench.notebook import papermill_command
from workbench.provenance import RunRecord, read_record

if TYPE_CHECKING:
    from workbench.definition.parameters import Value
    from workbench.site import Site
    from workbench.study import Study

PARAMS = "params.yaml"
RUNS = Path("runs")


@dataclass(frozen=True)
class StepResult:
    """Say what a run did about one step.

    Parameters
    ----------
    id
        Id of the step.
    reused
        Whether it was finished before and not run again.
    seconds
        How long it took when it ran.
    reasons
        Why it ran, in words: the parts of its key that changed.
    """

    id: str
    reused: bool
    seconds: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """Hold a finished run of a study at a site.

    Parameters
    ----------
    folder
        The run folder.
    study, site
        What ran, and where.
    parameters
        Value by name.
    run_id
        Name of the run folder.
    steps
        What was done about each step, in order; empty for a run that was only opened.
    sample
        Number of patients it was limited to, or None; a sample can never be released.
    """

    folder: Path
    study: Study = field(repr=False)
    site: Site = field(repr=False)
    parameters: Mapping[str, Value]
    run_id: str
    steps: tuple[StepResult, ...] = ()
    sample: int | None = None

    @cached_property
    def record(self) -> RunRecord:
        """The record of the run."""
        return read_record(self.folder)

    def output(self, name: str) -> Path:
        """Return the path of an output.

        Raises
        ------
        DefinitionError
            When the study declares none of that name.
        """
        output = self.study.output(name)
        return self.folder / output.step / output.path

    def papermill_command(self, step: str, into: Path | None = None) -> str:
        """Return the stock papermill line that is equal to what the run did for a step.

        Parameters
        ----------
        step
            Id of the step.
        into
            Folder for outputs and executed notebook, made here; default `<run>/<step>.papermill`.
        """
        folder = (into or self.folder / f"{step}.papermill").resolve()
        (folder / "output").mkdir(parents=True, exist_ok=True)
        return papermill_command(
            (self.study.folder / self.study.step(step).notebook).resolve(),
            folder / "notebook.ipynb",
            self.folder / PARAMS,
            folder / "output",
            cwd=self.study.folder.resolve(),
            sample=self.sample,
        )


def run_id(study: Study, site: Site, values: Mapping[str, Value], sample: int | None = None) -> str:
    """Return the name of a run: the same study, site and parameters give the same.

    What study and site contain is not part of it, but of the keys of the steps: a changed notebook
    goes on in the same folder.
    """
    return digest_value([study.id, site.id, dict(values), sample])[:12]


def open_run(
    study: Study,
    site: Site,
    parameters: Mapping[str, object] | None = None,
    *,
    runs: Path = RUNS,
    sample: int | None = None,
) -> Run:
    """Open a run that has ended well, without running anything.

    Raises
    ------
    ExecutionError
        When there is no such run, or it did not end well.
    """
    run = name_run(study, site, parameters, runs, sample)
    if run.record.status != "finished":
        raise ExecutionError(
            f"The run did not end well: it is {run.record.status}",
            where=str(run.folder),
            todo="Run the study again",
        )
    return run


def name_run(
    study: Study,
    site: Site,
    parameters: Mapping[str, object] | None,
    runs: Path,
    sample: int | None,
) -> Run:
    """Return the run that a command means, whether its folder exists or not.

    Raises
    ------
    DefinitionError
        When a parameter is not what study.toml declares.
    UsageError
        When the sample is no positive number.
    """
    if sample is not None and (type(sample) is not int or sample < 1):
        raise UsageError(
            f"A sample of {show(sample)} patients cannot be opened",
            where="--sample",
            todo="Give a whole number of patients, 1 or more",
        )
    values = study.parameter_values(parameters)
    name = run_id(study, site, values, sample)
    folder = runs.resolve() / study.id / site.id / name
    return Run(folder, study, site, values, name, (), sample)

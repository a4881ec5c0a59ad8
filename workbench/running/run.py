"""Run: the run of a study at a site, its folder and what lies there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cache import digest_value
from workbench.display import Card, Displayed
from workbench.errors import ExecutionError, UsageError, show
from workbench.notebook import papermill_command
from workbench.provenance import RunRecord, read_record
from workbench.running.disk import writing
from workbench.running.publication import RUNS

if TYPE_CHECKING:
    from workbench.definition.parameters import Value
    from workbench.site import Site
    from workbench.study import Study

PARAMS = "params.yaml"


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


@dataclass(frozen=True, repr=False)
class Run(Displayed):
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

    def _card(self) -> Card:
        facts = {
            "run": self.run_id,
            "folder": str(self.folder),
            "parameters": ", ".join(f"{name} = {value}" for name, value in self.parameters.items()),
            "sample": "" if self.sample is None else f"{self.sample} patients; never released",
        }
        took = {step.id: "unchanged" if step.reused else f"{step.seconds:.1f} s"
                for step in self.steps}  # fmt: skip
        rows = [
            [o.step, took.get(o.step, ""), o.name, o.kind, "may leave" if o.release else "stays"]
            for o in self.study.outputs.values()
        ]
        head = ["step", "took", "output", "kind", "after the check"]
        return Card(f"{self.study.title}, at {self.site.name}", facts, head, rows)

    def papermill_command(self, step: str, into: Path | None = None) -> str:
        """Return the stock papermill line that is equal to what the run did for a step.

        Parameters
        ----------
        step
            Id of the step.
        into
            Folder for outputs and executed notebook, made here; default `<run>/<step>.papermill`.
        """
        folder = (into or self.folder / f"{step}.papermill").absolute()
        with writing(folder):
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
    goes on in the same folder, and so does a copy of a site that keeps its id: a copy needs an id
    of its own, or another folder of runs.
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
        When the sample is no positive number, or the folder of runs cannot be one.
    """
    if sample is not None and (type(sample) is not int or sample < 1):
        raise UsageError(
            f"A sample of {show(sample)} patients cannot be opened",
            where="--sample",
            todo="Give a whole number of patients, 1 or more",
        )
    values = study.parameter_values(parameters)
    name = run_id(study, site, values, sample)
    try:
        folder = runs.resolve() / study.id / site.id / name
    except (OSError, RuntimeError, ValueError):
        raise UsageError(
            "The folder of runs cannot be used", where=show(str(runs), 200), todo="Name a folder"
        ) from None
    return Run(folder, study, site, values, name, (), sample)

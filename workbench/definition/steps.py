"""Step and Output: what every site runs, and what that writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.definition.dimensions import StudyDimension
from workbench.definition.study_file import SUMMARY_KINDS, OutputTable, StepTable
from workbench.summaries.dimension import Zeros

FINGERPRINT = ".fingerprint"
"""File in which a step may name the state of what it opened; kept, never released."""
SAMPLE = "WORKBENCH_SAMPLE"
"""Environment variable that limits what a notebook opens; a sample can never be released."""


@dataclass(frozen=True)
class Output:
    """Declare one file or folder that a step writes.

    Parameters
    ----------
    name
        Its name; no other output of the study has it.
    path
        Path below the folder of the step.
    kind
        "file", "folder", or a kind of Summary: "counts", "moments", "histogram".
    release
        Whether it may leave the institution, after the check.
    dimensions
        Dimensions of a Summary in order.
    population
        What a Summary counts; Summaries of one population at a site count the same exams.
    unit, resolution, edges
        What the kind needs: UCUM unit, step of the integer sums, edges of the base bins. Unit "1"
        with whole edges says that a histogram is of whole numbers.
    zeros
        "public" if an empty interval of a histogram may be published as empty.
    requires
        Columns that a site must be able to answer.
    about
        What it is for.
    step
        Id of the step that writes it.
    """

    name: str
    path: str
    kind: str
    release: bool
    dimensions: tuple[StudyDimension, ...]
    population: str
    unit: str
    resolution: float | None
    edges: tuple[float, ...]
    zeros: Zeros
    requires: tuple[str, ...]
    about: str
    step: str

    @property
    def is_summary(self) -> bool:
        """Whether it is a Summary, the only thing that can be released."""
        return self.kind in SUMMARY_KINDS


@dataclass(frozen=True)
class Step:
    """Declare one notebook that every site runs.

    Parameters
    ----------
    id
        Name of the step.
    notebook
        Path of the notebook below the study folder.
    needs
        Ids of the steps whose outputs it reads.
    outputs
        What it writes.
    about
        What it is for.
    """

    id: str
    notebook: str
    needs: tuple[str, ...]
    outputs: tuple[Output, ...]
    about: str = ""


def make_step(table: StepTable, dimensions: Mapping[str, StudyDimension]) -> Step:
    """Return the step that a table declares, with the dimensions of its outputs."""
    outputs = tuple(_output(output, table.id, dimensions) for output in table.output)
    return Step(table.id, table.notebook, tuple(table.needs), outputs, table.about)


def _output(table: OutputTable, step: str, dimensions: Mapping[str, StudyDimension]) -> Output:
    return Output(
        name=table.name,
        path=table.file,
        kind=table.kind,
        release=table.release,
        dimensions=tuple(dimensions[name] for name in table.dimensions),
        population=table.population,
        unit=table.unit,
        resolution=table.resolution,
        edges=tuple(float(edge) for edge in table.edges or ()),
        zeros=table.zeros,
        requires=tuple(table.requires),
        about=table.about,
        step=step,
    )

"""StudyFile: the tables that a study.toml may hold, and what must be true between them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from workbench.definition.column_rules import column_problems
from workbench.definition.declaration import (
    Declared,
    Distinct,
    InnerPath,
    Language,
    Line,
    Name,
    Prose,
    Texts,
    refusal,
)
from workbench.definition.dimensions import RESERVED_DIMENSIONS, DimensionTable, Edges, check_edges
from workbench.definition.parameters import Parameter, check_parameter_name
from workbench.definition.problems import problem
from workbench.definition.section_rules import figure_problems
from workbench.disclosure.policy import Policy
from workbench.errors import DefinitionError, WorkbenchError, show, suggest
from workbench.findings import Finding

SUMMARY_KINDS = ("counts", "moments", "histogram")
NEEDED = {"counts": (), "moments": ("unit", "resolution"), "histogram": ("unit", "edges")}
"""Keys that an output of each Summary kind must have."""
MEASURES = {
    "counts": ("exams", "patients"),
    "moments": ("mean", "sd", "exams", "patients"),
    "histogram": ("exams", "patients", "median", "p10", "p25", "p75", "p90", "p95"),
}
"""What a dashboard can show of each Summary kind."""


def _check_notebook(path: str) -> str:
    if not path.endswith(".ipynb"):
        raise refusal(f"{show(path)!r} is no notebook", "Name a file that ends with .ipynb")
    return path


Notebook = Annotated[InnerPath, AfterValidator(_check_notebook)]


class StudyTable(Declared):
    """Table `[study]`."""

    id: Name
    title: Texts
    question: Texts
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,31}$")]
    status: Literal["draft", "open", "closed"]
    lead: Texts
    licence: Line
    limits: Texts = Field(default_factory=dict)
    languages: Annotated[list[Language], Distinct] = Field(
        default_factory=lambda: list(get_args(Language)), min_length=1, max_length=3
    )


class PolicyTable(Declared):
    """Table `[policy]`: a stricter policy than the floor."""

    threshold: int | None = None
    rounding: int | None = None
    digits: int | None = None

    @model_validator(mode="after")
    def _check(self) -> PolicyTable:
        try:
            self.policy()
        except WorkbenchError as exc:
            raise refusal(exc.what, exc.todo) from None
        return self

    def policy(self) -> Policy:
        """Return the policy, with the floor where the table says nothing."""
        return Policy(**self.model_dump(exclude_none=True))


class OutputTable(Declared):
    """Table `[[step.output]]`."""

    name: Name
    path: InnerPath | None = None
    kind: Literal["file", "folder", "counts", "moments", "histogram"]
    release: bool = False
    dimensions: list[Name] = Field(default_factory=list, max_length=8)
    population: Name = "exams"
    unit: Line | Literal[""] = ""
    zeros: Literal["public", "protected"] = "protected"
    resolution: Annotated[float, Field(gt=0)] | None = None
    edges: Edges | None = None
    requires: list[Name] = Field(default_factory=list)
    about: Prose | Literal[""] = ""

    @model_validator(mode="after")
    def _check(self) -> OutputTable:
        summary = self.kind in SUMMARY_KINDS
        if not summary and self.path is None:
            raise refusal(f"The output {self.name!r} has no path", "Write path = …")
        if not summary and self.release:
            raise refusal(
                f"{self.name!r} is a {self.kind}: it can never be released",
                f"Remove release, or summarise it: kind = {', '.join(SUMMARY_KINDS)}",
            )
        if summary and not self.dimensions:
            raise refusal(f"The output {self.name!r} has no dimensions", "Write dimensions = […]")
        if summary and not self.file.endswith(".csv"):
            raise refusal(f"{show(self.file)!r} is no CSV file", "A Summary is written to ….csv")
        if len(set(self.dimensions)) != len(self.dimensions):
            raise refusal(f"A dimension of {self.name!r} stands twice", "Remove one")
        needed = NEEDED.get(self.kind, ())
        for key in ("unit", "resolution", "edges"):
            given = getattr(self, key) not in (None, "")
            if key in needed and not given:
                raise refusal(f"The output {self.name!r} has no {key!r}", f"Write {key} = …")
            if key not in needed and given:
                raise refusal(f"An output of kind {self.kind} has no {key!r}", f"Remove {key}")
        if self.kind != "histogram" and self.zeros != "protected":
            raise refusal(
                "Only the intervals of a histogram have zeros of their own",
                "Write zeros in the dimensions",
            )
        if not summary and self.dimensions:
            raise refusal(f"An output of kind {self.kind} has no dimensions", "Remove dimensions")
        check_edges(self.edges or [])
        return self

    @property
    def file(self) -> str:
        """Path below the folder of the step."""
        return self.path or f"{self.name}.csv"


class StepTable(Declared):
    """Table `[[step]]`."""

    id: Name
    notebook: Notebook
    needs: list[Name] = Field(default_factory=list)
    output: Annotated[list[OutputTable], Field(min_length=1)]
    about: Prose | Literal[""] = ""


class PoolTable(Declared):
    """Table `[pool]`: the coordinator's step, and how far reproduced numbers may move."""

    notebook: Notebook = "90_pool.ipynb"
    tolerance: Annotated[float, Field(ge=0, le=1)] = 0.0


class Target(Declared):
    """Table `[[dashboard.section.target]]`: what a year is meant to reach.

    Either a `value`, or a `ratio` to what the year `since` is told to have had.
    """

    label: Annotated[str, Field(min_length=1, max_length=200)] = "all"
    year: Annotated[int, Field(ge=1900, le=2200)]
    value: Annotated[float, Field(gt=0, le=10**12)] | None = None
    ratio: Annotated[float, Field(gt=0, le=1000)] | None = None
    since: Annotated[int, Field(ge=1900, le=2200)] | None = None
    source: Texts

    @model_validator(mode="after")
    def _check(self) -> Target:
        if (self.value is None) == (self.ratio is None):
            raise refusal(
                f"The target of {self.year} needs 'value' or 'ratio'",
                "Write value = …, or ratio = … and since = …",
            )
        if (self.ratio is None) != (self.since is None):
            raise refusal("'ratio' and 'since' go together", "Write since = 2020, or remove it")
        if self.since is not None and self.since >= self.year:
            raise refusal(f"'since' is not before {self.year}", "Write an earlier year")
        return self


class Section(Declared):
    """Table `[[dashboard.section]]`: one question, answered with one released table.

    `axis` names what a histogram, curves or dots are of, `counted` what the rows of the table are,
    in the plural, where they are no exams, `within` are times of which curves tell the share,
    `target` is what the years of a fan are held against, and `hold_out` is how many of its last
    months are forecast without being looked at.
    """

    id: Name
    title: Texts
    question: Texts
    table: Name
    figure: Literal[
        "bars", "grouped_bars", "histogram", "shares", "forest", "heatmap", "curves", "dots", "fan"
    ]
    measure: Name = "exams"
    dimension: Name | None = None
    dimensions: Annotated[list[Name], Distinct] = Field(default_factory=list, max_length=2)
    top: Annotated[int, Field(ge=1, le=100)] | None = None
    axis: Texts = Field(default_factory=dict)
    counted: Texts = Field(default_factory=dict)
    within: Annotated[list[Annotated[float, Field(gt=0)]], Distinct] = Field(
        default_factory=list, max_length=4
    )
    target: list[Target] = Field(default_factory=list, max_length=20)
    hold_out: Annotated[int, Field(ge=1, le=24)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Section:
        for key, figures, what in (
            ("axis", ("histogram", "curves", "dots"), "names what a histogram is of"),
            ("within", ("curves",), "asks curves for the share of some times"),
            ("target", ("fan",), "is what a fan is held against"),
            ("hold_out", ("fan",), "holds back the last months of a fan"),
        ):
            if getattr(self, key) and self.figure not in figures:
                raise refusal(f"{key!r} of the section {self.id!r} {what}", f"Remove {key}")
        if self.counted and self.measure == "patients":
            raise refusal(
                f"'counted' of the section {self.id!r} says that no row is a patient",
                "Write measure = 'exams', or remove counted",
            )
        if (self.dimension is None) == (not self.dimensions):
            raise refusal(
                f"The section {self.id!r} needs 'dimension' or 'dimensions'", "Write one of them"
            )
        if self.dimension is not None:
            object.__setattr__(self, "dimensions", [self.dimension])
        else:
            object.__setattr__(self, "dimension", self.dimensions[0])
        return self


class DashboardTable(Declared):
    """Table `[dashboard]`."""

    notebook: Notebook = "dashboard.ipynb"
    section: list[Section] = Field(default_factory=list, max_length=100)


class StudyFile(Declared):
    """All of a study.toml."""

    study: StudyTable
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    policy: PolicyTable = PolicyTable()
    dimensions: dict[Name, DimensionTable] = Field(default_factory=dict)
    step: Annotated[list[StepTable], Field(min_length=1, max_length=200)]
    pool: PoolTable | None = None
    dashboard: DashboardTable | None = None


def cross_problems(file: StudyFile) -> list[Finding]:
    """Return what is wrong between the tables: names that meet nothing, doubles, cycles."""
    found = [*_parameter_problems(file), *_step_problems(file), *_output_problems(file)]
    for name in file.dimensions:
        if name in RESERVED_DIMENSIONS:
            todo = f"Choose another; reserved: {', '.join(sorted(RESERVED_DIMENSIONS))}"
            found.append(
                problem(f"The name {name!r} is reserved", f"study.toml, dimensions.{name}", todo)
            )
    if file.dashboard is not None:
        found += _section_problems(file, file.dashboard.section)
    if "en" not in file.study.languages:
        found.append(
            problem("The languages lack English", "study.toml, study.languages", "Add 'en'")
        )
    return found


def _parameter_problems(file: StudyFile) -> Iterable[Finding]:
    for name in file.parameters:
        try:
            check_parameter_name(name)
        except DefinitionError as exc:
            yield problem(exc.what, f"study.toml, parameters.{show(name)}", exc.todo)


def _step_problems(file: StudyFile) -> Iterable[Finding]:
    ids = [step.id for step in file.step]
    yield from _doubles("step", ids)
    if "lock" in ids:
        where = "study.toml, step.lock"
        yield problem("The id 'lock' is reserved: a run folder has it", where, "Rename the step")
    for step in file.step:
        for need in step.needs:
            if need not in ids:
                where = f"study.toml, step.{step.id}.needs"
                yield problem(f"There is no step {need!r}", where, suggest(need, ids))
    circle = find_cycle({step.id: step.needs for step in file.step})
    if circle:
        yield problem(
            f"The steps need each other in a circle: {' needs '.join(circle)}",
            f"study.toml, step.{circle[0]}.needs",
            "Remove one of these needs",
        )


def _output_problems(file: StudyFile) -> Iterable[Finding]:
    yield from _doubles("output", [o.name for s in file.step for o in s.output])
    for step in file.step:
        paths: list[PurePosixPath] = []
        for output in step.output:
            where = f"study.toml, step.{step.id}.output.{output.name}"
            path = PurePosixPath(output.file.casefold())
            if any(path == p or path in p.parents or p in path.parents for p in paths):
                yield problem(f"The path {output.file!r} is in use", where, "Choose another path")
            paths.append(path)
            for name in output.dimensions:
                if name not in file.dimensions:
                    todo = suggest(name, file.dimensions)
                    yield problem(f"There is no dimension {name!r}", f"{where}.dimensions", todo)
    yield from column_problems(file.step, file.dimensions)


def _section_problems(file: StudyFile, sections: list[Section]) -> Iterable[Finding]:
    yield from _doubles("dashboard.section", [section.id for section in sections])
    released = {o.name: o for s in file.step for o in s.output if o.release}
    for section in sections:
        where = f"study.toml, dashboard.section.{section.id}"
        table = released.get(section.table)
        if table is None:
            todo = suggest(section.table, released)
            yield problem(f"No released output is called {section.table!r}", f"{where}.table", todo)
            continue
        unknown = [name for name in table.dimensions if name not in file.dimensions]
        for name in [] if unknown else section.dimensions:  # one mistake is told once
            if name not in table.dimensions:
                todo = suggest(name, table.dimensions)
                what = f"{table.name!r} has no dimension {name!r}"
                yield problem(what, f"{where}.dimension", todo)
        if section.measure not in MEASURES[table.kind]:
            todo = suggest(section.measure, MEASURES[table.kind])
            what = f"{table.name!r} ({table.kind}) has no measure {section.measure!r}"
            yield problem(what, f"{where}.measure", todo)
        elif not unknown:
            yield from figure_problems(section, table, released, file.dimensions)


def _doubles(table: str, ids: list[str]) -> Iterable[Finding]:
    for name in sorted({i for i in ids if ids.count(i) > 1}):
        yield problem(
            f"Two {table}s are called {name!r}", f"study.toml, {table}.{name}", "Rename one"
        )


def find_cycle(needs: dict[str, list[str]]) -> list[str]:
    """Return one circle of needs, its first member again at the end, or [].

    Examples
    --------
    >>> find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]})
    ['b', 'c', 'b']
    """
    left = {name: [n for n in wanted if n in needs] for name, wanted in needs.items()}
    while ready := [name for name, wanted in left.items() if not wanted]:
        for name in ready:
            del left[name]
        left = {name: [n for n in wanted if n in left] for name, wanted in left.items()}
    if not left:
        return []
    walk = [next(iter(left))]
    while walk[-1] not in walk[:-1]:
        walk.append(left[walk[-1]][0])
    return walk[walk.index(walk[-1]) :]


def order_steps(steps: list[StepTable]) -> list[StepTable]:
    """Return the steps so that each stands behind what it needs, else as in the file."""
    done: list[StepTable] = []
    left = list(steps)
    while left:
        ids = {step.id for step in done}
        step = next(s for s in left if set(s.needs) <= ids)
        left.remove(step)
        done.append(step)
    return done


def plain(value: Any) -> Any:  # noqa: ANN401 - what TOML can hold
    """Return TOML values as JSON can hold them."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value

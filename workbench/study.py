"""Study: an imaging study as study.toml declares it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from workbench.definition.declaration import (
    inside,
    read_toml,
    validate,
)
from workbench.definition.dimensions import StudyDimension, make_dimension
from workbench.definition.notebook_source import NotebookSource, read_notebook_source
from workbench.definition.parameters import Parameter, Value, parse_value
from workbench.definition.problems import problem, refuse, refuse_failures
from workbench.definition.steps import Output, Step, make_step
from workbench.definition.study_digest import digest_files
from workbench.definition.study_file import (
    Section,
    StudyFile,
    cross_problems,
    order_steps,
    plain,
)
from workbench.disclosure.policy import Policy
from workbench.display import Card, Displayed
from workbench.errors import DefinitionError, show, suggest
from workbench.findings import Finding, Findings

T = TypeVar("T")

__all__ = ["Output", "Section", "Step", "Study", "read_study"]


@dataclass(frozen=True, repr=False)
class Study(Displayed):
    """Hold what a study.toml declares; made by `read_study`.

    Parameters
    ----------
    path
        The study.toml.
    file
        Its validated content.
    parameters
        Parameter by name.
    dimensions
        Dimension by name.
    steps
        Steps in an order in which they can run.
    policy
        The disclosure policy, at least as strict as the floor.
    """

    path: Path
    file: StudyFile = field(repr=False)
    parameters: Mapping[str, Parameter]
    dimensions: Mapping[str, StudyDimension]
    steps: tuple[Step, ...]
    policy: Policy

    @property
    def folder(self) -> Path:
        """Folder of the study."""
        return self.path.parent

    @property
    def id(self) -> str:
        """Name of the study."""
        return self.file.study.id

    @property
    def title(self) -> str:
        """Title in English."""
        return self.file.study.title["en"]

    @property
    def titles(self) -> Mapping[str, str]:
        """Title by language."""
        return self.file.study.title

    @property
    def question(self) -> str:
        """Question in English."""
        return self.file.study.question["en"]

    @property
    def questions(self) -> Mapping[str, str]:
        """Question by language."""
        return self.file.study.question

    @property
    def version(self) -> str:
        """Version of the definition."""
        return self.file.study.version

    @property
    def status(self) -> str:
        """Whether the study is a draft, open or closed."""
        return self.file.study.status

    @property
    def lead(self) -> str:
        """Who answers for the study, in English."""
        return self.file.study.lead["en"]

    @property
    def leads(self) -> Mapping[str, str]:
        """Who answers for the study, by language."""
        return self.file.study.lead

    @property
    def limits(self) -> Mapping[str, str]:
        """What the numbers do not say, in one line by language; empty if nothing is said."""
        return self.file.study.limits

    @property
    def licence(self) -> str:
        """Licence of the study."""
        return self.file.study.licence

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that every label must have."""
        return tuple(self.file.study.languages)

    @property
    def pool_notebook(self) -> str | None:
        """Path of the coordinator's notebook, if the study pools."""
        return None if self.file.pool is None else self.file.pool.notebook

    @property
    def tolerance(self) -> float:
        """How far a reproduced number may move, relative to the published one."""
        return 0.0 if self.file.pool is None else self.file.pool.tolerance

    @property
    def dashboard_notebook(self) -> str | None:
        """Path of the dashboard's notebook, if the study has one."""
        return None if self.file.dashboard is None else self.file.dashboard.notebook

    @property
    def sections(self) -> tuple[Section, ...]:
        """Sections of the dashboard in order."""
        return () if self.file.dashboard is None else tuple(self.file.dashboard.section)

    @cached_property
    def outputs(self) -> Mapping[str, Output]:
        """Output by name, in the order of the steps."""
        return {output.name: output for step in self.steps for output in step.outputs}

    @cached_property
    def files(self) -> Mapping[str, str]:
        """Digest of each file beside the notebooks, by its path; codelists have their own."""
        codelists = {t.codelist for t in self.file.dimensions.values() if t.codelist}
        return digest_files(self.folder, codelists)

    @property
    def released(self) -> tuple[Output, ...]:
        """Outputs that may leave an institution, after the check."""
        return tuple(output for output in self.outputs.values() if output.release)

    def step(self, name: str) -> Step:
        """Return a step by its id.

        Raises
        ------
        DefinitionError
            When there is none.
        """
        return _find(name, {step.id: step for step in self.steps}, "step")

    def output(self, name: str) -> Output:
        """Return an output by its name.

        Raises
        ------
        DefinitionError
            When there is none.
        """
        return _find(name, self.outputs, "output")

    def dimension(self, name: str) -> StudyDimension:
        """Return a dimension by its name.

        Raises
        ------
        DefinitionError
            When there is none.
        """
        return _find(name, self.dimensions, "dimension")

    def section(self, name: str) -> Section:
        """Return a section of the dashboard by its id.

        Raises
        ------
        DefinitionError
            When there is none.
        """
        return _find(name, {section.id: section for section in self.sections}, "section")

    def notebook(self, path: str) -> NotebookSource:
        """Return the cells of one of the study's notebooks, read without running it.

        Raises
        ------
        DefinitionError
            When it is missing, unreadable or outside of the study folder.
        """
        try:
            place = inside(self.folder, path)
            if not place.exists():
                here = sorted(p.name for p in self.folder.glob("*.ipynb"))
                raise DefinitionError(
                    f"There is no notebook {path!r}", where="study.toml", todo=suggest(path, here)
                )
            return read_notebook_source(place)
        except ValueError as exc:
            raise DefinitionError(
                str(exc), where=path, todo="Keep notebooks in the study folder"
            ) from None

    def parameter_values(self, given: Mapping[str, object] | None = None) -> dict[str, Value]:
        """Return a value for every parameter: the given one, else the default.

        Parameters
        ----------
        given
            Python values by name.

        Raises
        ------
        DefinitionError
            When a name is not declared, or a value of another type or out of range.
        """
        given = given or {}
        problems = [self._unknown(name) for name in given if name not in self.parameters]
        values: dict[str, Value] = {}
        for name, parameter in self.parameters.items():
            try:
                values[name] = parameter.accept(given.get(name, parameter.default), name)
            except DefinitionError as exc:
                problems.append(problem(exc.what, exc.where, exc.todo))
        refuse(problems, DefinitionError)
        return values

    def parse_parameters(self, pairs: Iterable[str]) -> dict[str, Value]:
        """Return a value for every parameter from texts `name=value`.

        Parameters
        ----------
        pairs
            What stands behind each `-p`.

        Raises
        ------
        DefinitionError
            When a name is not declared or set twice, or a text is not of the declared type.
        """
        given: dict[str, Value] = {}
        problems: list[Finding] = []
        for pair in pairs:
            name, equals, text = pair.partition("=")
            if name not in self.parameters:
                problems.append(self._unknown(name))
                continue
            try:
                if not equals or name in given:
                    what = "is set twice" if name in given else "has no value"
                    todo = f"Write -p {name}=VALUE once"
                    raise DefinitionError(f"{name!r} {what}", where=f"parameter {name}", todo=todo)
                given[name] = parse_value(self.parameters[name], text, name)
            except DefinitionError as exc:
                problems.append(problem(exc.what, exc.where, exc.todo))
        refuse(problems, DefinitionError)
        return self.parameter_values(given)

    def _unknown(self, name: str) -> Finding:
        what = f"The study declares no parameter {show(name)!r}"
        return problem(what, "study.toml, parameters", suggest(name, self.parameters))

    @cached_property
    def digest(self) -> str:
        """Sha256 of all that decides what a site computes.

        That is study.toml without status, limits, pool and dashboard, the codelists, and the code
        cells of the steps. What is said about the numbers later can change without a new release.

        Raises
        ------
        DefinitionError
            When a notebook cannot be read.
        """
        declared = plain(self.file.model_dump(exclude={"pool", "dashboard"}))
        del declared["study"]["status"], declared["study"]["limits"]
        content = {
            "study": declared,
            "codelists": {n: d.codelist.digest for n, d in self.dimensions.items() if d.codelist},
            "notebooks": {step.id: self.notebook(step.notebook).code for step in self.steps},
        }
        text = json.dumps(content, ensure_ascii=False, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def check(self) -> Findings:
        """Return what is wrong or doubtful about the definition; a good study gives passes."""
        from workbench.definition.study_check import check_study

        return Findings(check_study(self))

    def validate(self) -> None:
        """Refuse a study that fails its check.

        Raises
        ------
        DefinitionError
            With every finding that fails.
        """
        refuse_failures(self.check(), DefinitionError)

    def _card(self) -> Card:
        facts = {
            "question": self.question,
            "status": f"{self.status}, version {self.version}",
            "policy": str(self.policy),
            "parameters": ", ".join(f"{n} = {p.default}" for n, p in self.parameters.items()),
        }
        rows = [
            [
                step.id,
                step.notebook,
                ", ".join(o.name for o in step.outputs if not o.release),
                ", ".join(o.name for o in step.outputs if o.release),
            ]
            for step in self.steps
        ]
        return Card(self.title, facts, ["step", "notebook", "stays", "may be released"], rows)


def read_study(path: Path | str) -> Study:
    """Read and validate a study.

    Parameters
    ----------
    path
        Folder of the study, or its study.toml.

    Returns
    -------
    Study

    Raises
    ------
    DefinitionError
        When study.toml or a codelist is not what it must be; all problems are named together.
    """
    path = Path(path)
    if path.name != "study.toml":
        path = path / "study.toml"
    data = read_toml(path, DefinitionError)
    file = validate(StudyFile, data, "study.toml", DefinitionError)
    problems = cross_problems(file)
    dimensions: dict[str, StudyDimension] = {}
    for name, table in file.dimensions.items():
        try:
            dimensions[name] = make_dimension(name, table, path.parent)
        except DefinitionError as exc:
            where = f"study.toml, dimensions.{name}: {exc.where}"
            problems.append(problem(exc.what, where, exc.todo))
    refuse(problems, DefinitionError)
    steps = tuple(make_step(step, dimensions) for step in order_steps(file.step))
    return Study(path, file, dict(file.parameters), dimensions, steps, file.policy.policy())


def _find(name: str, known: Mapping[str, T], what: str) -> T:
    if name not in known:
        raise DefinitionError(
            f"The study declares no {what} {show(name)!r}",
            where="study.toml",
            todo=suggest(name, known),
        )
    return known[name]

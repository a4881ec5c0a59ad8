"""The check of a study: what its notebooks and codelists must be, as findings."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from workbench.definition.notebook_source import NotebookSource, parse
from workbench.definition.parameters import FIRST_NAMES
from workbench.definition.section_rules import ENDED, OUTCOME
from workbench.definition.steps import FINGERPRINT
from workbench.errors import DefinitionError, show, suggest
from workbench.findings import Finding

if TYPE_CHECKING:
    from workbench.study import Section, Step, Study


def check_study(study: Study) -> list[Finding]:
    """Return the findings about a study, fails first, and one pass for each rule that holds."""
    found = [*check_notebooks(study), *_labels(study), *_limits(study)]
    found += [*_papers(study), *_participants(study)]
    failed = {finding.rule for finding in found}
    found += [
        Finding("pass", rule, message)
        for rule, message in (
            ("notebooks", "Every notebook is there, stripped and only calls"),
            ("parameters", "Every step takes the parameters that the study declares"),
            ("outputs", "Notebooks name declared outputs only"),
            ("labels", "Every label is there in every language"),
            ("limits", "What the numbers do not say is told, or the study is not open"),
            ("protocol", "There is a protocol"),
            ("participants", "The sites' keys can be read"),
        )
        if rule not in failed
    ]
    order = {"fail": 0, "review": 1, "pass": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def check_notebooks(study: Study) -> Iterable[Finding]:
    """Yield the findings about a study's notebooks, and about modules beside them."""
    yield from _modules(study)
    steps = {step.notebook: step for step in study.steps}
    others = [n for n in (study.pool_notebook, study.dashboard_notebook) if n is not None]
    for path in dict.fromkeys([*steps, *others]):
        try:
            source = study.notebook(path)
        except DefinitionError as exc:
            missing = not (study.folder / path).exists()
            what = exc.what if missing else f"The notebook {path!r} cannot be read: {exc.what}"
            yield Finding("fail", "notebooks", what, "study.toml", todo=exc.todo)
            continue
        yield from _manners(source)
        step = steps.get(path)
        if step is not None:
            yield from _parameters(study, source)
            yield from _outputs(study, step, source)


def _modules(study: Study) -> Iterable[Finding]:
    # A notebook could import it, and no key would tell that it changed.
    for path in sorted(study.folder.glob("*.py")):
        yield Finding(
            "fail",
            "notebooks",
            f"{show(path.name)} lies beside the notebooks: its code is in no digest",
            path.name,
            todo="Move it into a package that the lock names, or into a notebook's cells",
        )


def _manners(source: NotebookSource) -> Iterable[Finding]:
    name = source.path.name
    if not source.stripped:
        yield Finding(
            "fail", "notebooks", f"{name} holds outputs", name, todo="Clear all outputs and save"
        )
    if not source.title:
        yield Finding(
            "fail", "notebooks", f"{name} has no title", name, todo="Begin with '# A question?'"
        )
    elif not source.title.endswith("?"):
        what = f"The title of {name} is no question"
        yield Finding("review", "notebooks", what, name, todo="End it with '?'")
    for number, code in enumerate(source.code, start=1):
        tree = parse(code)
        if tree is None:
            what = f"Code cell {number} is not plain Python"
            todo = "Write it without magics, or correct it"
            yield Finding("review", "notebooks", what, name, todo=todo)
            continue
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        if any(isinstance(node, kinds) for node in ast.walk(tree)):
            todo = "Move def and class into the package, and call them"
            yield Finding(
                "fail",
                "notebooks",
                f"Code cell {number} defines a function or class",
                name,
                todo=todo,
            )


def _parameters(study: Study, source: NotebookSource) -> Iterable[Finding]:
    where = f"{source.path.name}, parameters cell"
    rule = "parameters"
    try:
        found = source.parameters
    except DefinitionError as exc:
        yield Finding("fail", rule, exc.what, exc.where, todo=exc.todo)
        return
    if tuple(found)[:3] != FIRST_NAMES:
        todo = f"Begin with {', '.join(FIRST_NAMES)}"
        given = ", ".join(show(n) for n in list(found)[:3]) or "nothing"
        yield Finding("fail", rule, f"The cell begins with {given}", where, todo=todo)
    for name in FIRST_NAMES:
        if name in found and not isinstance(found[name], str):
            yield Finding("fail", rule, f"{name!r} is no text", where, todo=f'Write {name} = ""')
    for name, value in found.items():
        if name not in FIRST_NAMES and name not in study.parameters:
            yield Finding(
                "fail",
                rule,
                f"{show(name)!r} is no parameter of the study",
                where,
                value=show(value),
                todo=suggest(name, study.parameters),
            )
    for name, parameter in study.parameters.items():
        wanted = parameter.default
        if name not in found:
            todo = f"Write {name} = {show(wanted)}"
            yield Finding("fail", rule, f"The cell lacks {name!r}", where, todo=todo)
        elif not _equal(found[name], wanted):
            yield Finding(
                "fail",
                rule,
                f"{name!r} is {show(found[name])} in the notebook and {show(wanted)} in study.toml",
                where,
                value=show(found[name]),
                threshold=show(wanted),
                todo=f"Write the same {parameter.type} in both",
            )


def _equal(one: object, other: object) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return type(one) is type(other) and one == other


def _outputs(study: Study, step: Step, source: NotebookSource) -> Iterable[Finding]:
    """Find names of outputs, dimensions and steps that a notebook writes as literals."""
    name = source.path.name
    paths = [*(output.path for output in step.outputs), FINGERPRINT]
    known = {"output": list(study.outputs), "dimension": list(study.dimensions)}
    for tree in filter(None, map(parse, source.code)):
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="study"), attr=method),
                    args=[ast.Constant(value=str(given)), *_],
                ) if method in known and given not in known[method]:
                    what, allowed = f"an undeclared {method} {show(given)!r}", known[method]
                case ast.BinOp(left=left, op=ast.Div(), right=ast.Constant(value=str(given))) if (
                    _folder(left) == "output_dir" and not _below(given, paths)
                ):
                    what, allowed = f"an undeclared output {show(given)!r}", paths
                case ast.BinOp(left=left, op=ast.Div(), right=ast.Constant(value=str(given))) if (
                    _folder(left) == "run_dir" and given.split("/")[0] not in step.needs
                ):
                    what, allowed = (
                        f"a step that it does not need, {show(given)!r}",
                        list(step.needs),
                    )
                case _:
                    continue
            where = f"{name}, line {node.lineno} of a cell"
            yield Finding(
                "fail", "outputs", f"{name} names {what}", where, todo=suggest(given, allowed)
            )


def _folder(node: ast.expr) -> str:
    """Return "output_dir" for `output_dir` and `Path(output_dir)`, likewise others, else ""."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        node = node.args[0]
    return node.id if isinstance(node, ast.Name) else ""


def _below(given: str, paths: list[str]) -> bool:
    return any(given == p or given.startswith(f"{p}/") or p.startswith(f"{given}/") for p in paths)


def _labels(study: Study) -> Iterable[Finding]:
    for name, dimension in study.dimensions.items():
        table = study.file.dimensions[name]
        yield from _texts(study, table.label, f"study.toml, dimensions.{name}.label")
        if dimension.codelist is None:
            continue
        for code, language in dimension.codelist.missing_labels(study.languages):
            yield Finding(
                "fail",
                "labels",
                f"The code {code!r} has no label in {language}",
                f"{table.codelist}, label_{language}",
                value=code,
                todo="Write the label",
            )
    for section in study.sections:
        for key, texts in (("title", section.title), ("question", section.question)):
            yield from _texts(study, texts, f"study.toml, dashboard.section.{section.id}.{key}")
        for key, texts in (("axis", section.axis), ("counted", section.counted)):
            if texts:
                where = f"study.toml, dashboard.section.{section.id}.{key}"
                yield from _texts(study, texts, where)
        yield from _targets(study, section)
        yield from _outcomes(study, section)


def _targets(study: Study, section: Section) -> Iterable[Finding]:
    where = f"study.toml, dashboard.section.{section.id}.target"
    for target in section.target:
        yield from _texts(study, target.source, f"{where}.source")
        labels = study.dimensions[section.dimensions[-1]].labels
        if target.label != "all" and target.label not in labels:
            what = f"There is a target for {show(target.label)!r}, which is no label"
            todo = suggest(target.label, ["all", *labels])
            yield Finding("fail", "labels", what, where, value=show(target.label), todo=todo)


def _outcomes(study: Study, section: Section) -> Iterable[Finding]:
    if section.figure == "curves" and not {*ENDED} <= {*study.dimensions[OUTCOME].labels}:
        what = f"The dimension {OUTCOME!r} does not say how a time ended"
        todo = f"Give its codelist the codes {' and '.join(ENDED)}"
        yield Finding("fail", "labels", what, f"study.toml, dimensions.{OUTCOME}", todo=todo)


def _limits(study: Study) -> Iterable[Finding]:
    where = "study.toml, study.limits"
    if study.limits:
        yield from _texts(study, study.limits, where, "limits")
    elif study.status == "open":
        what = "Nothing says what the numbers of this study do not show"
        yield Finding("review", "limits", what, where, todo="Write limits = { en = … }, in a line")


def _texts(
    study: Study, texts: Mapping[str, str], where: str, rule: str = "labels"
) -> Iterable[Finding]:
    for language in study.languages:
        if language not in texts:
            yield Finding(
                "fail",
                rule,
                f"The text in {language} is missing",
                where,
                todo=f"Write {language} = …",
            )


def _papers(study: Study) -> Iterable[Finding]:
    if not (study.folder / "PROTOCOL.md").is_file():
        yield Finding(
            "fail", "protocol", "There is no PROTOCOL.md", str(study.folder.name), todo="Write one"
        )
    if study.folder.resolve().name != study.id:
        yield Finding(
            "review",
            "name",
            f"The folder is called {show(study.folder.resolve().name)!r}, the study {study.id!r}",
            "study.toml, study.id",
            todo="Give both one name",
        )


def _participants(study: Study) -> Iterable[Finding]:
    # Exchange stands on definition, so it is met late, and by no one who only runs a study.
    from workbench.exchange.keys import read_pins

    path = study.folder / "sites.toml"
    if not path.exists():
        yield Finding(
            "review",
            "participants",
            "There is no sites.toml: no release can be verified",
            study.folder.name,
            todo="Pin each site's key with the lines that 'workbench key' prints",
        )
        return
    try:
        read_pins(path)
    except DefinitionError as exc:
        yield Finding("fail", "participants", exc.what, exc.where, todo=exc.todo)

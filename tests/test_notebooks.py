"""Every notebook in the repository keeps the house rules."""

from __future__ import annotations

import ast
import re

import nbformat
import pytest

from tests.test_conventions import ROOT, tracked

NOTEBOOKS = sorted(tracked("*.ipynb"))
STEPS = [p for p in NOTEBOOKS if re.match(r"\d\d_", p.name)]


def label(path):
    return str(path.relative_to(ROOT))


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=label)
def test_notebook_is_valid_stripped_and_tidy(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
        assert cell.source.strip(), "an empty cell"
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=label)
def test_notebook_asks_a_question_in_its_title(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    title = first.source.splitlines()[0]
    assert title.startswith("# ")
    assert title.endswith("?"), title


@pytest.mark.parametrize("path", NOTEBOOKS, ids=label)
def test_notebook_has_one_parameters_cell_and_only_calls(path):
    cells = code_cells(path)
    parameters = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    assert len(parameters) == 1
    for statement in ast.parse(parameters[0].source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)
    for cell in cells:
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef), (
                cell.source
            )
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_"), "notebooks use public names only"
    assert len(cells) <= 12


@pytest.mark.parametrize("path", NOTEBOOKS, ids=label)
def test_notebook_names_its_limits_last(path):
    if path.name == "dashboard.ipynb":
        return
    last = nbformat.read(path, as_version=4).cells[-1]
    assert last.cell_type == "markdown"
    assert last.source.startswith("## Limits")


@pytest.mark.parametrize("path", STEPS, ids=label)
def test_steps_begin_with_the_same_three_parameters(path):
    cell = next(c for c in code_cells(path) if "parameters" in c.metadata.get("tags", []))
    names = [s.targets[0].id for s in ast.parse(cell.source).body]
    assert names[:3] == ["site", "run_dir", "output_dir"]

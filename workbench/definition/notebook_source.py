"""NotebookSource: what stands in a notebook, read without running it."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.definition.declaration import read_file
from workbench.errors import DefinitionError, show

MAX_BYTES = 5_000_000
"""Largest notebook that is read."""
_PLAIN = (bool, int, float, str)


@dataclass(frozen=True)
class NotebookSource:
    """Hold the text of a notebook's cells.

    Parameters
    ----------
    path
        The file.
    first
        Text of the first cell if it is Markdown, else "".
    code
        Text of each code cell in order.
    tagged
        Text of each code cell with the tag `parameters`.
    stripped
        Whether no cell holds outputs or execution counts.
    """

    path: Path
    first: str
    code: tuple[str, ...]
    tagged: tuple[str, ...]
    stripped: bool

    @property
    def title(self) -> str:
        """Heading in the first line, or ""."""
        line = self.first.split("\n", 1)[0]
        return line[2:].strip() if line.startswith("# ") else ""

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Name to default in the parameters cell, in order; the cell is parsed, never run.

        Raises
        ------
        DefinitionError
            When there is not one such cell, or it holds more than assignments of literals.
        """
        where = f"{self.path.name}, parameters cell"
        if len(self.tagged) != 1:
            raise DefinitionError(
                f"The notebook has {len(self.tagged)} cells tagged 'parameters'",
                where=self.path.name,
                todo="Tag one cell 'parameters'",
            )
        tree = parse(self.tagged[0])
        if tree is None or len(self.tagged[0]) > 100_000:
            raise DefinitionError("The cell is not Python", where=where, todo="Correct it")
        found: dict[str, Any] = {}
        for statement in tree.body:
            line = f"{where}, line {statement.lineno}"
            name, value = _assignment(statement)
            if name is None or value is None:
                raise DefinitionError(
                    "The cell holds more than name = literal",
                    where=line,
                    todo="Write plain numbers, texts, true or false, and lists of these",
                )
            if name in found:
                raise DefinitionError(f"{name!r} is assigned twice", where=line, todo="Remove one")
            found[name] = value
        return found


def parse(code: str) -> ast.Module | None:
    """Return the syntax tree of a cell, or None where it is not plain Python."""
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _assignment(statement: ast.stmt) -> tuple[str | None, Any]:
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None, None
    target = statement.targets[0]
    try:
        value = ast.literal_eval(statement.value)
    except (ValueError, TypeError, MemoryError, RecursionError):
        return None, None
    items = value if isinstance(value, list) else [value]
    plain = all(isinstance(item, _PLAIN) for item in items)
    return (target.id, value) if isinstance(target, ast.Name) and plain else (None, None)


def read_notebook_source(path: Path) -> NotebookSource:
    """Read the cells of a notebook.

    Raises
    ------
    DefinitionError
        When it is missing, too large or no notebook of format 4 in Python.
    """
    content = read_file(path, DefinitionError, MAX_BYTES)
    try:
        data = json.loads(content.decode("utf-8"))
        if data["nbformat"] != 4:
            raise ValueError(f"nbformat is {data['nbformat']}, not 4")
        kernel = data["metadata"].get("kernelspec", {})
        if not isinstance(data["nbformat_minor"], int) or kernel.get("language") != "python":
            raise ValueError("it does not say that its language is python")
        cells = [(c["cell_type"], _text(c["source"]), c) for c in data["cells"]]
        code = [(text, c) for kind, text, c in cells if kind == "code"]
        tagged = [text for text, c in code if "parameters" in c["metadata"].get("tags", [])]
        stripped = not any(c.get("outputs") or c.get("execution_count") for _, c in code)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise DefinitionError(
            f"Not a readable notebook: {show(str(exc))}",
            where=path.name,
            todo="Save it again with JupyterLab and the kernel Python 3",
        ) from None
    first = cells[0][1] if cells and cells[0][0] == "markdown" else ""
    return NotebookSource(path, first, tuple(t for t, _ in code), tuple(tagged), stripped)


def _text(source: object) -> str:
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise TypeError("a cell has no text")
    source.encode()  # a lone surrogate could not be written again
    return source

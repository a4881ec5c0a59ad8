"""A toy study of three small notebooks and a toy site, written to a folder of the tests."""

from __future__ import annotations

import json
from pathlib import Path

STUDY = """\
[study]
id = "toy"
title = { en = "A toy", ru = "Игрушка", zh = "玩具" }
question = { en = "Does it run?", ru = "Работает ли?", zh = "能运行吗？" }
version = "1.0"
status = "open"
lead = "A. Researcher"
licence = "CC-BY-4.0"

[parameters.factor]
type = "int"
default = 3
minimum = 1
maximum = 100

[parameters.words]
type = "list[str]"
default = ["a", "b"]

[parameters.since]
type = "date"
default = "2020-02-29"

[[step]]
id = "first"
notebook = "01_first.ipynb"

[[step.output]]
name = "numbers"
path = "numbers.json"
kind = "file"

[[step]]
id = "second"
notebook = "02_second.ipynb"
needs = ["first"]

[[step.output]]
name = "many"
path = "parts"
kind = "folder"

[[step.output]]
name = "total"
path = "tables/total.csv"
kind = "file"

[[step]]
id = "third"
notebook = "03_third.ipynb"
needs = ["first", "second"]

[[step.output]]
name = "report"
path = "report.txt"
kind = "file"
"""

PARAMETERS = """\
site = ""
run_dir = ""
output_dir = ""
factor = 3
words = ["a", "b"]
since = "2020-02-29"
"""
IMPORTS = "import json, os, time\nfrom pathlib import Path"
FIRST = (
    'rows = (Path(site).parent / "exams.csv").read_text().splitlines()[1:]',
    'numbers = {"rows": len(rows), "factor": factor, "words": words, "since": since}',
    'time.sleep(float(os.environ.get("TOY_SECONDS", "0")))',
    '(Path(output_dir) / "numbers.json").write_text(json.dumps(numbers))',
    '(Path(output_dir) / ".fingerprint").write_text(str(len(rows)))',
)
SECOND = (
    'numbers = json.loads((Path(run_dir) / "first" / "numbers.json").read_text())',
    '(Path(output_dir) / "parts").mkdir()',
    """for i in range(numbers["rows"]):
    (Path(output_dir) / "parts" / f"{i}.txt").write_text(str(i * factor))""",
    'time.sleep(float(os.environ.get("TOY_SECONDS", "0")))',
    '(Path(output_dir) / "tables").mkdir()',
    'total = numbers["rows"] * factor',
    '(Path(output_dir) / "tables" / "total.csv").write_text(f"total\\n{total}\\n")',
)
THIRD = (
    'total = (Path(run_dir) / "second" / "tables" / "total.csv").read_text()',
    'time.sleep(float(os.environ.get("TOY_SECONDS", "0")))',
    'text = total + ",".join({"x", "y", "z", *words}) + since',
    '(Path(output_dir) / "report.txt").write_text(text)',
)
EXAMS = "exam_uid,patient_id\n" + "".join(f"1.2.3.{i},P{i}\n" for i in range(5))


def write_notebook(path: Path, title: str, *cells: str) -> None:
    """Write a notebook with a title, a parameters cell, an import cell and cells of code."""
    code = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {"tags": ["parameters"]} if i == 0 else {},
            "execution_count": None,
            "outputs": [],
            "source": text,
        }
        for i, text in enumerate((PARAMETERS, IMPORTS, *cells))
    ]
    head = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {title}"}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(
        json.dumps({"cells": [head, *code], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
    )


def write_toy_study(folder: Path) -> Path:
    """Write the toy study and return its folder."""
    study = folder / "toy"
    study.mkdir(parents=True)
    (study / "study.toml").write_text(STUDY)
    (study / "PROTOCOL.md").write_text("# Protocol\n")
    write_notebook(study / "01_first.ipynb", "How many rows?", *FIRST)
    write_notebook(study / "02_second.ipynb", "How many parts?", *SECOND)
    write_notebook(study / "03_third.ipynb", "What is the report?", *THIRD)
    return study


def write_toy_site(folder: Path, name: str = "north") -> Path:
    """Write a toy site with one table and return its site.toml."""
    site = folder / name
    site.mkdir(parents=True)
    (site / "exams.csv").write_text(EXAMS)
    (site / "site.toml").write_text(
        f'[site]\nid = "{name}"\nname = "Toy {name}"\nkind = "pretend"\n\n'
        '[archive]\nkind = "table"\npath = "exams.csv"\n'
    )
    return site / "site.toml"

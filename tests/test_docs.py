"""The documents say what is true: commands exist, the glossary is complete, links lead on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import workbench
from tests.test_conventions import ROOT, tracked

README = ROOT / "README.md"
PAGES = [p for p in tracked("*.md") if "datasets" not in p.parts]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> set[str]:
    """Return the commands that the program itself lists."""
    from typer.main import get_command

    from workbench.cli import app

    return set(get_command(app).commands)


def test_readme_opens_with_the_two_commands():
    text = README.read_text()
    assert text.index("make study") < text.index("make test") < 2500


def test_every_command_is_documented_and_every_documented_command_exists():
    named = set(
        re.findall(r"\bworkbench ([a-z]+)\b", "\n".join(blocks("console") + blocks("bash")))
    )
    assert named - commands() == set()
    listed = set(re.findall(r"^\| `workbench ([a-z]+)", README.read_text(), re.MULTILINE))
    assert listed == commands()


def test_help_lists_what_exists():
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for command in commands():
        assert re.search(rf"\b{command}\b", done.stdout), command


def test_glossary_covers_the_public_names():
    glossary = README.read_text().split("## Glossary", 1)[1]
    terms = {t.casefold() for t in re.findall(r"^\*\*(.+?)\*\*", glossary, re.MULTILINE)}
    nouns = {n for n in dir(workbench) if n[0].isupper() and n != "WorkbenchError"}
    assert {n.casefold() for n in nouns} - terms == set()
    for word in (
        "exam",
        "measure",
        "estimate",
        "step",
        "output",
        "runrecord",
        "volume",
        "catalog",
        "cohort",
        "pipeline",
    ):
        assert word in terms, word


def test_make_verbs_in_the_readme_exist():
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make ([a-z]+)\b", README.read_text()))
    assert named - verbs == set()


def test_python_blocks_of_the_readme_run():
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_site_file_of_the_readme_is_a_site(tmp_path):
    from workbench.site import read_site

    (block,) = blocks("toml")
    (tmp_path / "site.toml").write_text(block)
    assert read_site(tmp_path / "site.toml").kind == "real"


def table(head: str) -> list[list[str]]:
    """Return the cells of the table of the README that has this head."""
    rows = README.read_text().split(f"\n| {head} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def test_the_readme_lists_every_reason_of_a_scan_in_its_own_words():
    from workbench.dicom.refusals import REASONS

    assert [(code.strip("` "), because) for code, because in table("refused | because")] == list(
        REASONS.items()
    )


def test_the_readme_lists_every_kind_of_archive_with_keys_that_exist():
    from workbench.archive.archive import KINDS
    from workbench.archive.dicomweb import DicomwebTable
    from workbench.archive.dimse import DimseTable

    rows = {row[0].strip("`"): row for row in table("kind | what it is | PLACE | keys")}
    assert rows.keys() == KINDS.keys()
    servers = {"dicomweb": DicomwebTable.model_fields, "dimse": DimseTable.model_fields}
    for kind, fields in servers.items():
        assert set(re.findall(r"`(\w+)", rows[kind][3])) <= fields.keys()
        needed = {name for name, field in fields.items() if field.is_required()}
        assert needed <= set(re.findall(r"`(\w+)", rows[kind][3]))
    shared = set(re.findall(r"`(\w+)", "".join(row[0] for row in table("key | what it names"))))
    assert shared <= servers["dicomweb"].keys()
    assert shared - servers["dimse"].keys() == {"verify"}


def test_the_readme_lists_options_of_volumes_that_exist():
    from inspect import signature

    from workbench.imaging.volume import load_volume, open_volume

    for option, _ in table("option | what it does"):
        name = option.strip("`").split("=")[0]
        assert name in signature(open_volume).parameters, option
        assert name in signature(load_volume).parameters, option


def test_messages_name_only_commands_that_exist():
    for path in tracked("workbench/*.py"):
        named = set(re.findall(r"[`']workbench ([a-z]+)", path.read_text()))
        assert named <= commands(), path

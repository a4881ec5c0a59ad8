"""The documents say what is true: commands exist, the glossary is complete, links lead on."""

from __future__ import annotations

import os
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
    assert "..." not in done.stdout.partition("Commands:")[2]  # no line is cut


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


def test_python_blocks_of_the_readme_run_where_a_scan_was(tmp_path):
    from workbench import read_volume, scan, write_phantom

    (tmp_path / "dicom").mkdir()
    made = write_phantom(tmp_path / "dicom")
    scan(tmp_path / "dicom", tmp_path / "catalog")
    made.structures.rename(tmp_path / "structures.dcm")
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert blocks("python")
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", block + "\nprint(int((labels == 2).sum()))"],
            cwd=tmp_path, env=path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == "384\n"
    assert read_volume(tmp_path / "ct.nii.gz").attrs["units"] == "HU"


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
    return [[cell.strip() for cell in re.split(r"(?<= )\|(?= )", row.strip("|"))] for row in rows]


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


def test_the_readme_lists_the_columns_of_every_table_of_a_site():
    from workbench.archive.series_table import REQUIRED
    from workbench.radiology.acquisitions import COLUMNS
    from workbench.radiology.opening_hours import HOURS
    from workbench.radiology.reports import STAGES, STARTS
    from workbench.radiology.site_tables import NEEDED
    from workbench.radiology.table_check import SCHEMAS

    known = {"column of exams": COLUMNS} | {f"column of `{n}`": s for n, s in SCHEMAS.items()}
    needed = {
        "column of exams": {*REQUIRED},
        "column of `devices`": {"station", "time_zone", *HOURS},
        "column of `protocols`": {*NEEDED["protocols"]},
        "column of `reports`": {*NEEDED["reports"], STARTS[0], *STAGES["final"]},
    }
    for head, schema in known.items():
        rows = table(f"{head} | unit | needed | what it is for")
        listed = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
        assert sorted(listed) == sorted(schema), head
        told = {n for row in rows if row[2] == "yes" for n in re.findall(r"`(\w+)`", row[0])}
        assert told == needed[head], head


def test_the_columns_that_the_readme_says_are_needed_are_refused_where_they_lack(tmp_path):
    from workbench.errors import SiteError
    from workbench.radiology.table_check import SCHEMAS, read_contents
    from workbench.site import read_site

    declared = (
        '[site]\nid = "here"\nname = "Here"\nkind = "real"\n[archive]\nkind = "idc"\n[tables]\n'
    )
    for name in ("devices", "protocols", "reports"):
        rows = table(f"column of `{name}` | unit | needed | what it is for")
        needed = [n for row in rows if row[2] == "yes" for n in re.findall(r"`(\w+)`", row[0])]
        (tmp_path / "site.toml").write_text(f'{declared}{name} = "{name}.csv"\n')
        # A register without `station` is read: another column may tell devices apart.
        for lacking in [None, *(column for column in needed if column != "station")]:
            columns = needed if lacking is None else [c for c in SCHEMAS[name] if c != lacking]
            (tmp_path / f"{name}.csv").write_text(",".join(columns) + "\n")
            if lacking is None:
                read_contents(read_site(tmp_path), name)
                continue
            with pytest.raises(SiteError, match=f"'{lacking}'"):
                read_contents(read_site(tmp_path), name)


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

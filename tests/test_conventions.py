"""The house rules that a machine can hold: imports, sizes, names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch",
    "monai",
    "dask",
    "distributed",
    "papermill",
    "pandas",
    "polars",
    "xarray",
    "altair",
)
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "lib"}


def tracked(*patterns: str) -> list[Path]:
    """Return tracked and new files, as git sees them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [ROOT / line for line in listed if (ROOT / line).is_file()]


def test_import_contracts_hold():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "statement", ["import workbench", "import workbench.cli, workbench.errors"]
)
def test_importing_loads_nothing_heavy(statement):
    code = f"{statement}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom workbench import cli\nsys.argv = ['workbench', '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    code = end.code\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() in ("[] 0", "[] None")


@pytest.mark.parametrize(
    "module",
    [
        "workbench.pooling",
        "workbench.release",
        "workbench.study",
        "workbench.site",
        "workbench.publish.dashboard",
    ],
)
def test_nothing_that_pools_or_publishes_loads_deep_learning(module):
    kept_out = ("torch", "monai", "dask", "papermill", "pydicom")
    code = f"import {module}, sys\nprint([m for m in {kept_out!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_imported():
    import workbench

    for name in dir(workbench):
        if not name.startswith("_"):
            assert getattr(workbench, name) is not None
    with pytest.raises(AttributeError, match="read_study"):
        workbench.read_studdy  # noqa: B018


def test_modules_can_be_read_in_one_sitting():
    long = {
        str(p.relative_to(ROOT)): n
        for p in tracked("workbench/*.py")
        if (n := len(p.read_text().splitlines())) > 400
    }
    assert long == {}


def test_packages_hold_no_code():
    full = [p for p in tracked("workbench/*/__init__.py") if p.read_text().strip()]
    assert full == []


def test_no_drawers():
    named = [
        p
        for p in tracked()
        if DRAWERS & {part.removesuffix(".py") for part in p.relative_to(ROOT).parts}
    ]
    assert named == []


def test_tests_mirror_the_package():
    modules = {p.relative_to(ROOT / "workbench").with_suffix("") for p in tracked("workbench/*.py")}
    known = {str(m) for m in modules} | {str(m.parent) for m in modules}
    strangers = []
    for path in tracked("tests/**/test_*.py"):
        relative = path.relative_to(ROOT / "tests")
        if relative.parts[0] == "studies" or relative.parent == Path():
            continue
        if str(relative.parent / relative.stem.removeprefix("test_")) not in known:
            strangers.append(str(relative))
    assert strangers == []


OPENS_DICOM = (
    "annotation",
    "archive",
    "catalog",
    "dicom",
    "imaging",
    "phantom",
    "pixels",
    "segments",
)


def test_dicom_keywords_stay_where_dicom_is_opened():
    keywords = re.compile(
        r"\b(PatientID|StudyInstanceUID|SeriesInstanceUID|ManufacturerModelName|BodyPartExamined)\b"
    )
    outside = [
        str(p.relative_to(ROOT))
        for p in tracked("workbench/*.py")
        if p.parent.name not in OPENS_DICOM and keywords.search(p.read_text())
    ]
    assert outside == []


def test_no_silenced_errors_and_no_prints():
    bad = re.compile(r"except Exception:\s*pass|except:\s|^\s*print\(|^\s*assert ", re.MULTILINE)
    found = {
        str(p.relative_to(ROOT)): m.group(0).strip()
        for p in tracked("workbench/*.py")
        if (m := bad.search(p.read_text()))
    }
    assert found == {}


def test_no_machine_path_and_no_registry():
    places = re.compile(
        r"/(work|root|farm|home)/[a-z]|index-url|pypi\.org/simple|://[^/\s]*:\d+/simple"
    )
    here = Path(__file__)
    found = {}
    for path in tracked():
        if path == here or path.suffix in {".png", ".parquet", ".woff2", ".otf", ".ttf"}:
            continue
        if match := places.search(path.read_text(encoding="utf-8")):
            found[str(path.relative_to(ROOT))] = match.group(0)
    assert found == {}

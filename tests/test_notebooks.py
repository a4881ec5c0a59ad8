"""Every notebook in the repository keeps the house rules, and those to learn from run."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import nbformat
import polars as pl
import pytest

from tests.measured import papermill, without
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


# ---- The notebooks to learn from run, and make what they say.

LEARN = sorted((ROOT / "notebooks").glob("*.ipynb"))
LEARN_AT = {path.stem: path for path in LEARN}
MOST_BYTES = 2 * 2**30  # what public Binder gives
OFFLINE = ("start_here", "write_a_study", "run_a_site", "look_at_a_volume")
"""Notebooks that open no public archive."""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Execute a notebook once, measure it, and return its cells and what they show."""
    done = {}
    folder = tmp_path_factory.mktemp("executed")
    checkout = tmp_path_factory.mktemp("checkout")  # without datasets/
    shutil.copytree(ROOT / "notebooks", checkout / "notebooks")
    shutil.copytree(ROOT / "studies", checkout / "studies")

    def execute(name):
        if name not in done:
            offline = name in OFFLINE
            blocked = ("torch", "monai", *(("idc_index_data",) if offline else ()))
            notebook = (checkout if offline else ROOT) / "notebooks" / f"{name}.ipynb"
            words = ["-p", "folder", str(folder / "made")] if name == "write_a_study" else []
            peak = papermill(
                notebook, folder / f"{name}.ipynb", without(*blocked, folder=folder / name), *words
            )
            done[name] = (nbformat.read(folder / f"{name}.ipynb", as_version=4), peak)
        return done[name]

    execute.folder = folder
    return execute


def shown(notebook) -> str:
    """Return the text of all outputs."""
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            texts += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
    return "\n".join(texts)


@pytest.mark.parametrize("path", LEARN, ids=label)
def test_notebook_runs_in_the_memory_of_binder_and_loads_nothing_from_elsewhere(path, executed):
    notebook, peak = executed(path.stem)
    assert notebook.metadata.papermill.exception is None
    assert 0 < peak < MOST_BYTES, f"{peak / 2**20:.0f} MiB"
    pages = [
        page
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for page in output.get("data", {}).values()
        if isinstance(page, str)
    ]
    assert pages
    for page in pages:
        assert not re.search(r"""(?:src|href)=["']https?:|import\(["']https?:""", page)


def test_start_here_shows_a_pooled_finding(executed):
    text = shown(executed("start_here")[0])
    assert "integrity, not origin" in text
    assert re.search(r"exams_by_modality\s+counts\s+12", text)
    rows = [line.split() for line in text.splitlines() if re.fullmatch(r"\d+ .* exams", line)]
    told, lows = [row[2] for row in rows], [int(row[3]) for row in rows]
    assert lows == sorted(lows, reverse=True)
    assert told[0].isdigit()  # whole numbers
    assert all(number != "<NA>" or low == 1 for number, low in zip(told, lows, strict=True))


def test_start_here_tells_the_columns_that_a_table_may_have():
    from workbench.archive.archive import KEYWORDS
    from workbench.archive.series_table import NUMBERS, REQUIRED

    text = "\n".join(c.source for c in nbformat.read(LEARN_AT["start_here"], as_version=4).cells)
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \|([^|]*)\| .* \| `(\w+)` \|$", text, re.MULTILINE)
    assert len(rows) == len(KEYWORDS)
    assert {ours: dicom for ours, _, _, dicom in rows} == KEYWORDS
    assert [ours for ours, needed, _, _ in rows if needed == "yes"] == [*REQUIRED]
    units = {ours: unit.strip() for ours, _, unit, _ in rows if unit.strip()}
    assert set(units) == {*NUMBERS, "age_years"}


def test_the_archive_of_start_here_can_be_opened(tmp_path):
    from workbench import open_archive

    text = "\n".join(c.source for c in nbformat.read(LEARN_AT["start_here"], as_version=4).cells)
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    site = '[site]\nid = "north"\nname = "North"\nkind = "pretend"\n'
    (tmp_path / "site.toml").write_text(site + example)
    ages = re.findall(r"`(0\d\d[YMWD])`", text)
    assert len(ages) == 4
    sexes = re.search(r"^\| `sex` \|.*$", text, re.MULTILINE)[0]
    sexes = re.findall(r"`(\w+)`", sexes)[1:-1]
    assert len(sexes) == 6
    pl.DataFrame(
        {
            "accession": [f"A{i}" for i in range(6)],
            "mrn": [f"M{i}" for i in range(6)],
            "age": [*ages, "45", "12.5"],
            "PatientSex": sexes,
            "Modality": ["CT", "MR", "DX", "US", "PT/CT", "CT"],
            "station": "elsewhere",
        }
    ).write_csv(tmp_path / tomllib.loads(example)["archive"]["path"])
    archive = open_archive(tmp_path / "site.toml")
    found = archive.series().collect()
    assert found["age_years"].null_count() == 0
    assert found["sex"].unique().sort().to_list() == ["F", "M", "O"]
    assert sorted(found["modality"]) == ["CT", "CT", "CT", "DX", "MR", "PT", "US"]
    assert any("station" in note for note in archive.notes)


def test_write_a_study_makes_a_released_and_pooled_study(executed):
    from workbench import find_releases, pool, read_study, verify_all

    text = shown(executed("write_a_study")[0])
    study = read_study(executed.folder / "made" / "toy_study")
    assert not [f for f in study.check() if f.level == "fail"]
    verified = verify_all(find_releases(study), study)
    assert [r.site for r in verified.releases] == ["north", "south"]
    assert dict(verified.refusals) == {}
    south = verified.releases[1].tables["patients_by_age_sex"].statuses["patients"]
    assert str(south.sel(age_band="[0,18)", sex="all").item()) == "suppressed"
    assert "<NA>" in text
    cells = pool(verified.releases, study).tables["exams_by_modality"].data
    cells = cells.sel(quantity="patients")
    made = [
        pl.read_parquet(executed.folder / "made" / s / "exams.parquet") for s in ("north", "south")
    ]
    for modality in ("CT", "DX", "MR", "PT", "US"):
        truth = sum(table.filter(modality=modality)["patient_id"].n_unique() for table in made)
        cell = cells.sel(modality=modality)
        assert float(cell["low"]) <= truth <= float(cell["high"])
        assert re.search(rf"{modality}\b.*\b{truth} ", text), modality
    assert str(cells.sel(modality="PT")["how"].item()) == "estimated"
    assert str(cells.sel(modality="CT")["how"].item()) == "rounded"


def test_check_before_release_shows_the_truth_beside_what_leaves_and_packs_nothing(executed):
    before = sorted((ROOT / "studies").rglob("*"))
    notebook, _ = executed("check_before_release")
    assert sorted((ROOT / "studies").rglob("*")) == before
    text = shown(notebook)
    assert "630" in text  # patients of the collection
    assert re.search(r"\[18,30\) +all +<NA> +<NA> +suppressed +55\b", text)
    assert '"[0,1)",all,exams,,suppressed' in text
    assert "8 pass" in text
    assert not re.search(r"\bUPENN-GBM-\d", text)  # no patient


def test_explore_archive_counts_a_public_archive(executed):
    assert re.search(r"CT\b.*433.*355", shown(executed("explore_archive")[0]))


def test_explore_archive_accounts_for_every_file_of_a_folder(executed):
    text = shown(executed("explore_archive")[0])
    counts = {
        name: int(n) for name, n in re.findall(r"^  (files|instances|refused) +(\d+)$", text, re.M)
    }
    assert counts["files"] == counts["instances"] + counts["refused"] > 100
    assert re.search(r"CT +┆ 5 +┆ 2\.5 +┆ 5 x 16 x 16", text)
    assert re.search(r"CT +┆ 4 +┆ 1\.25 +┆ +┆ The slices are not evenly", text)
    assert re.search(r"│ 1\.[0-9.]{20,} +┆ CT +┆ 5 ", text)  # series_uid, not cut
    assert len(re.findall(r"^│ not_dicom +┆ \d+ ", text, re.MULTILINE)) == 1
    assert "with images, not derived objects alone" in text


def test_look_at_a_volume_keeps_values_and_refuses_a_gap(executed):
    notebook, _ = executed("look_at_a_volume")
    text = shown(notebook)
    assert re.search(r"z +┆ 40 +┆ 5\.0 ", text)
    assert re.search(r"lesion ┆ 108369006 SCT Neoplasm ┆ 17\.\d+ +┆ 40\.\d+ +┆ HU", text)
    assert re.search(r"made, of nobody ┆ lesion ┆ 7\.99\d+ ┆ 8\.\d+ ", text)  # SUV
    assert len(re.findall(r"volume\.\S+ +┆ true +┆ true +┆ HU", text)) == 2
    assert "gaps 1.25 mm (2x), 202.5 mm (1x)" in text
    assert text.count("voxels, shown in Jupyter") == 3
    widgets = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert sum(len(w.get("buffers", [])) for w in widgets.values()) == 0  # no voxel is saved


def test_look_at_a_volume_shows_real_files_with_their_structures(shared_data, tmp_path):
    # 111,674.13 mm2 of contours every 3.27 mm, by shared_data's own account.
    patient = shared_data / "ibsi/ibsi_validation/dicom/STS_001"
    words = []
    for name, path in (
        ("series", "CT/image"), ("segmentation", "CT/mask/RS.dcm"),
        ("pet", "PET/image"), ("pet_segmentation", "PET/mask/RS.dcm"),
    ):  # fmt: skip
        words += ["-p", name, str(patient / path)]
    out = tmp_path / "out.ipynb"
    papermill(LEARN_AT["look_at_a_volume"], out, dict(os.environ), *words)
    text = shown(nbformat.read(out, as_version=4))
    assert re.search(r"GTV_Mass_CT ┆ +┆ 365\.\d+ ", text)
    assert re.search(r"yours ┆ GTV_Mass_PET ┆ 2\.55\d+ +┆ 7\.91\d+ ", text)
    assert "of nobody" not in text


def test_run_a_site_shows_a_declaration_that_is_one(executed):
    text = shown(executed("run_a_site")[0])
    declared = tomllib.loads(re.search(r"^# One institution.*?(?=^\S*\{)", text, re.M | re.S)[0])
    assert declared["site"]["id"] == "my_hospital"
    assert "threshold=10" in text


# ---- The commands that notebooks name are those that the program has.


def console_lines(path) -> list[list[str]]:
    """Return the commands of a notebook's console blocks, in order."""
    text = "\n\n".join(
        c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown"
    )
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [shlex.split(line[2:], comments=True) for line in lines]


@pytest.mark.parametrize("path", LEARN, ids=label)
def test_commands_in_notebooks_are_real(path):
    from typer.main import get_command

    from workbench.cli import app

    commands = get_command(app).commands
    source = "\n".join(
        c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown"
    )
    spans = [shlex.split(s) for s in re.findall(r"`((?:workbench|make) [^`\n]+)`", source)]
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in [*console_lines(path), *spans]:
        if words[0] == "make":
            assert words[1] in verbs
        elif words[0] == "workbench":
            assert words[1] in commands, words
            known = {o for p in commands[words[1]].params for o in p.opts + p.secondary_opts}
            assert {w for w in words if w.startswith("-")} <= known, words
    for words in console_lines(path):
        if words[0] == "workbench":
            commands[words[1]].make_context(words[1], words[2:])  # parses, and does nothing


def test_commands_of_run_a_site_lead_from_a_table_to_a_release_and_back(tmp_path):
    from workbench.template import create_study

    checkout, hospital = tmp_path / "checkout", tmp_path / "my_hospital"
    create_study(checkout / "studies" / "imaging_service", "imaging_service")
    n = 600
    table = pl.DataFrame(
        {
            "exam_uid": range(n),
            "patient_id": [i // 2 for i in range(n)],
            "modality": ["CT" if i % 3 else "MR" for i in range(n)],
            "sex": ["F" if i % 4 < 2 else "M" for i in range(n)],
            "age_years": [20 + i // 2 % 60 for i in range(n)],
        }
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = {}
    for words in console_lines(LEARN_AT["run_a_site"]):
        if words[0] != "workbench":
            continue
        if words[1] in ("release", "clean") and not {"--dry-run", "--withdraw"} & set(words):
            words.append("--yes")
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=checkout, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        told[" ".join(words[1:])] = done.stdout
        if "--new" in words:
            table.write_parquet(hospital / "exams.parquet")
        if words[1] == "release" and words[-1] == "--yes":
            packed = checkout / "studies/imaging_service/releases/my_hospital"
            assert {p.name for p in packed.iterdir()} == {
                "manifest.json", "manifest.dsse.json", "exams_by_modality.csv",
                "patients_by_age_sex.csv",
            }  # fmt: skip
    assert [p.name for p in packed.iterdir() if p.suffix == ".csv"] == []  # withdrawn
    assert (hospital / "site.key").stat().st_mode & 0o777 == 0o600
    dry = [text for line, text in told.items() if line.endswith("--dry-run") and "release" in line]
    assert len(dry) == 2
    assert "never be released" in dry[0]
    assert "300" in dry[1]

import ast
import json
import os
import random
import shutil

import pytest

from tests.conftest import ROOT
from workbench.commands.options import choose
from workbench.datasets import list_sites
from workbench.errors import DefinitionError
from workbench.exchange.keys import read_key, read_pins
from workbench.site import read_site
from workbench.study import read_study
from workbench.summaries.table import read_summary
from workbench.template import TEMPLATE, create_study


def test_a_new_study_passes_its_check_at_once(tmp_path):
    folder = create_study(tmp_path / "lungs", "lungs")
    study = read_study(folder)
    assert study.id == "lungs"
    assert {f.level for f in study.check()} == {"pass"}
    study.validate()
    assert len(study.digest) == 64


def test_the_template_is_itself_a_study():
    study = read_study(TEMPLATE)
    assert [f.message for f in study.check() if f.level == "fail"] == []


def test_a_new_study_has_all_its_parts(tmp_path):
    folder = create_study(tmp_path / "deep" / "down" / "lungs", "lungs")
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == [
        "01_exams.ipynb",
        "90_pool.ipynb",
        "PROTOCOL.md",
        "codelists/modality.csv",
        "codelists/sex.csv",
        "dashboard.ipynb",
        "sites.toml",
        "study.toml",
    ]
    assert os.access(folder / "study.toml", os.W_OK)


def test_the_sites_of_a_new_study_are_in_the_checkout(tmp_path):
    pinned = read_pins(create_study(tmp_path / "lungs", "lungs") / "sites.toml")
    here = list_sites(ROOT / "datasets")
    assert [pin.id for pin in pinned] == ["cmmd", "lung_pet_ct_dx"]
    for pin in pinned:
        assert read_key(here[pin.id].key_path).public == pin.public_key
    folder = create_study(tmp_path / "checkout" / "studies" / "lungs", "lungs")
    shutil.copytree(ROOT / "datasets" / "idc", tmp_path / "checkout" / "datasets")
    assert [site.id for site in choose(read_study(folder), [])] == ["cmmd", "lung_pet_ct_dx"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "lungs").mkdir()
    assert read_study(create_study(tmp_path / "lungs", "lungs")).id == "lungs"


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "lungs").mkdir()
    (tmp_path / "lungs" / "mine.txt").write_text("keep")
    with pytest.raises(DefinitionError, match="exists already and is not empty"):
        create_study(tmp_path / "lungs", "lungs")
    assert [p.name for p in tmp_path.rglob("*")] == ["lungs", "mine.txt"]
    (tmp_path / "link").symlink_to(tmp_path / "lungs")
    with pytest.raises(DefinitionError, match="cannot be written"):
        create_study(tmp_path / "link", "link")


@pytest.mark.parametrize(
    "name", ["Lungs", "my-study", "../x", "", "a" * 65, "{{x}}", "x\n", "lеgs", "1st"]
)
def test_a_bad_id_writes_nothing(tmp_path, name):
    with pytest.raises(DefinitionError, match="cannot be the id"):
        create_study(tmp_path / "folder", name)
    assert list(tmp_path.iterdir()) == []


def test_a_good_id_is_offered_for_a_bad_one(tmp_path):
    with pytest.raises(DefinitionError, match="'my_study'"):
        create_study(tmp_path / "folder", "My Study")


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DefinitionError, match="cannot be written"):
        create_study(tmp_path / "file" / "lungs", "lungs")
    with pytest.raises(DefinitionError, match="cannot be written"):
        create_study(tmp_path / "file", "lungs")


def test_every_notebook_uses_public_names_that_exist():
    for path in TEMPLATE.glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] != "code":
                continue
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.ImportFrom):
                    module = __import__(node.module, fromlist=["x"])
                    for alias in node.names:
                        assert hasattr(module, alias.name), f"{path.name}: {alias.name}"


def test_the_new_study_counts_an_exam_table(tmp_path, monkeypatch):
    folder = create_study(tmp_path / "lungs", "lungs")
    chance = random.Random(7)
    rows = ["exam_uid,patient_id,modality,age_years,sex"]
    for exam in range(300):
        modality = chance.choice(["CT", "MR", "PT/CT", "ZZ"])
        rows.append(f"1.2.{exam},p{exam // 3},{modality},{exam % 90},{'FM'[exam // 3 % 2]}")
    (tmp_path / "exams.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "site.toml").write_text(
        '[site]\nid = "north"\nname = "North"\nkind = "pretend"\n'
        '[archive]\nkind = "table"\npath = "exams.csv"\nlevel = "exam"\n'
    )
    site = read_site(tmp_path / "site.toml")
    output = tmp_path / "output"
    output.mkdir()
    monkeypatch.chdir(folder)
    names = {}
    for cell in json.loads((folder / "01_exams.ipynb").read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
            if "parameters" in cell["metadata"].get("tags", []):
                names |= {"site": str(site.path), "output_dir": str(output)}
    study = read_study(folder)
    for declared in study.outputs.values():
        assert (output / declared.path).exists(), declared.name
    table = read_summary(output / "patients_by_age_sex.csv")
    assert table.dimensions == tuple(
        d.dimension for d in study.output("patients_by_age_sex").dimensions
    )
    assert int(table.data["exams"].sel(age_band="all", sex="all")) == 300
    assert int(table.data["patients"].sel(age_band="all", sex="F")) == 50
    modality = read_summary(output / "exams_by_modality.csv").data["exams"]
    expected = {
        "CT": sum("CT" in row for row in rows),
        "other": sum(",ZZ," in row for row in rows),
        "missing": 0,
    }
    assert {name: int(modality.sel(modality=name)) for name in expected} == expected

"""The pretend hospitals are built by their recipe, and are read as any institution is."""

from __future__ import annotations

import importlib.util
import json
import pkgutil
import shutil
import subprocess
from importlib import import_module

import polars as pl
import pytest

import workbench.phantom
from tests.pretend.test_sourced import holds_number
from tests.test_conventions import ROOT
from workbench.archive.archive import open_archive
from workbench.archive.site_scan import scan_site
from workbench.datasets import list_sites
from workbench.exchange.keys import read_key
from workbench.pretend.sourced import ASSUMED, Sourced

HOSPITALS = ROOT / "datasets" / "hospitals"
CARD = HOSPITALS / "card.md"
ASKED = ["--exams", "10", "--scores", "3000", "--seed", "6", "--pixels", "32",
         "--hospital", "hospital_beijing"]  # fmt: skip
TECHNICAL = {"FINE", "LOWEST", "HIGHEST", "FEWEST", "INTERCEPT",
             "LOCALISER", "MAIN", "SECOND", "MASKS"}  # fmt: skip
"""Figures that change no value, or that files must have."""


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("recipe", HOSPITALS / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(tmp_path_factory, recipe):
    """Return a copy of the declarations with one hospital made."""
    place = tmp_path_factory.mktemp("hospitals")
    for declared in HOSPITALS.glob("*/site.toml"):
        (place / declared.parent.name).mkdir()
        for name in ("site.toml", "card.md", "site.key"):
            shutil.copy(declared.parent / name, place / declared.parent.name)
    recipe.main([*ASKED, "--out", str(place)])
    return place


def test_each_hospital_is_a_site_of_its_own(built):
    sites = list_sites(built)
    assert len(sites) == 5
    fingerprints = set()
    for site in sites.values():
        assert site.kind == "pretend"
        assert site.name.startswith("Pretend hospital")
        assert read_key(site.key_path).kind == "demo"
        fingerprints.add(site.key_path.read_text())
        assert set(site.tables) == {"truth", "scores"}
        assert "phantoms" in site.card.read_text()
    assert len(fingerprints) == 5


def test_a_hospital_is_scanned_and_read_as_an_archive(built):
    site = list_sites(built)["hospital_beijing"]
    catalog = scan_site(site)
    assert catalog.reasons == {"truncated": 1}
    assert not [f for f in site.check() if f.level == "fail"]
    held = open_archive(site).series().collect()
    truth = pl.read_parquet(site.tables["truth"])
    assert set(truth["exam_uid"]) == set(held["exam_uid"])
    assert held["age_years"].max() < 19
    assert set(held["modality"]) == {"CT", "SEG"}
    assert len(pl.read_parquet(site.tables["scores"])) == 3000


def test_the_truth_lies_beside(built):
    told = json.loads((built / "beijing" / "truth.json").read_text())
    assert (told["seed"], told["exams"], told["update_month"]) == (6, 10, 7)
    assert all(len(planted) == 1 for planted in told["planted"].values())
    assert told["score_model"]["name"] == "good"


def test_what_is_made_is_left_alone_and_what_is_not_is_made(built, recipe, tmp_path):
    shutil.copytree(built / "beijing", tmp_path / "beijing")
    table = tmp_path / "beijing" / "truth.parquet"

    def make(*more):
        recipe.main([*ASKED, *more, "--out", str(tmp_path)])
        return table.stat().st_mtime_ns

    before = table.stat().st_mtime_ns
    content = table.read_bytes()
    assert make() == before  # a run's cache knows a file by its time
    shutil.rmtree(tmp_path / "beijing" / "images" / "0003")
    assert make() > before
    assert table.read_bytes() == content
    scores = (tmp_path / "beijing" / "scores.parquet").read_bytes()
    make("--model", "bad")
    assert (tmp_path / "beijing" / "scores.parquet").read_bytes() != scores
    assert table.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == ["beijing"]


@pytest.mark.parametrize(
    "name", ["moscow/images/0000/2/0001.dcm", "osh/truth.parquet", "osh/scores.parquet",
             "osh/truth.json", "beijing/catalog/catalog.json"]
)  # fmt: skip
def test_no_image_and_no_table_can_be_committed(name):
    done = subprocess.run(["git", "check-ignore", "-q", HOSPITALS / name], cwd=ROOT, check=False)
    assert done.returncode == 0


def figures():
    """Return the figures of the recipe by name, and what else holds a number."""
    found, bare = {}, set()
    for module in pkgutil.iter_modules(workbench.phantom.__path__):
        for name, value in vars(import_module(f"workbench.phantom.{module.name}")).items():
            if not name.isupper() or name.startswith("_"):
                continue
            if isinstance(value, Sourced):
                assert found.setdefault(name, value) is value, name
            elif holds_number(value) and name not in TECHNICAL:
                bare.add(name)
    return found, bare


def test_no_figure_is_without_a_source():
    found, bare = figures()
    assert bare == set()
    assert len(found) > 40


@pytest.mark.parametrize("name", sorted(figures()[0]))
def test_a_source_is_a_text_and_stands_in_the_card(name):
    figure = figures()[0][name]
    assert len(figure.source) >= len(ASSUMED)
    if figure.unit != "words":
        assert f"| `{name}` | {figure.unit} | {figure.source} |" in CARD.read_text()


def test_the_card_names_no_figure_that_is_gone():
    told = {line.split("`")[1] for line in CARD.read_text().splitlines() if line.startswith("| `")}
    names = {name for name in told if name.isupper()}
    assert names == set(figures()[0])


def test_the_card_says_what_they_are():
    text = CARD.read_text()
    assert "Every image is a phantom" in text
    assert "drawn from a score model: no image was read" in text

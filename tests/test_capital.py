"""The pretend capital is built by its recipe, and is read as any institution is."""

from __future__ import annotations

import importlib.util
import json
import shutil

import polars as pl
import pytest

from tests.test_conventions import ROOT
from workbench.archive.archive import open_archive
from workbench.datasets import list_sites
from workbench.exchange.keys import read_key

CAPITAL = ROOT / "datasets" / "capital"


ASKED = ["--scale", "0.002", "--months", "2", "--seed", "6"]


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("recipe", CAPITAL / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def capital(tmp_path_factory, recipe):
    """Return a copy of the declarations with tables beside them."""
    place = tmp_path_factory.mktemp("capital")
    for declared in CAPITAL.glob("*/site.toml"):
        (place / declared.parent.name).mkdir()
        for name in ("site.toml", "card.md", "site.key"):
            shutil.copy(declared.parent / name, place / declared.parent.name)
    recipe.main([*ASKED, "--out", str(place)])
    return place


def test_each_district_is_a_site_of_its_own(capital):
    sites = list_sites(capital)
    assert len(sites) == 5
    for site in sites.values():
        assert site.kind == "pretend"
        assert not [f for f in site.check() if f.level == "fail"]
        assert read_key(site.key_path).kind == "demo"
        assert set(site.tables) == {"devices", "reports"}
        assert all(path.is_file() for path in site.tables.values())


def test_a_district_is_read_as_an_archive(capital):
    for site in list_sites(capital).values():
        archive = open_archive(site)
        held = archive.series().collect()
        table = pl.read_parquet(site.folder / "exams.parquet")
        assert held["exam_uid"].n_unique() == table["exam_uid"].n_unique()
        assert held["age_years"].max() <= 130
        assert set(held["modality"]) == set(table["modality"].cast(pl.String))
        assert held["megabytes"].min() > 0


def test_the_truth_lies_beside(capital):
    told = json.loads((capital / "truth.json").read_text())
    assert (told["seed"], told["scale"], told["months"]) == (6, 0.002, 2)
    assert told["as_of"] == "2020-03-01"


def test_no_table_is_in_the_repository():
    ignored = (CAPITAL / ".gitignore").read_text().splitlines()
    assert {"*.parquet", "truth.json"} <= set(ignored)


def test_what_is_made_is_left_alone_and_what_is_not_is_made(capital, recipe, tmp_path):
    shutil.copytree(capital, tmp_path, dirs_exist_ok=True)
    table = tmp_path / "west" / "exams.parquet"

    def make(*more):
        recipe.main([*ASKED, *more, "--out", str(tmp_path)])
        return table.stat().st_mtime_ns

    before = table.stat().st_mtime_ns
    assert make() == before  # a run's cache knows a file by its time
    content = table.read_bytes()
    other = make("--seed", "7")
    assert other > before
    assert table.read_bytes() != content
    table.unlink()
    assert make() > other
    assert table.read_bytes() == content
    (tmp_path / "truth.json").write_text("{")
    assert make() > other

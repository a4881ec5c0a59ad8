"""The public institutions: their cards say what their index says, and cite whom they owe."""

from __future__ import annotations

import html
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import polars as pl
import pytest

from tests.test_conventions import ROOT
from workbench.datasets import build_dataset, list_sites
from workbench.errors import UsageError

CARDS = sorted((ROOT / "datasets" / "idc").glob("*/card.md"))


def test_seven_institutions_are_listed():
    sites = list_sites(ROOT / "datasets")
    assert len(CARDS) == 7
    assert {c.parent / "site.toml" for c in CARDS} <= {s.path for s in sites.values()}


@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.parent.name)
def test_card_counts_what_the_index_holds(card: Path):
    index = pl.scan_parquet(str(files("idc_index_data") / "idc_index.parquet"))
    row = (
        index.filter(pl.col("collection_id") == card.parent.name)
        .select(
            series=pl.col("SeriesInstanceUID").n_unique(),
            exams=pl.col("StudyInstanceUID").n_unique(),
            patients=pl.col("PatientID").n_unique(),
        )
        .collect()
        .row(0)
    )
    told = re.search(
        r"\| in the collection \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|", card.read_text()
    )
    assert told is not None
    assert tuple(int(n.replace(",", "")) for n in told.groups()) == row


@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.parent.name)
def test_card_cites_the_collection_as_its_publisher_asks(card: Path):
    collections = pl.read_parquet(str(files("idc_index_data") / "collections_index.parquet"))
    name = card.parent.name
    (sources,) = collections.filter(pl.col("collection_id") == name)["sources"]
    (source,) = [s for s in sources if s["source_id"] == name]
    asked = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "*", source["citation"])))
    text = card.read_text()
    assert f"| Citation | {asked} |" in text
    assert source["source_doi"] in text
    pins = tomllib.loads((ROOT / "studies/imaging_service/sites.toml").read_text())["site"]
    (pin,) = [pin for pin in pins if pin["id"] == name]
    assert pin["citation"] == asked.replace("*", "")
    assert source["license"]["license_short_name"] in text


def test_a_recipe_is_found_by_its_name(tmp_path: Path):
    folder = tmp_path / "datasets"
    (folder / "a_city").mkdir(parents=True)
    (folder / "a_city" / "recipe.py").write_text(
        "import pathlib\n"
        "def main(arguments):\n"
        "    pathlib.Path(__file__).with_name('made').write_text(' '.join(arguments))\n"
    )
    build_dataset(folder, "a_city", 0.05)
    assert (folder / "a_city" / "made").read_text() == "--scale 0.05"
    with pytest.raises(UsageError, match="no recipe of 'acity'") as caught:
        build_dataset(folder, "acity", 0.05)
    assert "a_city" in str(caught.value.todo)

"""Protocols: names in three languages and a site's own become codes of the study."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.conftest import ROOT
from workbench.codelists import read_codelist
from workbench.errors import SiteError
from workbench.radiology.protocols import map_protocols, open_protocols

PROTOCOLS = read_codelist(ROOT / "studies" / "imaging_service" / "codelists" / "protocol.csv")
SITE = """
[site]
id = "here"
name = "Here"
kind = "pretend"

[archive]
kind = "table"
path = "exams.csv"
level = "exam"
"""


def _map(*names: str | None, own: dict[str, str] | None = None) -> list[str | None]:
    rows = pl.LazyFrame({"protocol": names}, schema={"protocol": pl.String()})
    table = None if own is None else pl.LazyFrame({"name": [*own], "protocol": [*own.values()]})
    for kind in (pl.String(), pl.Categorical()):
        found = map_protocols(rows.cast(kind), PROTOCOLS, table).collect()["protocol"].to_list()
    return found


def test_names_in_three_languages() -> None:
    names = ("Thorax", "КТ ОГК", "胸部CT", "ct_chest", "CHEST  routine")
    assert _map(*names) == ["CT_CHEST"] * len(names)
    assert _map("TAP", "HRCT", "КТ-ангиопульмонография") == ["CT_CAP", "CT_HRCT", "CT_CTPA"]


def test_what_nobody_names_is_other_and_what_is_not_stated_is_missing() -> None:
    assert _map("4DCT", None, "", " ", "missing") == ["other", None, None, None, "missing"]


def test_a_sites_own_names_come_first() -> None:
    own = {"Neuro 7": "CT_HEAD", "Thorax": "CT_HRCT"}
    assert _map("NEURO 7", "thorax", own=own) == ["CT_HEAD", "CT_HRCT"]


def test_a_code_that_the_study_does_not_have() -> None:
    with pytest.raises(SiteError, match="CT_HED") as caught:
        _map("Neuro 7", own={"Neuro 7": "CT_HED"})
    assert "CT_HEAD" in (caught.value.todo or "")


def test_the_table_of_a_site(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(SITE)
    assert open_protocols(site).collect().is_empty()
    site.write_text(SITE + '\n[tables]\nprotocols = "own.csv"\n')
    (tmp_path / "own.csv").write_text("name,protocol\nNeuro 7,CT_HEAD\n")
    assert open_protocols(site).collect().rows() == [("Neuro 7", "CT_HEAD")]
    (tmp_path / "own.csv").write_text("names,protocol\nNeuro 7,CT_HEAD\n")
    with pytest.raises(SiteError, match="no column 'name'"):
        open_protocols(site)


def test_one_name_with_two_codes_is_refused() -> None:
    rows = pl.LazyFrame({"protocol": ["Thorax"]})
    own = pl.LazyFrame({"name": ["Thorax", "THORAX"], "protocol": ["CT_HEAD", "CT_CHEST"]})
    with pytest.raises(SiteError, match="mapped to two protocols"):
        map_protocols(rows, PROTOCOLS, own)
    twice = pl.LazyFrame({"name": ["Thorax", "THORAX"], "protocol": ["CT_HEAD", "CT_HEAD"]})
    assert map_protocols(rows, PROTOCOLS, twice).collect()["protocol"].to_list() == ["CT_HEAD"]

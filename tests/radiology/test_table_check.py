"""Table check: what the tables of a site hold is told without their values."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.radiology.declared import SITE
from workbench.errors import SiteError
from workbench.radiology import table_check
from workbench.radiology.opening_hours import HOURS
from workbench.radiology.table_check import SCHEMAS, read_contents, validate_tables
from workbench.site import Site, read_site

DECLARED = f"""{SITE}
kind = "table"
path = "exams.parquet"

[tables]
"""


def _declare(folder: Path, name: str, table: pl.DataFrame) -> Site:
    table.write_parquet(folder / "t.parquet", compression="uncompressed")
    (folder / "site.toml").write_text(f'{DECLARED}{name} = "t.parquet"\n')
    return read_site(folder)


def test_what_is_understood_what_is_missing_and_how_much_is_ignored(tmp_path: Path) -> None:
    device = {"station": "CT1", "time_zone": "Asia/Shanghai", "model": None, "room": "4"}
    device |= dict.fromkeys(HOURS, 480)
    found = read_contents(_declare(tmp_path, "devices", pl.DataFrame([device] * 1)), "devices")
    assert (found.rows, found.ignored) == (1, 1)
    assert set(found.understood) == {"station", "time_zone", *HOURS}
    assert {*found.understood, *found.missing} == set(SCHEMAS["devices"])
    assert "model" in found.missing  # it is there, and empty
    assert "room" not in repr(found)
    assert "CT1" not in repr(found)


def test_of_a_table_that_nobody_knows_the_rows_are_counted(tmp_path: Path) -> None:
    site = _declare(tmp_path, "wards", pl.DataFrame({"ward": ["A", "B"]}))
    found = read_contents(site, "wards")
    assert (found.rows, found.understood, found.missing, found.ignored) == (2, (), (), 1)


def test_a_part_that_is_damaged_is_met(tmp_path: Path) -> None:
    names = pl.DataFrame({"name": [f"Ivanova {n}" for n in range(9)], "protocol": ["CT_HEAD"] * 9})
    site = _declare(tmp_path, "protocols", names)
    assert read_contents(site, "protocols").rows == 9
    path = tmp_path / "t.parquet"
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56  # the head of the first page
    path.write_bytes(content)
    with pytest.raises(SiteError, match=r"^\[tables\] protocols: The table is damaged") as caught:
        read_contents(site, "protocols")
    assert "Ivanova" not in str(caught.value)


@pytest.mark.parametrize("limit", [table_check.READ_WHOLE, 1])
def test_a_table_that_cannot_be_read_is_refused_before_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(table_check, "READ_WHOLE", limit)
    bad = {"name": ["Ivanova"], "code": ["CT_HEAD"]}
    with pytest.raises(SiteError, match=r"^\[tables\] protocols: .* no column 'protocol'"):
        validate_tables(_declare(tmp_path, "protocols", pl.DataFrame(bad)))
    good = {"name": ["Ivanova"], "protocol": ["CT_HEAD"]}
    validate_tables(_declare(tmp_path, "protocols", pl.DataFrame(good)))
    validate_tables(_declare(tmp_path, "wards", pl.DataFrame(bad)))


def test_small_tables_are_read_whole_and_large_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = _declare(tmp_path, "devices", pl.DataFrame({"station": ["CT1", "CT1"]}))
    with pytest.raises(SiteError, match="register of devices has no column"):
        validate_tables(site)
    monkeypatch.setattr(table_check, "READ_WHOLE", 1)
    validate_tables(site)

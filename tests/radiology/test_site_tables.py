"""Site tables: a register and reports from Parquet and CSV, whole, in part, or not at all."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from tests.radiology.declared import SITE
from workbench.errors import SiteError
from workbench.radiology.site_tables import REGISTER, REPORTS, open_register, open_reports

DECLARED = f"""{SITE}
kind = "table"
path = "exams.parquet"
level = "exam"
"""
DEVICES = {
    "station": ["CT1", "XR1"],
    "installed_date": [dt.date(2015, 3, 1), None],
    "digital": [True, False],
    "weekday_open_min": [480, 480],
}


def _site(folder: Path, tables: str = "") -> Path:
    path = folder / "site.toml"
    path.write_text(DECLARED + tables, encoding="utf-8")
    return path


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_register(tmp_path: Path, ending: str) -> None:
    table = pl.DataFrame(DEVICES)
    if ending == "csv":
        table.write_csv(tmp_path / "d.csv")
    else:
        table.write_parquet(tmp_path / "d.parquet")
    site = _site(tmp_path, f'\n[tables]\ndevices = "d.{ending}"\n')
    found = open_register(site).collect()
    for name, values in DEVICES.items():
        assert found[name].to_list() == values
    assert found["manufacturer"].to_list() == [None, None]  # a name that is not stated
    assert "sunday_open_min" not in found.columns  # not there is not closed


def test_a_site_without_tables_has_empty_ones(tmp_path: Path) -> None:
    site = _site(tmp_path)
    assert open_register(site).collect_schema() == REGISTER
    assert open_reports(site).collect_schema() == REPORTS
    assert open_register(site).collect().is_empty()


def test_no_text_of_a_report_is_read(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {"exam_uid": "1", "patient_id": "a", "final_time": "2024-03-01T08:30:00", "text": "…"}
    )
    table.write_csv(tmp_path / "r.csv")
    found = open_reports(_site(tmp_path, '\n[tables]\nreports = "r.csv"\n')).collect()
    assert "text" not in found.columns
    assert found["final_time"].item() == dt.datetime.fromisoformat("2024-03-01T08:30:00")


@pytest.mark.parametrize(
    ("column", "value"),
    [("installed_date", "in spring"), ("digital", "perhaps"), ("weekday_open_min", "early")],
)
def test_what_cannot_be_read_is_refused_and_not_quoted(
    tmp_path: Path, column: str, value: str
) -> None:
    pl.DataFrame({"station": ["CT1"], column: [value]}).write_csv(tmp_path / "d.csv")
    with pytest.raises(SiteError, match="row 1") as caught:
        open_register(_site(tmp_path, '\n[tables]\ndevices = "d.csv"\n'))
    assert value not in str(caught.value)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_first_row_is_named_where_all_are_bad(tmp_path: Path, rows: int) -> None:
    pl.DataFrame({"station": ["CT1"] * rows, "digital": ["perhaps"] * rows}).write_csv(
        tmp_path / "d.csv"
    )
    with pytest.raises(SiteError, match=r"(?m)the first is in row 1$") as caught:
        open_register(_site(tmp_path, '\n[tables]\ndevices = "d.csv"\n'))
    assert caught.value.what.startswith(f"[tables] devices: {rows} value")


def _times(folder: Path, *texts: str | None) -> list[dt.datetime | None]:
    columns = {"exam_uid": "1", "patient_id": "a", "final_time": pl.Series(texts, dtype=pl.String)}
    pl.DataFrame(columns).write_csv(folder / "r.csv")
    return (
        open_reports(_site(folder, '\n[tables]\nreports = "r.csv"\n'))
        .collect()["final_time"]
        .to_list()
    )


def test_times_of_iso_8601_are_read(tmp_path: Path) -> None:
    """Each as the standard library reads it, in one column."""
    texts = ["2024-03-04", "2024-03-04T10:00", "2024-03-04 10:00", "2024-03-04T10:00:59",
             "2024-03-04 10:00:59.5", "2024-03-04T10:00:59.123456"]  # fmt: skip
    expected = [dt.datetime.fromisoformat(text) for text in texts]
    assert _times(tmp_path, *texts, None) == [*expected, None]


@pytest.mark.parametrize(
    "text",
    [
        *("05.03.2020 14:10", "03/04/2024 10:00", "2024/03/04 10:00", "04-03-2024 10:00"),
        *(
            "2024-3-4",
            "2024-3-4T10:00",
            "24-03-04 10:00",
            "20240304",
            "2024-03-04T10",
            "2024-13-04T10:00",
            "2024-02-30",
        ),
        *("2024-03-04T10:00Z", "2024-03-04T10:00:00+03:00", "٢٠٢٤-03-04"),
    ],
)
def test_a_time_of_which_day_or_month_would_be_guessed_is_refused(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(SiteError, match=r"(?m)1 value of column final_time .* row 2$") as caught:
        _times(tmp_path, "2024-03-04", text)
    assert "times as 2024-03-01T08:30:00" in (caught.value.todo or "")
    assert text not in str(caught.value)


@pytest.mark.parametrize("text", ["01/03/2015", "2015/03/01", "01.03.2015", "2015-3-1", "15-03-01"])
def test_a_date_of_which_day_or_month_would_be_guessed_is_refused(
    tmp_path: Path, text: str
) -> None:
    pl.DataFrame({"station": "CT1", "installed_date": [text]}).write_csv(tmp_path / "d.csv")
    with pytest.raises(SiteError, match=r"(?m)column installed_date .* row 1$") as caught:
        open_register(_site(tmp_path, '\n[tables]\ndevices = "d.csv"\n'))
    assert "dates as 2024-03-01" in (caught.value.todo or "")

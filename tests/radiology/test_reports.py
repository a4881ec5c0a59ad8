"""Reports: turnaround with open exams, and completeness against a template."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from workbench.errors import SiteError
from workbench.radiology.reports import RULES, Element, describe_reports, measure_turnaround
from workbench.statistics.survival import kaplan_meier, share_within, time_reached
from workbench.summaries.risk_table import summarise

AT = dt.datetime.combine(dt.date(2024, 3, 1), dt.time(8))
EXTRACT = AT + dt.timedelta(days=30)


def _after(*hours: float | None) -> list[dt.datetime | None]:
    return [None if h is None else AT + dt.timedelta(hours=h) for h in hours]


def test_every_rule_keeps_out_and_counts() -> None:
    reports = pl.LazyFrame(
        {
            "acquired_time": [*_after(0, 0, None, 0, 24 * 31), AT - dt.timedelta(days=500)],
            "final_time": _after(5, None, 5, -1, None, 10),
        }
    )
    found = measure_turnaround(reports, "final", EXTRACT)
    assert found.rows.select("hours", "outcome").collect().rows() == [
        (5, "event"),
        (720, "censored"),
    ]
    counted = dict(found.attrition.iter_rows())
    assert counted == dict.fromkeys(RULES, 1)


def test_a_report_after_the_extract_was_open_then() -> None:
    reports = pl.LazyFrame({"exam_end_time": _after(0), "preliminary_time": _after(24 * 40)})
    found = measure_turnaround(reports, "preliminary", EXTRACT)
    assert found.rows.select("hours", "outcome").collect().row(0) == (720, "censored")


def test_in_time() -> None:
    """Reported in time, reported late, open and late already, open and not late yet, no promise."""
    reports = pl.LazyFrame(
        {
            "acquired_time": _after(0, 0, 0, 24 * 30 - 2, 0),
            "final_time": _after(24, 25, None, None, 1),
            "promised_hours": [24.0, 24.0, 24.0, 24.0, None],
        }
    )
    rows = measure_turnaround(reports, "final", EXTRACT).rows.collect()
    assert rows["in_time"].to_list() == [True, False, False, None, None]


def test_open_exams_are_not_left_out() -> None:
    """Left out, the slow ones that are still open would make the median look fast.

    Exponential times with a median of 60 h, seen for at most 72 h.
    """
    random = np.random.default_rng(3)
    n = 20_000
    hours = random.exponential(60 / np.log(2), n)
    start = random.uniform(0, 72, n)  # hours before the extract
    done = hours <= start
    as_of = AT + dt.timedelta(days=3)
    reports = pl.LazyFrame(
        {
            "acquired_time": [as_of - dt.timedelta(hours=float(s)) for s in start],
            "final_time": [
                as_of - dt.timedelta(hours=float(s - h)) if d else None
                for s, h, d in zip(start, hours, done, strict=True)
            ],
        }
    )
    rows = measure_turnaround(reports, "final", as_of).rows.collect()
    who, done = np.arange(n), (rows["outcome"] == "event").to_numpy()
    curve = kaplan_meier(
        summarise(
            [], {}, who, who, rows["hours"].to_numpy(), happened=done,
            edges=[0, *range(2, 74, 2)], unit="h", margins=False,
        )
    )  # fmt: skip
    found = time_reached(curve, 0.5)
    assert found.low.item() <= found.estimate.item() <= found.high.item()
    assert found.estimate.item() == pytest.approx(60, rel=0.05)
    assert share_within(curve, 24).estimate.item() == pytest.approx(1 - 0.5 ** (24 / 60), abs=0.01)
    naive = float(np.median(rows.filter(pl.col("outcome") == "event")["hours"].to_numpy()))
    assert naive < 30


def test_description() -> None:
    reports = pl.LazyFrame(
        {
            "exam_uid": ["1", "2", "3"],
            "modality": ["MG", "CT", "MG"],
            "procedure_code": ["P-1", None, " "],
            "rads_category": [None, None, "BI-RADS 1"],
            "measurement_value": [3.5, 4.0, None],
            "measurement_unit": ["mm", None, None],
        }
    )
    rows = describe_reports(reports).select("exam_uid", "element", "state").collect()
    found = {(exam, element): state for exam, element, state in rows.iter_rows()}
    assert found == {
        ("1", "procedure"): "stated", ("2", "procedure"): "lacking", ("3", "procedure"): "lacking",
        ("1", "category"): "lacking", ("3", "category"): "stated",
        ("1", "measurement"): "stated", ("2", "measurement"): "lacking",
        ("3", "measurement"): "lacking",
    }  # fmt: skip


def test_categories_of_a_column() -> None:
    """Columns with few values come as categories from Parquet."""
    reports = pl.LazyFrame(
        {"modality": ["MG", "CT"], "rads_category": ["BI-RADS 1", None]},
        {"modality": pl.Categorical(), "rads_category": pl.Categorical()},
    )
    assert describe_reports(reports).select("element", "state").collect().rows() == [
        ("category", "stated")
    ]


def test_a_template_of_ones_own() -> None:
    template = [Element("lung", ("rads_category",), {"protocol": ("CT_CHEST",)})]
    reports = pl.LazyFrame({"protocol": ["CT_CHEST", "CT_HEAD"], "rads_category": ["", "x"]})
    assert describe_reports(reports, template).select("state").collect()["state"].to_list() == [
        "lacking"
    ]
    with pytest.raises(SiteError, match="no column 'protocol'"):
        describe_reports(reports.drop("protocol"), template)


def test_refused() -> None:
    reports = pl.LazyFrame({"acquired_time": _after(0)})
    with pytest.raises(SiteError, match="no column 'final_time'"):
        measure_turnaround(reports, "final", EXTRACT)
    with pytest.raises(SiteError, match="no stage"):
        measure_turnaround(reports, "finl", EXTRACT)


def test_reports_that_hold_no_element_describe_nothing() -> None:
    found = describe_reports(pl.LazyFrame({"acquired_time": _after(0)})).collect()
    assert found.is_empty()
    assert {"element", "state"} <= set(found.columns)


def test_the_first_report_is_the_preliminary_one_or_else_the_final_one() -> None:
    reports = pl.LazyFrame(
        {
            "acquired_time": _after(0, 0, 0, 0),
            "preliminary_time": _after(2, None, None, 6),
            "final_time": _after(9, 7, None, 5),
        }
    )
    rows = measure_turnaround(reports, "preliminary", EXTRACT).rows
    assert rows.select("hours", "outcome").collect().rows() == [
        (2, "event"), (7, "event"), (720, "censored"), (5, "event"),
    ]  # fmt: skip

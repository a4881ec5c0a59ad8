from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import DefinitionError
from workbench.radiology.cumulative_dose import cumulative_dose, trailing_dose

START = datetime.fromisoformat("2024-01-01T10:00")


def exams(*rows):
    """Return exams of (patient, days after the start, DLP)."""
    return pl.DataFrame(
        [
            (p, str(i), None if d is None else START + timedelta(days=d), v)
            for i, (p, d, v) in enumerate(rows)
        ],
        schema={
            "patient_id": pl.String,
            "exam_uid": pl.String,
            "exam_time": pl.Datetime("us"),
            "dlp_total_mgy_cm": pl.Float64,
        },
        orient="row",
    )


def test_each_patient_has_a_sum_and_its_exams():
    made = cumulative_dose(exams(("p", 0, 100.0), ("q", 1, 7.0), ("p", 400, 50.0)))
    assert made["patient_id"].to_list() == ["p", "q"]
    assert made["dlp_total_mgy_cm"].to_list() == [150.0, 7.0]
    assert made["exam_uids"].to_list() == [["0", "2"], ["1"]]


def test_a_window_holds_its_first_day_and_not_its_last():
    rows = exams(("p", 0, 1.0), ("p", 10, 2.0), ("p", 20, 4.0), ("p", None, 8.0))
    assert cumulative_dose(rows)["dlp_total_mgy_cm"].item() == 15.0
    window = cumulative_dose(rows, since=date(2024, 1, 1), until=date(2024, 1, 21))
    assert window["dlp_total_mgy_cm"].item() == 3.0
    exact = cumulative_dose(rows, since=START, until=START + timedelta(days=20))
    assert exact["dlp_total_mgy_cm"].item() == 3.0
    assert cumulative_dose(rows, since=date(2025, 1, 1)).is_empty()


def test_what_nobody_states_is_missing_and_not_0():
    made = cumulative_dose(exams(("p", 0, None), ("q", 0, None), ("q", 1, 5.0), (None, 0, 9.0)))
    assert made["dlp_total_mgy_cm"].to_list() == [None, 5.0]
    assert made["dlp_total_mgy_cm_missing"].to_list() == [1, 1]


def test_a_trailing_window_is_open_at_its_start():
    made = trailing_dose(exams(("p", 0, 1.0), ("p", 7, 2.0), ("p", 13, 4.0)), "dlp_total_mgy_cm", 7)
    assert made["total"].to_list() == [1.0, 2.0, 6.0]
    assert made["exam_uids"].to_list() == [["0"], ["1"], ["1", "2"]]


def test_an_unknown_quantity_is_refused():
    with pytest.raises(DefinitionError, match="dlp_total_mgy_cm"):
        trailing_dose(exams(), "dlp_mgy_cm", 7)
    with pytest.raises(DefinitionError, match="1 day"):
        trailing_dose(exams(), "dlp_total_mgy_cm", 0)


rows = st.lists(
    st.tuples(st.sampled_from("pq"), st.integers(0, 60), st.integers(0, 100).map(float)),
    min_size=1,
    max_size=20,
)


@given(rows, st.integers(1, 30))
def test_a_trailing_sum_is_that_of_the_exams_it_names(rows, days):
    table = exams(*rows)
    own = dict(zip(table["exam_uid"], table["dlp_total_mgy_cm"], strict=True))
    made = trailing_dose(table, "dlp_total_mgy_cm", days)
    assert sorted(made["exam_uid"]) == sorted(own)
    for row in made.iter_rows(named=True):
        assert row["total"] == sum(own[uid] for uid in row["exam_uids"])
        assert row["value"] == own[row["exam_uid"]]
        patient, day, _ = rows[int(row["exam_uid"])]
        wanted = {
            str(i) for i, (p, d, _) in enumerate(rows) if p == patient and day - days < d <= day
        }
        assert set(row["exam_uids"]) == wanted

"""CT doses: one row an exam, whatever the rows it was made from."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.radiology.ct_doses import number_facilities, take_ct_doses

ROW = {
    "exam_uid": "1", "patient_id": "a", "modality": "CT", "protocol": "CT_HEAD", "facility": "02",
    "age_years": 40.0, "ctdivol_mgy": 50.0, "dlp_mgy_cm": 800.0,
}  # fmt: skip


def _take(*rows: dict[str, object]) -> pl.DataFrame:
    return take_ct_doses(pl.LazyFrame([ROW | row for row in rows], strict=False)).collect()


def test_two_scanners_of_one_exam() -> None:
    row = _take({}, {"ctdivol_mgy": 60.0, "dlp_mgy_cm": 100.0, "protocol": "CT_CHEST"})
    assert row.select("ctdivol_mgy", "dlp_mgy_cm", "protocol").row(0) == (60.0, 900.0, None)


def test_what_is_not_stated_is_not_zero() -> None:
    assert _take({"dlp_mgy_cm": None, "ctdivol_mgy": None})["dlp_mgy_cm"].item() is None


@pytest.mark.parametrize(
    ("age", "group"),
    [(0.5, "CT_HEAD 0"), (1, "CT_HEAD 1-4"), (17.9, "CT_HEAD 15-17"), (18, None), (None, None)],
)
def test_bands_of_age(age: float | None, group: str | None) -> None:
    row = _take({"age_years": age}, {"exam_uid": "2"}).filter(pl.col("exam_uid") == "1")
    assert row["child_group"].item() == group
    assert row["adult"].item() == (None if age is None else age >= 18)


def test_other_modalities_are_left_out() -> None:
    assert len(_take({"modality": "MR"}, {"modality": " ct", "exam_uid": "2"})) == 1


def test_numbers_of_facilities_do_not_depend_on_the_order() -> None:
    names = ["West", "East", None, "North"]
    for order in (names, names[::-1]):
        rows = pl.LazyFrame({"name": order, "facility": order}, strict=False)
        categories = rows.with_columns(pl.col("facility").cast(pl.Categorical))
        for table in (rows, categories):
            found = dict(number_facilities(table).collect().iter_rows())
            assert found == {"East": "01", "North": "02", "West": "03", None: None}

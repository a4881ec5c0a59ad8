"""Quality: what vanishes is counted by column, and no value of a patient stands there."""

import json

import polars as pl
import pytest

from tests.radiology.test_exams import archive
from workbench.archive.archive import open_archive
from workbench.errors import SiteError
from workbench.radiology.exams import open_exams, write_exams
from workbench.radiology.grouping import DERIVED, ONCE
from workbench.radiology.quality import EMPTY, MODALITIES, WARNING, Quality


def counts(folder):
    rows = open_exams(folder).quality.to_dicts()
    return {row["column"]: (row["filled"], row["missing"], row["not_understood"]) for row in rows}


def test_values_that_vanish_are_counted_by_column(tmp_path):
    rows = write_exams(
        archive(
            {"age_years": "450Y"},
            {"exam_uid": "e2", "age_years": "-01Y", "modality": "Computed Tomography"},
            {"exam_uid": "e3", "age_years": "UNKNOWN", "modality": " ct ", "sex": "9"},
            {"exam_uid": "e4", "age_years": None, "modality": None, "sex": " "},
            {"exam_uid": "e5", "modality": "SEG", "sex": "x"},
            {"exam_uid": None, "sex": "x"},
        ),
        tmp_path,
    )
    found = counts(tmp_path)
    assert found["age_years"] == (2, 2, 2)
    assert found["modality"] == (3, 1, 1)
    assert found["sex"] == (3, 1, 1)
    assert found["instances"] == (4, 0, 0)
    assert set(rows.quality["column"]) == set(found)
    assert rows.quality.filter("warning")["column"].to_list() == ["modality", "age_years", "sex"]


def test_contradictions_are_counted_where_they_make_a_value_unknown(tmp_path):
    write_exams(
        archive(
            {"age_years": "020Y"}, {"age_years": "060Y"},
            {"exam_uid": "e2", "patient_id": "p2", "sex": "F"},
            {"exam_uid": "e3", "patient_id": "p2", "sex": "M"},
            {"exam_uid": "e3", "patient_id": "p2", "sex": "M"},
            {"exam_uid": "e4", "patient_id": "p3", "sex": "F"},
            {"exam_uid": "e4", "patient_id": "p3", "sex": "M"},
            {"exam_uid": "e5", "patient_id": "p3", "sex": None},
            {"exam_uid": "e6", "patient_id": "p4"},
        ),
        tmp_path,
    )  # fmt: skip
    assert counts(tmp_path)["age_years"] == (9, 0, 2)
    assert counts(tmp_path)["sex"] == (8, 1, 5)


def test_partitions_and_passes_change_no_count(tmp_path, monkeypatch):
    rows = [
        {
            "exam_uid": f"e{i}",
            "patient_id": f"p{i % 9}",
            "sex": "FM9"[i % 7 % 3],
            "age_years": f"{i}Y",
        }
        for i in range(200)
    ]
    write_exams(archive(*rows), tmp_path / "one", buckets=1)
    monkeypatch.setattr("workbench.radiology.exams.SERIES_PER_PASS", 5)
    write_exams(archive(*rows), tmp_path / "many", buckets=4)
    assert counts(tmp_path / "one") == counts(tmp_path / "many")
    assert counts(tmp_path / "one")["age_years"] == (200, 0, 69)


def test_a_column_that_is_not_there_is_said_and_warns_of_nothing(tmp_path):
    exams = write_exams(archive({"manufacturer": None, "megabytes": None}), tmp_path)
    found = {row["column"]: row for row in exams.quality.to_dicts()}
    assert (found["manufacturer"]["note"], found["megabytes"]["note"]) == (EMPTY, EMPTY)
    assert found["model"]["note"] == ""
    assert not any(row["warning"] for row in found.values())


def test_a_warning_begins_above_its_share():
    assert not Quality("sex", 100, 900, round(100 * WARNING)).warning
    assert Quality("sex", 100, 900, round(100 * WARNING) + 1).warning


def test_images_and_derived_objects_are_told_apart():
    assert not set(MODALITIES) & set(DERIVED)
    assert len(set(MODALITIES)) == len(MODALITIES)


@pytest.mark.parametrize("bad", [{}, {"sex": ["Ivanova", 0, 0]}, {"sex": [1, 0, 2]}, [], "x", None])
def test_a_record_that_holds_something_else_is_refused(tmp_path, bad):
    write_exams(archive({}), tmp_path)
    record = json.loads((tmp_path / "exams.json").read_text())
    record["quality"] = record["quality"] | bad if bad and isinstance(bad, dict) else bad
    (tmp_path / "exams.json").write_text(json.dumps(record))
    with pytest.raises(SiteError, match="holds no exams") as caught:
        open_exams(tmp_path)
    assert "Ivanova" not in str(caught.value)


def test_rows_repeated_exactly_are_a_step_of_the_attrition(tmp_path):
    rows = pl.DataFrame({"exam_uid": ["1", "1", "2"], "patient_id": ["p"] * 3, "modality": "CT"})
    rows.write_csv(tmp_path / "t.csv")
    (tmp_path / "site.toml").write_text(
        '[site]\nid = "n"\nname = "N"\nkind = "pretend"\n'
        '[archive]\nkind = "table"\npath = "t.csv"\n'
    )
    found = write_exams(open_archive(tmp_path), tmp_path / "exams").attrition
    assert found["step"].to_list()[1] == ONCE
    assert found["series"].to_list() == [3, 2, 2, 2, 2, 2]
    assert found["exams"].to_list() == [2] * 6

"""Broken tables: a run stops with the code of the site, and names the table."""

from __future__ import annotations

import pytest

from tests.studies.test_imaging_dose import TABLE, run
from tests.test_unreadable import BROKEN, DEVICE, PATIENT, csv
from workbench.errors import SiteError

EXAM = {"exam_uid": "1", "patient_id": PATIENT, "modality": "CT", "exam_time": "2023-05-02T09:00"}


@pytest.mark.slow
@pytest.mark.parametrize("case", ["a device twice", "no header", "no code"])
def test_a_mistake_in_a_table_stops_a_run_by_the_name_of_the_table(tmp_path, case):
    name, content, words = BROKEN[case]
    (tmp_path / "exams.csv").write_bytes(csv(EXAM))
    (tmp_path / "t.csv").write_bytes(content)
    declared = TABLE.replace(".parquet", ".csv") + f'\n[tables]\n{name} = "t.csv"\n'
    (tmp_path / "d.csv").write_bytes(csv(DEVICE))
    if name == "reports":
        declared += 'devices = "d.csv"\n'
    steps = {"devices": (), "reports": ("reports",), "protocols": ("dose",)}[name]
    with pytest.raises(SiteError, match=r"^Step '\w+' stopped at cell") as caught:
        run(tmp_path, declared, "acquisitions", *steps)
    assert caught.value.exit_code == 11
    assert words in caught.value.what
    assert f"[tables] {name}" in caught.value.what + caught.value.todo
    assert PATIENT not in str(caught.value)

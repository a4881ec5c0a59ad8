"""The run command: what it refuses before a step runs."""

from __future__ import annotations

from pathlib import Path

from tests.test_cli import workbench, write_hospital
from tests.test_unreadable import DEVICE, PATIENT, REPORT, csv

TABLES = '[tables]\ndevices = "devices.csv"\nreports = "reports.csv"\n'


def test_a_broken_table_is_told_before_the_first_step(tmp_path: Path) -> None:
    site = write_hospital(tmp_path / "north", "north", tables=TABLES)
    site.with_name("devices.csv").write_bytes(csv(DEVICE))
    reports = site.with_name("reports.csv")
    reports.write_bytes(csv(REPORT | {"final_time": "05.03.2020 14:10"}))
    assert workbench("new", "studies/first_look", cwd=tmp_path).returncode == 0
    words = ("run", "studies/first_look", "--site", site)
    refused = workbench(*words, cwd=tmp_path)
    assert refused.returncode == 11
    assert "[tables] reports: 1 value of column final_time cannot be read" in refused.stderr
    assert "do:    Write numbers with a point, dates as 2024-03-01, " in refused.stderr
    assert PATIENT not in refused.stderr
    assert not (tmp_path / "runs").exists()
    reports.write_bytes(csv(REPORT))
    done = workbench(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

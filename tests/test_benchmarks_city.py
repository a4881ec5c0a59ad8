"""The benchmark of the city-year: every table is what three others count of the same rows."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from benchmarks.city import PEERS, compare, make, measure

pytest.importorskip("duckdb")


def test_all_peers_count_what_the_workbench_counts(tmp_path: Path) -> None:
    make(tmp_path, 0.002)
    for who in ("ours", *PEERS):
        measure(who, tmp_path)
    compare(tmp_path)
    path = tmp_path / "polars" / "north-exams_by_hour.parquet"
    pl.read_parquet(path).with_columns(pl.col("patients") + 1).write_parquet(path)
    with pytest.raises(SystemExit, match=r"north-exams_by_hour: .* cells of polars differ"):
        compare(tmp_path)

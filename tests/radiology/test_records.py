"""Records: any table of a site's to the tables of a study, whatever the partitions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from workbench.archive.cluster import Workers
from workbench.definition.dimensions import DimensionTable, StudyDimension, make_dimension
from workbench.definition.steps import Output
from workbench.errors import DefinitionError, SiteError
from workbench.radiology.records import open_records, write_records
from workbench.site import Site
from workbench.statistics.survival import kaplan_meier

CODES = """code,system,label_en,label_ru,label_zh,matches
CT,DCM,CT,КТ,CT,
MR,DCM,MR,МРТ,MR,
other,,Other,Другое,其他,
missing,,Not stated,Не указано,未说明,
"""
OUTCOMES = """code,system,label_en,label_ru,label_zh,matches
event,local,Reported,Описано,已报告,
censored,local,Open,Открыто,未完成,
other,,Other,Другое,其他,
missing,,Not stated,Не указано,未说明,
"""


def _dimension(folder: Path, name: str, **table: object) -> StudyDimension:
    (folder / "modality.csv").write_text(CODES, encoding="utf-8")
    (folder / "outcome.csv").write_text(OUTCOMES, encoding="utf-8")
    declared = DimensionTable.model_validate({"label": {"en": name}} | table)
    return make_dimension(name, declared, folder)


def _output(kind: str, *by: StudyDimension, **more: object) -> Output:
    fields: dict[str, object] = {
        "name": "t", "path": "t.csv", "kind": kind, "release": True, "dimensions": by,
        "population": "exams", "unit": "1", "resolution": None, "edges": (), "zeros": "protected",
        "requires": (), "about": "", "step": "s",
    }  # fmt: skip
    return Output(**(fields | more))  # type: ignore[arg-type]


def _rows(n: int = 2_000) -> pl.LazyFrame:
    random = np.random.default_rng(4)
    start = dt.datetime.combine(dt.date(2023, 1, 1), dt.time())
    return pl.LazyFrame(
        {
            "exam_uid": [f"1.2.{i}" for i in range(n)],
            "patient_id": [f"P{i}" for i in random.integers(0, n // 3, n)],
            "modality": random.choice(["CT", "MR", "US", ""], n),
            "exam_time": [start + dt.timedelta(hours=int(h)) for h in random.integers(0, 8000, n)],
            "parts": [["CT", "MR"] if i % 5 == 0 else ["CT"] for i in range(n)],
            "hours": random.exponential(20, n),
            "outcome": random.choice(["event", "censored"], n),
        }
    ).with_columns(pl.col("modality").cast(pl.Categorical))


def test_counts_are_those_of_the_rows(tmp_path: Path) -> None:
    rows = _rows()
    modality = _dimension(tmp_path, "modality", codelist="modality.csv")
    month = _dimension(
        tmp_path, "month", calendar="month", first="2023-01", last="2023-12", column="exam_time"
    )
    records = write_records(rows, tmp_path / "a", buckets=5)
    table = records.tabulate(_output("counts", modality, month))
    frame = rows.collect().with_columns(
        m=pl.col("modality").cast(pl.String), t=pl.col("exam_time").dt.strftime("%Y-%m")
    )
    for (m, t), some in frame.partition_by("m", "t", as_dict=True).items():
        label = {"CT": "CT", "MR": "MR", "US": "other", "": "missing"}[str(m)]
        cell = table.data.sel(modality=label, month=t)
        assert cell.exams == len(some)
        assert cell.patients == some["patient_id"].n_unique()
    assert table.data.patients.sel(modality="all", month="all") == frame["patient_id"].n_unique()


def test_no_result_depends_on_the_partitions(tmp_path: Path) -> None:
    parts = _dimension(tmp_path, "parts", codelist="modality.csv", one_per="none")
    output = _output("counts", parts)
    tables = [
        write_records(_rows(), tmp_path / str(n), buckets=n).tabulate(output) for n in (1, 3, 8)
    ]
    assert all(t.data.identical(tables[0].data) for t in tables)
    assert tables[0].data.exams.sel(parts="CT") == 2_000
    assert tables[0].data.exams.sel(parts="MR") == 400


def test_a_risk_table(tmp_path: Path) -> None:
    outcome = _dimension(tmp_path, "outcome", codelist="outcome.csv")
    output = _output(
        "histogram", outcome, unit="h", edges=tuple(float(e) for e in range(0, 200, 4))
    )
    records = write_records(_rows(), tmp_path / "r")
    curve = kaplan_meier(records.tabulate(output, "hours"))
    assert curve.at_risk.values[1] == 2_000
    # Half of the ends of exponential times are broken off: half the hazard is left.
    assert float(curve.open.sel(end=20)) == pytest.approx(np.exp(-0.5), abs=0.03)


def test_no_identifier_is_stored(tmp_path: Path) -> None:
    write_records(_rows(200), tmp_path / "r", buckets=2)
    for path in (tmp_path / "r").iterdir():
        content = path.read_bytes()
        assert b"1.2.19" not in content
        assert b"P1" not in content
        assert {"exam_uid", "patient_id"}.isdisjoint(pl.read_parquet_schema(path))


def test_a_row_without_exam_or_patient_is_in_no_table(tmp_path: Path) -> None:
    modality = _dimension(tmp_path, "modality", codelist="modality.csv")
    rows = _rows(60).with_row_index("i")
    for name, every in (("patient_id", 5), ("exam_uid", 7)):
        rows = rows.with_columns(pl.when(pl.col("i") % every > 0).then(name).alias(name))
    table = write_records(rows, tmp_path / "r").tabulate(_output("counts", modality))
    assert table.data.exams.sel(modality="all") == sum(bool(i % 5 and i % 7) for i in range(60))


def test_an_unknown_column_gets_the_nearest(tmp_path: Path) -> None:
    records = write_records(_rows(50), tmp_path / "r")
    with pytest.raises(DefinitionError, match="hour") as caught:
        records.tabulate(_output("moments", unit="h", resolution=0.1), "hour")
    assert "hours" in (caught.value.todo or "")


def test_no_rows_are_a_table_of_zeros(tmp_path: Path) -> None:
    modality = _dimension(tmp_path, "modality", codelist="modality.csv")
    records = write_records(_rows(5).filter(pl.col("hours") < 0), tmp_path / "r")
    assert records.tabulate(_output("counts", modality)).data.exams.sum() == 0


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="no column 'patient_id'"):
        write_records(_rows(5).drop("patient_id"), tmp_path / "a")
    write_records(_rows(5), tmp_path / "c")
    with pytest.raises(SiteError, match="not empty"):
        write_records(_rows(5), tmp_path / "c")
    with pytest.raises(SiteError, match="holds no records"):
        open_records(tmp_path / "nothing")


def test_the_workers_of_the_site_make_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes records says where they are: `[dask]` of the site counts at once."""
    asked: list[dict[str, object]] = []

    def connect(site: Site | None) -> Workers:
        asked.append(dict(site.dask or {}) if site else {})
        return Workers()

    monkeypatch.setattr("workbench.radiology.records.connect", connect)
    _rows().collect().write_parquet(tmp_path / "exams.parquet")
    (tmp_path / "site.toml").write_text(
        '[site]\nid = "north"\nname = "N"\nkind = "pretend"\n[archive]\nkind = "table"\n'
        'level = "exam"\npath = "exams.parquet"\n[dask]\nworkers = 2\nprocesses = true\n'
    )
    modality = _dimension(tmp_path, "modality", codelist="modality.csv", one_per="none")
    output = _output("counts", modality)
    made = write_records(_rows(), tmp_path / "a", tmp_path / "site.toml", buckets=3)
    assert len(made.partitions) == 3
    tables = [
        made.tabulate(output),
        open_records(tmp_path / "a", tmp_path / "site.toml").tabulate(output),
        write_records(_rows(), tmp_path / "b").tabulate(output),
    ]
    assert asked == [{"workers": 2, "processes": True}] * 2 + [{}]
    assert all(table.data.equals(tables[0].data) for table in tables)

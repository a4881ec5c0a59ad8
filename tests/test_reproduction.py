"""A published number that does not come out again is named."""

import shutil

import pytest

from tests.released import make_hospital, make_rows, summarise, write_study
from workbench import reproduction
from workbench.exchange.envelope import RefusedError
from workbench.pooling import pool, read_pooled, write_pooled
from workbench.release import check_release, verify
from workbench.reproduction import compare, reproduce
from workbench.running.run import Run
from workbench.summaries.table import parse_summary, render_summary


@pytest.fixture
def north(tmp_path, monkeypatch):
    """A packed hospital whose runs are made from its Summaries, without notebooks."""
    study = write_study(tmp_path / "study")
    hospital = make_hospital(tmp_path, study, "north", 1)
    hospital.pack()

    def run_study(study, site, parameters, *, runs, use_cache):
        assert use_cache is False
        assert parameters == {"years": 3}
        assert runs != hospital.runs
        hospital.runs = runs
        return Run(hospital.run(), study, site, parameters, "0123456789ab")

    monkeypatch.setattr(reproduction, "run_study", run_study)
    return hospital


def again(hospital):
    return reproduce(hospital.study, [hospital.site.path], hospital.study.folder / "releases")


def number(hospital, name, old, new):
    path = hospital.out / f"{name}.csv"
    content = path.read_bytes()
    assert old in content
    path.chmod(0o644)
    path.write_bytes(content.replace(old, new, 1))


def test_unchanged_numbers_come_out_again(north):
    found = again(north)
    assert (found.moved, dict(found.refusals), found.reproduced) == ((), {}, True)
    assert found.compared["north"] > 100


def test_a_changed_number_fails_verification_and_is_named(north):
    number(north, "exams", b"CT,F,patients,50,", b"CT,F,patients,55,")
    found = again(north)
    assert not found.reproduced
    assert found.refusals["north"].reason == "changed_file"
    (moved,) = found.moved
    assert (moved.site, moved.table, moved.cell) == ("north", "exams", "modality=CT, sex=F")
    assert (moved.variable, moved.old, moved.new, moved.tolerance) == ("patients", 55, 50, 0.0)
    assert str(moved) == "north, exams, modality=CT, sex=F, patients: 55 is now 50 (tolerance 0)"


def test_a_changed_summary_names_its_numbers(north):
    rows = make_rows(1)
    rows.value = rows.value * 2
    north.summaries = summarise(north.study, rows)
    found = again(north)
    assert found.refusals == {}
    assert {moved.table for moved in found.moved} == {"dose", "images"}
    assert ("sex=all", "mean", 6.93, 13.9) in {
        (m.cell, m.variable, m.old, m.new) for m in found.moved
    }


def test_a_cell_that_is_now_hidden_moved(north):
    number(north, "exams", b"US,M,patients,,suppressed", b"US,M,patients,10,rounded")
    (moved,) = again(north).moved
    assert (moved.old, moved.new) == (10, "suppressed")


def test_a_table_that_cannot_be_read_is_named(north):
    number(north, "exams", b"CT,F,patients,50,", b"CT,F,patients,fifty,")
    found = again(north)
    assert set(found.refusals) == {"north", "north/exams"}
    assert found.moved == ()


def test_a_missing_release_is_named(north):
    shutil.rmtree(north.out)
    found = again(north)
    assert isinstance(found.refusals["north"], RefusedError)
    assert not found.reproduced


@pytest.fixture
def views(north):
    return check_release(north.run(), north.study, north.site).views


@pytest.mark.parametrize(("tolerance", "names"), [(0.0, ["mean"]), (0.001, ["mean"]), (0.01, [])])
def test_the_tolerance_is_relative(north, views, tolerance, names):
    number(north, "dose", b"all,mean,6.93,", b"all,mean,6.95,")
    found = compare(north.out, views, site="north", tolerance=tolerance)
    assert [moved.variable for moved in found.moved] == names


def test_tables_that_came_or_went(north, views):
    dose = views.pop("dose")
    (north.out / "exams.csv").unlink()
    found = compare(north.out, views, site="north", tolerance=0.0)
    assert [(m.table, m.old, m.new) for m in found.moved] == [
        ("dose", "published", "absent"),
        ("exams", "absent", "there"),
    ]
    (north.out / "makers.csv").write_bytes(render_summary(dose))
    found = compare(north.out, views, site="north", tolerance=0.0)
    assert ("makers", "other labels") in [(m.table, m.old) for m in found.moved]


def test_what_is_compared_is_what_left(north, views):
    for name, view in views.items():
        assert parse_summary((north.out / f"{name}.csv").read_bytes()).equals(view)


def test_a_changed_pooled_number_is_named(north):
    releases = north.study.folder / "releases"
    write_pooled(pool([verify(north.out, north.study)], north.study), releases / "pooled")
    assert again(north).reproduced
    assert again(north).compared["pooled"] > 100
    written = read_pooled(releases / "pooled")
    written.tables["exams"].data["value"].values[1, 1, 0] += 5
    shutil.rmtree(releases / "pooled")
    write_pooled(written, releases / "pooled")
    (moved,) = again(north).moved
    assert (moved.site, moved.table, moved.variable) == ("pooled", "exams", "value")
    assert moved.old == moved.new + 5

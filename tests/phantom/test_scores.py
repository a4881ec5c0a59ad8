"""Scores are as good as their model says, worse for whom it says, and change in month 7."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp, rankdata

from workbench.errors import UsageError
from workbench.phantom.hospital import HOSPITALS, UPDATE_MONTH, find_hospital
from workbench.phantom.scores import MODELS, SCORES, draw_scores, find_model

MOSCOW = find_hospital("hospital_moscow")
CHILD = pl.col("age_years") < 18
UPDATED = pl.col("exam_time").dt.month() >= UPDATE_MONTH.value


def auc(rows):
    """Return the area under the curve, and its standard error by Hanley and McNeil 1982."""
    rows = rows.drop_nulls("score")
    ill = rows["truth"].to_numpy() == 1
    many, few = ill.sum(), (~ill).sum()
    area = (rankdata(rows["score"])[ill].sum() - many * (many + 1) / 2) / (many * few)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    error = (area * (1 - area) + (many - 1) * (q1 - area**2) + (few - 1) * (q2 - area**2)) / (
        many * few
    )
    return area, np.sqrt(error)


def draw(hospital=MOSCOW, exams=3600, seed=2025, model="good"):
    return pl.from_arrow(draw_scores(hospital, exams, seed, find_model(model)))


@pytest.mark.parametrize("hospital", HOSPITALS.value, ids=lambda h: h.id)
def test_a_year_is_whole(hospital):
    rows = draw(hospital)
    assert rows.columns == SCORES.names
    assert len(rows) >= 3000
    assert rows["exam_uid"].n_unique() == len(rows) > rows["patient_id"].n_unique() > 2500
    assert set(rows["exam_time"].dt.month()) == set(range(1, 13))
    assert rows["exam_time"].dt.date().is_sorted()
    assert rows["score"].drop_nulls().is_between(0, 1).all()
    assert (rows["score"].is_null() == rows["defect"]).all()
    assert (rows["seconds"].is_null() == rows["defect"]).all()
    assert rows["truth"].mean() == pytest.approx(hospital.prevalence, abs=0.02)
    by_patient = rows.group_by("patient_id").agg(pl.col("sex").n_unique())
    assert by_patient["sex"].max() == 1


def test_the_seed_decides():
    assert draw().equals(draw())
    assert not draw()["score"].equals(draw(seed=2026)["score"])


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("updated", [False, True])
def test_the_area_is_that_of_the_model(model, updated):
    rows = draw(exams=20_000, seed=3, model=model).filter(updated == UPDATED)
    for child in (False, True):
        found, error = auc(rows.filter((pl.col("slice_thickness_mm") <= 3) & (child == CHILD)))
        expected = MODELS[model].auc(child=child, updated=updated)
        assert abs(found - expected) < 3.5 * error


def test_the_three_models_are_what_a_gate_must_tell_apart():
    assert MODELS["bad"].auc() == pytest.approx(0.6, abs=0.001)
    assert min(MODELS["good"].auc(), MODELS["good"].auc(child=True)) > 0.9
    fails = MODELS["fails_children"]
    assert fails.auc() == MODELS["good"].auc()
    assert fails.auc(child=True) < 0.6
    for hospital in HOSPITALS.value:
        good, bad, some = (draw(hospital, model=m) for m in ("good", "bad", "fails_children"))
        assert auc(good)[0] > 0.85
        assert auc(bad)[0] < 0.68
        if hospital.children < 1:
            assert auc(some.filter(~CHILD))[0] > 0.85
        else:
            assert auc(some)[0] < 0.65


def test_the_update_shifts_scores_and_defects():
    rows = draw(exams=8000)
    well = rows.filter(pl.col("truth") == 0)
    halves = [well.filter(part)["score"].drop_nulls() for part in (~UPDATED, UPDATED)]
    assert halves[1].median() > 1.3 * halves[0].median()
    assert ks_2samp(*halves).pvalue < 1e-6
    early = well.filter(pl.col("exam_time").dt.month() <= 3)["score"].drop_nulls()
    late = well.filter(pl.col("exam_time").dt.month().is_between(4, 6))["score"].drop_nulls()
    assert ks_2samp(early, late).pvalue > 0.001
    lost = [rows.filter(part)["defect"].mean() for part in (~UPDATED, UPDATED)]
    assert lost == pytest.approx([0.010, 0.035], abs=0.008)
    assert set(rows.filter(UPDATED)["kernel"]).isdisjoint(rows.filter(~UPDATED)["kernel"])


def test_a_table_says_that_it_is_drawn():
    table = draw_scores(MOSCOW, 20, 1)
    assert b"no image was read" in table.schema.metadata[b"drawn"]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(UsageError, match="no score model") as caught:
        find_model("goood")
    assert "good" in caught.value.todo
    with pytest.raises(UsageError, match="No scores"):
        draw_scores(MOSCOW, 0, 1)

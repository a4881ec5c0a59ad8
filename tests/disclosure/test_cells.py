import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings

from tests.disclosure.tables import MODALITY, SEX, VENDOR, by, sites, tables
from workbench.disclosure.cells import Hold, protect
from workbench.disclosure.policy import Policy
from workbench.errors import DisclosureError
from workbench.summaries import counts, histogram, moments
from workbench.summaries.dimension import Dimension
from workbench.summaries.field import Field
from workbench.summaries.histogram import grid_of
from workbench.summaries.kinds import KINDS

POLICY = Policy()


def told(view, name="patients"):
    return np.isin(view.statuses[name].values, ("ok", "rounded"))


@settings(max_examples=40, deadline=None)
@given(sites)
def test_no_told_cell_is_small_and_every_told_count_is_rounded(site):
    for table in site.values():
        view = protect(table, POLICY)
        patients = table.data["patients"].values
        shown = told(view)
        assert ((patients[shown] >= 10) | (patients[shown] == 0)).all()
        for name in ("exams", "patients"):
            values = view.data[name].values
            assert (values % 5 == 0).all()
            assert (values[~shown] == 0).all()
        assert set(view.fields) <= {"exams", "patients", "mean", "sd"}


def test_a_zero_is_told_only_where_it_is_public():
    protected = protect(by(MODALITY, [30, 0, 12, 5]), POLICY)
    assert protected.status["patients"].values.tolist() == [
        "rounded", "rounded", "suppressed", "rounded", "suppressed",
    ]  # fmt: skip
    public = protect(by(VENDOR, [30, 0, 5]), POLICY)
    assert public.status["patients"].values.tolist() == ["rounded", "rounded", "ok", "suppressed"]
    assert public.data["patients"].values[2] == 0


def test_a_zero_that_a_public_zero_implies_is_told_as_well():
    tracer = Dimension("tracer", ("A", "B"))
    who = np.arange(40)
    table = counts.summarise(
        [VENDOR, tracer], {"vendor": np.zeros(40, int), "tracer": who % 2}, who, who
    )
    view = protect(table, POLICY)
    assert (view.status["patients"].sel(vendor="W") == "ok").all()


def test_threshold_is_of_patients_and_not_of_exams():
    one = counts.summarise([], {}, range(500), [i % 9 for i in range(500)])
    assert protect(one, POLICY).status["exams"].item() == "suppressed"
    ten = counts.summarise([], {}, range(500), [i % 10 for i in range(500)])
    assert protect(ten, POLICY).data["exams"].item() == 500


def test_mean_and_sd_have_three_digits_and_sums_do_not_leave():
    who = np.arange(40)
    table = moments.summarise([], {}, who, who, 1000 + who**2, unit="mGy", resolution=1.0)
    view = protect(table, POLICY)
    assert view.fields == ("exams", "patients", "mean", "sd")
    exact = moments.finish(table)
    assert view.data["mean"].item() == float(f"{exact['mean'].item():.2e}")
    assert view.data["sd"].item() == float(f"{exact['sd'].item():.2e}")
    assert view.data["mean"].item() != exact["mean"].item()
    assert protect(table, Policy(digits=1)).data["mean"].item() == 2000.0


@settings(max_examples=30, deadline=None)
@given(sites)
def test_told_and_suppressed_nodes_cover_every_line_once(site):
    table = site["values"]
    view = protect(table, POLICY)
    tree = grid_of(view)
    words = view.statuses["patients"].values
    for line in words.reshape(-1, words.shape[-1]):
        spoken = [node for node, word in zip(tree.nodes, line, strict=True)
                  if word != "not_applicable"]  # fmt: skip
        assert tree.common_cut([set(spoken)]) == tree.sort(spoken)


def test_a_histogram_is_merged_where_both_halves_are_small():
    who = np.arange(60)
    value = np.array([1] * 40 + [3] * 6 + [6] * 6 + [60] * 8)
    table = histogram.summarise([], {}, who, who, value, edges=[2, 5, 10, 20, 40], unit="1")
    view = protect(table, POLICY)
    words = dict(zip(view.labels("bin"), view.status["patients"].values.tolist(), strict=True))
    spoken = {k: v for k, v in words.items() if v != "not_applicable"}
    assert spoken == {"[-inf,2)": "rounded", "[2,10)": "rounded", "[10,inf)": "suppressed"}
    merged = Hold.nothing(table)
    node = np.zeros(table.data["patients"].shape, bool)
    node[list(view.labels("bin")).index("[-inf,2)")] = True
    merged.add(table, node)
    coarse = protect(table, POLICY, merged)
    assert coarse.status["patients"].values.tolist()[view.labels("bin").index("[-inf,2)")] == (
        "not_applicable"
    )


def test_held_back_is_suppressed_and_a_reader_can_tell_it_from_small():
    table = by(MODALITY, [30, 20, 12, 5])
    hold = Hold.nothing(table)
    hold.cells[[0, 1]] = True
    view = protect(table, POLICY, hold)
    assert view.status["patients"].values.tolist() == [
        "suppressed", "suppressed", "rounded", "rounded", "suppressed",
    ]  # fmt: skip
    assert view.status["exams"].values.tolist() == [
        "suppressed", "not_applicable", "rounded", "rounded", "suppressed",
    ]  # fmt: skip
    assert view.data["patients"].values[:2].tolist() == [0, 0]


def test_what_cannot_be_read_is_refused(monkeypatch):
    table = tables(50, 1)["by_vendor_sex"]
    unknown = dataclasses.replace(table, kind="scores")
    for bad in (unknown, protect(table, POLICY), table.data, None):
        with pytest.raises(DisclosureError):
            protect(bad, POLICY)
    leaky = dataclasses.replace(
        KINDS["counts"],
        released_fields=(*KINDS["counts"].released_fields,
                         Field("total", "int64", "1", sensitive=True, role="total")),
    )  # fmt: skip
    monkeypatch.setitem(KINDS, "counts", leaky)
    with pytest.raises(DisclosureError, match="No rule covers"):
        protect(by(SEX, [20, 20, 20]), POLICY)

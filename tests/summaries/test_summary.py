import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.summaries.strategies import AGE, DIMENSIONS, MODALITY, SEX, tables
from workbench.errors import DefinitionError, PoolingError
from workbench.summaries import counts, histogram, moments
from workbench.summaries.dimension import Dimension
from workbench.summaries.kinds import KINDS, validate
from workbench.summaries.summary import Summary, combine, empty, labelled

kinds = st.sampled_from(sorted(KINDS))
ABOUT = {"population": "exams"}


def by_label(labels, values, **entries):
    """Return counts over one codelist dimension."""
    dimension = Dimension("model", tuple(labels), **entries)
    array = np.array(values)
    return Summary(
        "counts",
        labelled((dimension,), {"exams": array, "patients": array}),
        (dimension,),
        ABOUT,
    )


@given(tables(), kinds, st.integers(1, 5), st.randoms(use_true_random=False))
def test_any_split_by_patient_gives_the_same_summary(table, kind, parts, random):
    part_of = {p: random.randrange(parts) for p in set(table.patient.tolist())}
    part = np.array([part_of[p] for p in table.patient.tolist()], int)
    summaries = [table.select(part == i).summarise(kind) for i in range(parts)]
    random.shuffle(summaries)
    assert combine(*summaries).equals(table.summarise(kind))


@given(tables(6), tables(6), tables(6), kinds)
def test_combine_is_associative_and_commutative_with_a_neutral_element(x, y, z, kind):
    a, b, c = (t.summarise(kind) for t in (x, y, z))
    assert combine(combine(a, b), c).equals(combine(a, combine(b, c)))
    assert combine(a, b, c).equals(combine(c, b, a))
    assert combine(a, b).equals(combine(b, a))
    assert combine(a, empty(a)).equals(a)
    assert combine(empty(a), a).equals(a)
    assert combine(a).equals(a)
    validate(combine(a, b, c))


codelists = st.lists(
    st.sampled_from(["b", "a", "C", "other", "missing"]), min_size=1, max_size=5, unique=True
)


@given(codelists, codelists, codelists)
def test_the_union_of_codelist_labels_is_associative_and_commutative(x, y, z):
    a, b, c = (by_label(labels, range(1, len(labels) + 1)) for labels in (x, y, z))
    together = combine(a, b, c)
    assert combine(combine(a, b), c).equals(together)
    assert combine(a, combine(b, c)).equals(together)
    assert combine(c, a, b).equals(together)
    for label in together.labels("model"):
        expected = sum(
            s.data.exams.sel(model=label).item() for s in (a, b, c) if label in s.labels("model")
        )
        assert together.data.exams.sel(model=label).item() == expected


def test_equal_labels_keep_their_order_and_others_are_sorted():
    a = by_label(["b", "missing", "a", "other"], [1, 2, 3, 4])
    assert combine(a, a).labels("model") == ("b", "missing", "a", "other")
    b = by_label(["d", "other"], [5, 6])
    assert combine(a, b).labels("model") == ("a", "b", "d", "other", "missing")
    assert combine(a, b).data.exams.values.tolist() == [3, 1, 5, 10, 2]


rows = {"exam": [1, 2], "patient": [1, 2]}
values = {**rows, "values": [1, 2], "unit": "mGy"}
one_moment = moments.summarise([], {}, **values, resolution=1.0)
one_histogram = histogram.summarise([], {}, **values, edges=[0, 1])
one_count = by_label(["a"], [1])


@pytest.mark.parametrize(
    ("left", "right", "what"),
    [
        (one_count, one_moment, "kind"),
        (one_count, counts.summarise([], {}, **rows), "dimensions"),
        (one_count, by_label(["a"], [1], one_per="none"), "dimension 'model'"),
        (one_count, by_label(["a"], [1], unit="mGy"), "dimension 'model'"),
        (one_count, by_label(["a"], [1], zeros="public"), "dimension 'model'"),
        (
            by_label(["[0,1)"], [1], labels_from="intervals"),
            by_label(["[0,2)"], [1], labels_from="intervals"),
            "dimension 'model'",
        ),
        (
            by_label(["2024"], [1], labels_from="calendar"),
            by_label(["2025"], [1], labels_from="calendar"),
            "dimension 'model'",
        ),
        (one_moment, moments.summarise([], {}, **values, resolution=0.5), "resolution"),
        (
            one_moment,
            moments.summarise([], {}, **{**values, "unit": "Gy"}, resolution=1.0),
            "unit",
        ),
        (one_histogram, histogram.summarise([], {}, **values, edges=[0, 2]), "edges"),
        (
            counts.summarise([], {}, **rows),
            counts.summarise([], {}, **rows, population="ct"),
            "population",
        ),
        (
            counts.summarise([AGE], {"age": [0, 1]}, **rows),
            counts.summarise([AGE], {"age": [0, 1]}, **rows, margins=False),
            "margins",
        ),
    ],
)
def test_what_does_not_count_the_same_thing_is_refused(left, right, what):
    for pair in ((left, right), (right, left)):
        with pytest.raises(PoolingError, match=f"different {what}"):
            combine(*pair)


def released(summary, word="rounded"):
    status = summary.data.map(lambda v: v.astype(str).where(False, word))
    return Summary(summary.kind, summary.data, summary.dimensions, summary.attributes, status)


def test_released_views_and_nothing_cannot_be_combined():
    for wrong in ((one_count, released(one_count)), (released(one_count),), ()):
        with pytest.raises(PoolingError):
            combine(*wrong)
    with pytest.raises(PoolingError):
        empty(released(one_count))


def test_counts_that_do_not_fit_64_bits_are_refused():
    large = by_label(["a"], [2**62])
    with pytest.raises(PoolingError, match="64 bits"):
        combine(large, large)


def test_combine_leaves_its_parts_alone():
    before = one_moment.data.copy(deep=True)
    combine(one_moment, one_moment, one_moment)
    assert one_moment.data.identical(before)


def test_a_hidden_value_is_erased_and_the_source_is_not():
    s = by_label(["a", "b"], [3, 40])
    status = s.data.map(lambda v: v.astype(str))
    for name in s.fields:
        status[name].values[:] = ["suppressed", "rounded"]
    view = Summary(s.kind, s.data, s.dimensions, s.attributes, status)
    assert view.data.exams.values.tolist() == [0, 40]
    assert s.data.exams.values.tolist() == [3, 40]
    assert not view.exact
    assert not view.equals(s)
    assert view.statuses.exams.values.tolist() == ["suppressed", "rounded"]
    assert s.statuses.exams.values.tolist() == ["ok", "ok"]


def test_parts_that_do_not_fit_each_other_are_refused():
    s = by_label(["a", "b"], [1, 2])
    for data, dimensions, status in (
        (s.data, (SEX,), None),
        (s.data, (*s.dimensions, SEX), None),
        (s.data, (Dimension("model", ("b", "a")),), None),
        (s.data.rename(exams="n").assign(model=["a", "c"]), s.dimensions, None),
        (s.data, s.dimensions, s.data[["exams"]].astype(str)),
        (s.data, s.dimensions, s.data.astype(str)),
        (s.data, s.dimensions, s.data.isel(model=[0]).map(lambda v: v.astype(str))),
    ):
        with pytest.raises(DefinitionError):
            Summary("counts", data, dimensions, ABOUT, status)
    with pytest.raises(DefinitionError, match="two things"):
        counts.summarise([Dimension("exams", ("a",))], {"exams": [0, 0]}, **rows)


@given(tables(), kinds)
def test_a_summary_survives_pickling(table, kind):
    summary = table.summarise(kind)
    assert pickle.loads(pickle.dumps(summary)).equals(summary)


def test_equals_sees_every_part():
    s = by_label(["a", "b"], [1, 2])
    for other in (
        by_label(["a", "b"], [1, 3]),
        by_label(["a", "c"], [1, 2]),
        by_label(["a", "b"], [1, 2], one_per="none"),
        released(s, "ok"),
        Summary("counts", s.data, s.dimensions, {"population": "ct"}),
        Summary("counts", s.data[["exams"]], s.dimensions, ABOUT),
        Summary("counts", s.data.astype(float), s.dimensions, ABOUT),
    ):
        assert not s.equals(other)
    assert s.equals(by_label(["a", "b"], [1, 2]))


def test_dimensions_of_the_strategies_cover_all_declarations():
    assert {d.one_per for d in DIMENSIONS} == {"patient", "exam", "none"}
    assert MODALITY.labels_from != AGE.labels_from

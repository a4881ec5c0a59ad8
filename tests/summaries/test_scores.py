import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import DefinitionError
from workbench.summaries import scores
from workbench.summaries.dimension import Dimension
from workbench.summaries.summary import combine

EDGES = (0, 0.25, 0.5, 0.75, 1)


def of(values, truth, **more):
    rows = range(len(values))
    return scores.summarise(
        [], {}, rows, rows, values, truth=np.array(truth, bool), edges=EDGES, **more
    )


def test_a_score_of_1_and_a_score_of_0_are_counted_in_their_bins():
    table = of([0.0, 1.0, 0.5], [False, True, True], margins=False)
    assert table.data.exams.sel(truth="positive", bin="[1,inf)") == 1
    assert table.data.exams.sel(truth="negative", bin="[0,0.25)") == 1
    assert table.data.exams.sel(truth="positive", bin="[0.5,0.75)") == 1


def test_an_exam_without_a_score_is_not_counted():
    assert of([0.1, np.nan], [True, True]).data.exams.sel(truth="all", bin="[-inf,inf)") == 1


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=30),
    st.integers(1, 29),
)
def test_scores_of_two_places_combine_to_those_of_both(rows, cut):
    values, truth = (np.array(x) for x in zip(*rows, strict=True))
    at = min(cut, len(rows) - 1)
    n = np.arange(len(rows))
    parts = [
        scores.summarise([], {}, n[p], n[p], values[p], truth=truth[p].astype(bool), edges=EDGES)
        for p in (slice(None, at), slice(at, None))
    ]
    assert combine(*parts).equals(of(values, truth))


@pytest.mark.parametrize(
    ("values", "truth", "edges", "what"),
    [
        ([0.5, 1.01], [True, False], EDGES, "not between 0 and 1"),
        ([-0.01, 0.5], [True, False], EDGES, "not between 0 and 1"),
        ([0.5, 0.5], [True, False], (0, 2), "edge"),
        ([0.5, 0.5], [1, 0], EDGES, "must be said"),
        ([0.5, 0.5], [True], EDGES, "must be said"),
    ],
)
def test_what_is_no_score_is_refused(values, truth, edges, what):
    with pytest.raises(DefinitionError, match=what):
        scores.summarise([], {}, [1, 2], [1, 2], values, truth=np.array(truth), edges=edges)


def test_another_histogram_is_no_score_table():
    from workbench.summaries import histogram

    other = Dimension("sex", ("F", "M"))
    table = histogram.summarise([other], {"sex": [0]}, [1], [1], [0.5], edges=EDGES, unit="1")
    with pytest.raises(DefinitionError, match="no score table"):
        scores.require_scores(table)

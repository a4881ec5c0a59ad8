import numpy as np

from tests.summaries.strategies import SEX
from workbench.summaries import counts, moments
from workbench.summaries.dimension import Dimension
from workbench.summaries.summary import Summary, labelled

RAW = Dimension("model", ("<b>x</b>", "other"))


def view():
    arrays = {"exams": np.array([20, 0]), "patients": np.array([20, 0])}
    words = dict.fromkeys(arrays, np.array(["rounded", "suppressed"]))
    return Summary(
        "counts", labelled((RAW,), arrays), (RAW,), {"population": "<i>"}, labelled((RAW,), words)
    )


def test_a_frame_has_one_row_per_cell_and_field():
    s = counts.summarise([SEX], {"sex": [0, 0]}, [1, 2], [1, 1])
    frame = s.to_frame()
    assert list(frame.columns) == ["sex", "variable", "value", "status"]
    assert frame.value.tolist() == [2, 1, 2, 1, 0, 0]
    assert str(frame.value.dtype) == "Int64"
    assert set(frame.status) == {"ok"}


def test_a_hidden_value_is_missing_in_a_frame():
    frame = view().to_frame()
    assert frame.value.isna().tolist() == [False, False, True, True]
    assert frame.status.tolist() == ["rounded", "rounded", "suppressed", "suppressed"]


def test_sums_stay_integers_of_any_size_in_a_frame():
    rows = np.arange(9)
    s = moments.summarise([], {}, rows, rows, [2**31 - 1] * 9, unit="1", resolution=1)
    assert s.to_frame().value.tolist()[-1] == 9 * (2**31 - 1) ** 2


def test_one_line_says_what_a_summary_is():
    assert repr(view()) == (
        "<Summary counts of <i>: model (2 labels); exams, patients; "
        "released: 2 rounded, 2 suppressed>"
    )


def test_a_card_shows_the_first_rows_and_runs_nothing():
    card = view()._repr_html_()
    assert "&lt;b&gt;x&lt;/b&gt;" in card
    assert "<b>x" not in card
    assert "<i>" not in card
    many = counts.summarise([SEX], {"sex": [0]}, [1], [1], margins=True)
    assert many._repr_html_().count("<tr><td") == 6

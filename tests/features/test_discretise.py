import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workbench.errors import UsageError
from workbench.features.discretise import discretise
from workbench.features.settings import Settings

VALUES = arrays(np.float64, st.integers(1, 30), elements=st.floats(-2000, 3000))


@given(VALUES, st.integers(1, 64))
def test_a_number_of_bins_is_never_exceeded(values, bins):
    levels = discretise(values, Settings(bins=bins))
    assert levels.min() >= 1
    assert levels.max() <= bins
    assert (np.diff(levels[np.argsort(values, kind="stable")]) >= 0).all()
    if values.max() > values.min():
        assert levels.max() == bins


@given(VALUES, st.floats(0.5, 100))
def test_a_bin_is_as_wide_as_said(values, width):
    levels = discretise(values, Settings(bin_width=width, lowest=-2000))
    low = -2000 + (levels - 1) * width
    assert (low <= values + 1e-9).all()
    assert (values <= low + width + 1e-9).all()


def test_bins_begin_where_said():
    values = np.array([30.0, 54.0, 55.0])
    assert discretise(values, Settings(bin_width=25)).tolist() == [1, 1, 2]
    assert discretise(values, Settings(bin_width=25, lowest=0)).tolist() == [2, 3, 3]
    ranged = Settings(bin_width=25, value_range=(-500, 400))
    assert discretise(values, ranged).tolist() == [22, 23, 23]
    open_ended = Settings(bin_width=25, value_range=(-np.inf, 400))
    assert discretise(values, open_ended).tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    ("values", "settings", "words"),
    [
        ([0.0, 1.0], Settings(), "no levels"),
        ([1.5, 2.0], Settings(), "no levels"),
        ([1.0, 2.0**21], Settings(), "more than"),
        ([0.0, 1e9], Settings(bin_width=1), "more than"),
        ([-1.0, 5.0], Settings(bin_width=1, lowest=0), "below the first bin"),
    ],
)
def test_what_makes_no_levels_is_refused(values, settings, words):
    with pytest.raises(UsageError, match=words):
        discretise(np.array(values), settings)

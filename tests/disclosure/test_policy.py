import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.disclosure.policy import Policy
from workbench.errors import DisclosureError


@given(st.integers(0, 10**6), st.integers(5, 40))
def test_a_count_lies_within_the_bounds_of_its_rounding(count, base):
    policy = Policy(rounding=base)
    rounded = policy.round(count)
    low, high = policy.bounds(rounded)
    assert rounded % base == 0
    assert low <= count <= high
    assert high - low < base
    assert policy.round(high) == policy.round(low) == rounded


def test_base_five_rounds_to_the_nearest():
    assert Policy().round(np.array([0, 2, 3, 7, 8, 12, 13])).tolist() == [0, 0, 5, 5, 10, 10, 15]


@pytest.mark.parametrize(
    "loose",
    [
        {"threshold": 9}, {"rounding": 4}, {"digits": 4}, {"digits": 0}, {"threshold": 10.5},
        {"threshold": True}, {"threshold": "10"}, {"rounding": 10**9}, {"threshold": float("nan")},
    ],
)  # fmt: skip
def test_nothing_looser_than_the_floor(loose):
    with pytest.raises(DisclosureError):
        Policy(**loose)


def test_tightening_takes_the_stricter_number_of_each():
    strict = Policy(20, 5, 2).tighten(Policy(10, 10, 3))
    assert strict == Policy(20, 10, 2)
    assert strict.tighten(Policy()) == strict

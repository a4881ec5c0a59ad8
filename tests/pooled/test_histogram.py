"""Pooled quantiles of whole numbers and of others, held against the values themselves."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.released import make_release, make_rows, summarise, write_study
from workbench.pooled.histogram import QUANTILES
from workbench.pooling import pool
from workbench.summaries.grid import BIN


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("histogram") / "study")


def pooled_images(study, sites):
    """Return the pooled histogram of the sites' images, and the images of all exams."""
    releases, images = [], []
    for i, rows in enumerate(sites):
        releases.append(make_release(study, f"site{i}", summarise(study, rows)))
        images.append(rows.images[np.unique(rows.exam, return_index=True)[1]])
    data = pool(releases, study).tables["images"].data
    return data.isel({BIN: 0}).sel(sex="all"), np.concatenate(images)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(20, 160)), min_size=1, max_size=3),
    st.integers(1, 9),
)
def test_quantiles_of_whole_numbers_are_whole_and_held(study, sites, most):
    rows = [make_rows(seed, patients) for seed, patients in sites]
    for one in rows:  # mostly in bins that are one wide
        one.value = np.minimum(one.value, most)
    data, images = pooled_images(study, rows)
    for name, q in QUANTILES.items():
        figure = data.sel(quantity=name)
        if not figure.how.item():
            continue
        value, low, high = (figure[end].item() for end in ("value", "low", "high"))
        assert low <= np.percentile(images, 100 * q) <= high
        assert low <= value <= high
        assert value == round(value)
        assert (figure.how.item() == "exact") == (low == high)


def test_the_median_in_a_bin_that_is_one_wide_is_exact(study):
    rows = make_rows(3, 300)
    rows.value = np.where(rows.patient % 3 == 0, 3.0, 1.0)
    data, images = pooled_images(study, [rows])
    median = data.sel(quantity="median")
    assert np.median(images) == 1
    assert [median[end].item() for end in ("value", "low", "high")] == [1, 1, 1]
    assert median.how.item() == "exact"

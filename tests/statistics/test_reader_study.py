"""Reader study: held to the analysis of Van Dyke's data by R MRMCaov, and to a plain jackknife."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.delong import area_covariance
from workbench.statistics.reader_study import obuchowski_rockette
from workbench.statistics.roc import auc, count_scores


@pytest.fixture(scope="module")
def van_dyke(shared_data):
    """Return the truth of 114 cases, and ratings of 5 readers with 2 tests."""
    table = pd.read_csv(shared_data / "tables/VanDyke.csv")
    ratings = table.set_index(["reader", "treatment", "case"]).rating.unstack()
    truth = table.groupby("case").truth.first()
    return truth.to_numpy(), ratings.to_numpy().reshape(5, 2, -1)


def test_delong_covariances(van_dyke):
    found = obuchowski_rockette(*van_dyke)
    assert found.areas.shape == (5, 2)
    assert found.means == pytest.approx([0.89704, 0.94084], abs=5e-6)
    assert (found.f, found.df1, found.df2, found.p) == pytest.approx(
        (4.48485, 1, 15.066, 0.05123), abs=5e-4
    )
    assert found.f == pytest.approx(4.48485, abs=5e-6)
    assert found.p == pytest.approx(0.05123, abs=5e-6)
    (contrast,) = found.contrasts
    assert (contrast.first, contrast.second) == (0, 1)
    assert contrast.difference == pytest.approx(-0.04380, abs=5e-6)
    assert (contrast.low, contrast.high) == pytest.approx((-0.08787, 0.00027), abs=5e-6)
    # Of two tests t² is F.
    assert contrast.t**2 == pytest.approx(found.f)
    assert contrast.p == pytest.approx(found.p)


def test_jackknife_covariances(van_dyke):
    found = obuchowski_rockette(*van_dyke, covariance="jackknife")
    assert found.f == pytest.approx(4.45632, abs=5e-6)
    assert found.df2 == pytest.approx(15.260, abs=5e-4)
    assert found.p == pytest.approx(0.05167, abs=5e-6)


def test_the_jackknife_leaves_out_one_case_after_the_other(van_dyke):
    truth, ratings = van_dyke
    rows, cases = ratings.reshape(10, -1), truth.size
    left = np.array([
        [auc(count_scores(np.delete(truth, c), np.delete(row, c))) for c in range(cases)]
        for row in rows
    ])  # fmt: skip
    matrix = np.cov(left) * (cases - 1) ** 2 / cases
    found = obuchowski_rockette(truth, ratings, covariance="jackknife")
    assert found.variance == pytest.approx(np.diag(matrix).mean())
    pairs = {"cov1": [], "cov2": [], "cov3": []}
    for a in range(10):
        for b in range(10):
            if a != b:
                name = {(0, 1): "cov1", (1, 0): "cov2", (1, 1): "cov3"}[
                    (int(a // 2 != b // 2), int(a % 2 != b % 2))
                ]
                pairs[name].append(matrix[a, b])
    for name, values in pairs.items():
        assert getattr(found, name) == pytest.approx(np.mean(values)), name


def test_covariances_are_those_of_delong(van_dyke):
    truth, ratings = van_dyke
    matrix = area_covariance(truth, ratings.reshape(10, -1)).covariance
    found = obuchowski_rockette(truth, ratings)
    assert found.variance == pytest.approx(np.diag(matrix).mean())
    assert found.cov1 == pytest.approx(np.mean([matrix[i, i + 1] for i in range(0, 10, 2)]))


def made(random, gain=0.0, readers=4, cases=60, tests=2):
    truth = np.arange(cases) % 2 == 0
    skill = 1.2 + random.normal(0, 0.25, (readers, 1)) + gain * np.arange(tests)
    case = random.normal(0, 0.7, (1, 1, cases))
    noise = random.normal(0, 0.7, (readers, tests, cases))
    return truth, skill[:, :, None] * truth + case + noise


def test_without_a_difference_one_in_twenty_is_called_one():
    random = np.random.default_rng(1)
    called, held = [], []
    for _ in range(250):
        found = obuchowski_rockette(*made(random))
        called.append(found.p < 0.05)
        held.append(found.contrasts[0].low <= 0 <= found.contrasts[0].high)
    assert np.mean(called) == pytest.approx(0.05, abs=0.035)
    assert np.mean(held) == pytest.approx(0.95, abs=0.035)


def test_intervals_of_one_test_hold_its_mean():
    random = np.random.default_rng(2)
    held = []
    skill = np.random.default_rng(0).normal(1.2, 0.25, 200_000)
    # Case and noise have a variance of 0.98 together.
    true = stats.norm.cdf(skill / np.sqrt(2 * 0.98)).mean()
    for _ in range(250):
        found = obuchowski_rockette(*made(random))
        held.append(found.low[0] <= true <= found.high[0])
    assert np.mean(held) == pytest.approx(0.95, abs=0.04)


def test_three_tests_make_three_contrasts():
    found = obuchowski_rockette(*made(np.random.default_rng(3), gain=0.8, tests=3))
    assert [(c.first, c.second) for c in found.contrasts] == [(0, 1), (0, 2), (1, 2)]
    assert found.df1 == 2
    assert found.p < 0.01
    assert found.contrasts[1].difference == pytest.approx(found.means[0] - found.means[2])


def test_a_study_without_variance_or_with_one_reader_is_undefined():
    truth = [0, 0, 1, 1]
    wholly = np.broadcast_to([1.0, 2.0, 3.0, 4.0], (3, 2, 4))
    with pytest.raises(UndefinedError, match="no variance"):
        obuchowski_rockette(truth, wholly)
    random = np.random.default_rng(0)
    with pytest.raises(UndefinedError, match="two readers"):
        obuchowski_rockette(truth, random.normal(size=(1, 2, 4)))
    with pytest.raises(UndefinedError, match="two readers"):
        obuchowski_rockette(truth, random.normal(size=(2, 1, 4)))
    with pytest.raises(UndefinedError, match="two cases"):
        obuchowski_rockette([1, 0, 0, 0], random.normal(size=(2, 2, 4)))
    with pytest.raises(UndefinedError, match="One class"):
        obuchowski_rockette([1, 1, 1, 1], random.normal(size=(2, 2, 4)))


def test_readers_of_one_mind_leave_the_cases():
    """Without interaction the degrees of freedom are unlimited and the test still works."""
    truth, ratings = made(np.random.default_rng(4), readers=1, gain=0.5)
    found = obuchowski_rockette(truth, np.repeat(ratings, 3, axis=0))
    assert found.df2 > 1e6
    assert 0 < found.p < 1
    assert found.contrasts[0].low < found.contrasts[0].difference < found.contrasts[0].high


def test_refuses_missing_ratings_and_unknown_covariances():
    truth, ratings = made(np.random.default_rng(5))
    ratings[0, 0, 0] = np.nan
    with pytest.raises(DefinitionError, match="1 of 60 scores"):
        obuchowski_rockette(truth, ratings)
    with pytest.raises(DefinitionError):
        obuchowski_rockette(truth, ratings[0])
    with pytest.raises(DefinitionError):
        obuchowski_rockette(truth, ratings, covariance="bootstrap")

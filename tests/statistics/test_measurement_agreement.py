import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.measurement_agreement import (
    intraclass_correlation,
    limits_of_agreement,
)

# R psych::ICC of the same table prints these intervals.
SHROUT_FLEISS = {
    "1,1": (0.1657, -0.133, 0.723),
    "2,1": (0.2898, 0.019, 0.761),
    "3,1": (0.7148, 0.342, 0.946),
    "1,k": (0.4428, -0.884, 0.912),
    "2,k": (0.6201, 0.071, 0.927),
    "3,k": (0.9093, 0.676, 0.986),
}


@pytest.fixture(scope="module")
def judges(shared_data):
    return pd.read_csv(shared_data / "tables/shrout_fleiss1979.csv").to_numpy(float)


@pytest.mark.parametrize("form", SHROUT_FLEISS)
def test_four_judges_of_six(judges, form):
    estimate, low, high = SHROUT_FLEISS[form]
    found = intraclass_correlation(judges)[form]
    assert found.estimate == pytest.approx(estimate, abs=5e-5)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-4)


def test_f_is_that_of_an_analysis_of_variance(judges):
    rows = pd.DataFrame(
        [(i, j, x) for i, row in enumerate(judges) for j, x in enumerate(row)],
        columns=["subject", "judge", "rating"],
    )
    two = anova_lm(ols("rating ~ C(subject) + C(judge)", rows).fit())
    one = anova_lm(ols("rating ~ C(subject)", rows).fit())
    found = intraclass_correlation(judges)
    for form, table in (("1,1", one), ("2,1", two), ("3,k", two)):
        assert found[form].f == pytest.approx(table.F["C(subject)"])
        assert found[form].p == pytest.approx(table["PR(>F)"]["C(subject)"])


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_intervals_hold_the_truth_as_often_as_they_say(shift):
    """Of raters with a spread of `shift`; consistency does not mind it, agreement does."""
    random = np.random.default_rng(0)
    n, k, held = 25, 4, {"3,1": [], "2,1": [], "1,1": []}
    true = {"3,1": 2 / 3, "2,1": 2 / (3 + shift**2)}
    if not shift:
        true["1,1"] = 2 / 3
    for _ in range(500):
        subjects = random.normal(0, np.sqrt(2), (n, 1))
        x = subjects + random.normal(0, shift, (1, k)) + random.normal(0, 1, (n, k))
        found = intraclass_correlation(x)
        for form, value in true.items():
            held[form].append(found[form].low <= value <= found[form].high)
    for form in true:
        assert np.mean(held[form]) == pytest.approx(0.95, abs=0.035), form


table = st.lists(
    st.lists(st.floats(-50, 50).map(lambda x: round(x, 2)), min_size=3, max_size=3),
    min_size=3,
    max_size=8,
).map(np.array)


@given(table, st.floats(-100, 100), st.floats(0.5, 20))
def test_units_of_measurement_do_not_matter(x, shift, factor):
    try:
        plain = intraclass_correlation(x)
    except UndefinedError:
        return
    moved = intraclass_correlation(factor * x + shift)
    for form, found in plain.items():
        if found.estimate > -100:
            assert moved[form].estimate == pytest.approx(found.estimate, rel=1e-4, abs=1e-4)
        assert found.low <= found.estimate + 1e-9
        assert found.estimate <= found.high + 1e-9
        assert found.high <= 1


def test_subjects_who_do_not_differ_have_no_mean_to_rely_on():
    found = intraclass_correlation([[0, 0, 0], [0, 0, 0], [0, 1, -1]])
    assert (found["1,k"].estimate, found["3,k"].low) == (-np.inf, -np.inf)
    assert found["3,1"].estimate == -0.5


def test_an_end_of_agreement_is_not_turned_round():
    found = intraclass_correlation([[0, 0, 0], [0, 0, 1], [0, 0, -1]])["2,k"]
    assert (found.low, found.estimate) == (-np.inf, pytest.approx(0))


def test_raters_who_differ_by_a_constant_have_no_error():
    with pytest.raises(UndefinedError):
        intraclass_correlation([[1, 2], [3, 4], [5, 6]])
    with pytest.raises(UndefinedError):
        intraclass_correlation(np.ones((3, 3)))


def test_refuses_missing_ratings_and_too_few():
    with pytest.raises(DefinitionError, match="needs"):
        intraclass_correlation([[1, np.nan], [2, 3]])
    with pytest.raises(DefinitionError):
        intraclass_correlation([[1, 2]])


def test_peak_flow_of_bland_and_altman():
    """Wright and mini meter, litres a minute (Lancet 1986;1:307, table 1): −2.1, sd 38.8."""
    large = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
    mini = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
    found = limits_of_agreement(large, mini)
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    # They take 2 and √(3/n) in place of 1.96 and of what it stands for.
    assert found.lower == pytest.approx(-79.7, abs=2)
    assert found.upper == pytest.approx(75.5, abs=2)
    assert (found.bias_low, found.bias_high) == pytest.approx((-22.0, 17.8), abs=0.1)
    assert (found.lower_low, found.lower_high) == pytest.approx((-114.3, -45.1), abs=3)
    assert (found.upper_low, found.upper_high) == pytest.approx((40.9, 110.1), abs=3)


def test_limits_hold_the_differences_and_their_intervals_the_limits():
    random = np.random.default_rng(0)
    held = []
    for _ in range(600):
        found = limits_of_agreement(random.normal(1, 2, 40), np.zeros(40))
        true = 1 + 2 * stats.norm.ppf(0.975)
        held.append(
            (found.upper_low <= true <= found.upper_high, found.bias_low <= 1 <= found.bias_high)
        )
    assert np.mean(held, axis=0) == pytest.approx([0.95, 0.95], abs=0.03)
    first, second = random.normal(size=(2, 20_000))
    found = limits_of_agreement(first, second)
    inside = (found.lower <= first - second) & (first - second <= found.upper)
    assert inside.mean() == pytest.approx(0.95, abs=0.005)


def test_limits_need_three_pairs():
    with pytest.raises(UndefinedError):
        limits_of_agreement([1, 2], [2, 3])
    for first, second in (([1, 2, 3], [1, 2]), ([1, 2, np.nan], [1, 2, 3])):
        with pytest.raises(DefinitionError):
            limits_of_agreement(first, second)

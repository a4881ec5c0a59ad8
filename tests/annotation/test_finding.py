import numpy as np
import pytest

from tests.annotation.results import finding, score
from workbench.annotation.finding import (
    Algorithm,
    require_distinct,
)
from workbench.errors import ImageError


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_was_not_measured_is_not_written_down(value):
    with pytest.raises(ImageError, match="no number"):
        score(value)


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"maker": "a" * 65}, {"version": "1\\2"}, {"digest": "abc"}]
)
def test_an_algorithm_has_a_name_and_a_digest(wrong):
    fields = {"name": "n", "version": "1", "maker": "m", "digest": "0" * 64}
    with pytest.raises(ImageError):
        Algorithm(**fields | wrong)


@pytest.mark.parametrize("numbers", [(1, 1), (0,), (-1,), (2**16,)])
def test_findings_have_numbers_of_their_own(numbers):
    with pytest.raises(ImageError, match="numbers of their own"):
        require_distinct([finding(n) for n in numbers])

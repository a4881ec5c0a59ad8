"""Windows: the presets of CT, and one made from the values."""

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.viewer.windows import AUTOMATIC, CT, PET, Window, window_named, windows_of


def test_units_have_their_presets_and_others_have_none():
    values = np.arange(1001.0)
    assert list(windows_of("HU", values)) == [*CT, AUTOMATIC]
    assert set(CT) >= {"lung", "bone", "soft_tissue", "brain", "liver", "mediastinum"}
    assert list(windows_of("SUV", values)) == [*PET, AUTOMATIC]
    tops = [0, 2.5, 5, 7, 10, 20, 30]
    assert [PET["suv_0_10"].grey(v) for v in tops] == [0, 64, 128, 178, 255, 255, 255]
    assert windows_of("arb", values) == {AUTOMATIC: Window(502.5, 985)}  # 1st to 99.5th percentile


@pytest.mark.parametrize("values", [np.zeros((0,)), np.full(5, np.nan), np.full((2, 2), 7)])
def test_values_that_tell_nothing_still_make_a_window(values):
    assert windows_of("", values)[AUTOMATIC].width == 1


def test_gaps_do_not_move_the_window():
    values = np.arange(1001.0)
    with_gaps = np.concatenate([values, np.full(500, np.nan), [np.inf, -np.inf]])
    assert windows_of("", with_gaps) == windows_of("", values)


def test_an_unknown_preset_gets_the_nearest():
    assert window_named(None, CT) == "soft_tissue"
    with pytest.raises(UsageError, match="no such window") as error:
        window_named("lung", windows_of("SUV", np.arange(3)))
    assert "automatic" in error.value.todo

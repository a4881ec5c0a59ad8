import numpy as np
import pytest

from workbench.features.intensity_volume import measure_intensity_volume
from workbench.features.settings import Settings

VALUES = np.array([0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 100.0])


def test_volumes_and_intensities_of_whole_numbers():
    found = measure_intensity_volume(VALUES, Settings())
    assert (found["ivh_v10"], found["ivh_v90"]) == (0.9, 0.1)
    assert (found["ivh_i10"], found["ivh_i90"]) == (81.0, 1.0)


def test_a_range_of_values_is_the_range_of_fractions():
    found = measure_intensity_volume(VALUES, Settings(value_range=(-100, 100)))
    assert found["ivh_v10"] == 1.0
    assert found["ivh_v90"] == 0.2
    assert measure_intensity_volume(VALUES, Settings(value_range=(0, 1000)))["ivh_v90"] == 0.0


def test_bins_of_a_width_stand_at_their_centres():
    found = measure_intensity_volume(VALUES / 10, Settings(volume_bin_width=1.0))
    assert found["ivh_i90"] == 1.5
    assert found["ivh_i10"] == 9.5


def test_a_number_of_bins_makes_their_numbers():
    found = measure_intensity_volume(VALUES, Settings(volume_bins=1000))
    assert found["ivh_i90"] == 2.0
    assert found["ivh_v10"] == pytest.approx(0.9)

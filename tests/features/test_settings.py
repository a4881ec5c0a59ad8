import pytest

from workbench.errors import UsageError
from workbench.features.settings import Settings


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"families": ("glmc",)}, "families"),
        ({"families": "glcm"}, "families"),
        ({"families": ()}, "families"),
        ({"aggregations": ("3D",)}, "aggregations"),
        ({"interpolation": "nearest"}, "interpolation"),
        ({"bins": 0}, "bins"),
        ({"bin_width": float("nan")}, "bin_width"),
        ({"bin_width": -25}, "bin_width"),
        ({"bins": 32, "bin_width": 25}, "bins, bin_width"),
        ({"spacing_mm": (1.0, 1.0)}, "spacing_mm"),
        ({"spacing_mm": (1.0, 1.0, -1.0)}, "spacing_mm"),
        ({"spacing_mm": (0.0, 1.0, 1.0)}, "spacing_mm"),
        ({"value_range": (400, -500)}, "value_range"),
        ({"value_range": (float("nan"), 1)}, "value_range"),
        ({"lowest": 0.0}, "lowest"),
        ({"outlier_sd": 0}, "outlier_sd"),
        ({"coarseness": -1}, "coarseness"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, where):
    with pytest.raises(UsageError) as caught:
        Settings(**given)
    assert caught.value.where == where


def test_the_nearest_name_is_told():
    with pytest.raises(UsageError, match="glcm"):
        Settings(families=("glmc",))


def test_dimensions_are_those_of_the_aggregations():
    assert Settings(aggregations=("2D_avg", "3D_avg", "3D_comb")).dimensions == ("2D", "3D")

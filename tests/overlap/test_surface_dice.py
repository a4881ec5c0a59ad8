import numpy as np
import pytest

from tests.gridded import ball
from workbench.errors import UsageError
from workbench.overlap.surface_dice import _areas, measure_surface_dice


def test_areas_of_flat_and_single_corners():
    z, y, x = spacing = (3.0, 2.0, 1.0)
    areas = _areas(spacing)
    bits = 2 ** np.arange(8).reshape(2, 2, 2)
    assert areas[bits[0].sum()] == pytest.approx(y * x)
    assert areas[bits[:, 0].sum()] == pytest.approx(z * x)
    assert areas[bits[..., 1].sum()] == pytest.approx(z * y)
    half = np.array([z, y, x]) / 2
    corner = 0.5 * np.sqrt(sum((half[i] * half[j]) ** 2 for i, j in ((0, 1), (0, 2), (1, 2))))
    for bit in bits.ravel():
        assert areas[bit] == areas[255 - bit] == pytest.approx(corner)
    assert areas[0] == areas[255] == 0.0


def test_a_tolerance_counts_area_not_points():
    """One of two plates is moved: thin slices have many points and little area."""
    spacing = (5.0, 1.0, 1.0)
    reference = np.zeros((6, 30, 30), bool)
    reference[1:5, 5:25, 5:25] = True
    mask = reference.copy()
    mask[:, 24] = False
    found = measure_surface_dice(mask, reference, spacing, 0.5)
    # The moved side is 20 x 20 mm2, its four edges aside, of 2 x 400 + 4 x 400 mm2 (rounded off).
    assert found == pytest.approx(1 - 400 / 2400, abs=0.03)
    assert measure_surface_dice(mask, reference, spacing, 1.0) == 1.0


def test_balls_within_and_beyond_the_tolerance():
    spacing = (1.0, 1.0, 1.0)
    large, small = (ball((40, 40, 40), spacing, r) for r in (15.0, 12.0))
    assert measure_surface_dice(small, large, spacing, 4.5) == 1.0
    assert measure_surface_dice(small, large, spacing, 1.0) == 0.0


def test_an_empty_mask_has_no_surface():
    block = np.ones((2, 2, 2), bool)
    with pytest.raises(UsageError):
        measure_surface_dice(~block, block, (1, 1, 1), 1.0)

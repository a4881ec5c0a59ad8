import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.overlap.surface import SurfaceDistances, measure_surface_distances, surface_points


def test_the_percentile_is_the_larger_of_both_directions():
    distances = SurfaceDistances(np.arange(101.0), np.zeros(900))
    assert distances.percentile(95) == 95.0
    assert distances.percentile(100) == distances.hausdorff == 100.0
    assert SurfaceDistances(distances.to_mask, distances.to_reference).percentile(95) == 95.0
    # Both directions together would say 49.05.
    for bad in (0, -5, 101, float("nan")):
        with pytest.raises(UsageError):
            distances.percentile(bad)


def test_the_average_counts_every_point_once():
    assert SurfaceDistances(np.array([4.0]), np.zeros(3)).average == 1.0


def test_the_surface_is_voxels_with_a_face_outside():
    block = np.ones((5, 5, 5), bool)
    assert len(surface_points(block, (1, 1, 1))) == 125 - 27
    block[2, 2, 2] = False  # a hole has a surface too, of six voxels
    assert len(surface_points(block, (1, 1, 1))) == 125 - 27 + 6
    assert surface_points(block[:1], (2.0, 1.0, 1.0)).max() == 4.0


def test_an_empty_mask_has_no_surface():
    block = np.ones((2, 2, 2), bool)
    with pytest.raises(UsageError):
        measure_surface_distances(block, ~block, (1, 1, 1))

import numpy as np
from hypothesis import given
from scipy import ndimage

from tests.textures.matrices import levels
from workbench.textures.zones import label_zones, levels_of_zones


@given(levels())
def test_zones_are_those_of_scipy_level_by_level(array):
    in_plane = np.zeros((3, 3, 3))
    in_plane[1] = 1
    for dimension, structure in (("3D", np.ones((3, 3, 3))), ("2D", in_plane)):
        zones = label_zones(array, dimension)
        assert ((zones > 0) == (array > 0)).all()
        sizes = sorted(
            (int(level), int(n))
            for level in np.unique(array[array > 0])
            for n in np.bincount(ndimage.label(array == level, structure)[0].ravel())[1:]
        )
        found = zip(levels_of_zones(array, zones), np.bincount(zones.ravel())[1:], strict=True)
        assert sorted((int(level), int(n)) for level, n in found) == sizes

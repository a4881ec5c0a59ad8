"""Arrays with a place in the patient, for what is measured of masks."""

import numpy as np
import xarray as xr

from workbench.imaging.volume_grid import coordinates


def on_grid(array, spacing=(1.0, 1.0, 1.0), units="HU", origin=(0.0, 0.0, 0.0)):
    """Return an array z, y, x as a volume; spacing and origin in the order z, y, x, in mm."""
    affine = np.diag([*spacing[::-1], 1.0])
    affine[:3, 3] = origin[::-1]
    along = coordinates(affine, array.shape)
    coords = {name: (name, values, {"units": "mm"}) for name, values in along.items()}
    attrs = {"affine": affine.tolist(), "units": units}
    return xr.DataArray(array, coords, ("z", "y", "x"), attrs=attrs)


def ball(shape, spacing, radius_mm, offset_mm=(0.0, 0.0, 0.0)):
    """Return a ball about the middle of a box, or beside it."""
    axes = [
        (np.arange(n) - (n - 1) / 2) * s - o
        for n, s, o in zip(shape, spacing, offset_mm, strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return z**2 + y**2 + x**2 <= radius_mm**2

"""Volumes of every kind that a file may hold, for hypothesis."""

import numpy as np
import xarray as xr
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workbench.imaging.volume_grid import coordinates

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["float32", "float64"]
FURTHER = {
    "time": ("s", np.float64),
    "b_value": ("s/mm2", np.float64),
    "echo": ("ms", np.float32),
    "component": (None, np.str_),
    "segment": (None, np.int64),
}
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


def rotation(a, b, c):
    """Return a matrix that turns about three axes."""
    turned = np.eye(3)
    for i, angle in enumerate((a, b, c)):
        one = np.eye(3)
        j, k = (i + 1) % 3, (i + 2) % 3
        one[j, j] = one[k, k] = np.cos(angle)
        one[j, k], one[k, j] = -np.sin(angle), np.sin(angle)
        turned = turned @ one
    return turned


@st.composite
def affines(draw, *, shear=True):
    """Draw an affine at any angle, its slices sheared or not."""
    angles = [draw(st.floats(-3.2, 3.2)) for _ in range(3)]
    sizes = [draw(st.floats(0.05, 12)) for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = rotation(*angles) @ np.diag(sizes)
    if shear and draw(st.booleans()):
        affine[:3, 2] += affine[:3, 1] * draw(st.floats(-0.5, 0.5))
    affine[:3, 3] = [draw(st.floats(-2000, 2000)) for _ in range(3)]
    return affine


@st.composite
def volumes(draw):
    """Draw a volume: any angle, shear, spacing, type, further dimensions, names."""
    further = draw(st.lists(st.sampled_from(sorted(FURTHER)), max_size=2, unique=True))
    shape = [draw(st.integers(1, 4)) for _ in range(3 + len(further))]
    affine = draw(affines())
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    data = draw(arrays(dtype, shape))
    coords = {
        name: (name, along, {"units": "mm"})
        for name, along in coordinates(affine, tuple(shape[-3:])).items()
    }
    for name, size in zip(further, shape, strict=False):
        unit, kind = FURTHER[name]
        if kind is np.str_:
            values = np.array(draw(st.lists(TEXT, min_size=size, max_size=size)))
        else:
            values = draw(arrays(kind, size, unique=True))
        coords[name] = (name, values, {"units": unit} if unit else {})
    if draw(st.booleans()):
        coords["acquired_s"] = ((), np.float64(draw(st.floats())))
    attrs = {"affine": affine.tolist(), "units": draw(st.sampled_from(["HU", "SUV", "arb"]))}
    if draw(st.booleans()):
        attrs["labels"] = draw(st.dictionaries(st.integers(1, 65535), TEXT, max_size=3))
        attrs["codes"] = {n: ["1", "SCT", "Лёгкое"] for n in attrs["labels"]}
    attrs |= {"padding": [-2000, -1024.5], "modality": "MR", "tilt_resampled": False}
    name = draw(st.sampled_from([None, "volume", "segmentation"]))
    return xr.DataArray(data, coords, (*further, "z", "y", "x"), name, attrs)

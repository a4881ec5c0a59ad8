"""Regions of levels for hypothesis, and textures counted voxel by voxel."""

from itertools import product

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


def levels(most=4, side=4):
    """Draw a region of levels with holes; it may be empty."""
    shape = st.tuples(*[st.integers(1, side)] * 3)
    return arrays(np.int64, shape, elements=st.integers(0, most))


def neighbours(array, place, *, planar):
    """Yield the levels of the neighbours that belong to the region."""
    for offset in product((0,) if planar else (-1, 0, 1), (-1, 0, 1), (-1, 0, 1)):
        there = tuple(int(p + o) for p, o in zip(place, offset, strict=True))
        inside = all(0 <= t < n for t, n in zip(there, array.shape, strict=True))
        if any(offset) and inside and array[there]:
            yield int(array[there])

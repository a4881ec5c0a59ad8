"""Overlay: colours of labels, and one label map of segments that overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

SEVEN = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
    (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
"""Red, green and blue of the palette of Okabe and Ito (2008), without black: colour-blind readers
can tell them apart."""
SHADES = (0.0, 0.45, -0.4)
"""Share of the way to white, or to black, of each further round."""


def label_colours(count: int) -> list[tuple[int, int, int]]:
    """Return a colour for each of so many labels: seven, then lighter, then darker, and again.

    More than seven colours cannot be told apart for certain; names have to help.

    Examples
    --------
    >>> label_colours(8)[7]
    (241, 202, 115)
    """
    colours = []
    for place in range(count):
        shade = SHADES[place // len(SEVEN) % len(SHADES)]
        end = 255 if shade > 0 else 0
        red, green, blue = SEVEN[place % len(SEVEN)]
        red, green, blue = (round(c + (end - c) * abs(shade)) for c in (red, green, blue))
        colours.append((red, green, blue))
    return colours


def one_label_map(segments: xr.DataArray) -> tuple[xr.DataArray, bool]:
    """Return segments as one label map, and whether some of them overlap.

    Parameters
    ----------
    segments : xr.DataArray
        Over (segment, z, y, x), where above 0 is inside; the coordinate `segment` numbers them.

    Returns
    -------
    labels : xr.DataArray
        Over (z, y, x), uint16; where segments overlap, that of the fewest voxels is kept.
    overlap
        Whether there is such a voxel.
    """
    numbers = (
        segments.coords["segment"].values
        if "segment" in segments.coords
        else np.arange(1, segments.sizes["segment"] + 1)
    )
    counts = [int((segments.isel(segment=i) > 0).sum()) for i in range(len(numbers))]
    labels = np.zeros([segments.sizes[name] for name in ("z", "y", "x")], np.uint16)
    overlap = False
    for i in np.argsort(counts, kind="stable")[::-1]:
        inside = segments.isel(segment=int(i)).transpose("z", "y", "x").values > 0
        overlap = overlap or bool(labels[inside].any())
        labels[inside] = numbers[i]
    first = segments.isel(segment=0, drop=True).transpose("z", "y", "x")
    return first.copy(data=labels), overlap

"""Compare: how well a mask agrees with a reference, label by label, as one table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError
from workbench.imaging.mask_grid import read_mask, shared_spacing
from workbench.overlap.counts import count_overlap
from workbench.overlap.surface import Spacing, measure_surface_distances
from workbench.overlap.surface_dice import measure_surface_dice

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

MASK_OUTCOMES = {
    "ok": "both masks hold the label",
    "both_empty": "neither mask holds the label: nothing to compare",
    "mask_empty": "the mask does not hold the label: no overlap, distances are not defined",
    "reference_empty": "the reference does not hold the label: as above, and no relative volume",
}
"""What a row of a comparison tells of the two masks."""
MOST_LABELS = 2**16
COLUMNS = (
    "mask_ml", "reference_ml", "dice", "jaccard", "volume_difference_ml",
    "volume_difference_percent", "distance_to_reference_mm", "distance_to_mask_mm",
    "average_surface_distance_mm", "hausdorff_mm", "hausdorff_95_mm", "surface_dice",
)  # fmt: skip
"""Measures of a comparison."""


def compare_masks(
    mask: xr.DataArray,
    reference: xr.DataArray,
    *,
    labels: Sequence[int] | None = None,
    tolerance_mm: float = 1.0,
) -> pl.DataFrame:
    """Compare the labels of a mask with those of a reference.

    Parameters
    ----------
    mask, reference : xarray.DataArray, shape (z, y, x)
        Whole numbers or bool on one grid, as from `open_segmentation`; 0 is background.
    labels : sequence of int or None
        Which to compare; by default all that either holds.
    tolerance_mm : float
        Distance that does not count for `surface_dice`.

    Returns
    -------
    polars.DataFrame
        One row for each label: `label`; `outcome`, a key of `MASK_OUTCOMES`; volumes in ml;
        `dice` and `jaccard`; difference of volumes, mask less reference, in ml and in percent of
        the reference; mean distance of the mask's surface to the reference and back, average
        symmetric surface distance, Hausdorff distance, and the larger 95th percentile of both
        directions (R-7), in mm; normalised surface Dice. Null: what is not defined.

    Raises
    ------
    ImageError
        If the two lie on different grids, or hold other values than whole numbers.
    UsageError
        If a label or the tolerance makes no sense.

    Notes
    -----
    Taha and Hanbury 2015, https://doi.org/10.1186/s12880-015-0068-x; Nikolov 2018,
    arXiv:1809.04430.

    Examples
    --------
    >>> import xarray as xr
    >>> labels = np.zeros((4, 4, 4), np.uint8)
    >>> labels[1:3] = 1
    >>> here = xr.DataArray(labels, dims=("z", "y", "x"), attrs={"affine": np.eye(4).tolist()})
    >>> table = compare_masks(here.roll(z=1), here, labels=[1, 2])
    >>> table.select("label", "outcome", "dice", "hausdorff_mm").rows()
    [(1, 'ok', 0.5, 1.0), (2, 'both_empty', None, None)]
    """
    import polars as pl

    spacing = shared_spacing(reference, mask)
    if not 0 <= tolerance_mm < math.inf:
        raise UsageError("The tolerance is no distance", where="tolerance_mm", todo="Pass mm")
    pair = read_mask(mask), read_mask(reference)
    if max(int(a.max(initial=0)) for a in pair) > MOST_LABELS:
        raise UsageError(
            "The labels of a mask are too large", where="the masks", todo="Number them from 1 up"
        )
    if labels is not None and any(label <= 0 for label in labels):
        raise UsageError("A label is no number above 0", where="labels", todo="Leave it out")
    rows = []
    for label, (first, second) in _cut(*pair, labels):
        rows.append({"label": label, **_compare(first, second, spacing, tolerance_mm)})
    types = dict.fromkeys(COLUMNS, pl.Float64)
    return pl.DataFrame(rows, schema={"label": pl.Int64, "outcome": pl.String, **types})


def _cut(
    mask: NDArray[Any], reference: NDArray[Any], labels: Sequence[int] | None
) -> Iterator[tuple[int, tuple[NDArray[np.bool_], NDArray[np.bool_]]]]:
    """Yield each label with both masks of it, cut to the smallest box that holds them."""
    from scipy.ndimage import find_objects

    whole = [a.view(np.uint8) if a.dtype == np.bool_ else a for a in (mask, reference)]
    boxes = [find_objects(a.astype(np.int64) if a.itemsize > 4 else a) for a in whole]
    if labels is None:
        labels = sorted({i + 1 for b in boxes for i, box in enumerate(b) if box is not None})
    for label in map(int, labels):
        found = [b[label - 1] for b in boxes if label <= len(b) and b[label - 1] is not None]
        box = tuple(
            slice(min(s.start for s in along), max(s.stop for s in along))
            for along in zip(*found, strict=True)
        )
        first, second = (a[box] == label if found else np.zeros((0, 0, 0), bool) for a in whole)
        yield label, (first, second)


def _compare(
    mask: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing: Spacing,
    tolerance_mm: float,
) -> dict[str, Any]:
    """Return one row."""
    overlap = count_overlap(mask, reference)
    if not overlap.mask and not overlap.reference:
        return {"outcome": "both_empty", "mask_ml": 0.0, "reference_ml": 0.0}
    ml = math.prod(spacing) / 1000
    relative = overlap.relative_difference
    row = {
        "outcome": "ok",
        "mask_ml": overlap.mask * ml,
        "reference_ml": overlap.reference * ml,
        "dice": overlap.dice,
        "jaccard": overlap.jaccard,
        "volume_difference_ml": (overlap.mask - overlap.reference) * ml,
        "volume_difference_percent": None if relative is None else 100 * relative,
    }
    if not overlap.mask or not overlap.reference:
        return row | {"outcome": "reference_empty" if overlap.mask else "mask_empty"}
    distances = measure_surface_distances(mask, reference, spacing)
    return row | {
        "distance_to_reference_mm": float(distances.to_reference.mean()),
        "distance_to_mask_mm": float(distances.to_mask.mean()),
        "average_surface_distance_mm": distances.average,
        "hausdorff_mm": distances.hausdorff,
        "hausdorff_95_mm": distances.percentile(95),
        "surface_dice": measure_surface_dice(mask, reference, spacing, tolerance_mm),
    }

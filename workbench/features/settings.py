"""Settings: how a region is brought to levels, and which features are measured of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from workbench.errors import UsageError, show, suggest
from workbench.textures.neighbourhood import AGGREGATIONS

FAMILIES = (
    "morphology", "local_intensity", "intensity", "histogram", "intensity_volume",
    "glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm",
)  # fmt: skip
"""Families of features, in the order of the IBSI reference manual."""
INTERPOLATIONS = {"linear": 1, "cubic": 3}


@dataclass(frozen=True)
class Settings:
    """Say how features are measured (Zwanenburg 2020, https://doi.org/10.1148/radiol.2020191145).

    In this order: the volume is brought to `spacing_mm`, values are rounded, voxels are left out
    by `value_range` and `outlier_sd`, and what is left is divided into levels by `bins` or by
    `bin_width`. With neither, values are levels already: whole numbers from 1 up.

    Parameters
    ----------
    families : tuple of str
        Of `FAMILIES`.
    aggregations : tuple of str
        Of `AGGREGATIONS`, for textures with directions; those without take the dimension.
    bins : int or None
        Number of bins between the region's least and largest value (FBN).
    bin_width : float or None
        Width of a bin in the units of the volume (FBS).
    lowest : float or None
        Where the first bin of `bin_width` begins; by default at the lower end of `value_range`,
        or else at the region's least value.
    spacing_mm : (float or None, float or None, float or None) or None
        Distance between slices, rows and columns to resample to; None keeps what there is.
    interpolation : str
        "linear" or "cubic" for values; masks are always linear, and hold what is half inside.
    round_values : bool
        Whether resampled values are rounded to whole numbers, as is usual for CT.
    value_range : (float, float) or None
        Least and largest value that belong to the region; either may be infinite.
    outlier_sd : float or None
        Standard deviations from the mean beyond which a voxel is left out. Taken of the whole
        region, also where `value_range` is given.
    volume_bins : int or None
        Bins of the intensity-volume histogram, for arbitrary units (the manual has 1,000).
    volume_bin_width : float or None
        Width of its bins, for values that are continuous, such as SUV. With neither, values are
        taken as they are.
    coarseness : int
        Levels by which a dependent neighbour may differ (NGLDM).

    Raises
    ------
    UsageError
        If a name is not known, a number is no sensible one, or two exclude each other.

    Examples
    --------
    >>> Settings(bin_width=25).aggregations
    ('3D_avg', '3D_comb')
    """

    families: tuple[str, ...] = FAMILIES
    aggregations: tuple[str, ...] = ("3D_avg", "3D_comb")
    bins: int | None = None
    bin_width: float | None = None
    lowest: float | None = None
    spacing_mm: tuple[float | None, float | None, float | None] | None = None
    interpolation: str = "linear"
    round_values: bool = False
    value_range: tuple[float, float] | None = None
    outlier_sd: float | None = None
    volume_bins: int | None = None
    volume_bin_width: float | None = None
    coarseness: int = 0

    def __post_init__(self) -> None:
        for name, known in (("families", FAMILIES), ("aggregations", AGGREGATIONS)):
            _known(name, getattr(self, name), known)
        _known("interpolation", (self.interpolation,), tuple(INTERPOLATIONS))
        sizes = {
            "bins": self.bins,
            "bin_width": self.bin_width,
            "volume_bins": self.volume_bins,
            "volume_bin_width": self.volume_bin_width,
            "outlier_sd": self.outlier_sd,
        }
        given = [s for s in self.spacing_mm or () if s is not None]
        sizes |= {"spacing_mm": min(given, default=None)}
        for name, size in sizes.items():
            if size is not None and not 0 < size < math.inf:
                raise UsageError("The number is not above 0", where=name, todo="Pass one above 0")
        if self.spacing_mm is not None and len(self.spacing_mm) != 3:
            raise UsageError(
                "The spacing has not three numbers",
                where="spacing_mm",
                todo="Give slices, rows and columns, as in (1.0, 1.0, 1.0)",
            )
        for first, second in (("bins", "bin_width"), ("volume_bins", "volume_bin_width")):
            if sizes[first] is not None and sizes[second] is not None:
                raise UsageError(
                    "Number and width of bins exclude each other",
                    where=f"{first}, {second}",
                    todo="Pass one of them",
                )
        if self.value_range is not None and not self.value_range[0] <= self.value_range[1]:
            raise UsageError(
                "The range ends before it begins",
                where="value_range",
                todo="Pass the least value, then the largest",
            )
        if self.lowest is not None and (self.bin_width is None or not math.isfinite(self.lowest)):
            raise UsageError(
                "The first bin has no width, or no place",
                where="lowest",
                todo="Pass bin_width as well, or leave it out",
            )
        if self.coarseness < 0:
            raise UsageError("The number is below 0", where="coarseness", todo="Pass 0 or more")

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Dimensions of `aggregations`, each once: "2D", "2_5D", "3D"."""
        return tuple(dict.fromkeys(a.rpartition("_")[0] for a in self.aggregations))


def _known(where: str, names: object, known: tuple[str, ...]) -> None:
    if not isinstance(names, tuple) or not names:
        raise UsageError("No names are given", where=where, todo="Pass a tuple of names")
    for name in names:
        if name not in known:
            raise UsageError(
                f"Unknown name {show(name)!r}", where=where, todo=suggest(str(name), known)
            )

"""Morphology: size and shape of a region, and how its values are spread in it (IBSI, HCUG)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.features.region import Region
from workbench.features.surface_mesh import Mesh, make_mesh
from workbench.textures.neighbourhood import Features, ratio

MOST_POINTS = 2**26
"""Points of the transform that spatial autocorrelation may take: 2 GB at work."""


def measure_shape(region: Region) -> Features:
    """Return size and shape of a region, whatever its values.

    Parameters
    ----------
    region
        Not empty.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables. NaN: ratios of axes of which one is 0.

    Examples
    --------
    >>> cube = np.ones((2, 2, 2), bool)
    >>> features = measure_shape(Region(cube * 1.0, cube, cube, (1.0, 1.0, 1.0)))
    >>> features["morph_vol_approx"], round(features["morph_pca_flatness"], 6)
    (8.0, 1.0)
    """
    mesh = make_mesh(region.shape, region.spacing)
    volume, area = mesh.volume, mesh.area
    places = np.argwhere(region.shape) * np.array(region.spacing)
    centred = places - places.mean(axis=0)
    # Rounding may leave what is flat a little below 0.
    spread = np.linalg.eigvalsh(centred.T @ centred / max(len(places) - 1, 1))
    least, minor, major = 4 * np.sqrt(np.where(spread > 1e-12 * spread[-1], spread, 0.0))
    scale = 36 * np.pi * volume**2
    low, high = (getattr(mesh.points, end)(axis=0) for end in ("min", "max"))
    x, y, z = high - low
    ellipsoid = np.array([major, minor, least]) / 2
    return {
        "morph_volume": volume,
        "morph_vol_approx": float(len(places) * np.prod(region.spacing)),
        "morph_area_mesh": area,
        "morph_av": area / volume,
        "morph_comp_1": volume / (np.sqrt(np.pi) * area**1.5),
        "morph_comp_2": scale / area**3,
        "morph_sph_dispr": area / scale ** (1 / 3),
        "morph_sphericity": scale ** (1 / 3) / area,
        "morph_asphericity": (area**3 / scale) ** (1 / 3) - 1,
        "morph_pca_maj_axis": float(major),
        "morph_pca_min_axis": float(minor),
        "morph_pca_least_axis": float(least),
        "morph_pca_elongation": ratio(minor, major),
        "morph_pca_flatness": ratio(least, major),
        "morph_vol_dens_aabb": float(volume / (x * y * z)),
        "morph_area_dens_aabb": float(area / (2 * (x * y + x * z + y * z))),
        "morph_vol_dens_aee": ratio(volume, 4 / 3 * np.pi * float(np.prod(ellipsoid))),
        "morph_area_dens_aee": ratio(area, _ellipsoid_area(ellipsoid)),
    } | _hull(mesh, volume, area)


def measure_spread(region: Region, mesh_volume: float, most: int = MOST_POINTS) -> Features:
    """Return how values are spread in a region.

    Pairs of voxels are weighted by the inverse of their distance. They are not listed: a distance
    depends on the difference of two places alone, so that sums over pairs are convolutions.

    Parameters
    ----------
    region
        With finite values in `chosen`, of which there is at least one.
    mesh_volume : float
        `morph_volume` in mm3.
    most : int
        Points of the transform above which autocorrelation is not measured.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables. NaN: a shift where the values add up to 0;
        autocorrelation of equal values, of one voxel, and of what is too large.
    """
    values = region.values[region.chosen]
    spacing = np.array(region.spacing)
    centre = np.argwhere(region.shape).mean(axis=0) * spacing
    total = float(values.sum())
    places = np.argwhere(region.chosen) * spacing
    weighted = (values @ places) / total if total else np.full(3, np.nan)
    moran, geary = _autocorrelation(region, most)
    return {
        "morph_com": float(np.linalg.norm(centre - weighted)),
        "morph_integ_int": mesh_volume * float(values.mean()),
        "morph_moran_i": moran,
        "morph_geary_c": geary,
    }


def _hull(mesh: Mesh, volume: float, area: float) -> Features:
    """Return how much of its convex hull a region fills, and its largest diameter."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    hull = ConvexHull(mesh.points)
    return {
        "morph_diam": float(pdist(mesh.points[hull.vertices]).max()),
        "morph_vol_dens_conv_hull": float(volume / hull.volume),
        "morph_area_dens_conv_hull": float(area / hull.area),
    }


def _ellipsoid_area(half_axes: NDArray[np.float64]) -> float:
    """Return the area of an ellipsoid by the manual's series, to its twentieth term.

    The series is what the consensus values rest on. For three different axes it stays some percent
    below the area itself.
    """
    a, b, c = half_axes
    if a == 0:
        return 0.0
    first, second = 1 - (b / a) ** 2, 1 - (c / a) ** 2
    before, term = 0.0, 1.0
    total = 1.0
    for v in range(20):
        # Legendre polynomials by their recurrence, multiplied by (αβ)^v.
        after = (2 * v + 1) * (first + second) / 2 * term - v * first * second * before
        before, term = term, after / (v + 1)
        total += term / (1 - 4 * (v + 1) ** 2)
    return float(4 * np.pi * a * b * total)


def _autocorrelation(region: Region, most: int) -> tuple[float, float]:
    """Return Moran's I and Geary's C."""
    from scipy.fft import irfftn, next_fast_len, rfftn

    chosen = region.chosen
    count = int(chosen.sum())
    values = region.values[chosen]
    sizes = [next_fast_len(2 * n - 1, real=True) for n in chosen.shape]  # no pair wraps around
    if count < 2 or values.min() == values.max() or np.prod(sizes) > most:
        return float("nan"), float("nan")
    steps = [
        np.minimum(np.arange(size), size - np.arange(size)) * mm
        for size, mm in zip(sizes, region.spacing, strict=True)
    ]
    squared = sum(s**2 for s in np.meshgrid(*steps, indexing="ij", sparse=True))
    with np.errstate(divide="ignore"):
        weight = 1 / np.sqrt(squared)
    weight[0, 0, 0] = 0.0
    kernel = rfftn(weight)
    centred = np.where(chosen, region.values, 0.0)
    centred[chosen] -= values.mean()

    def around(what: NDArray[np.float64]) -> NDArray[np.float64]:
        summed = irfftn(rfftn(what, sizes) * kernel, sizes)
        return np.asarray(summed[tuple(map(slice, chosen.shape))])[chosen]

    deviations = centred[chosen]
    weights = around(chosen.astype(np.float64))
    products = float(deviations @ around(centred))
    squares = float(deviations @ deviations)
    # Σ w (a - b)² = 2 Σ w a² - 2 Σ w a b
    differences = 2 * float(weights @ deviations**2) - 2 * products
    every = float(weights.sum())
    return count * products / (every * squares), (count - 1) * differences / (2 * every * squares)

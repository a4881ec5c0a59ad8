"""Trees: vessels and airways that branch until they fill a lung."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.phantom.shapes import Floats, Grid, capsule
from workbench.phantom.thorax import FORM, Thorax
from workbench.pretend.sourced import ASSUMED, Sourced

TIPS = Sourced(
    {"artery": 230, "vein": 150, "airway": 34},
    "ends of a tree in one lung",
    f"{ASSUMED}: as many as are seen in voxels of 2.5 mm",
)
TIP_RADIUS = Sourced(
    {"artery": 0.66, "vein": 0.62, "airway": 1.05}, "mm at the ends, of an adult", ASSUMED
)
BRANCHING = Sourced(
    2.7,
    "exponent by which the radii of two branches make that of their stem",
    "after Murray 1926 (3); 2.7 assumed",
)
TRACHEA = Sourced(8.5, "mm, radius in an adult", ASSUMED)
WALL_SHARE = Sourced(0.28, "wall of an airway over its inner radius", ASSUMED)
STEP = Sourced(0.45, "way from a fork to the middle of what it serves, before it forks", ASSUMED)


@dataclass(frozen=True)
class Tube:
    """Describe one piece of a tree.

    Parameters
    ----------
    first, last : ndarray, shape (3,)
        Ends of its axis, x, y and z in mm.
    radii : (float, float)
        At both ends, mm.
    """

    first: npt.NDArray[np.float64]
    last: npt.NDArray[np.float64]
    radii: tuple[float, float]


def fill_lung(
    thorax: Thorax, side: int, number: int, stream: np.random.Generator, *, within: float
) -> npt.NDArray[np.float64]:
    """Return points spread evenly in one lung.

    Parameters
    ----------
    thorax
        Whose lung.
    side
        -1 for the right one, 1 for the left one.
    number
        How many.
    stream
        Random numbers.
    within
        Least distance from the surface, mm.

    Returns
    -------
    ndarray, shape (number, 3)
        x, y and z, mm.
    """
    wide, deep, high = thorax.inner
    kept: list[npt.NDArray[np.float64]] = []
    for _ in range(200):
        if sum(map(len, kept)) >= number:
            break
        tried = stream.uniform((0.02, -1, 0), (1, 1, 1), (4 * number, 3)) * (
            side * wide,
            deep,
            high,
        )
        x, y, z = tried.astype(np.float32).T
        kept.append(tried[thorax.lung_distance(x, y, z) < -within])
    return np.concatenate(kept)[:number]


def grow(
    root: npt.NDArray[np.float64], targets: npt.NDArray[np.float64], tip_radius: float
) -> list[Tube]:
    """Return a tree from a root to all targets.

    At each fork the targets are parted across their longest direction; a piece is the wider, the
    more targets it serves.

    Parameters
    ----------
    root : ndarray, shape (3,)
        Where it begins.
    targets : ndarray, shape (n, 3)
        Where it ends.
    tip_radius : float
        Radius at the ends, mm.

    Examples
    --------
    >>> ends = np.array([[10.0, 0, 0], [10, 10, 0], [10, 0, 10]])
    >>> tree = grow(np.zeros(3), ends, 1.0)
    >>> len(tree), round(tree[0].radii[0], 2)
    (5, 1.5)
    """
    grown: list[Tube] = []
    waiting = [(root, targets)]
    while waiting:
        here, left = waiting.pop()
        radius = tip_radius * len(left) ** (1 / BRANCHING.value)
        if len(left) == 1:
            grown.append(Tube(here, left[0], (radius, 0.6 * radius)))
            continue
        middle = left.mean(axis=0)
        there = here + STEP.value * (middle - here)
        grown.append(Tube(here, there, (radius, 0.94 * radius)))
        spread = left - middle
        _, _, directions = np.linalg.svd(spread, full_matrices=False)
        along = spread @ directions[0]
        # A sign of its own for each direction would depend on the library that found it.
        along *= np.sign(directions[0][np.argmax(np.abs(directions[0]))])
        order = np.argsort(along, kind="stable")
        half = len(left) // 2
        waiting += [(there, left[order[:half]]), (there, left[order[half:]])]
    return grown


def paint_trees(grid: Grid, volume: Floats, thorax: Thorax) -> None:
    """Paint vessels, trachea and airways of both lungs; changes the volume.

    The trees follow from the person's shape alone: they are the same in every exam.
    """
    stream = np.random.default_rng([thorax.subject.shape, 1])
    wide, deep, high = thorax.inner
    scale = thorax.subject.scale
    size = max(scale, 0.45)
    blood, air, wall = thorax.hu("blood"), thorax.hu("air") + 15, thorax.hu("airway_wall")
    carina = np.array([0.0, 0.12 * deep, FORM.value["carina"] * high])
    airways = [Tube(np.array([0.0, 0.05 * deep, 1.3 * high]), carina, (TRACHEA.value * scale,) * 2)]
    for side in (-1, 1):
        x = FORM.value["hilum_x"] * wide
        hilum = np.array([side * x, 0.06 * deep, (FORM.value["hilum"] + 0.01 * side) * high])
        for kind, offset in (
            ("artery", (0.0, -0.02, 0.03)),
            ("vein", (-0.04 * side, -0.10, -0.08)),
        ):
            ends = fill_lung(thorax, side, TIPS.value[kind], stream, within=5 * scale)
            root = hilum + np.array(offset) * (wide, deep, high)
            for tube in grow(root, ends, TIP_RADIUS.value[kind] * size):
                capsule(grid, volume, (tube.first, tube.last), tube.radii, blood)
        ends = fill_lung(thorax, side, TIPS.value["airway"], stream, within=22 * scale)
        airways.append(Tube(carina, hilum, (6.0 * scale, 5.2 * scale)))
        airways += grow(hilum, ends, TIP_RADIUS.value["airway"] * size)
    for tube in airways:
        outer = tuple(r * (1 + WALL_SHARE.value) + 0.3 * size for r in tube.radii)
        capsule(grid, volume, (tube.first, tube.last), (outer[0], outer[1]), wall)
    for tube in airways:
        capsule(grid, volume, (tube.first, tube.last), tube.radii, air)

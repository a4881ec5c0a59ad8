"""Nodules: their kind, size and place, and what they cover of each voxel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.errors import UsageError, show, suggest
from workbench.phantom.shapes import Floats, Grid, blend
from workbench.phantom.thorax import Thorax
from workbench.phantom.trees import fill_lung
from workbench.pretend.sourced import ASSUMED, Sourced

KINDS = ("solid", "part_solid", "calcified")
"""Kinds of nodules."""
MIX = Sourced(
    {True: (0.74, 0.26, 0.0), False: (0.62, 0.10, 0.28)},
    "parts of solid, part-solid, calcified nodules: malignant, benign",
    f"{ASSUMED}; a calcified nodule is benign",
)
DIAMETER = Sourced(
    {True: (15.0, 0.30, 8.0, 30.0), False: (7.5, 0.28, 5.0, 16.0)},
    "mm: median, spread of the logarithm, least, most; malignant, benign",
    f"{ASSUMED}: malignant nodules are larger, and both overlap",
)
CHILD_DIAMETER = Sourced(0.72, "diameter in a small child over that in an adult", ASSUMED)
LOBES = Sourced({True: (0.10, 0.22), False: (0.0, 0.05)}, "depth of lobes over the radius", ASSUMED)
NODULE_HU = Sourced(
    {"solid": (15.0, 55.0), "part_solid": (-620.0, -480.0), "calcified": (280.0, 650.0)},
    "HU, from and to; of a part-solid one its ground glass",
    ASSUMED,
)
CORE = Sourced(
    (0.45, 0.65), "diameter of the solid core of a part-solid nodule over its own", ASSUMED
)
UPTAKE = Sourced(35.0, "HU that contrast medium adds to a malignant nodule", ASSUMED)
DOUBLING = Sourced(180.0, "days in which a malignant nodule doubles its volume", ASSUMED)
FINE = 6
"""Points along each side of a voxel at which it is asked whether a nodule covers them."""


@dataclass(frozen=True)
class Nodule:
    """Describe one nodule.

    Parameters
    ----------
    kind : str
        "solid", "part_solid" or "calcified".
    centre_mm : (float, float, float)
        In the frame of the thorax: x, y and z.
    diameter_mm : float
        Of the sphere of its volume.
    hu : float
        Of a part-solid nodule that of its ground glass.
    malignant : bool
        Whether it is.
    lobes : float
        How deep its surface is dented, over its radius; 0 for a sphere.
    core : float
        Diameter of the solid core over its own; 0 where there is none.
    turn : (float, float, float)
        Decides where the lobes are.
    """

    kind: str
    centre_mm: tuple[float, float, float]
    diameter_mm: float
    hu: float
    malignant: bool = False
    lobes: float = 0.0
    core: float = 0.0
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(
                f"Unknown kind of nodule {show(self.kind)!r}",
                where="kind",
                todo=suggest(self.kind, KINDS),
            )

    @property
    def volume_ml(self) -> float:
        """Its volume: that of a sphere of its diameter, whatever its lobes."""
        return float(np.pi / 6 * self.diameter_mm**3 / 1000)

    def surface(self, directions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the distance from the centre to the surface along unit vectors, mm.

        Parameters
        ----------
        directions : ndarray, shape (..., 3)
        """
        dents = _dents(directions, self.turn)
        radius = self.diameter_mm / 2 / _mean_cube(self.lobes, self.turn) ** (1 / 3)
        return np.asarray(radius * (1 + self.lobes * dents), dtype=np.float64)

    def covers(self, points: npt.NDArray[np.float64], part: float = 1.0) -> npt.NDArray[np.bool_]:
        """Return whether it covers points, or its middle part does.

        Parameters
        ----------
        points : ndarray, shape (..., 3)
            x, y and z, mm.
        part : float
            Of its diameter.
        """
        off = points - np.array(self.centre_mm)
        far = np.sqrt((off**2).sum(axis=-1))
        unit = off / np.maximum(far, 1e-9)[..., None]
        return np.asarray(far <= part * self.surface(unit))

    def after(self, days: float) -> Nodule:
        """Return the nodule later: a malignant one has grown."""
        if not self.malignant:
            return self
        return replace(self, diameter_mm=self.diameter_mm * 2 ** (days / DOUBLING.value / 3))


def _dents(
    directions: npt.NDArray[np.float64], turn: tuple[float, float, float]
) -> npt.NDArray[np.float64]:
    x, y, z = (directions[..., i] for i in range(3))
    a, b, c = turn
    waves = (
        np.sin(4 * x + a) + np.sin(5 * y + b) + np.sin(4.5 * z + c) + np.sin(6 * (x - y) + a + b)
    )
    return np.asarray(waves / 2.5, dtype=np.float64)


def _mean_cube(lobes: float, turn: tuple[float, float, float]) -> float:
    """Return the mean of the cube of the radius over all directions, of a mean radius of 1."""
    number = np.arange(2000) + 0.5
    z = 1 - 2 * number / 2000
    angle = np.pi * (1 + 5**0.5) * number
    flat = np.sqrt(1 - z**2)
    spread = np.stack([flat * np.cos(angle), flat * np.sin(angle), z], axis=-1)
    return float(((1 + lobes * _dents(spread, turn)) ** 3).mean())


def make_nodules(
    thorax: Thorax, malignant: int, benign: int, stream: np.random.Generator
) -> tuple[Nodule, ...]:
    """Return nodules in the lungs of a patient, none of which touches another.

    Parameters
    ----------
    thorax
        Whose lungs.
    malignant, benign
        How many.
    stream
        Random numbers.
    """
    made: list[Nodule] = []
    size = CHILD_DIAMETER.value + (1 - CHILD_DIAMETER.value) * thorax.subject.growth
    for number in range(malignant + benign):
        bad = number < malignant
        kind = str(stream.choice(KINDS, p=MIX.value[bad]))
        middle, spread, least, most = DIAMETER.value[bad]
        diameter = (
            float(np.clip(middle * np.exp(spread * stream.standard_normal()), least, most)) * size
        )
        low, high = NODULE_HU.value[kind]
        hu = float(stream.uniform(low, high))
        if bad and thorax.contrast and kind == "solid":
            hu += UPTAKE.value
        nodule = Nodule(
            kind=kind,
            centre_mm=_place(thorax, diameter, made, stream),
            diameter_mm=diameter,
            hu=hu,
            malignant=bad,
            lobes=float(stream.uniform(*LOBES.value[bad])),
            core=float(stream.uniform(*CORE.value)) if kind == "part_solid" else 0.0,
            turn=tuple(stream.uniform(0, 2 * np.pi, 3).tolist()),
        )
        made.append(nodule)
    return tuple(made)


def _place(
    thorax: Thorax, diameter: float, others: list[Nodule], stream: np.random.Generator
) -> tuple[float, float, float]:
    """Return a free place that is a radius away from the surface of the lung."""
    tried = np.concatenate(
        [fill_lung(thorax, s, 8, stream, within=0.6 * diameter + 1) for s in (-1, 1)]
    )
    tried = stream.permutation(tried)
    for place in tried:
        gaps = [
            np.linalg.norm(place - o.centre_mm) - (diameter + o.diameter_mm) * 0.6 for o in others
        ]
        if min(gaps, default=1.0) > 0:
            break
    return float(place[0]), float(place[1]), float(place[2])


def cover(
    grid: Grid, nodule: Nodule, part: float = 1.0
) -> tuple[tuple[slice, slice, slice], Floats] | None:
    """Return a box of voxels, and what part of each a nodule covers; None if it is not in the grid.

    Each voxel is asked at 6 x 6 x 6 points or, in slices thicker than 1.5 mm, more along z.
    """
    reach = nodule.diameter_mm / 2 * (1 + 2 * nodule.lobes) * part
    box = grid.box([c - reach for c in nodule.centre_mm], [c + reach for c in nodule.centre_mm])
    if box is None:
        return None
    counts = (max(FINE, round(FINE * grid.spacing[0] / 1.5)), FINE, FINE)
    lines = []
    for line, inside, spacing, many in zip(
        (grid.z, grid.y, grid.x), box, grid.spacing, counts, strict=True
    ):
        fine = ((np.arange(many) + 0.5) / many - 0.5) * spacing
        lines.append((line[inside][:, None] + fine).ravel())
    z, y, x = np.meshgrid(*lines, indexing="ij")
    held = nodule.covers(np.stack([x, y, z], axis=-1), part).astype(np.float32)
    shape = [
        n for line, many in zip(box, counts, strict=True) for n in (line.stop - line.start, many)
    ]
    return box, held.reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32)


def paint_nodules(grid: Grid, volume: Floats, nodules: tuple[Nodule, ...]) -> npt.NDArray[np.uint8]:
    """Paint nodules; changes the volume.

    Returns
    -------
    ndarray, shape of the grid
        0, or the number of the nodule, from 1, that covers at least half of the voxel.
    """
    labels = np.zeros(grid.shape, np.uint8)
    for number, nodule in enumerate(nodules, 1):
        covered = cover(grid, nodule)
        if covered is None:
            continue
        box, part = covered
        blend(volume[box], part, nodule.hu)
        labels[box][part >= 0.5] = number
        if nodule.core:
            inner = cover(grid, nodule, nodule.core)
            if inner is not None:
                blend(volume[inner[0]], inner[1], 30.0)
    return labels

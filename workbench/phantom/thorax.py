"""Thorax: the trunk of a pretend patient in formulas, and painted into a grid.

All is placed in a frame of its own, mm: x to the left, y to the back, z to the head; 0 is the
middle of the chest and the lowest point of the lungs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workbench.phantom.anatomy import CHILD_BONE, ENHANCED, GRAVITY, TISSUES, WALL, Subject
from workbench.phantom.shapes import (
    Floats,
    Grid,
    blend,
    capsule,
    edge,
    ellipsoid,
    ellipsoid_distance,
    gauge,
)
from workbench.phantom.skeleton import paint_ribs, paint_spine
from workbench.pretend.sourced import ASSUMED, Sourced

FORM = Sourced(
    {"body": 2.5, "cage": 2.45, "taper_from": 0.42, "apex": 1.04, "spine_y": 0.63, "dome": 0.30,
     "left_dome": 0.24, "carina": 0.62, "arch": 0.70, "hilum": 0.50, "hilum_x": 0.30},
    "exponents of superellipses; heights over that of the lungs, the others over the inner chest",
    f"{ASSUMED}, so that slices look like those of a chest",
)  # fmt: skip
HEART = Sourced(
    ((0.15, -0.24, 0.30), (0.46, 0.50, 0.27)),
    "centre and radii over inner half-width, half-depth and lung height",
    f"{ASSUMED}; a little larger in infants",
)
COUCH = Sourced((430.0, 620.0, 22.0, 2.0), "mm: width, radius, thickness, shell", ASSUMED)
LUNG_TEXTURE = Sourced(16.0, "HU: spread of what is too fine to be seen in the lung", ASSUMED)


@dataclass(frozen=True)
class Thorax:
    """Hold the form of one patient's trunk.

    Parameters
    ----------
    subject : Subject
        Whose.
    contrast : bool
        Whether contrast medium was given.
    """

    subject: Subject
    contrast: bool = False

    @cached_property
    def inner(self) -> tuple[float, float, float]:
        """Half the width and depth inside the ribs, and the height of the lungs, mm."""
        s = self.subject
        wide = s.width_mm / 2 * (1 - 2 * WALL.value[0]) - s.fat_mm
        deep = s.depth_mm / 2 * (1 - 2 * WALL.value[1]) - s.fat_mm
        return wide, deep, s.lung_mm

    def hu(self, tissue: str) -> float:
        """Return what a tissue measures in this patient."""
        value = TISSUES.value[tissue] + (ENHANCED.value.get(tissue, 0.0) if self.contrast else 0.0)
        if tissue in {"cortex", "marrow"}:
            value *= CHILD_BONE.value + (1 - CHILD_BONE.value) * self.subject.growth
        return float(value)

    # ----------------------------------------------------------------- forms

    def body_distance(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Return the distance to the skin, mm, negative inside."""
        s = self.subject
        w = z / np.float32(s.lung_mm)
        shoulder = np.clip((w - 0.80) / 0.25, 0, 1) ** 2
        wide = s.width_mm / 2 * (1 - 0.03 * np.clip(-w, 0, 1) + 0.10 * shoulder)
        deep = s.depth_mm / 2 * (1 - 0.16 * np.clip((w - 0.6) / 0.4, 0, 1.2) ** 1.5)
        # The back lies flat on the table.
        below = np.float32(s.depth_mm / 2)
        size = gauge(x, y - (below - deep), (wide, deep), FORM.value["body"])
        return (size - 1) * np.float32(0.5 * (s.width_mm + s.depth_mm) / 2)

    def cage_gauge(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Return the gauge of the inside of the rib cage: 1 on it, less inside."""
        wide, deep, high = self.inner
        w = z / np.float32(high)
        rise = np.clip(
            (w - FORM.value["taper_from"]) / (FORM.value["apex"] - FORM.value["taper_from"]),
            0,
            0.995,
        )
        taper = np.sqrt(1 - rise**2.3)
        shallow = np.sqrt(1 - 0.80 * rise**2.6)
        back = deep * (1 - shallow) * 0.55  # the apex lies towards the back
        return gauge(x, y - back, (wide * taper, deep * shallow), FORM.value["cage"])

    def mediastinum_distance(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Return the distance to what lies between the lungs, mm, negative inside."""
        wide, deep, high = self.inner
        w = z / np.float32(high)
        half = wide * (
            0.20 + 0.06 * np.exp(-(((w - 0.55) / 0.16) ** 2)) - 0.03 * np.clip(w - 0.7, 0, 1)
        )
        column = (gauge(x - 0.02 * wide, y + 0.10 * deep, (half, 0.62 * deep), 2.2) - 1) * half
        spine = self.spine_y
        bulk = gauge(x, y - spine - 0.06 * deep, (0.19 * wide, 0.36 * deep), 2.2) - 1
        bulk = bulk * np.float32(0.19 * wide)
        slab = np.abs(x) - np.float32(1.6 * self.subject.scale)
        centre, radii = self.heart
        heart = ellipsoid_distance(*self.turned(x, y, z), centre, [r * 1.05 for r in radii])
        aorta = np.sqrt((x - 0.17 * wide) ** 2 + (y - 0.60 * spine) ** 2) - 15 * self.subject.scale
        aorta = aorta + np.clip(w - FORM.value["arch"], 0, 1) * 200
        first = np.minimum(np.minimum(column, bulk), np.minimum(heart, slab))
        return np.asarray(np.minimum(first, aorta), dtype=np.float32)

    def turned(self, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Return points in the frame of the heart, which lies askew, its tip left and in front."""
        c = self.heart[0]
        angle = np.float32(0.55)
        u, v = x - np.float32(c[0]), y - np.float32(c[1])
        cos, sin = np.cos(angle), np.sin(angle)
        return u * cos - v * sin + np.float32(c[0]), u * sin + v * cos + np.float32(c[1]), z

    @cached_property
    def spine_y(self) -> float:
        """Where the vertebral bodies stand."""
        return float(FORM.value["spine_y"] * self.inner[1])

    @cached_property
    def heart(self) -> tuple[list[float], list[float]]:
        """Centre and radii of the heart, mm."""
        sizes = self.inner
        larger = 1.12 - 0.12 * self.subject.growth
        centre = [c * s for c, s in zip(HEART.value[0], sizes, strict=True)]
        return centre, [r * s * larger for r, s in zip(HEART.value[1], sizes, strict=True)]

    def dome_height(self, x: Floats, y: Floats) -> Floats:
        """Return the height of the diaphragm, mm."""
        wide, deep, high = self.inner
        top = np.where(x < 0, FORM.value["dome"], FORM.value["left_dome"])
        # To the front it stays high, to the back it falls deep.
        lateral = ((np.abs(x) - 0.46 * wide) / (0.62 * wide)) ** 2
        along = (y / deep + 0.22) / np.where(y / deep < -0.22, 1.25, 1.02)
        return np.asarray(
            (top + 0.02) * high * (1 - lateral - 0.92 * along**2) - 0.02 * high, np.float32
        )

    def lung_distance(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Return the distance to the surface of the nearer lung, mm, negative inside; rough."""
        wide, deep, _ = self.inner
        cage = (self.cage_gauge(x, y, z) - 1) * np.float32(0.5 * (wide + deep))
        floor = np.maximum(self.dome_height(x, y), 0) - z
        outside = np.maximum(cage, -self.mediastinum_distance(x, y, z))
        return np.asarray(np.maximum(outside, 0.8 * floor), dtype=np.float32)

    # -------------------------------------------------------------- painting

    def paint(self, grid: Grid, stream: np.random.Generator) -> Floats:
        """Return the trunk without vessels, airways and noise, HU.

        Parameters
        ----------
        grid
            Where the voxels lie.
        stream
            Random numbers of the texture of the lung.
        """
        s, scale = self.subject, self.subject.scale
        wide, deep, high = self.inner
        z, y, x = grid.axes
        pixel = grid.spacing[2]
        volume = np.full(grid.shape, TISSUES.value["air"], np.float32)
        self._paint_table(grid, volume)
        if s.sex == "F" and s.age_years > 12:
            for side in (-1, 1):
                centre = (side * 0.5 * s.width_mm / 2, -0.74 * s.depth_mm / 2, 0.38 * high)
                ellipsoid(
                    grid, volume, centre, (58 * scale, 42 * scale, 58 * scale), self.hu("fat")
                )
                ellipsoid(
                    grid,
                    volume,
                    centre,
                    (34 * scale, 33 * scale, 34 * scale),
                    self.hu("gland"),
                    0.5,
                )
        skin = self.body_distance(x, y, z)
        blend(volume, edge(skin, pixel), self.hu("fat"))
        blend(
            volume,
            edge(np.abs(skin + 1.0) - 1.0, pixel) * np.float32(min(1, 2 / pixel)),
            self.hu("skin"),
        )
        blend(volume, edge(skin + np.float32(s.fat_mm), pixel), self.hu("muscle"))
        cage = self.cage_gauge(x, y, z)
        wall = (cage - 1) * np.float32(0.5 * (wide + deep))
        # Fat lies between the muscles of the wall.
        plane = np.abs(skin + np.float32(s.fat_mm + 0.55 * WALL.value[0] * s.width_mm))
        ahead = np.clip(0.45 - y / np.float32(deep), 0, 0.8)
        blend(volume, ahead * edge(plane - 1.2 * scale, 2 * pixel), self.hu("fat"))
        inside = edge(wall, pixel)
        blend(volume, inside, self.hu("fat") + 15)
        self._paint_abdomen(grid, volume, inside)
        self._paint_back(grid, volume)
        self._paint_lungs(grid, volume, wall, stream)
        self._paint_heart(grid, volume)
        paint_ribs(self, grid, volume, wall)
        paint_spine(self, grid, volume)
        return volume

    def _paint_table(self, grid: Grid, volume: Floats) -> None:
        width, radius, thick, shell = COUCH.value
        _, y, x = grid.axes
        top = self.subject.depth_mm / 2 + 8
        rise = np.float32(radius) - np.sqrt(np.maximum(radius**2 - x**2, 1)).astype(np.float32)
        depth = y - (np.float32(top) - rise + np.float32(4))
        beside = edge(np.abs(x) - np.float32(width / 2), grid.spacing[2])
        middle = np.abs(depth - thick / 2) - np.float32(thick / 2)
        blend(
            volume, beside * edge(np.abs(depth + 5) - 5, grid.spacing[1]), TISSUES.value["mattress"]
        )
        blend(volume, beside * edge(middle, grid.spacing[1]), TISSUES.value["foam"])
        wall = edge(np.abs(middle + shell / 2) - shell / 2, grid.spacing[1])
        blend(
            volume,
            beside * wall * min(1.0, 2 * shell / grid.spacing[1]),
            TISSUES.value["shell"],
        )

    def _paint_abdomen(self, grid: Grid, volume: Floats, inside: Floats) -> None:
        wide, deep, high = self.inner
        z, y, x = grid.axes
        if float(grid.z.min()) > FORM.value["dome"] * high + 10:
            return
        below = inside * edge(z - self.dome_height(x, y) + np.float32(2), max(grid.spacing))
        liver = ellipsoid_distance(x, y, z, (-0.36 * wide, -0.05 * deep, -0.02 * high),
                                   (0.62 * wide, 0.92 * deep, 0.42 * high))  # fmt: skip
        blend(volume, below * edge(liver, grid.spacing[2]), self.hu("liver"))
        spleen = ellipsoid_distance(x, y, z, (0.62 * wide, 0.35 * deep, 0.0),
                                    (0.33 * wide, 0.42 * deep, 0.30 * high))  # fmt: skip
        blend(volume, below * edge(spleen, grid.spacing[2]), self.hu("spleen"))
        stomach = ellipsoid_distance(x, y, z, (0.38 * wide, -0.30 * deep, 0.02 * high),
                                     (0.36 * wide, 0.42 * deep, 0.20 * high))  # fmt: skip
        blend(volume, below * edge(stomach, grid.spacing[2]), self.hu("stomach"))
        gas = edge(stomach + 4, grid.spacing[2]) * edge(
            y + np.float32(0.42 * deep), grid.spacing[1]
        )
        blend(volume, below * gas, TISSUES.value["air"] + 30)
        for side in (-1, 1):
            kidney = (side * 0.42 * wide, 0.52 * deep, -0.42 * high)
            ellipsoid(
                grid, volume, kidney, (0.17 * wide, 0.24 * deep, 0.22 * high), self.hu("kidney")
            )
            ellipsoid(grid, volume, (side * 0.40 * wide, 0.50 * deep, -0.42 * high),
                      (0.06 * wide, 0.10 * deep, 0.10 * high), self.hu("fat"))  # fmt: skip
            psoas = (
                (side * 0.16 * wide, 0.60 * deep, -0.35 * high),
                (side * 0.28 * wide, 0.5 * deep, -1.2 * high),
            )
            capsule(
                grid,
                volume,
                psoas,
                (9 * self.subject.scale, 20 * self.subject.scale),
                self.hu("muscle"),
            )
        if float(grid.z.min()) < -0.4 * high:
            self._paint_bowel(grid, volume)

    def _paint_bowel(self, grid: Grid, volume: Floats) -> None:
        wide, deep, high = self.inner
        loops = np.random.default_rng(self.subject.shape)
        for number in range(60):
            u, v, w = loops.uniform((-0.72, -0.70, -1.4), (0.72, 0.15, -0.45))
            size = loops.uniform(0.09, 0.16, 3) * wide
            ellipsoid(grid, volume, (u * wide, v * deep, w * high), size, self.hu("muscle") - 25)
            if number % 3 == 0:
                ellipsoid(grid, volume, (u * wide, v * deep - 0.3 * size[1], w * high), size * 0.6,
                          TISSUES.value["air"] + 40)  # fmt: skip

    def _paint_back(self, grid: Grid, volume: Floats) -> None:
        """Paint the muscles along the spine, with fat around them."""
        wide, deep, high = self.inner
        for side in (-1, 1):
            ends = [(side * 0.24 * wide, deep * 1.03, w * high) for w in (-1.5, 1.2)]
            capsule(
                grid, volume, (ends[0], ends[1]), (0.205 * wide, 0.17 * wide), self.hu("fat") + 20
            )
            capsule(grid, volume, (ends[0], ends[1]), (0.17 * wide, 0.14 * wide), self.hu("muscle"))

    def _paint_lungs(
        self, grid: Grid, volume: Floats, wall: Floats, stream: np.random.Generator
    ) -> None:
        z, y, x = grid.axes
        _, deep, _ = self.inner
        part = edge(wall + np.float32(1.0), grid.spacing[2])
        part *= edge(-self.mediastinum_distance(x, y, z), grid.spacing[2])
        part *= edge(np.maximum(self.dome_height(x, y), 0) - z, max(grid.spacing))
        tissue = stream.standard_normal(grid.shape, dtype=np.float32)
        tissue *= np.float32(LUNG_TEXTURE.value)
        tissue += np.float32(self.subject.lung_hu) + np.float32(GRAVITY.value / 2) * y / np.float32(
            deep
        )
        blend(volume, part, tissue)

    def _paint_heart(self, grid: Grid, volume: Floats) -> None:
        wide, deep, high = self.inner
        scale = self.subject.scale
        centre, radii = self.heart
        reach = max(radii)
        box = grid.box([c - reach for c in centre], [c + reach for c in centre])
        if box is not None:
            z, y, x = grid.within(box)
            distance = ellipsoid_distance(*self.turned(x, y, z), centre, radii)
            pixel = grid.spacing[2]
            blend(volume[box], edge(distance, pixel), self.hu("fat") + 10)
            blend(volume[box], edge(distance + 4 * scale, pixel), self.hu("muscle") - 5)
            chambers = edge(distance + 12 * scale, pixel)
            septum = np.abs(x - np.float32(centre[0]) + (y - np.float32(centre[1])) / 2)
            septum = np.asarray(septum - np.float32(4 * scale), dtype=np.float32)
            blend(volume[box], chambers * (1 - edge(septum, pixel)), self.hu("blood"))
        blood, spine = self.hu("blood"), self.spine_y
        arch, carina = FORM.value["arch"] * high, FORM.value["carina"] * high
        aside, ahead = 0.60 * spine / deep, 0.10 * spine / deep
        top, low = arch + 6 * scale, arch - 4 * scale
        # Ends over inner half-width and half-depth, and in mm of height; radii in mm.
        vessels = (
            ((0.17, aside, -1.5 * high), (0.17, aside, arch - 8 * scale), 11.0, 12.0),
            ((0.17, aside, arch - 8 * scale), (0.11, ahead, top), 12.0, 13.0),
            ((0.11, ahead, top), (-0.08, -0.22, low), 13.0, 14.0),
            ((-0.08, -0.22, low), (-0.02, -0.20, 0.45 * high), 14.0, 15.0),
            ((-0.20, -0.14, 0.40 * high), (-0.17, -0.16, 0.98 * high), 10.0, 7.0),
            ((0.06, -0.36, 0.45 * high), (0.10, -0.16, 0.56 * high), 14.0, 13.0),
            ((0.10, -0.16, 0.56 * high), (0.30, 0.02, 0.55 * high), 11.0, 8.0),
            ((0.08, -0.18, 0.54 * high), (-0.30, 0.00, 0.51 * high), 11.0, 8.0),
            ((-0.08, -0.16, arch), (-0.13, 0.02, 1.15 * high), 6.0, 5.0),
            ((0.10, -0.02, arch), (0.13, 0.06, 1.15 * high), 5.0, 4.5),
        )
        for first, last, near, far in vessels:
            ends = [(u * wide, v * deep, w) for u, v, w in (first, last)]
            capsule(grid, volume, (ends[0], ends[1]), (near * scale, far * scale), blood)
        gullet = (
            (0.05 * wide, 0.62 * spine - 9 * scale, 0.1 * high),
            (0.02 * wide, 0.55 * spine, 1.15 * high),
        )
        capsule(grid, volume, gullet, (6.5 * scale, 6 * scale), self.hu("muscle") - 15)
        nodes = ((0.06, -0.02, 0.60), (-0.12, -0.02, 0.66), (-0.05, -0.3, 0.72))
        for u, v, w in nodes:
            ellipsoid(
                grid,
                volume,
                (u * wide, v * deep, w * high),
                (4 * scale, 3 * scale, 5 * scale),
                self.hu("muscle") - 10,
            )
        if carina < grid.z.max() and self.subject.age_years < 12:  # the thymus
            ellipsoid(grid, volume, (0.0, -0.55 * deep, 0.68 * high),
                      (0.20 * wide, 0.16 * deep, 0.14 * high), self.hu("muscle") - 10)  # fmt: skip

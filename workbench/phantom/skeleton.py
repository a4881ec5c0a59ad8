"""Skeleton: ribs, breastbone, shoulder and spine, painted into a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.phantom.shapes import Floats, Grid, blend, capsule, edge, gauge
from workbench.pretend.sourced import ASSUMED, Sourced

if TYPE_CHECKING:
    from workbench.phantom.thorax import Thorax

RIBS = Sourced(
    (12, 0.105, 5.2, 3.6, 0.34),
    "ribs; distance and fall to the front over lung height; half-height and half-thickness mm",
    ASSUMED,
)


def paint_ribs(thorax: Thorax, grid: Grid, volume: Floats, wall: Floats) -> None:
    """Paint ribs with their cartilage, breastbone, shoulder blades and collarbones.

    Parameters
    ----------
    thorax, grid, volume
        Whose, where, and what is painted.
    wall
        Distance to the inside of the rib cage, mm, negative inside.
    """
    number, apart, height, thick, fall = RIBS.value
    wide, deep, high = thorax.inner
    scale = max(thorax.subject.scale, 0.35)
    z, y, x = grid.axes
    # How far around the chest, 0 at the spine and 1 at the breastbone.
    around = (np.arctan2(np.abs(x) / wide, y / deep) / np.pi).astype(np.float32)
    step = apart * high
    lowest = 1.0 * high - (number - 1) * step
    rank = (z + fall * high * around**1.35 - lowest) / np.float32(step)
    nearest = np.clip(np.round(rank), 0, number - 1)
    off = np.abs(rank - nearest) * np.float32(step)
    # The lowest ribs end early.
    length = np.clip(0.45 + 0.12 * nearest, 0, 0.90)
    reach = edge((around - length) * np.float32(wide), grid.spacing[2])
    centre = np.float32((thick + 0.6) * scale)
    tall, deep_ = np.float32(height * scale), np.float32(thick * scale)
    size = np.sqrt((off / tall) ** 2 + ((wall - centre) / deep_) ** 2)
    distance = (size - 1) * deep_
    near = np.abs(x) > 0.12 * wide
    part = edge(distance, grid.spacing[2]) * near
    gristle = np.clip((around - 0.72) / 0.06, 0, 1)
    shell = edge(np.abs(distance + 0.9) - 0.9, grid.spacing[2])
    bone = thorax.hu("marrow") + (thorax.hu("cortex") - thorax.hu("marrow")) * shell
    bone = bone + (thorax.hu("cartilage") - bone) * gristle
    blend(volume, part * reach, bone.astype(np.float32))
    _paint_girdle(thorax, grid, volume, wall, around)


def _paint_girdle(thorax: Thorax, grid: Grid, volume: Floats, wall: Floats, around: Floats) -> None:
    """Paint breastbone, shoulder blades and collarbones."""
    wide, deep, high = thorax.inner
    scale = thorax.subject.scale
    z, _, x = grid.axes
    w = z / np.float32(high)
    blade = np.abs(wall - 15 * scale) - 1.8 * scale
    blade = np.maximum(blade, (np.abs(around - 0.31) - 0.10) * np.float32(wide))
    blade = np.maximum(blade, (np.abs(w - 0.78) - 0.26) * np.float32(high))
    blend(volume, edge(blade, grid.spacing[2]), 0.5 * (thorax.hu("cortex") + thorax.hu("marrow")))
    front = edge(np.abs(x) - (13 + 7 * np.clip(w - 0.7, 0, 1)) * scale, grid.spacing[2])
    front = front * edge(np.abs(wall - 6 * scale) - 5 * scale, grid.spacing[2])
    front = (
        front
        * (around > 0.5)
        * edge((np.abs(w - 0.60) - 0.34) * np.float32(high), max(grid.spacing))
    )
    blend(volume, front, thorax.hu("marrow") - 30)
    for side in (-1, 1):
        ends = (
            (side * 16 * scale, -0.62 * deep, 0.97 * high),
            (side * 0.95 * wide, -0.15 * deep, 1.08 * high),
        )
        capsule(grid, volume, ends, (6.5 * scale, 5 * scale), thorax.hu("cortex"))
        capsule(grid, volume, ends, (3.8 * scale, 2.8 * scale), thorax.hu("marrow"))


def paint_spine(thorax: Thorax, grid: Grid, volume: Floats) -> None:
    """Paint vertebrae with their discs, arches and processes, and the cord."""
    apart = RIBS.value[1]
    wide, deep, high = thorax.inner
    scale = max(thorax.subject.scale, 0.34)
    step = apart * high
    half = np.float32(step / 2)
    low, top = (-0.5 * wide, 0.0, -2 * high), (0.5 * wide, 2.2 * deep, 2 * high)
    box = grid.box(low, top)
    if box is None:
        return
    z, y, x = grid.within(box)
    part = volume[box]
    pixel = grid.spacing[2]
    back = np.float32(thorax.spine_y)
    level = np.abs((z - np.float32(0.5 * step)) / np.float32(step) % 1 - 0.5) * 2  # 1 at a disc
    waist = 1 - 0.08 * (1 - level)
    body = (gauge(x, y - back, (16.5 * scale * waist, 14 * scale * waist), 2.3) - 1) * (15 * scale)
    shell = edge(np.abs(body + 1.2 * scale) - 1.2 * scale, pixel)
    end = np.clip((level - 0.62) / 0.1, 0, 1) * np.clip((0.84 - level) / 0.06, 0, 1)
    bone = thorax.hu("marrow") + (0.75 * thorax.hu("cortex") - thorax.hu("marrow")) * np.maximum(
        shell, 0.6 * end
    )
    disc = np.clip((level - 0.78) / 0.06, 0, 1)
    blend(part, edge(body, pixel), (bone + (thorax.hu("disc") - bone) * disc).astype(np.float32))
    rear = back + np.float32(14 * scale + 8 * scale)
    canal = (gauge(x, y - rear, (10 * scale, 8 * scale), 2.0) - 1) * (9 * scale)
    arch = np.abs(canal - 2.6 * scale) - 2.6 * scale
    blend(part, edge(arch, pixel) * (0.35 + 0.65 * (level < 0.55)), 0.7 * thorax.hu("cortex"))
    blend(part, edge(canal, pixel), thorax.hu("cord"))
    sweep = np.abs((z - np.float32(0.15 * step)) / np.float32(step) % 1 - 0.5) * 2 * half
    spinous = np.maximum(np.abs(x) - 2.8 * scale, np.abs(y - rear - 21 * scale) - 13 * scale)
    blend(part, edge(np.maximum(spinous, sweep - 0.7 * half), pixel), 0.6 * thorax.hu("cortex"))
    lateral = np.maximum(
        np.abs(y - rear - 1 * scale + 0.0 * x) - 3.6 * scale, np.abs(x) - 22 * scale
    )
    lateral = np.maximum(lateral, 9 * scale - np.abs(x))
    tilt = np.maximum(lateral, level * half - 0.40 * half)
    blend(part, edge(tilt, pixel), 0.6 * thorax.hu("cortex"))

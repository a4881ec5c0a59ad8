"""Bones stand where they belong."""

from __future__ import annotations

import numpy as np

from tests.phantom.test_thorax import paint


def test_the_spine_has_vertebrae_and_discs():
    thorax, grid, volume = paint()
    y = int(np.argmin(abs(grid.y - thorax.spine_y)))
    column = volume[:, y - 1 : y + 2, len(grid.x) // 2].mean(axis=1)
    lower = column < 120
    assert 8 <= (np.diff(lower.astype(int)) == 1).sum() <= 14


def test_the_cord_lies_behind_the_vertebra():
    thorax, grid, volume = paint()
    scale = thorax.subject.scale
    y = int(np.argmin(abs(grid.y - thorax.spine_y - 22 * scale)))
    assert 10 < np.median(volume[:, y, len(grid.x) // 2]) < 60


def test_the_breastbone_is_in_front():
    thorax, grid, volume = paint()
    middle = volume[int(np.argmin(abs(grid.z - 0.6 * thorax.inner[2])))]
    front = middle[grid.y < -0.85 * thorax.inner[1], :][:, abs(grid.x) < 8]
    assert front.max() > 100

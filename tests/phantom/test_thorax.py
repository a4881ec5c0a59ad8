"""A trunk has its organs where they belong, and they measure what they should."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.phantom.anatomy import make_subject
from workbench.phantom.exam import Scan, lay_grid
from workbench.phantom.noise import Kernel
from workbench.phantom.thorax import Thorax


def paint(age=50, sex="M", *, contrast=False, abdomen=False, pixels=128, field=370):
    subject = make_subject(age, sex, shape=3)
    scan = Scan(Kernel("B", 1), slice_mm=4.0, field_mm=field, pixels=pixels, abdomen=abdomen)
    grid, _ = lay_grid(subject, scan)
    thorax = Thorax(subject, contrast)
    return thorax, grid, thorax.paint(grid, np.random.default_rng(0))


def at(grid, volume, point, reach=3.0):
    """Return the median around a point of the thorax."""
    x, y, z = point
    near = np.ix_(abs(grid.z - z) <= reach, abs(grid.y - y) <= reach, abs(grid.x - x) <= reach)
    return float(np.median(volume[near]))


@pytest.fixture(scope="module")
def adult():
    return paint()


def test_tissues_measure_what_they_should(adult):
    thorax, grid, volume = adult
    wide, deep, high = thorax.inner
    assert at(grid, volume, (-0.45 * wide, -0.1 * deep, -0.02 * high)) == pytest.approx(58)
    assert at(grid, volume, (0.17 * wide, 0.6 * thorax.spine_y, 0.4 * high)) == pytest.approx(42)
    assert at(grid, volume, (0, thorax.spine_y, 0.16 * high), 4) > 120
    assert at(grid, volume, (0.62 * wide, 0.4 * deep, 0.02 * high)) == pytest.approx(50)
    assert at(grid, volume, (0.24 * wide, 1.03 * deep, 0.4 * high), 5) == pytest.approx(55)
    assert volume[:, 3, 3].max() == -1000
    assert at(grid, volume, (0, -0.4 * deep, 0.85 * high)) == pytest.approx(-85, abs=2)
    for side in (-1, 1):
        lung = at(grid, volume, (side * 0.62 * wide, 0, 0.6 * high), 8)
        assert lung == pytest.approx(thorax.subject.lung_hu, abs=12)


def test_lungs_hang_down(adult):
    thorax, grid, volume = adult
    wide, deep, high = thorax.inner
    front, back = (at(grid, volume, (-0.55 * wide, v * deep, 0.6 * high), 8) for v in (-0.5, 0.5))
    assert back - front == pytest.approx(45 / 2, abs=8)


def test_contrast_medium_enhances_blood(adult):
    thorax, grid, volume = adult
    enhanced = paint(contrast=True)[2]
    point = (0.17 * thorax.inner[0], 0.6 * thorax.spine_y, 0.4 * thorax.inner[2])
    assert at(grid, enhanced, point) - at(grid, volume, point) == pytest.approx(170)


def test_lungs_have_a_likely_volume():
    # Total lung capacity, men: 7.99 h - 7.08 l with h in m (Quanjer 1993): 7 l at 176 cm.
    for age, sex, low, high in ((40, "M", 4.0, 7.5), (40, "F", 3.0, 6.0), (1, "M", 0.25, 0.75)):
        thorax, grid, volume = paint(age, sex, field=370 if age > 18 else 200)
        z, y, x = grid.axes
        inside = thorax.lung_distance(x, y, z) < 0
        litres = inside.sum() * np.prod(grid.spacing) / 1e6
        assert low < litres < high
        deep = volume[thorax.lung_distance(x, y, z) < -6]
        assert np.quantile(deep, 0.97) < -550  # the rest are vessels of the hilum
        assert deep.max() < 100


def test_there_are_ribs_all_around(adult):
    thorax, grid, volume = adult
    inside = thorax.body_distance(grid.axes[2], grid.axes[1], grid.axes[0]) < 0
    bone = (volume > 200) & inside
    middle = bone[(grid.z > 0.2 * thorax.inner[2]) & (grid.z < 0.8 * thorax.inner[2])]
    half = len(grid.x) // 2
    for side in (middle[:, :, : half - 25], middle[:, :, half + 25 :]):
        assert side.any(axis=(1, 2)).mean() > 0.9  # beside the spine, in nearly every slice
    # Seen from the side, ribs leave gaps.
    x = int(np.argmin(abs(grid.x + 0.98 * thorax.inner[0])))
    column = bone[:, len(grid.y) // 2, x - 6 : x + 3].any(axis=1)
    assert 4 <= (np.diff(column.astype(int)) == 1).sum() <= 12


def test_an_abdomen_has_no_lung():
    thorax, grid, volume = paint(abdomen=True)
    z, y, x = grid.axes
    inside = thorax.body_distance(x, y, z) < -20
    assert (volume[inside] < -500).mean() < 0.03  # gas in the bowel
    assert (volume[inside] < -500).any()
    chest = paint()
    inside = thorax.body_distance(*reversed(chest[1].axes)) < -20
    assert (chest[2][inside] < -500).mean() > 0.3


def test_a_child_is_small_and_its_bones_are_soft():
    thorax, grid, volume = paint(2, "F", field=200)
    assert thorax.hu("cortex") < 0.7 * Thorax(make_subject(40, "F")).hu("cortex")
    wide = np.ptp(grid.x[(volume[len(grid.z) // 2] > -500).any(axis=0)])
    assert wide < 200

"""Noise has the texture of its kernel, and falls with dose and slice thickness."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.phantom.noise import (
    Kernel,
    apply_kernel,
    make_noise,
    noise_level,
    water_diameter,
)

SMOOTH, SHARP = Kernel("smooth", 1.2), Kernel("sharp", 0.6, 0.9, 1.7)
SHAPE = (40, 96, 96)


def correlate(noise, axis):
    """Return the correlation of neighbours along an axis."""
    first = np.take(noise, range(noise.shape[axis] - 1), axis).ravel()
    last = np.take(noise, range(1, noise.shape[axis]), axis).ravel()
    return float(np.corrcoef(first, last)[0, 1])


@pytest.mark.parametrize("pixel", [0.7, 1.5, 2.8])
@pytest.mark.parametrize("kernel", [SMOOTH, SHARP])
def test_the_spread_is_one_whatever_the_kernel(kernel, pixel):
    inner = make_noise(SHAPE, kernel, pixel, np.random.default_rng(1))[:, 12:-12, 12:-12]
    assert inner.std() == pytest.approx(1, abs=0.02)
    assert inner.mean() == pytest.approx(0, abs=0.05)


def test_a_smooth_kernel_leaves_grains():
    # A Gauss of s pixels correlates neighbours by exp(-1 / 4 s²).
    pixel = 1.5
    noise = make_noise(SHAPE, SMOOTH, pixel, np.random.default_rng(2))[:, 12:-12, 12:-12]
    expected = np.exp(-1 / (4 * (1.2 / pixel) ** 2))
    for axis in (1, 2):
        assert correlate(noise, axis) == pytest.approx(expected, abs=0.03)
    assert correlate(noise, 0) == pytest.approx(0, abs=0.02)


def test_a_sharp_kernel_opposes_neighbours():
    noise = make_noise(SHAPE, SHARP, 2.5, np.random.default_rng(3))[:, 12:-12, 12:-12]
    assert correlate(noise, 2) < -0.05
    assert correlate(make_noise(SHAPE, SMOOTH, 2.5, np.random.default_rng(3)), 2) > 0.1


def test_four_times_the_dose_halves_the_noise():
    level = noise_level(SMOOTH, 5.0, 3.0, 270.0)
    assert level == pytest.approx(14)
    assert noise_level(SMOOTH, 20.0, 3.0, 270.0) == pytest.approx(level / 2)
    assert noise_level(SMOOTH, 5.0, 12.0, 270.0) == pytest.approx(level / 2)
    assert noise_level(SHARP, 5.0, 3.0, 270.0) == pytest.approx(1.7 * level)
    assert noise_level(SMOOTH, 5.0, 3.0, 300.0) > level > noise_level(SMOOTH, 5.0, 3.0, 120.0)


def test_a_kernel_keeps_what_is_flat_and_moves_edges():
    step = np.zeros((1, 40, 40), np.float32)
    step[..., 20:] = 1000
    smooth, sharp = (apply_kernel(step, k, 1.5)[0, 20] for k in (SMOOTH, SHARP))
    assert smooth[0] == sharp[0] == 0
    assert smooth[-1] == pytest.approx(1000)
    assert sharp.max() > 1020  # overshoot
    assert smooth.max() <= 1000.1
    assert np.diff(sharp).max() > np.diff(smooth).max()


def test_water_has_its_own_diameter():
    x = (np.arange(200) - 99.5) * 2
    disc = np.where(x[:, None] ** 2 + x**2 < 150**2, 0.0, -1000.0).astype(np.float32)[None]
    assert water_diameter(disc, 2.0)[0] == pytest.approx(300, rel=0.01)

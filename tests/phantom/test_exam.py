"""A scan shows the patient where the patient is, as the device shows things, from the seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.phantom.anatomy import make_subject
from workbench.phantom.exam import Scan, lay_grid, scan_patient, thicken
from workbench.phantom.nodules import Nodule
from workbench.phantom.noise import Kernel

SUBJECT = make_subject(30, "F", shape=7)
SCAN = Scan(Kernel("B", 1.0), slice_mm=4.0, field_mm=330, pixels=96, table_mm=612.3)
PLACE = (-65.0, 10.0, 120.0)
NODULE = Nodule("solid", PLACE, 20.0, 40.0, malignant=True)


def shoot(scan=SCAN, nodules=(NODULE,), seed=1):
    return scan_patient(SUBJECT, nodules, scan, np.random.default_rng(seed))


def centre_of(image, number=1):
    """Return the middle of a mask in the patient, mm."""
    z, y, x = (float(v.mean()) for v in np.nonzero(image.labels == number))
    steps = image.spacing_mm
    return tuple(o + n * s for o, n, s in zip(image.origin_mm, (x, y, z), steps[::-1], strict=True))


def test_the_seed_decides_every_voxel():
    first, second = shoot(), shoot()
    assert np.array_equal(first.hu, second.hu)
    assert np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.hu, shoot(seed=2).hu)


def test_a_mask_lies_where_the_nodule_is_said_to_be():
    image = shoot()
    assert centre_of(image) == pytest.approx(image.centres_mm[0], abs=1.0)
    assert image.centres_mm[0] == pytest.approx((-65.0, 10.0, 120.0 - 612.3))
    # It is brighter there than around.
    inside = image.hu[image.labels == 1].mean()
    assert inside > -150
    shifted = np.roll(image.labels, -9, axis=1) == 1
    assert image.hu[shifted].mean() < -600


def test_breathing_moves_what_is_shown_and_what_is_said():
    still, moved = shoot(), shoot(replace(SCAN, breathing_mm=10.0))
    assert moved.centres_mm != still.centres_mm
    assert centre_of(moved) == pytest.approx(moved.centres_mm[0], abs=2.0)
    low = len(still.hu) // 4
    assert np.abs(moved.hu[:low].astype(int) - still.hu[:low]).mean() > 5


def test_offset_kernel_and_dose_show():
    plain, offset = shoot(), shoot(replace(SCAN, hu_offset=12.0))
    lung = (plain.hu > -950) & (plain.hu < -700)
    assert (offset.hu.astype(int) - plain.hu)[lung].mean() == pytest.approx(12, abs=0.1)
    air = np.s_[:, 2:8, 2:8]
    for scan in (SCAN, replace(SCAN, ctdivol_mgy=20.0)):
        assert shoot(scan).hu[air].min() >= -1024
    liver = np.s_[1:5, 40:56, 25:40]
    noisy = []
    for dose in (1.0, 16.0):
        pair = [shoot(replace(SCAN, ctdivol_mgy=dose), (), seed).hu[liver] for seed in (1, 2)]
        noisy.append(float((pair[0].astype(int) - pair[1]).std()))
    assert noisy[0] == pytest.approx(4 * noisy[1], rel=0.1)


def test_the_grid_has_exact_numbers():
    grid, heights = lay_grid(SUBJECT, SCAN)
    assert np.allclose(np.diff(heights), 4.0, atol=1e-9)
    assert SCAN.pixel_mm == 3.4375
    assert np.allclose(np.diff(grid.x), 3.4375, atol=1e-9)
    image = shoot()
    assert image.origin_mm == (*SCAN.corner_mm, heights[0])
    assert image.hu.shape == (len(heights), 96, 96)


def test_thicker_slices_are_means():
    clean = np.arange(7 * 4, dtype=np.float32).reshape(7, 2, 2)
    assert thicken(clean, 2).tolist() == ((clean[0:6:2] + clean[1:6:2]) / 2).tolist()


@pytest.mark.parametrize("wrong", [{"slice_mm": 0.0}, {"pixels": 4}, {"ctdivol_mgy": 0.0}])
def test_no_scan_without_slices_pixels_or_dose(wrong):
    with pytest.raises(UsageError, match="No such scan"):
        replace(SCAN, **wrong)

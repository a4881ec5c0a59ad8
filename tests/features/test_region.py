import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from tests.gridded import ball
from workbench.features.region import cut_region
from workbench.features.settings import Settings
from workbench.imaging.mask_grid import find_box

SPACING = (2.5, 0.8, 0.7)


def cut(values, mask, settings, spacing=SPACING):
    return cut_region(values, mask, find_box(mask), spacing, settings)


def simpleitk(values, spacing, target, how):
    """Resample to a grid whose centre is that of the old one."""
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing[::-1])
    sizes = [int(np.ceil(round(n * s / t, 6))) for n, s, t in zip(values.shape, spacing, target)]  # noqa: B905
    origin = [
        0.5 * ((n - 1) * s - (m - 1) * t)
        for n, m, s, t in zip(values.shape, sizes, spacing, target, strict=True)
    ]
    return sitk.GetArrayFromImage(
        sitk.Resample(
            image, sizes[::-1], sitk.Transform(), how, origin[::-1], target[::-1],
            (1, 0, 0, 0, 1, 0, 0, 0, 1), 0.0, sitk.sitkFloat64, True,
        )
    )  # fmt: skip


@pytest.mark.parametrize("target", [(1.0, 1.0, 1.0), (3.0, 0.8, 0.5), (2.5, 2.0, 2.0)])
def test_resampling_is_that_of_simpleitk(target):
    rng = np.random.default_rng(5)
    values = rng.normal(size=(16, 40, 44))
    mask = ball(values.shape, SPACING, 9.0, (1.0, 2.0, 0.5))
    region = cut(values, mask, Settings(bins=8, spacing_mm=target))
    assert region.spacing == target
    whole = simpleitk(values, SPACING, target, sitk.sitkLinear)
    inside = simpleitk(mask.astype(float), SPACING, target, sitk.sitkLinear)
    clear = np.abs(inside - 0.5) > 1e-6
    box = find_box(inside >= 0.5)
    assert region.shape.sum() == (inside >= 0.5 - 1e-6).sum()
    if clear.all():
        assert np.allclose(region.crop().values, whole[box], atol=1e-9)
    assert np.sort(region.values[region.shape]) == pytest.approx(
        np.sort(whole[inside >= 0.5 - 1e-6]), abs=1e-6
    )


def test_a_cubic_spline_of_a_part_is_that_of_the_whole():
    rng = np.random.default_rng(6)
    values = rng.normal(size=(70, 90, 90))
    mask = np.zeros(values.shape, bool)
    mask[33:37, 43:47, 43:47] = True
    settings = Settings(bins=8, spacing_mm=(0.7, 0.7, 0.7), interpolation="cubic")
    part = cut(values, mask, settings, (1.0, 1.0, 1.0)).crop()
    wide = mask.copy()
    wide[0, 0, 0] = wide[-1, -1, -1] = True
    whole = cut(values, wide, settings, (1.0, 1.0, 1.0))
    inner = np.argwhere(whole.shape)
    inner = inner[(inner > 5).all(axis=1) & (inner < np.array(whole.shape.shape) - 6).all(axis=1)]
    box = tuple(slice(a, b + 1) for a, b in zip(inner.min(0), inner.max(0), strict=True))
    assert np.allclose(part.values, whole.values[box], atol=1e-9)


def test_values_are_rounded_where_asked():
    values = np.random.default_rng(0).normal(0, 9, (8, 20, 20))
    mask = np.ones(values.shape, bool)
    region = cut(values, mask, Settings(bins=8, spacing_mm=(2, 1, 1), round_values=True))
    assert (region.values == np.rint(region.values)).all()


def test_range_and_outliers_are_both_taken_of_the_whole_region():
    values = np.concatenate([np.zeros(95), np.full(5, 10.0)]).reshape(1, 10, 10)
    mask = np.ones(values.shape, bool)
    kept = cut(values, mask, Settings(bins=2, outlier_sd=3)).chosen
    assert (~kept).sum() == 5
    # Alone in their range, the five would be no outliers of each other.
    both = cut(values, mask, Settings(bins=2, outlier_sd=3, value_range=(5, 1000))).chosen
    assert both.sum() == 0
    ends = cut(values, mask, Settings(bins=2, value_range=(10, 100)))
    assert ends.chosen.sum() == 5
    assert ends.shape.sum() == 100

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.gridded import ball, on_grid
from workbench.errors import ImageError, UsageError
from workbench.imaging.volume_file import read_volume
from workbench.overlap.compare import COLUMNS, MASK_OUTCOMES, compare_masks

SPACING = (2.5, 0.7, 0.9)
MASKS = arrays(np.bool_, (4, 5, 6)).filter(np.any)
DISTANCES = [name for name in COLUMNS if name.endswith("_mm")]


def compare(mask, reference, spacing=SPACING, **options):
    return compare_masks(on_grid(mask, spacing), on_grid(reference, spacing), **options)


def row_of(mask, reference, spacing=SPACING, **options):
    return compare(mask, reference, spacing, labels=[1], **options).to_dicts()[0]


def pair(seed):
    """Return two ragged nodules, one of which reaches the border of the box."""
    rng = np.random.default_rng(seed)
    shape = (14, 40, 36)
    near = ball(shape, SPACING, 9.0, (0.0, 1.5, -1.0)) & (rng.random(shape) < 0.9)
    far = ball(shape, SPACING, 11.0, (6.0, -3.0, 2.0)) & (rng.random(shape) < 0.9)
    return near, far


@pytest.mark.parametrize("seed", range(3))
def test_what_monai_measures(seed):
    torch = pytest.importorskip("torch")
    from monai.metrics import (
        compute_average_surface_distance,
        compute_dice,
        compute_hausdorff_distance,
        compute_iou,
        compute_surface_dice,
    )

    mask, reference = pair(seed)
    one, two = (torch.as_tensor(m[None, None].astype(np.float32)) for m in (mask, reference))
    row = row_of(mask, reference, tolerance_mm=1.7)
    assert row["dice"] == pytest.approx(float(compute_dice(one, two)))
    assert row["jaccard"] == pytest.approx(float(compute_iou(one, two)))
    for name, percentile in (("hausdorff_mm", None), ("hausdorff_95_mm", 95)):
        theirs = compute_hausdorff_distance(
            one, two, include_background=True, percentile=percentile, spacing=SPACING
        )
        assert row[name] == pytest.approx(float(theirs), rel=1e-6)
    for name, first, second, both in [
        ("distance_to_reference_mm", one, two, False),
        ("distance_to_mask_mm", two, one, False),
        ("average_surface_distance_mm", one, two, True),
    ]:
        theirs = compute_average_surface_distance(
            first, second, include_background=True, symmetric=both, spacing=SPACING
        )
        assert row[name] == pytest.approx(float(theirs), rel=1e-6)
    theirs = compute_surface_dice(
        one, two, [1.7], include_background=True, spacing=SPACING, use_subvoxels=True
    )
    # Where faces are ambiguous its table of areas joins other corners.
    assert row["surface_dice"] == pytest.approx(float(theirs), abs=0.003)


@pytest.mark.parametrize("seed", range(3))
def test_what_simpleitk_measures(seed):
    masks = pair(seed)
    row = row_of(*masks)
    images = [sitk.GetImageFromArray(m.astype(np.uint8)) for m in masks]
    for image in images:
        image.SetSpacing(SPACING[::-1])
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(images[1], images[0])
    assert row["dice"] == pytest.approx(overlap.GetDiceCoefficient())
    assert row["jaccard"] == pytest.approx(overlap.GetJaccardCoefficient())
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*images)
    assert row["hausdorff_mm"] == pytest.approx(hausdorff.GetHausdorffDistance(), rel=1e-6)
    shape = sitk.LabelShapeStatisticsImageFilter()
    for image, name in zip(images, ("mask_ml", "reference_ml"), strict=True):
        shape.Execute(image)
        assert row[name] == pytest.approx(shape.GetPhysicalSize(1) / 1000)
    contours = [sitk.GetArrayFromImage(sitk.LabelContour(i)) > 0 for i in images]
    maps = [
        np.abs(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(
            sitk.LabelContour(i), squaredDistance=False, useImageSpacing=True)))
        for i in images
    ]  # fmt: skip
    # Voxels on the border of the image are no contour there, so that these are left out.
    inner = np.zeros(masks[0].shape, bool)
    inner[1:-1, 1:-1, 1:-1] = True
    if all((m <= inner).all() for m in masks):
        there = maps[1][contours[0]].mean()
        assert row["distance_to_reference_mm"] == pytest.approx(there, rel=1e-5)


@given(MASKS, MASKS)
def test_both_directions_are_one(first, second):
    one, two = row_of(first, second), row_of(second, first)
    for name in ("dice", "jaccard", "average_surface_distance_mm", "hausdorff_mm",
                 "hausdorff_95_mm", "surface_dice"):  # fmt: skip
        assert one[name] == pytest.approx(two[name])
    assert one["distance_to_mask_mm"] == pytest.approx(two["distance_to_reference_mm"])
    assert one["volume_difference_ml"] == pytest.approx(-two["volume_difference_ml"])
    assert one["dice"] == pytest.approx(2 * one["jaccard"] / (1 + one["jaccard"]))
    assert one["hausdorff_95_mm"] <= one["hausdorff_mm"]
    assert one["average_surface_distance_mm"] <= one["hausdorff_mm"]


@given(MASKS)
def test_a_mask_agrees_with_itself(mask):
    row = row_of(mask, mask, tolerance_mm=0.0)
    assert (row["dice"], row["jaccard"], row["surface_dice"]) == (1.0, 1.0, 1.0)
    assert [row[name] for name in DISTANCES] == [0.0] * len(DISTANCES)
    assert row["volume_difference_percent"] == 0.0


@given(MASKS, MASKS, MASKS)
def test_no_way_round_is_shorter(first, second, third):
    direct = row_of(first, third)["hausdorff_mm"]
    round_about = row_of(first, second)["hausdorff_mm"] + row_of(second, third)["hausdorff_mm"]
    assert direct <= round_about + 1e-9


@given(MASKS, MASKS, st.integers(1, 4))
def test_room_around_the_masks_changes_nothing(first, second, room):
    wide = [np.pad(m, room) for m in (first, second)]
    for name, value in row_of(first, second).items():
        if name != "outcome":
            assert row_of(*wide)[name] == pytest.approx(value), name


def test_a_shift_is_known_in_mm():
    mask = np.zeros((9, 20, 20), bool)
    mask[3:6, 5:10, 5:10] = True
    row = row_of(np.roll(mask, 2, 0), mask)
    assert row["hausdorff_mm"] == row["hausdorff_95_mm"] == pytest.approx(5.0)
    assert row["dice"] == pytest.approx(1 / 3)
    one = row_of(np.roll(mask, 3, 2), mask, (1.0, 1.0, 1.0), tolerance_mm=3.0)
    assert (one["surface_dice"], one["hausdorff_mm"]) == (1.0, 3.0)
    assert row_of(np.roll(mask, 3, 2), mask, (1.0, 1.0, 1.0))["surface_dice"] < 0.8


def test_empty_masks_are_told():
    mask, nothing = np.ones((3, 3, 3), bool), np.zeros((3, 3, 3), bool)
    both = row_of(nothing, nothing)
    assert both["outcome"] == "both_empty"
    assert [both[name] for name in COLUMNS[2:]] == [None] * 10
    missed = row_of(nothing, mask)
    assert (missed["outcome"], missed["dice"], missed["volume_difference_percent"]) == (
        "mask_empty", 0.0, -100.0,
    )  # fmt: skip
    extra = row_of(mask, nothing)
    assert (extra["outcome"], extra["jaccard"], extra["volume_difference_percent"]) == (
        "reference_empty", 0.0, None,
    )  # fmt: skip
    assert all(row[name] is None for row in (missed, extra) for name in DISTANCES)
    assert {both["outcome"], missed["outcome"], extra["outcome"], "ok"} == set(MASK_OUTCOMES)
    assert compare(nothing, nothing).is_empty()


def test_every_label_of_either_mask_has_a_row():
    labels = np.zeros((4, 4, 8), np.uint16)
    labels[..., :2], labels[..., 4:6], labels[0, 0, 7] = 3, 300, 12
    other = np.where(labels == 300, 7, labels).astype(np.int64)
    table = compare(labels, other)
    assert table.select("label", "outcome").rows() == [
        (3, "ok"), (7, "mask_empty"), (12, "ok"), (300, "reference_empty"),
    ]  # fmt: skip
    assert compare(labels, other, labels=[300, 3])["label"].to_list() == [300, 3]
    assert compare(labels.astype(float), other).equals(table)


def test_bad_input_is_refused():
    mask = np.ones((3, 3, 3), np.uint8)
    for spacing in ((2.5, 0.7, 0.91), (2.5, 0.9, 0.7)):
        with pytest.raises(ImageError, match="another grid"):
            compare_masks(on_grid(mask, SPACING), on_grid(mask, spacing))
    with pytest.raises(ImageError, match="another grid"):
        compare_masks(on_grid(mask), on_grid(np.ones((3, 3, 4), np.uint8)))
    with pytest.raises(ImageError, match="whole numbers"):
        compare(mask * 0.5, mask)
    for options in ({"labels": [0]}, {"labels": [-1]}, {"tolerance_mm": float("nan")},
                    {"tolerance_mm": -1.0}):  # fmt: skip
        with pytest.raises(UsageError):
            compare(mask, mask, **options)
    with pytest.raises(UsageError, match="too large"):
        compare(mask.astype(np.int64) * 2**40, mask)


def test_two_models_of_one_real_ct(shared_data):
    """TotalSegmentator's masks of one CT, at full and at reduced resolution."""
    folder = shared_data / "totalseg"
    full, fast = (
        read_volume(folder / f"{name}.nii.gz") for name in ("example_seg", "example_seg_fast")
    )
    table = compare_masks(fast, full)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    hausdorff = sitk.HausdorffDistanceImageFilter()
    images = [sitk.GetImageFromArray(v.values.astype(np.uint16)) for v in (full, fast)]
    for image in images:
        image.SetSpacing((3.0, 3.0, 3.0))
    overlap.Execute(*images)
    assert len(table) == 41
    for row in table.iter_rows(named=True):
        label = row["label"]
        if row["outcome"] != "ok":
            assert row["dice"] == 0.0
            continue
        assert row["dice"] == pytest.approx(overlap.GetDiceCoefficient(label))
        hausdorff.Execute(*(image == label for image in images))
        assert row["hausdorff_mm"] == pytest.approx(hausdorff.GetHausdorffDistance(), rel=1e-6)
    liver = table.filter(table["label"] == 5).to_dicts()[0]
    assert liver["reference_ml"] == pytest.approx(38634 * 0.027)
    assert liver["mask_ml"] == pytest.approx(39350 * 0.027)

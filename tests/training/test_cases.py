import numpy as np
import pytest

from tests.training.pretend import TREE, case, configuration, division, draw
from workbench.errors import PipelineError, UsageError
from workbench.training.cases import Case, Division, fingerprint_of, prepare
from workbench.training.samples import draw_batch
from workbench.training.settings import Settings


def test_a_mask_is_brought_to_the_grid_of_the_image():
    spaced = TREE | {
        "preprocessing": [
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [1.0, 1.0, 2.0]},
        ]
    }
    (prepared,) = prepare([case(1)], configuration(spaced))
    _, mask = draw(1)
    assert prepared.image.shape == prepared.target.shape
    ratio = float(prepared.target.sum()) / (4 * int(mask.sum()))
    assert ratio == pytest.approx(1, abs=0.15)
    inside = prepared.image[prepared.target > 0]
    assert float(inside.mean()) > -300  # the ball, not what is beside it


def test_a_batch_is_decided_by_seed_epoch_and_step():
    prepared = prepare([case(n) for n in range(4)], configuration())
    settings = Settings(batch=3, patch=(16, 16, 16))
    one = draw_batch(prepared, settings, 2, 5)
    draw_batch(prepared, settings, 1, 1)
    again = draw_batch(prepared, settings, 2, 5)
    assert all(bool((a == b).all()) for a, b in zip(one, again, strict=True))
    other = draw_batch(prepared, settings, 2, 6)
    assert not bool((one[0] == other[0]).all())
    assert one[0].shape == one[1].shape == (3, 1, 16, 16, 16)


def test_image_and_mask_are_flipped_together():
    prepared = prepare([case(1)], configuration())
    settings = Settings(batch=2, patch=(16, 16, 16))
    for step in range(8):
        images, targets = draw_batch(prepared, settings, 1, step)
        if targets.any():
            assert float(images[targets > 0].mean()) > float(images[targets == 0].mean()) + 0.3


def test_an_image_smaller_than_the_patch_is_padded():
    prepared = prepare([case(1)], configuration())
    images, targets = draw_batch(prepared, Settings(batch=1, patch=(40, 16, 30)), 1, 0)
    assert images.shape == targets.shape == (1, 1, 40, 16, 30)


def test_a_mask_on_another_grid_is_refused():
    volume, mask = draw(1)
    for wrong in (mask[1:], mask.astype(np.float32)):
        with pytest.raises(PipelineError, match="not on the grid"):
            prepare([Case("1.2", "p", volume, lambda _, wrong=wrong: wrong)], configuration())


def test_patients_are_in_one_part_only():
    with pytest.raises(PipelineError, match="both training and validation"):
        division(validation=(5, 10))
    with pytest.raises(PipelineError, match="stands twice"):
        division(training=(1, 1))
    with pytest.raises(PipelineError, match="no exam"):
        Division([], [case(1)])
    same = Case("1.9", case(1).patient_id, *draw(2))
    with pytest.raises(PipelineError, match="both training and validation"):
        Division([case(1)], [same])


def test_a_fingerprint_names_nobody():
    found = fingerprint_of([case(1)])
    assert "1.2" not in found
    assert found != fingerprint_of([case(2)])


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"rate": float("nan")}, {"batch": -1}, {"patch": (1, 2)}, {"patch": (0, 1, 1)}],
)
def test_settings_are_checked(wrong):
    with pytest.raises(UsageError):
        Settings(**wrong)

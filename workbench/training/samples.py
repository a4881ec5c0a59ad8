"""Samples: what a network sees in one step, decided by seed, epoch and step alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.training.cases import Prepared
from workbench.training.settings import Settings

if TYPE_CHECKING:
    import torch

POSITIVE = 0.6
"""Share of the patches that lie about a finding, where the case has one."""


def draw_batch(
    cases: Sequence[Prepared], settings: Settings, epoch: int, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images and targets of one step.

    Nothing but the arguments decides them, so a training that was broken off goes on as if it had
    not been.

    Returns
    -------
    images : torch.Tensor, shape (batch, 1, x, y, z)
    targets : torch.Tensor, shape (batch, 1, x, y, z) or (batch,)
    """
    import torch

    stream = np.random.default_rng([settings.seed, epoch, step])
    chosen = stream.choice(len(cases), settings.batch, replace=len(cases) < settings.batch)
    images, targets = zip(*(_draw(cases[i], settings, stream) for i in chosen), strict=True)
    return torch.stack(images), torch.stack(targets)


def _draw(
    case: Prepared, settings: Settings, stream: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    item: dict[str, Any] = {"image": case.image, "target": case.target}
    if case.target.ndim and settings.patch:
        item = _cut(case, settings.patch, stream)
    noise = _augmentation(spatial=bool(case.target.ndim))
    noise.set_random_state(seed=int(stream.integers(2**32)))
    item = noise(item)
    image, target = (
        getattr(x, "as_tensor", lambda x=x: x)() for x in (item["image"], item["target"])
    )
    return image, target


def _cut(
    case: Prepared, patch: tuple[int, int, int], stream: np.random.Generator
) -> dict[str, torch.Tensor]:
    """Cut a patch about a voxel of a finding, or anywhere; beyond the image there is 0."""
    import torch.nn.functional as F  # noqa: N812 - so everyone calls it

    shape = case.image.shape[1:]
    short = [max(side - length, 0) for side, length in zip(patch, shape, strict=True)]
    if case.inside.numel() and stream.random() < POSITIVE:
        flat = int(case.inside[int(stream.integers(case.inside.numel()))])
        centre = np.array(np.unravel_index(flat, shape))
        jitter = stream.integers(-np.array(patch) // 4, np.array(patch) // 4 + 1)
        first = centre + jitter - np.array(patch) // 2
    else:
        first = stream.integers(0, np.maximum(np.array(shape) - patch, 0) + 1)
    first = np.clip(first, 0, np.maximum(np.array(shape) - patch, 0))
    x, y, z = (slice(int(a), int(a) + side) for a, side in zip(first, patch, strict=True))
    pads = [n for side in reversed(short) for n in (0, side)]
    return {
        name: F.pad(held[:, x, y, z], pads) if any(short) else held[:, x, y, z].clone()
        for name, held in (("image", case.image), ("target", case.target))
    }


@lru_cache(maxsize=2)
def _augmentation(*, spatial: bool) -> Any:  # noqa: ANN401 - MONAI has no types
    """Return what makes a sample another one of the same kind (MONAI)."""
    from monai.transforms.compose import Compose
    from monai.transforms.intensity.dictionary import (
        RandGaussianNoised,
        RandScaleIntensityd,
        RandShiftIntensityd,
    )
    from monai.transforms.spatial.dictionary import RandFlipd

    keys = ["image", "target"] if spatial else ["image"]
    return Compose(
        [
            *(RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in (0, 1)),
            RandScaleIntensityd("image", factors=0.1, prob=0.5),
            RandShiftIntensityd("image", offsets=0.05, prob=0.5),
            RandGaussianNoised("image", std=0.02, prob=0.5),
        ]
    )

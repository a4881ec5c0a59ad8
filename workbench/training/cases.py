"""Cases: the exams that a network learns from, made ready once and kept in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import PipelineError
from workbench.imaging.frames import Series
from workbench.imaging.volume import load_volume
from workbench.pipelines.configuration import Configuration
from workbench.pipelines.inference import to_tensor

if TYPE_CHECKING:
    import torch
    import xarray as xr


@dataclass(frozen=True)
class Case:
    """Hold one exam to learn from.

    Parameters
    ----------
    exam_uid, patient_id
        The exam, and whose it is.
    image
        Its images, as `open_volume` takes them, or the volume itself.
    target
        What is true of it: of a segmentation what returns the mask for a volume, such as
        ``lambda volume: open_segmentation(path, like=volume)``; of a classification its class.
    """

    exam_uid: str
    patient_id: str
    image: Series | xr.DataArray
    target: Callable[[xr.DataArray], xr.DataArray] | int


@dataclass(frozen=True)
class Division:
    """Hold the exams to learn from, and others to choose the best epoch by.

    Parameters
    ----------
    training, validation
        No patient is in both.

    Raises
    ------
    PipelineError
        If one of them is empty, an exam stands twice, or a patient is in both.
    """

    training: Sequence[Case]
    validation: Sequence[Case]

    def __post_init__(self) -> None:
        for name in ("training", "validation"):
            uids = [case.exam_uid for case in getattr(self, name)]
            if not uids or len(set(uids)) < len(uids):
                raise PipelineError(
                    "An exam stands twice" if uids else "There is no exam",
                    where=f"{name}, {len(uids)} exams",
                    todo="Give each exam once, and at least one",
                )
        both = {c.patient_id for c in self.training} & {c.patient_id for c in self.validation}
        if both:
            raise PipelineError(
                "Patients stand in both training and validation",
                where=f"{len(both)} patients",
                todo="Divide by patient",
            )

    def fingerprint(self) -> str:
        """Return a digest of which exams are in which part."""
        parts = [fingerprint_of(self.training), fingerprint_of(self.validation)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Prepared:
    """Hold one exam as the network takes it.

    Parameters
    ----------
    image : torch.Tensor, shape (1, x, y, z), float32
        After preprocessing.
    target : torch.Tensor
        Class, or the mask, shape (1, x, y, z), uint8.
    inside : torch.Tensor, shape (n,) int64
        Flat indices of the voxels of findings; empty if there is none.
    """

    image: torch.Tensor
    target: torch.Tensor
    inside: torch.Tensor


def fingerprint_of(cases: Iterable[Case]) -> str:
    """Return a digest of which exams these are; it names none of them.

    Examples
    --------
    >>> one, two = Case("1.2", "p", "a", 0), Case("1.3", "q", "b", 1)
    >>> fingerprint_of([one, two]) == fingerprint_of([two, one])
    True
    """
    uids = sorted(case.exam_uid for case in cases)
    return hashlib.sha256("\n".join(uids).encode()).hexdigest()


def prepare(
    cases: Sequence[Case],
    configuration: Configuration,
    *,
    told: Callable[[int, int], None] | None = None,
) -> list[Prepared]:
    """Read and preprocess every case once; what is random comes later, in memory.

    Parameters
    ----------
    cases
        Exams.
    configuration
        Its preprocessing is used.
    told
        Called with how many cases are ready, and of how many.

    Raises
    ------
    PipelineError
        If a mask does not fit.
    ImageError
        If images cannot be read.
    """
    found = []
    for number, case in enumerate(cases, start=1):
        found.append(_prepare(case, configuration))
        if told is not None:
            told(number, len(cases))
    return found


def _prepare(case: Case, configuration: Configuration) -> Prepared:
    import torch
    import xarray as xr

    held = case.image
    volume = held.load() if isinstance(held, xr.DataArray) else load_volume(held)
    item: Any = configuration.build().preprocessing({"image": to_tensor(volume)})
    image = item["image"]
    if isinstance(case.target, int):
        nowhere = torch.zeros(0, dtype=torch.int64)
        return Prepared(image.as_tensor().contiguous(), torch.tensor(case.target), nowhere)
    mask = case.target(volume)
    if mask.shape != volume.shape or mask.dtype.kind not in "bu":
        raise PipelineError(
            "A mask is not on the grid of its images",
            where=f"{'x'.join(map(str, mask.shape))} for {'x'.join(map(str, volume.shape))}",
            todo="Draw it on the volume, in whole numbers from 0",
        )
    target = _bring(mask, image)
    inside = target.flatten().nonzero()[:, 0]
    return Prepared(image.as_tensor().contiguous(), target, inside)


def _bring(mask: xr.DataArray, image: Any) -> torch.Tensor:  # noqa: ANN401 - a MetaTensor
    """Bring a mask to the grid of a preprocessed image, nearest voxel."""
    import torch
    from monai.transforms.spatial.array import ResampleToMatch

    resample = ResampleToMatch(mode="nearest", padding_mode="zeros")
    moved = resample(to_tensor(mask.astype(np.float32)), img_dst=image)
    return torch.as_tensor(np.asarray(moved)).round().to(torch.uint8).contiguous()

"""Tasks: what a network is trained for, the loss it lowers and the measure it is chosen by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from workbench.errors import PipelineError, UsageError, suggest
from workbench.pipelines.place import Place
from workbench.training.cases import Prepared

if TYPE_CHECKING:
    import torch

KINDS = ("segmentation", "classification")


class Task(Protocol):
    """What a network is trained for."""

    def loss(self, answer: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return what is to be lowered."""
        ...

    def validate(
        self,
        network: torch.nn.Module,
        inferer: Any,  # noqa: ANN401 - MONAI has no types
        cases: Sequence[Prepared],
        place: Place,
    ) -> float:
        """Return how good the network is, 0 to 1."""
        ...


def task_of(kind: str) -> Task:
    """Return the task of a kind.

    Raises
    ------
    UsageError
        If there is none.
    """
    if kind not in KINDS:
        raise UsageError(f"There is no task {kind!r}", todo=suggest(kind, KINDS))
    return Segmentation() if kind == "segmentation" else Classification()


class Segmentation:
    """Find voxels: Dice and cross entropy together (Isensee et al. 2021), chosen by mean Dice."""

    def __init__(self) -> None:
        from monai.losses.dice import DiceCELoss

        self._loss = DiceCELoss(
            softmax=True, to_onehot_y=True, include_background=False, batch=True
        )

    def loss(self, answer: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return Dice loss and cross entropy."""
        held: torch.Tensor = self._loss(answer, target.long())
        return held

    def validate(
        self,
        network: torch.nn.Module,
        inferer: Any,  # noqa: ANN401 - MONAI has no types
        cases: Sequence[Prepared],
        place: Place,
    ) -> float:
        """Return the mean Dice of the cases; one without a finding, and none found, has 1."""
        scores = []
        for case in cases:
            answer = inferer(case.image[None].to(place.device), network)
            found = answer.argmax(1).cpu().numpy()[0] > 0
            true = case.target.numpy()[0] > 0
            sizes = found.sum() + true.sum()
            scores.append(2 * (found & true).sum() / sizes if sizes else 1.0)
        return float(np.mean(scores))


class Classification:
    """Tell exams apart: cross entropy, chosen by the area under the ROC curve."""

    def loss(self, answer: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the cross entropy."""
        import torch.nn.functional as F  # noqa: N812 - so everyone calls it

        return F.cross_entropy(answer.float(), target.long())

    def validate(
        self,
        network: torch.nn.Module,
        inferer: Any,  # noqa: ANN401 - MONAI has no types
        cases: Sequence[Prepared],
        place: Place,
    ) -> float:
        """Return the area under the ROC curve of the last class against the others.

        Raises
        ------
        PipelineError
            If the cases are all of one class.
        """
        from scipy.stats import rankdata

        answers = [inferer(case.image[None].to(place.device), network) for case in cases]
        scores = np.array([float(answer.float().softmax(1)[0, -1]) for answer in answers])
        last = answers[0].shape[1] - 1
        true = np.array([int(case.target) == last for case in cases])
        if true.all() or not true.any():
            raise PipelineError(
                "The validation exams are all of one class",
                where=f"{len(cases)} exams",
                todo="Divide the exams so that both classes are in each part",
            )
        ranks = rankdata(scores)[true].sum() - true.sum() * (true.sum() + 1) / 2
        return float(ranks / (true.sum() * (~true).sum()))

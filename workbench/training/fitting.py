"""Fitting: train a network on cases, stop where it gets no better, and keep the best."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import PipelineError, show
from workbench.pipelines.configuration import Configuration
from workbench.pipelines.place import Place, choose_place, deterministic
from workbench.training.cases import Division, Prepared, fingerprint_of, prepare
from workbench.training.checkpoint import read_checkpoint, write_checkpoint
from workbench.training.samples import draw_batch
from workbench.training.settings import Settings
from workbench.training.tasks import Task, task_of

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Epoch:
    """Hold what one epoch gave.

    Parameters
    ----------
    epoch
        Counted from 1.
    loss
        Mean over its steps.
    validation
        Dice of a segmentation, area under the ROC curve of a classification, 0 to 1.
    rate
        Learning rate of its last step.
    """

    epoch: int
    loss: float
    validation: float
    rate: float


@dataclass(frozen=True)
class Fitted:
    """Hold a trained network.

    Parameters
    ----------
    state
        Weights of its best epoch.
    history
        Every epoch.
    best
        The epoch that the weights are of, counted from 1.
    settings, place
        How and where it was trained.
    fingerprint
        Digest of which exams it learned from.
    exams
        How many these are.
    """

    state: Mapping[str, torch.Tensor]
    history: tuple[Epoch, ...]
    best: int
    settings: Settings
    place: Place
    fingerprint: str
    exams: int


def fit(
    configuration: Configuration,
    kind: str,
    cases: Division,
    folder: Path | str,
    settings: Settings | None = None,
    *,
    start: Mapping[str, torch.Tensor] | None = None,
    told: Callable[[Epoch], None] | None = None,
) -> Fitted:
    """Train the network of a configuration.

    A training that was stopped, in whatever way, goes on after its last whole epoch when it is
    called again with the same folder, and gives the same losses.

    Parameters
    ----------
    configuration
        Network, preprocessing and inferer, as of a bundle.
    kind
        "segmentation" or "classification".
    cases
        Exams to learn from, and others to choose the best epoch by.
    folder
        Where the checkpoint is kept; made if it is not there.
    settings
        How to train.
    start
        Weights to begin with, such as those of a round of federated training; otherwise random.
    told
        Called after each epoch.

    Raises
    ------
    PipelineError
        If the folder is of another training, or a loss is no number.
    UsageError
        If there is no such kind or device.
    """
    held = settings or Settings()
    task, place = task_of(kind), choose_place(held.device, held.precision)
    place = Place(place.device, place.precision, held.threads)
    configuration.validate()
    key = _digest(
        [dict(configuration.tree), kind, cases.fingerprint(), held.plain(), asdict(place)], start
    )
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    with deterministic(place):
        run = _Run(configuration, task, held, place, start)
        run.resume(read_checkpoint(out, key))
        if not run.ended:
            run.train(
                prepare(cases.training, configuration), prepare(cases.validation, configuration),
                lambda state: write_checkpoint(out, state | {"key": key}), told,
            )  # fmt: skip
    return Fitted(
        run.best_state, tuple(run.history), run.best, held, place,
        fingerprint_of(cases.training), len(cases.training),
    )  # fmt: skip


def _digest(said: list[object], start: Mapping[str, torch.Tensor] | None) -> str:
    """Return a digest of everything that decides a training."""
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, tensor in sorted((start or {}).items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


class _Run:
    """One training: what is learned so far."""

    def __init__(
        self,
        configuration: Configuration,
        task: Task,
        settings: Settings,
        place: Place,
        start: Mapping[str, torch.Tensor] | None,
    ) -> None:
        import torch

        torch.manual_seed(settings.seed)
        self.configuration, self.task, self.settings, self.place = (
            configuration, task, settings, place,
        )  # fmt: skip
        self.network = configuration.build_network().to(place.device)
        if start is not None:
            self.network.load_state_dict(dict(start))
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=settings.rate, weight_decay=1e-4
        )
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimiser, settings.epochs * settings.steps, eta_min=settings.rate / 100
        )
        self.history: list[Epoch] = []
        self.best = 0
        self.best_state: dict[str, torch.Tensor] = {}

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to do."""
        done = len(self.history)
        return done >= self.settings.epochs or done - self.best >= self.settings.patience

    def resume(self, state: dict[str, Any] | None) -> None:
        """Go on from a checkpoint."""
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.history = [Epoch(*one) for one in state["history"]]
        self.best, self.best_state = state["best"], state["best_state"]

    def train(
        self,
        training: Sequence[Prepared],
        validation: Sequence[Prepared],
        keep: Callable[[dict[str, Any]], None],
        told: Callable[[Epoch], None] | None,
    ) -> None:
        """Train until it gets no better."""
        with ThreadPoolExecutor(1) as ahead:  # the next batch is drawn while this one is learned
            while not self.ended:
                epoch = self._epoch(training, validation, ahead)
                self.history.append(epoch)
                if not self.best or epoch.validation > self.history[self.best - 1].validation:
                    self.best = epoch.epoch
                    self.best_state = {
                        name: tensor.detach().cpu().clone()
                        for name, tensor in self.network.state_dict().items()
                    }
                keep(self._state())
                if told is not None:
                    told(epoch)

    def _state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "history": [[e.epoch, e.loss, e.validation, e.rate] for e in self.history],
            "best": self.best,
            "best_state": self.best_state,
        }

    def _epoch(
        self,
        training: Sequence[Prepared],
        validation: Sequence[Prepared],
        ahead: ThreadPoolExecutor,
    ) -> Epoch:
        import torch

        number, settings = len(self.history) + 1, self.settings
        torch.manual_seed(settings.seed + number)  # dropout draws from it
        self.network.train()
        total = 0.0
        batch = ahead.submit(draw_batch, training, settings, number, 0)
        for step in range(settings.steps):
            images, targets = batch.result()
            if step + 1 < settings.steps:
                batch = ahead.submit(draw_batch, training, settings, number, step + 1)
            total += self._step(images.to(self.place.device), targets.to(self.place.device))
        loss = total / settings.steps
        if not loss < float("inf"):
            raise PipelineError(
                "Training has come apart: the loss is no number",
                where=f"epoch {number}, {show(loss)}",
                todo="Take a smaller rate, and look at the images",
            )
        self.network.eval()
        with torch.inference_mode():
            inferer = self.configuration.build().inferer
            score = self.task.validate(self.network, inferer, validation, self.place)
        return Epoch(number, loss, score, float(self.schedule.get_last_lr()[0]))

    def _step(self, images: torch.Tensor, targets: torch.Tensor) -> float:
        import torch

        half = getattr(torch, self.place.precision)
        cast = self.place.precision != "float32"
        with torch.autocast(self.place.device, dtype=half, enabled=cast):
            loss = self.task.loss(self.network(images), targets)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.schedule.step()
        return float(loss.detach())

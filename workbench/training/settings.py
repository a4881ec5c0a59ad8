"""Settings: how a network is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from workbench.errors import UsageError, show


@dataclass(frozen=True)
class Settings:
    """Say how a network is trained; the same settings give the same network.

    Parameters
    ----------
    epochs
        At most.
    steps
        Steps of an epoch.
    batch
        Samples of a step.
    patch
        Voxels of a sample along x, y and z, after preprocessing; None for the whole image.
    rate
        Learning rate at the start; it falls to a hundredth along a cosine (Loshchilov & Hutter
        2017).
    patience
        Epochs without a better validation after which training ends.
    seed
        Decides weights, samples and noise.
    device, precision
        As for `workbench.pipelines.place.choose_place`.
    threads
        Threads of the CPU; the numbers depend on it, so it is recorded.

    Raises
    ------
    UsageError
        If a number is not positive.

    Examples
    --------
    >>> Settings(epochs=5).patch
    (48, 48, 48)
    """

    epochs: int = 40
    steps: int = 30
    batch: int = 4
    patch: tuple[int, int, int] | None = (48, 48, 48)
    rate: float = 2e-3
    patience: int = 10
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    threads: int = 2

    def __post_init__(self) -> None:
        for name in ("epochs", "steps", "batch", "rate", "patience", "threads"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be positive", where=show(value), todo="Correct it")
        if self.patch is not None and (len(self.patch) != 3 or min(self.patch) < 1):
            raise UsageError(
                "A patch has three sides", where=show(self.patch), todo="Give voxels along x, y, z"
            )

    def plain(self) -> dict[str, object]:
        """Return the settings as JSON values."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        return told | {"patch": list(self.patch) if self.patch else None}

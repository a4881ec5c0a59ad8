"""Inference: one volume through preprocessing, network and postprocessing of a bundle."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.imaging.volume_grid import affine_of
from workbench.pipelines.bundle import Bundle
from workbench.pipelines.bundle_rules import exact_name
from workbench.pipelines.place import Place

if TYPE_CHECKING:
    import torch
    import xarray as xr

SEED = 0
SAME_MM = 1e-3
"""How far a mask may lie beside its volume."""
WIDE = 32
"""Channels that a network is taken to have at full size, where it does not say."""
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Unanswered(Exception):  # noqa: N818 - it is the exam that goes unanswered
    """Say why there is no answer for an exam.

    Parameters
    ----------
    reason
        A key of `attrition.REASONS`.
    detail
        Fixed words and numbers.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class StoppedError(Exception):
    """The user stopped the run; the exam is to be done again."""


@dataclass
class Limits:
    """Say how long one exam may take and what it may hold; asked between stages and windows.

    Parameters
    ----------
    seconds
        Wall-clock time.
    memory_bytes
        Memory.
    stop
        Set when the user stops the run.
    """

    seconds: float
    memory_bytes: float
    stop: threading.Event | None = None
    started: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise if the time is over, or the run was stopped.

        Raises
        ------
        Unanswered
            With the reason time_out.
        StoppedError
            If the run was stopped.
        """
        if self.stop is not None and self.stop.is_set():
            raise StoppedError
        if time.monotonic() - self.started > self.seconds:
            raise Unanswered("time_out", f"more than {self.seconds:g} s")


@dataclass(frozen=True)
class Found:
    """Hold what a network answered for one volume.

    Parameters
    ----------
    score
        Largest probability of any finding, or None.
    mask : numpy.ndarray, shape (z, y, x)
        Number of the finding in each voxel of the volume; None of a classification.
    """

    score: float | None
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Model:
    """Hold a network on its device.

    Parameters
    ----------
    bundle
        What it is of.
    network
        With its weights.
    place
        Where it computes.
    gate
        Held while it computes: a GPU takes one exam at a time, while others are read.
    """

    bundle: Bundle
    network: torch.nn.Module
    place: Place
    gate: AbstractContextManager[Any] = field(default_factory=nullcontext)

    def apply(self, volume: xr.DataArray, limits: Limits) -> Found:
        """Return what the network answers for one volume, in memory.

        Raises
        ------
        Unanswered
            If there is no answer.
        StoppedError
            If the run was stopped.
        """
        import torch

        self.check_memory(volume, limits)
        torch.manual_seed(SEED)
        # Transforms remember what they did, so each exam has its own.
        parts = self.bundle.configuration.build()
        with torch.inference_mode():
            item = parts.preprocessing({"image": to_tensor(volume)})
            limits.check()
            image = item["image"]
            raw = self._infer(parts.inferer, image, limits)
            limits.check()
            if not torch.isfinite(raw).all():
                share = float((~torch.isfinite(raw)).float().mean())
                raise Unanswered("nan_score", f"{share:.1%} of the answer".replace("%", " %"))
            return self._finish(parts, item, raw, volume)

    def _infer(self, inferer: Any, image: Any, limits: Limits) -> torch.Tensor:  # noqa: ANN401
        import torch

        def network(windows: torch.Tensor) -> torch.Tensor:
            limits.check()
            with self._autocast():
                answer = self.network(windows)
            if isinstance(answer, (list, tuple)):  # as of a network under deep supervision
                answer = answer[0]
            made: torch.Tensor = answer.float()
            return made

        device = torch.device(self.place.device)
        # A plain tensor: what belongs to it is not copied in each of a network's layers.
        batch = image.as_tensor()[None].to(device=device, dtype=torch.float32)
        with self.gate:
            raw = inferer(batch, network)
        if not isinstance(raw, torch.Tensor) or raw.shape[0] != 1:
            raise Unanswered("bad_answer", f"{type(raw).__name__} for one image")
        return raw[0].cpu()

    def _autocast(self) -> Any:  # noqa: ANN401 - a context manager
        import torch

        if self.place.precision == "float32":
            return nullcontext()
        return torch.autocast(self.place.device, dtype=getattr(torch, self.place.precision))

    def _finish(
        self, parts: Any, item: dict[str, Any], raw: torch.Tensor, volume: xr.DataArray  # noqa: ANN401
    ) -> Found:  # fmt: skip
        from monai.data.meta_tensor import MetaTensor

        segments = self.bundle.answer.kind == "segmentation"
        image = item["image"]
        if segments and raw.shape[1:] != image.shape[1:]:
            told = f"{tuple(raw.shape[1:])} voxels for {tuple(image.shape[1:])}"
            raise Unanswered("bad_answer", told)
        item = dict(item) | {"pred": MetaTensor(raw, affine=image.affine) if segments else raw}
        score = None
        for name, transform in parts.postprocessing:
            if segments and score is None and name.endswith("AsDiscreted"):
                score = self._highest(item["pred"])
            item = transform(item)
        if not segments:
            return Found(self._probability(item["pred"]), None)
        if not _lies_on(item["pred"], volume):
            item = self._invert(parts, item)
            if not _lies_on(item["pred"], volume):
                raise Unanswered("bad_answer", "a mask that does not lie where the volume does")
        labels = self._labels(np.asarray(item["pred"]), tuple(volume.shape[::-1]))
        return Found(score, np.ascontiguousarray(labels.T))

    def _invert(self, parts: Any, item: dict[str, Any]) -> Any:  # noqa: ANN401
        """Bring a mask that the bundle left on its own grid back to that of the volume."""
        from monai.transforms.post.dictionary import Invertd

        invert = Invertd(
            keys="pred", transform=parts.preprocessing, orig_keys="image", nearest_interp=True,
            to_tensor=True,
        )  # fmt: skip
        return invert(item)  # type: ignore[arg-type]

    def _highest(self, answer: Any) -> float | None:  # noqa: ANN401
        """Return the largest probability of a finding, if these are probabilities."""
        without = self.bundle.answer.has_background and answer.shape[0] > 1
        found = answer[1:] if without else answer
        low, high = float(found.min()), float(found.max())
        return high if low >= 0 and high <= 1 + 1e-6 else None

    def _probability(self, answer: Any) -> float:  # noqa: ANN401
        values = np.asarray(answer, np.float64).ravel()
        if not np.isfinite(values).all():
            raise Unanswered("nan_score", "after postprocessing")
        classes = max(len(self.bundle.answer.channels), 1)
        if values.size != classes and not (values.size == 1 and classes == 2):
            raise Unanswered("bad_answer", f"{values.size} numbers for {classes} classes")
        score = float(values[0] if values.size == 1 else 1 - values[0])
        if values.size == 2:
            score = float(values[1])
        if not -1e-6 <= score <= 1 + 1e-6:
            raise Unanswered("bad_answer", "a probability beyond 0 to 1")
        return min(max(score, 0.0), 1.0)

    def _labels(self, mask: NDArray[Any], grid: tuple[int, ...]) -> NDArray[np.uint8]:
        if mask.shape[1:] != grid:
            raise Unanswered("bad_answer", f"{mask.shape[1:]} voxels for {grid}")
        findings = self.bundle.answer.findings
        highest = max(findings, default=0)
        if mask.shape[0] == 1:
            labels = mask[0]
            if not np.isfinite(labels).all() or labels.min() < 0 or labels.max() > max(highest, 1):
                raise Unanswered("bad_answer", "a mask with other numbers than its findings")
            rounded: NDArray[np.uint8] = labels.astype(np.uint8)
            if (rounded != labels).any():
                raise Unanswered("bad_answer", "a mask of fractions")
            return rounded
        if mask.shape[0] != len(self.bundle.answer.channels):
            raise Unanswered("bad_answer", f"{mask.shape[0]} channels")
        joint = np.zeros(grid, np.uint8)
        numbers = [0] * self.bundle.answer.has_background + list(findings)
        for channel, number in zip(mask, numbers, strict=True):
            joint[channel > 0.5] = number  # where two lie in one voxel the later one is kept
        return joint

    def check_memory(self, volume: xr.DataArray, limits: Limits) -> None:
        """Raise if a volume would take more memory than it may; no voxel is read.

        Raises
        ------
        Unanswered
            With the reason out_of_memory.
        """
        needed = estimate_bytes(self.bundle, volume)
        if needed > limits.memory_bytes:
            told = f"{needed / 1e9:.1f} GB needed, {limits.memory_bytes / 1e9:.1f} GB for one exam"
            raise Unanswered("out_of_memory", told)


def load_model(bundle: Bundle, place: Place) -> Model:
    """Return the network of a bundle on its device.

    Raises
    ------
    PipelineError
        If the weights are those of another network.
    """
    network = bundle.network().to(place.device)
    gate = threading.Lock() if place.device == "cuda" else nullcontext()
    return Model(bundle, network, place, gate)


def _lies_on(mask: Any, volume: xr.DataArray) -> bool:  # noqa: ANN401 - a MetaTensor
    """Return whether a mask lies where a volume does: a turned one may have the same shape."""
    affine = np.asarray(getattr(mask, "affine", np.zeros((4, 4))), np.float64)
    same = np.allclose(affine, _affine(volume), rtol=0, atol=SAME_MM)
    return same and tuple(mask.shape[1:]) == volume.shape[::-1]


def to_tensor(volume: xr.DataArray) -> Any:  # noqa: ANN401 - a MetaTensor
    """Return a volume as MONAI reads an image: one channel, x first, float32, RAS.

    Parameters
    ----------
    volume : xarray.DataArray, shape (z, y, x)
        In memory.
    """
    import torch
    from monai.data.meta_tensor import MetaTensor

    values = np.ascontiguousarray(volume.values.T, dtype=np.float32)
    affine = torch.from_numpy(_affine(volume))
    return MetaTensor(torch.from_numpy(values)[None], affine=affine)


def _affine(volume: xr.DataArray) -> NDArray[np.float64]:
    """Return where the voxels of a volume lie, RAS."""
    return np.asarray(_LPS_TO_RAS @ affine_of(volume))


def estimate_bytes(bundle: Bundle, volume: xr.DataArray) -> float:
    """Return how much memory an exam may take (bytes), from its size and the bundle's steps.

    The widest step is a change of grid, in float64: three coordinates a voxel, the image before
    and after, and on the way back each channel of the answer.
    """
    spacing = np.linalg.norm(affine_of(volume)[:3, :3], axis=0)
    shape = np.array(volume.shape[::-1], np.float64)
    first = widest = float(shape.prod())
    for place, step in bundle.configuration.steps("preprocessing"):
        held = bundle.configuration.resolve(place, step)
        arguments = held if isinstance(held, Mapping) else {}
        name = exact_name(str(arguments.get("_target_", ""))).rpartition(".")[2]
        if name == "Spacingd":
            wanted = _three(arguments.get("pixdim"), spacing)
            shape, spacing = np.maximum(shape * spacing / wanted, 1), wanted
        elif name in ("Resized", "ResizeWithPadOrCropd"):
            shape = _three(arguments.get("spatial_size"), shape)
        elif name == "SpatialPadd":
            shape = np.maximum(shape, _three(arguments.get("spatial_size"), shape))
        elif name == "BorderPadd":
            shape = shape + 2 * _three(arguments.get("spatial_border"), np.zeros(3))
        elif name in ("DivisiblePadd", "CropForegroundd"):
            shape = shape + _three(arguments.get("k"), np.zeros(3))
            shape = shape + 2 * _three(arguments.get("margin"), np.zeros(3))
        widest = max(widest, float(shape.prod()))
    channels = max(len(bundle.answer.channels), 1) if bundle.answer.kind == "segmentation" else 0
    window = widest
    for place, step in bundle.configuration.steps("inferer"):
        held = bundle.configuration.resolve(place, step)
        if isinstance(held, Mapping) and "roi_size" in held:
            batch = _three(held.get("sw_batch_size"), np.ones(3))[0]
            window = batch * float(_three(held["roi_size"], shape).prod())
    return widest * (3 * 8 + 3 * 8 + 20 * channels) + 8 * first + 4.0 * WIDE * window


def _three(told: object, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return three sizes, those of an argument where it says so, such as 0 or -1 for as it is."""
    try:
        given = np.asarray(told, np.float64).ravel()
    except (TypeError, ValueError):  # an expression of a trusted bundle
        return otherwise
    if not 1 <= given.size <= 6 or not np.isfinite(given).all():
        return otherwise
    sizes = np.full(3, given.max()) if given.size in (1, 6) else np.resize(given, 3)
    return np.where(sizes > 0, sizes, otherwise)

"""Requirement: what a series must be for a pipeline, as a bundle declares it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from workbench.errors import PipelineError, show, suggest

Range = tuple[float | None, float | None]
"""Lowest and highest value that is good; None for no limit."""
PLANES = ("sagittal", "coronal", "transverse")
"""Planes of slices, by the axis of the body that they are upright to: x, y, z (LPS)."""


@dataclass(frozen=True)
class Content:
    """Say how many of a volume's voxels must lie in a range of values.

    Parameters
    ----------
    low, high
        The range, in the volume's units, both ends included.
    least, most
        Smallest and largest share of all voxels, 0 to 1.

    Examples
    --------
    Lungs fill 5 to 70 % of a chest CT (HU).

    >>> Content(-950, -600, 0.05, 0.7)
    Content(low=-950, high=-600, least=0.05, most=0.7)
    """

    low: float
    high: float
    least: float = 0.0
    most: float = 1.0


@dataclass(frozen=True)
class Requirement:
    """Say what a series must be for a pipeline; what is None is not asked for.

    Parameters
    ----------
    modality
        Modalities that are good.
    orientation
        "transverse", "coronal" or "sagittal".
    spacing_mm, thickness_mm, pixel_mm
        Distance of slices, their thickness, and the larger side of a pixel (mm).
    slices
        Number of slices.
    coverage_mm
        From the first slice to the last, one distance more (mm).
    contrast
        Whether a contrast agent must be, or may not be, stated.
    kernels
        Kernels that are good, the best first; any other is refused.
    image_type
        Words that ImageType must hold, all of them.
    units
        Units of the volume, such as "HU".
    content
        What its values must be.

    Examples
    --------
    >>> chest = Requirement(modality=("CT",), thickness_mm=(None, 3.0))
    >>> chest.thickness_mm
    (None, 3.0)
    """

    modality: tuple[str, ...] | None = None
    orientation: str | None = None
    spacing_mm: Range | None = None
    thickness_mm: Range | None = None
    pixel_mm: Range | None = None
    slices: Range | None = None
    coverage_mm: Range | None = None
    contrast: bool | None = None
    kernels: tuple[str, ...] | None = None
    image_type: tuple[str, ...] = ()
    units: str | None = None
    content: tuple[Content, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return what is asked for, as JSON values."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        told["content"] = [[c.low, c.high, c.least, c.most] for c in self.content]
        asked = {key: value for key, value in told.items() if value not in (None, (), [])}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asked.items()}


def read_requirement(declared: Mapping[str, Any], where: str) -> Requirement:
    """Return the requirement that a bundle's metadata declares.

    Parameters
    ----------
    declared
        Keys of `Requirement`; ranges are lists of two numbers or null, content a list of lists
        (low, high, least share, largest share).
    where
        File and key, for the error.

    Raises
    ------
    PipelineError
        If a key is not known, or a value is not what it must be.

    Examples
    --------
    >>> read_requirement({"modality": ["CT"], "slices": [20, None]}, "metadata.json").slices
    (20.0, None)
    """
    known = {f.name for f in fields(Requirement)}
    given: dict[str, Any] = {}
    for key, value in declared.items():
        place = f"{where}.{show(str(key))}: {show(value)}"
        if key not in known:
            raise PipelineError(f"Unknown key {show(str(key))!r}", where=where,
                                todo=suggest(str(key), known))  # fmt: skip
        try:
            given[key] = _parse(key, value)
        except (TypeError, ValueError):
            what = f"{key!r} cannot be this"
            todo = "Write it as the documentation of Requirement says"
            raise PipelineError(what, where=place, todo=todo) from None
    return Requirement(**given)


def _parse(key: str, value: Any) -> Any:  # noqa: ANN401 - any value of JSON
    if key in ("modality", "kernels", "image_type"):
        if isinstance(value, str) or not all(isinstance(v, str) and v for v in value):
            raise ValueError
        return tuple(value)
    if key in ("units", "orientation"):
        if not isinstance(value, str) or (key == "orientation" and value not in PLANES):
            raise ValueError
        return value
    if key == "contrast":
        if not isinstance(value, bool):
            raise ValueError
        return value
    if key == "content":
        return tuple(Content(*(_number(v) for v in part)) for part in value)
    low, high = value
    return (None if low is None else _number(low), None if high is None else _number(high))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)

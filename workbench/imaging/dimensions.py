"""Dimensions: what tells apart the images that lie at one position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from workbench.imaging.volume_error import VolumeError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COMPONENTS = {
    "M": "magnitude",
    "P": "phase",
    "R": "real",
    "I": "imaginary",
    "MAGNITUDE": "magnitude",
    "PHASE": "phase",
    "PHASE MAP": "phase",
    "REAL": "real",
    "IMAGINARY": "imaginary",
    "W": "water",
    "WATER": "water",
    "F": "fat",
    "FAT": "fat",
    "IN": "in_phase",
    "IN_PHASE": "in_phase",
    "OUT": "opposed_phase",
    "OPP_PHASE": "opposed_phase",
    "OUT_PHASE": "opposed_phase",
}
"""Value of ImageType or ComplexImageComponent -> label (DICOM PS3.3, C.8.13.3.1.1; C.8.3.1.1.1)."""
ORDERS = (
    "temporal_position",
    "offset_s",
    "trigger_ms",
    "frame_reference_ms",
    "acquired_s",
    "reference_s",
    "acquisition_number",
)
"""What may order images at one position in time; the first that tells all apart does."""
CLOCKS = {
    "offset_s": 1.0,
    "trigger_ms": 1e-3,
    "frame_reference_ms": 1e-3,
    "acquired_s": 1.0,
    "reference_s": 1.0,
}
"""What may say when an image was made -> seconds in one unit of it."""
STEPS = {
    "echo": ("echo_time_ms", "ms", "EchoTime"),
    "flip_angle": ("flip_angle_deg", "deg", "FlipAngle"),
    "inversion_time": ("inversion_time_ms", "ms", "InversionTime"),
}
"""Dimensions that a sequence steps through -> key, unit and attribute."""
DIRECTION = ("direction_x", "direction_y", "direction_z")


@dataclass(frozen=True)
class Axis:
    """Describe one dimension beside z, y and x.

    Parameters
    ----------
    name
        `component`, `echo`, `flip_angle`, `inversion_time`, `b_value` or `time`.
    values
        Its coordinate: labels, ms, degrees, s/mm2, or s after the first.
    unit
        Unit of the coordinate; "1" for a time of which only the order is known, "" for labels.
    directions
        Gradient directions, shape (values, 3), for diffusion.
    """

    name: str
    values: NDArray[np.float64] | NDArray[np.str_]
    unit: str = ""
    directions: Floats | None = None


def split_dimensions(
    place: Integers, kind: NDArray[np.str_], keys: Mapping[str, Floats]
) -> tuple[tuple[Axis, ...], Integers]:
    """Tell apart the images that lie at one position.

    By component, echo time, flip angle and inversion time first, where they make a full grid; what
    is left of several images at one position is diffusion, where its b-values or directions
    differ, else time. Never by InstanceNumber.

    Parameters
    ----------
    place
        Slice of each image, shape (images,), from 0 on.
    kind
        What ImageType says of it, shape (images,).
    keys
        As `Frames.keys`.

    Returns
    -------
    tuple of Axis
        The dimensions that are needed; none for one image a position.
    numpy.ndarray, shape (axis, ..., slices)
        Which image is where.

    Raises
    ------
    VolumeError
        If positions have different images, or images cannot be told apart.

    Examples
    --------
    >>> axes, images = split_dimensions(
    ...     np.array([0, 1, 0, 1]),
    ...     np.array(["M"] * 4),
    ...     {"echo_time_ms": np.array([5.0, 5.0, 2.5, 2.5])},
    ... )
    >>> axes[0].name, axes[0].values.tolist(), images.tolist()
    ('echo', [2.5, 5.0], [[2, 3], [0, 1]])
    """
    if len(np.unique(keys.get("zoned", np.zeros(1)))) > 1:
        # Clocks of which only some say their zone order nothing.
        keys = {name: values for name, values in keys.items() if name != "acquired_s"}
    counts = np.bincount(place)
    if (counts != counts[0]).any():
        found, times = np.unique(counts, return_counts=True)
        listed = ", ".join(f"{n} at {s} positions" for n, s in zip(found, times, strict=True))
        raise VolumeError("unequal_stacks", f"images: {listed}")
    slices, images = len(counts), int(counts[0])
    if images == 1:
        return (), np.argsort(place)
    grids = _grids(kind, keys)
    axes, codes = _choose(place, grids, slices, images)
    outer = int(np.prod([len(axis.values) for axis in axes], dtype=np.int64))
    left = images // outer
    cell = np.ravel_multi_index((*codes, place), (*[len(a.values) for a in axes], slices))
    if left == 1:
        table = np.argsort(cell, kind="stable")
        return axes, table.reshape([*(len(a.values) for a in axes), slices])
    diffusion = _is_diffusion(keys)
    order = np.lexsort((cell, _rank(cell, left, keys, diffusion)))
    table = order.reshape([left, *(len(a.values) for a in axes), slices])
    if not diffusion:
        _check_only_time(table, keys)
    last = _diffusion(table, keys) if diffusion else _time(table, keys)
    return (last, *axes), table


def label_component(kind: str) -> str:
    """Return the label of a kind of image, such as "magnitude".

    Examples
    --------
    >>> label_component("M_FFE/M/FFE"), label_component("ADC")
    ('magnitude', 'ADC')
    """
    known = [COMPONENTS[v] for v in kind.upper().split("/") if v in COMPONENTS]
    return known[0] if known else kind


def _grids(kind: NDArray[np.str_], keys: Mapping[str, Floats]) -> dict[str, tuple[Axis, Integers]]:
    """Return the dimensions that may make a full grid: axis, and the place of each image on it."""
    found = {}
    labels = np.array([label_component(k) for k in kind.tolist()])
    if len(set(labels.tolist())) < len(set(kind.tolist())):
        labels = kind
    names, codes = np.unique(labels, return_inverse=True)
    if len(names) > 1:
        found["component"] = (Axis("component", names), codes)
    for name, (key, unit, _) in STEPS.items():
        stored = keys.get(key)
        if stored is not None and not np.isnan(stored).any():
            steps, codes = np.unique(stored.round(4), return_inverse=True)
            if len(steps) > 1:
                found[name] = (Axis(name, steps, unit), codes)
    return found


def _choose(
    place: Integers, grids: dict[str, tuple[Axis, Integers]], slices: int, images: int
) -> tuple[tuple[Axis, ...], list[Integers]]:
    """Return the axes that make a full grid and leave the fewest images at one place."""
    best: tuple[int, int, tuple[str, ...]] = (images, 0, ())
    for size in range(1, len(grids) + 1):
        for names in combinations(grids, size):
            lengths = [len(grids[n][0].values) for n in names]
            cells = int(np.prod(lengths)) * slices
            if int(np.prod(lengths)) > images:
                continue
            codes = [grids[n][1] for n in names]
            filled = np.bincount(
                np.ravel_multi_index((*codes, place), (*lengths, slices)), minlength=cells
            )
            if (filled == filled[0]).all():
                best = min(best, (int(filled[0]), size, names))
    chosen = best[2]
    return tuple(grids[n][0] for n in chosen), [grids[n][1] for n in chosen]


def _is_diffusion(keys: Mapping[str, Floats]) -> bool:
    b_values = keys.get("b_value_s_mm2", np.empty(0))
    shells = len(np.unique(b_values[~np.isnan(b_values)]))
    return shells > 1 or (shells == 1 and any(_varies(keys.get(name)) for name in DIRECTION))


def _varies(values: Floats | None) -> bool:
    known = np.empty(0) if values is None else values[~np.isnan(values)]
    return len(np.unique(known.round(4))) > 1


def _check_only_time(table: Integers, keys: Mapping[str, Floats]) -> None:
    """Refuse to call time what a sequence steps through at one position."""
    told = {key: attribute for key, _, attribute in STEPS.values()}
    told |= dict.fromkeys(DIRECTION, "DiffusionGradientOrientation")
    flat = table.reshape(len(table), -1)
    for key, attribute in told.items():
        if key in keys and any(_varies(column) for column in keys[key][flat].T):
            raise VolumeError("unequal_stacks", f"{attribute} differs at one position")


def _rank(cell: Integers, left: int, keys: Mapping[str, Floats], diffusion: bool) -> Integers:
    """Return the place of each image on the last axis: by diffusion, else by time."""
    named: list[Floats] = []
    if diffusion:
        known = [keys[n] for n in ("b_value_s_mm2", *DIRECTION) if n in keys]
        named = [np.nan_to_num(values, nan=-1.0).round(6) for values in known]
    ordering = [keys[n] for n in ORDERS if n in keys and not np.isnan(keys[n]).any()]
    for values in ([named] if diffusion else []) + [[*named, o] for o in ordering]:
        rank = _rank_within(cell, left, values)
        if rank is not None:
            return rank
    raise VolumeError("duplicate_positions", f"{left} images at one position")


def _rank_within(cell: Integers, left: int, values: list[Floats]) -> Integers | None:
    """Return the rank of each image in its cell, or None if two of a cell are the same."""
    order = np.lexsort((*reversed(values), cell))
    groups = np.stack(values, axis=1)[order].reshape(-1, left, len(values))
    if (groups[:, 1:] == groups[:, :-1]).all(axis=2).any():
        return None
    rank = np.empty(len(cell), dtype=np.int64)
    rank[order] = np.tile(np.arange(left), len(cell) // left)
    return rank


def _diffusion(table: Integers, keys: Mapping[str, Floats]) -> Axis:
    flat = table.reshape(len(table), -1)
    values = keys["b_value_s_mm2"][flat]
    if (np.nan_to_num(np.ptp(values, axis=1)) > 0).any():
        raise VolumeError("unequal_stacks", "positions have different b-values")
    directions = None
    if all(n in keys for n in DIRECTION):
        directions = np.stack([keys[n][flat[:, 0]] for n in DIRECTION], axis=1)
        directions = None if np.isnan(directions).all() else directions
    return Axis("b_value", values[:, 0], "s/mm2", directions)


def _time(table: Integers, keys: Mapping[str, Floats]) -> Axis:
    """Return seconds after the first volume, by the first clock that runs forward."""
    flat = table.reshape(len(table), -1)
    for name, scale in CLOCKS.items():
        if name not in keys or np.isnan(keys[name]).any():
            continue
        seconds = keys[name][flat].min(axis=1) * scale
        if (np.diff(seconds) > 0).all():
            first = seconds[0] if name.endswith("_s") else 0.0
            return Axis("time", np.asarray(seconds - first).round(6), "s")
    return Axis("time", np.arange(len(table), dtype=np.float64), "1")

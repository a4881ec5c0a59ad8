"""Windows: which values of a volume become black and which white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import UsageError, show, suggest

AUTOMATIC = "automatic"
"""Window from the 1st to the 99.5th percentile of the values."""
LOOKED_AT = 1_000_000
"""Values, at most and evenly spread, that the automatic window is taken from."""


@dataclass(frozen=True)
class Window:
    """Hold the values between which grey goes from black to white.

    Grey is `((value - centre) / width + 0.5) * 255`, cut at 0 and 255: the function LINEAR_EXACT
    of DICOM PS3.3 C.11.2.1.3.2.

    Parameters
    ----------
    centre, width
        In the volume's own units; the width is above 0.

    Examples
    --------
    >>> [Window(40, 400).grey(value) for value in (-1000, 40, 140, 3000)]
    [0, 128, 191, 255]
    """

    centre: float
    width: float

    def grey(self, value: float) -> int:
        """Return the grey, 0 to 255, of a value."""
        return round(min(max(((value - self.centre) / self.width + 0.5) * 255, 0), 255))


CT: Mapping[str, Window] = MappingProxyType(
    {
        "soft_tissue": Window(50, 400),
        "lung": Window(-600, 1500),
        "mediastinum": Window(50, 350),
        "liver": Window(30, 150),
        "bone": Window(400, 1800),
        "brain": Window(40, 80),
    }
)
"""Windows in HU by name; the values are those in common use (Radiopaedia, Windowing (CT))."""


PET: Mapping[str, Window] = MappingProxyType(
    {f"suv_0_{top}": Window(top / 2, top) for top in (5, 7, 10, 20)}
)
"""Windows in SUV by name: from 0, so that twice the grey is twice the uptake, up to values in
common use."""
BY_UNITS: Mapping[str, Mapping[str, Window]] = MappingProxyType({"HU": CT, "SUV": PET})
"""Units -> the windows that have names in them."""


def windows_of(
    units: str, values: npt.NDArray[Any], padding: Sequence[float] | None = None
) -> dict[str, Window]:
    """Return the windows that fit a volume, by name; the first one is shown first.

    Parameters
    ----------
    units
        Units of the values; "HU" has the windows of CT, "SUV" those of PET.
    values
        Values of any shape; what is not finite is left out.
    padding
        Lowest and highest value that only fills up the images, and is left out as well.
    """
    flat = values.reshape(-1)
    seen = flat[:: max(1, flat.size // LOOKED_AT)].astype(np.float64)
    seen = seen[np.isfinite(seen)]
    if padding is not None and len(padding) == 2:
        seen = seen[(seen < padding[0]) | (seen > padding[1])]
    low, high = np.percentile(seen, [1, 99.5]) if seen.size else (0.0, 1.0)
    if high <= low:
        low, high = float(low) - 0.5, float(low) + 0.5
    automatic = {AUTOMATIC: Window(float(low + high) / 2, float(high - low))}
    return {**BY_UNITS.get(units, {}), **automatic}


def window_named(name: str | None, windows: Mapping[str, Window]) -> str:
    """Return the name of the window to show first.

    Parameters
    ----------
    name
        Name asked for; None for the first.
    windows
        Windows by name.

    Raises
    ------
    UsageError
        If there is no such window for these units.

    Examples
    --------
    >>> window_named("lungs", CT)
    Traceback (most recent call last):
    workbench.errors.UsageError: There is no such window for this volume
      where: preset='lungs'
      do:    Did you mean 'lung'? Known: bone, brain, liver, lung, mediastinum, soft_tissue
    """
    if name is None:
        return next(iter(windows))
    if name not in windows:
        raise UsageError(
            "There is no such window for this volume",
            where=f"preset={show(name)!r}",
            todo=suggest(str(name), windows),
        )
    return name

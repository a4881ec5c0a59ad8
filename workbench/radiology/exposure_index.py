"""Exposure index: how far the detector's exposure is from what it should be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl


def deviation_index(
    exposure_index: npt.ArrayLike, target_exposure_index: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Return the deviation index: 0 on target, +3 at twice the exposure, -3 at half of it.

    Source: IEC 62494-1:2008; AAPM Report 116 (2009).

    Parameters
    ----------
    exposure_index, target_exposure_index : array_like
        Of an image and of its kind of view; NaN where either is not above 0.

    Examples
    --------
    >>> deviation_index(662.18, 226.22).round(2).item(), deviation_index(100.0, 0.0).item()
    (4.66, nan)
    """
    index, target = np.broadcast_arrays(
        np.asarray(exposure_index, np.float64), np.asarray(target_exposure_index, np.float64)
    )
    found = np.full(index.shape, np.nan)
    fits = (index > 0) & (target > 0)
    found[fits] = 10 * np.log10(index[fits] / target[fits])
    return found


def fill_deviation_index(events: pl.DataFrame) -> pl.DataFrame:
    """Return events with `deviation_index` computed where it is not stated and can be.

    Parameters
    ----------
    events
        Events of `DoseTables`.

    Examples
    --------
    >>> event = {"exposure_index": 200.0, "target_exposure_index": 100.0, "deviation_index": None}
    >>> fill_deviation_index(pl.DataFrame([event]))["deviation_index"].round(2).item()
    3.01
    """
    index, target = (
        events[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        for name in ("exposure_index", "target_exposure_index")
    )
    computed = pl.Series(deviation_index(index, target)).fill_nan(None)
    return events.with_columns(
        deviation_index=pl.coalesce(pl.col("deviation_index").cast(pl.Float64), computed)
    )

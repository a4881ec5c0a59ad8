"""Survival: the share that an event has not reached after a time (Kaplan & Meier 1958).

Times come in bins, so the order within a bin is not known. The share rises with every time that
was broken off, or ended later, and falls with every event: its two ends are those of the two
extreme orders, and of the ends of the counts. Kaplan and Meier's own curve lies between them.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.errors import DefinitionError, show
from workbench.statistics.bounds import Bounds
from workbench.summaries.grid import BIN
from workbench.summaries.histogram import grid_of
from workbench.summaries.risk_table import CENSORED, EVENT, OUTCOME, require_risk_table
from workbench.summaries.summary import Summary

Array = NDArray[np.float64]
END = "end"
"""Coordinate of a curve: time at the right end of each bin."""


def survival_bounds(events: Bounds, censored: Bounds) -> Bounds:
    """Return two ends that hold Kaplan and Meier's estimate at the right end of every bin.

    Parameters
    ----------
    events, censored : Bounds, (…, bins)
        Ends of how many times ended with the event, and were broken off, in each bin, early to
        late.

    Returns
    -------
    Bounds, (…, bins)
        NaN where nothing can be at risk.

    Notes
    -----
    An event before a time is one more at risk until it, and one lost there. With n at risk and
    m = n − d left, the product of all factors changes by n/(n + 1) · Π (m + 1)/m · n'/(n' + 1),
    n' ≤ m at risk in the next bin, which is at most 1. One that is broken off, or has the event
    after the time, is one more at risk in each factor (n − d)/n, which rises. So each end is
    reached at a corner.

    Examples
    --------
    >>> events, censored = np.array([2.0, 3.0]), np.array([5.0, 0.0])
    >>> low, high = survival_bounds(Bounds(events, events), Bounds(censored, censored))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.6, 0.0], [0.8, 0.0])
    """
    bins = events.low.shape[-1]
    low, high = np.empty(events.low.shape), np.empty(events.low.shape)
    for last in range(bins):
        until = np.arange(bins) <= last
        low[..., last] = _product(
            np.where(until, events.high, events.low), censored.low, last, first=False
        )
        high[..., last] = _product(
            np.where(until, events.low, events.high), censored.high, last, first=True
        )
    none = (events.high.sum(-1) + censored.high.sum(-1) == 0)[..., None]
    return Bounds(np.where(none, np.nan, low), np.where(none, np.nan, high))


def _product(events: Array, censored: Array, last: int, *, first: bool) -> Array:
    """Return the estimate after a bin, if events come first in each bin, or last."""
    both = events + censored
    at_risk = np.flip(np.cumsum(np.flip(both, -1), -1), -1)
    exposed = at_risk if first else at_risk - censored
    with np.errstate(invalid="ignore", divide="ignore"):
        # Nobody can have the event where nobody is at risk.
        kept = np.where(exposed > 0, 1 - events / exposed, 1.0)
    return np.asarray(np.prod(kept[..., : last + 1], axis=-1))


def life_table(events: Array, censored: Array) -> tuple[Array, Array]:
    """Return the actuarial estimate at the end of every bin, and its standard error.

    Those who are broken off in a bin count as half exposed (Cutler & Ederer 1958); the error is
    Greenwood's (1926).

    Parameters
    ----------
    events, censored : (…, bins)
        How many times ended with the event, and were broken off, in each bin.

    Returns
    -------
    share, error : (…, bins)

    Examples
    --------
    >>> share, error = life_table(np.array([2.0, 3.0]), np.array([4.0, 1.0]))
    >>> share.round(3).tolist(), error.round(3).tolist()
    ([0.75, 0.107], [0.153, 0.142])
    """
    at_risk = np.flip(np.cumsum(np.flip(events + censored, -1), -1), -1)
    exposed = at_risk - censored / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        kept: Array = np.where(exposed > 0, 1 - events / exposed, 1.0)
        share: Array = np.multiply.accumulate(kept, axis=-1)
        left = exposed * (exposed - events)
        spread = np.cumsum(np.where(left > 0, events / left, 0.0), axis=-1)
    share = np.where(at_risk[..., :1] > 0, share, np.nan)
    return share, share * np.sqrt(spread)


def kaplan_meier(summary: Summary) -> xr.Dataset:
    """Return the curve of every cell of an exact risk table.

    Parameters
    ----------
    summary
        What `workbench.summaries.risk_table.summarise` made.

    Returns
    -------
    xarray.Dataset
        Along the other dimensions and `end`, the right end of each bin in the unit of the times:
        `at_risk` at its start, `events`, `censored`; `open` (the share that is still without the
        event, by `life_table`), `error`, and the ends `low` and `high` that hold Kaplan and
        Meier's estimate.

    Raises
    ------
    DefinitionError
        If it is no risk table, or a released view.

    Examples
    --------
    >>> from workbench.summaries.risk_table import summarise
    >>> s = summarise([], {}, exam=range(4), patient=range(4), times=[1, 2, 3, 5],
    ...               happened=[True, True, True, False], edges=range(7), unit="h", margins=False)
    >>> curve = kaplan_meier(s)
    >>> curve.high.sel(end=[2, 3, 4]).values.tolist()
    [0.75, 0.5, 0.25]
    """
    require_risk_table(summary)
    if not summary.exact:
        raise DefinitionError(
            "A released view has no exact curve",
            where=repr(summary),
            todo="Use survival_bounds with the bounds of its counts",
        )
    tree = grid_of(summary)
    counts = summary.data["exams"].sel({BIN: list(tree.leaves)}).transpose(..., OUTCOME, BIN)
    events, censored = (
        counts.sel({OUTCOME: label}).drop_vars(OUTCOME).astype(np.float64)
        for label in (EVENT, CENSORED)
    )
    d, c = events.values, censored.values
    low, high = survival_bounds(Bounds(d, d), Bounds(c, c))
    share, error = life_table(d, c)
    at_risk = np.flip(np.cumsum(np.flip(d + c, -1), -1), -1)
    names = {"at_risk": at_risk, "events": d, "censored": c}
    names |= {"open": share, "error": error, "low": low, "high": high}
    data = xr.Dataset({name: (events.dims, value) for name, value in names.items()})
    outer = {n: coordinate for n, coordinate in events.coords.items() if n != BIN}
    data = data.assign_coords(outer).rename({BIN: END})
    return data.assign_coords({END: list(tree.ends[1:])}).assign_attrs(
        unit=summary.attributes["unit"]
    )


def time_reached(curve: xr.Dataset, share: float) -> xr.Dataset:
    """Return the time by which the event has reached a share of all.

    Parameters
    ----------
    curve
        What `kaplan_meier` returned, or any with `open`, `low` and `high` along `end`.
    share
        Between 0 and 1: 0.5 for the median, 0.9 for the 90th percentile.

    Returns
    -------
    xarray.Dataset
        `estimate` (events taken to be even in their bin), `low` and `high`, which hold what
        Kaplan and Meier's curve gives; infinite or NaN where the curve does not get there.

    Examples
    --------
    >>> from workbench.summaries.risk_table import summarise
    >>> s = summarise([], {}, exam=range(4), patient=range(4), times=[1, 2, 3, 5],
    ...               happened=[True] * 4, edges=range(7), unit="h", margins=False)
    >>> [float(v) for v in time_reached(kaplan_meier(s), 0.5).values()]
    [3.0, 2.0, 3.0]
    """
    if not 0 < share < 1:
        raise DefinitionError(
            f"There is no share {show(share)}", todo="Give a number between 0 and 1"
        )
    ends = curve[END].values
    starts = np.array([-np.inf, *ends[:-1]])
    ends_in = {name: np.moveaxis(curve[name].values, curve[name].dims.index(END), -1)
               for name in ("open", "low", "high")}  # fmt: skip
    # A product of fractions such as 1 - 2/4 may miss the share by a rounding.
    reached = {name: value <= 1 - share + 1e-12 for name, value in ends_in.items()}
    first = {name: np.argmax(value, axis=-1) for name, value in reached.items()}
    there = {name: value.any(axis=-1) for name, value in reached.items()}
    low = np.where(there["low"], starts[first["low"]], np.inf)
    high = np.where(there["high"], ends[first["high"]], np.inf)
    at = first["open"]
    after = np.take_along_axis(ends_in["open"], at[..., None], -1)[..., 0]
    before = np.take_along_axis(ends_in["open"], np.maximum(at - 1, 0)[..., None], -1)[..., 0]
    before = np.where(at == 0, 1.0, before)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = (before - (1 - share)) / (before - after)
        place = starts[at] + (ends[at] - starts[at]) * np.clip(part, 0.0, 1.0)
    place = np.where(there["open"] & np.isfinite(place), place, np.nan)
    outer = [d for d in curve["open"].dims if d != END]
    coords = {n: c for n, c in curve.coords.items() if END not in c.dims}
    none = np.isnan(ends_in["open"]).all(axis=-1)
    low, high = (np.where(none, np.nan, x) for x in (low, high))
    found = {"estimate": place, "low": low, "high": high}
    return xr.Dataset({n: (outer, v) for n, v in found.items()}, coords, dict(curve.attrs))


def share_within(curve: xr.Dataset, time: float) -> xr.Dataset:
    """Return the share that the event has reached by a time, such as a promised one.

    Parameters
    ----------
    curve
        What `kaplan_meier` returned.
    time
        One of the ends of the bins, in the unit of the times.

    Returns
    -------
    xarray.Dataset
        `estimate`, `low` and `high`.

    Raises
    ------
    DefinitionError
        If the time is no end of a bin: the share would be a guess.

    Examples
    --------
    >>> from workbench.summaries.risk_table import summarise
    >>> s = summarise([], {}, exam=range(4), patient=range(4), times=[1, 2, 3, 5],
    ...               happened=[True] * 4, edges=range(7), unit="h", margins=False)
    >>> float(share_within(kaplan_meier(s), 3).estimate)
    0.5
    """
    ends = curve[END].values
    if not np.isin(float(time), ends):
        nearest = float(ends[np.argmin(np.abs(ends - time))])
        raise DefinitionError(
            f"{show(time)} is no edge of the declared bins",
            where="time",
            todo=f"Declare it as an edge, or take {nearest:g}",
        )
    at = curve.sel({END: float(time)}).drop_vars(END)
    found = {"estimate": 1 - at["open"], "low": 1 - at["high"], "high": 1 - at["low"]}
    return xr.Dataset(found, attrs=dict(curve.attrs))

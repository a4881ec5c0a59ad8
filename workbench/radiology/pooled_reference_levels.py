"""Pooled reference levels: the level of all institutions, from histograms of their rooms.

No record moves. The two middle exams of a room lie in known bins of its histogram, so its median
lies between the means of their lower and of their upper edges, no further apart than the wider
bin. The level then lies between the percentile of all lower and that of all upper ends, for a
percentile never falls when one of its values rises.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.errors import DefinitionError, suggest
from workbench.radiology.reference_levels import FEWEST_EXAMS, FEWEST_ROOMS, METHODS
from workbench.summaries.dimension import MISSING, OTHER
from workbench.summaries.grid import BIN
from workbench.summaries.histogram import Method, grid_of, quantile
from workbench.summaries.summary import Summary

_FIGURES = ("level", "achievable_dose")


def pool_reference_levels(
    summary: Summary,
    *,
    room: str = "room",
    method: Method = "linear",
    fewest_exams: int = FEWEST_EXAMS,
) -> pl.DataFrame:
    """Return the reference level of each kind of exam from histograms, with ends that hold it.

    The exact level, from the exams themselves (`reference_levels.reference_levels`), lies from
    `level_low` to `level_high`. These are no further apart than the widest bin in which a room's
    median lies; an end is infinite if a median lies in an open bin.

    Source: ICRP Publication 135 (2017).

    Parameters
    ----------
    summary
        An exact histogram of a quantity of exams, with one dimension of rooms; those of several
        institutions joined by `combine`.
    room
        Name of that dimension. Its margin is left out, and so are rooms without a name.
    method
        Percentile method of the level; medians are the same by all.
    fewest_exams
        A room with fewer exams of a kind is left out.

    Returns
    -------
    polars.DataFrame
        The other dimensions, n_rooms, n_exams, kind (`reference level` or `typical value`), level
        and achievable_dose (medians placed evenly in their bins), each with `_low` and `_high`
        (null under 10 rooms for the level), method and unit.

    Raises
    ------
    DefinitionError
        If the histogram has no such dimension, or the method is not known.
    """
    names = [d.name for d in summary.dimensions if d.name != BIN]
    if room not in names:
        raise DefinitionError(
            "The histogram has no such dimension", where=room, todo=suggest(room, names)
        )
    if method not in METHODS:
        raise DefinitionError(
            "There is no such percentile method", where=str(method), todo=suggest(method, METHODS)
        )
    tree = grid_of(summary)
    counts = summary.data["exams"].sel({BIN: tree.root})
    leaves = summary.data["exams"].sel({BIN: list(tree.leaves)})
    estimates = quantile(summary, 0.5).estimate
    others = [name for name in names if name != room]
    rows = []
    for cell in np.ndindex(*(counts.sizes[name] for name in others)):
        place = dict(zip(others, cell, strict=True))
        labels = [str(label) for label in counts[room].values]
        exams = counts.isel(place).transpose(room).values
        real = np.array([label in _rooms(summary, room) for label in labels])
        used = real & (exams >= fewest_exams)
        if not used.any():
            continue
        of_rooms = leaves.isel(place).transpose(room, BIN).values[used]
        ends = _median_ends(of_rooms, np.array(tree.ends))
        medians = estimates.isel(place).transpose(room).values[used]
        row: dict[str, str | float | None] = {
            name: str(counts[name].values[i]) for name, i in place.items()
        }
        row |= {"n_rooms": int(used.sum()), "n_exams": int(exams[used].sum())}
        rows.append(row | _figures(medians, ends, method))
    made = pl.DataFrame(rows, schema=_schema(others))
    return made.with_columns(method=pl.lit(method), unit=pl.lit(str(summary.attributes["unit"])))


def _rooms(summary: Summary, room: str) -> tuple[str, ...]:
    dimension = next(d for d in summary.dimensions if d.name == room)
    return tuple(label for label in dimension.labels if label not in (MISSING, OTHER))


def _median_ends(
    counts: npt.NDArray[np.int64], ends: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return two ends of the median of each room, given its exams in each bin."""
    after = counts.cumsum(axis=1)
    middle = [(after[:, -1] - 1) // 2, after[:, -1] // 2]
    bins = [(after <= rank[:, None]).sum(axis=1) for rank in middle]
    low, high = ((ends[bins[0] + i] + ends[bins[1] + i]) / 2 for i in (0, 1))
    return low, high


def reference_level_ends(
    low: npt.ArrayLike, high: npt.ArrayLike, *, q: float = 75, method: Method = "linear"
) -> tuple[float | None, float | None]:
    """Return two ends of a percentile of medians of which each lies between two ends.

    For histograms that were released: the ends of a room's median are those of
    `summaries.histogram.quantile_bounds`, with the bounds of its rounded counts.

    Parameters
    ----------
    low, high : (n,) float
        Ends of the median of each room; may be infinite.
    q
        Percentile: 75 for the level, 50 for the achievable dose.
    method
        Percentile method, as numpy names it.

    Examples
    --------
    >>> reference_level_ends([100, 200, 300], [125, 225, 325], q=50)
    (200.0, 225.0)
    """
    return (
        _percentile(np.asarray(low, np.float64), q, method),
        _percentile(np.asarray(high, np.float64), q, method),
    )


def _figures(
    medians: npt.NDArray[np.float64],
    ends: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    method: Method,
) -> dict[str, str | float | None]:
    enough = len(medians) >= FEWEST_ROOMS
    found: dict[str, str | float | None] = {
        "kind": "reference level" if enough else "typical value"
    }
    for figure, q in (("level", 75.0), ("achievable_dose", 50.0)):
        asked = enough or figure != "level"
        low, high = reference_level_ends(*ends, q=q, method=method) if asked else (None, None)
        found |= {
            figure: _percentile(medians, q, method) if asked else None,
            f"{figure}_low": low,
            f"{figure}_high": high,
        }
    return found


def _percentile(values: npt.NDArray[np.float64], q: float, method: Method) -> float | None:
    """Return a percentile of values that may be infinite; None if it is not known."""
    if np.isnan(values).any():
        return None
    ordered = np.sort(values)
    at = float(np.percentile(np.arange(len(ordered)), q, method=method))
    below, above = ordered[int(np.floor(at))], ordered[int(np.ceil(at))]
    if np.isinf(below) or np.isinf(above):  # numpy would make no number of them
        return float(below if np.isinf(below) else above)
    return float(np.percentile(ordered, q, method=method))


def _schema(others: list[str]) -> dict[str, pl.DataType]:
    ends = {f"{f}{e}": pl.Float64() for f in _FIGURES for e in ("", "_low", "_high")}
    return {
        **{name: pl.String() for name in others},
        "n_rooms": pl.Int64(),
        "n_exams": pl.Int64(),
        "kind": pl.String(),
        **ends,
    }

"""Totals: means that would tell the values of the few patients who were suppressed.

Mean times n is a total, and the total of a margin less the totals of its told cells is the total
of the cells that were suppressed. The same holds for squares, from mean, sd and n. Roundings blur
both; where the blur is too small for so few patients, the mean and sd of a margin are held back.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from workbench.disclosure.intervals import Floats, of_digits, pass_line
from workbench.disclosure.policy import Policy
from workbench.summaries.summary import Summary

BLUR = 0.2
"""A value of few patients must stay unknown by this share of itself, up and down (p % rule)."""
Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Position = tuple[int, ...]


def values_to_hold(exact: Summary, view: Summary, policy: Policy) -> Mask:
    """Return where mean and sd must be held back so that suppressed totals stay blurred.

    Parameters
    ----------
    exact
        Exact moments.
    view
        What would be released of them.
    policy
        The policy in force.

    Returns
    -------
    numpy.ndarray
        bool, of the shape of the table. Margins are chosen before cells, those of few patients
        first, the grand total last.

    Notes
    -----
    The p % rule of statistical disclosure control (Hundepool et al., *Statistical Disclosure
    Control*, 2012, chapter 4) with p = 20, applied to what is left of every line of the table,
    and to every bound that follows from several lines. A square tells a value twice as well.
    """
    patients = exact.data["patients"].values
    hold = np.zeros(patients.shape, bool)
    while True:
        told = (view.statuses["mean"].values == "rounded") & ~hold
        line = next(_lines_that_tell(exact, view, policy, told), None)
        if line is None:
            return hold
        # What is known of a line that tells nothing itself follows from others: any may go.
        able = [at for at in line if told[at]] or [tuple(at) for at in np.argwhere(told).tolist()]
        hold[min(able, key=lambda at: _loss(patients, at))] = True


def _loss(patients: Integers, at: Position) -> tuple[int, int, Position]:
    margins = sum(i == 0 for i in at)
    rank = 2 if margins == len(at) else 1 if margins == 0 else 0
    return rank, int(patients[at]), at


def _lines_that_tell(
    exact: Summary, view: Summary, policy: Policy, told: Mask
) -> Iterator[list[Position]]:
    """Yield the cells of every line (a margin and its parts) that gives a small total away."""
    adding = [
        (axis, d.one_per == "patient")
        for axis, d in enumerate(view.dimensions)
        if d.one_per != "none" and d.name in view.margins
    ]
    patients = exact.data["patients"].values
    small = (patients < policy.threshold) & (view.statuses["patients"].values == "suppressed")
    for blur, (low, high) in zip((BLUR, 2 * BLUR), _sums(view, policy, told), strict=True):
        for _ in range(len(adding) + 1):
            for axis, _distinct in adding:
                lows, highs = np.moveaxis(low, axis, 0), np.moveaxis(high, axis, 0)
                pass_line(lows, highs, 0, list(range(1, len(lows))))
        for axis, distinct in adding:
            few = np.moveaxis(small, axis, 0)[1:]
            bounds = np.moveaxis(low, axis, 0), np.moveaxis(high, axis, 0)
            group = _group(np.moveaxis(patients, axis, 0), few, distinct=distinct)
            for at in np.argwhere(_tells(bounds, few, group < policy.threshold, blur)):
                place = at.tolist()
                yield [(*place[:axis], i, *place[axis:]) for i in range(low.shape[axis])]


def _tells(bounds: tuple[Floats, Floats], few: Mask, group: Mask, blur: float) -> Mask:
    """Return which lines along the first axis tell of their small cells, together or one alone."""
    low, high = bounds
    rest_low, rest_high = (np.where(few, 0.0, x[1:]).sum(axis=0) for x in bounds)
    together = _narrow(low[0] - rest_high, high[0] - rest_low, blur) & few.any(axis=0) & group
    alone = (_narrow(low[1:], high[1:], blur) & few).any(axis=0)
    found: Mask = together | alone
    return found


def _group(patients: Integers, few: Mask, *, distinct: bool) -> Integers:
    """Return how many patients the small cells of each line have at least, all together."""
    counts = np.where(few, patients[1:], 0)
    if distinct:
        return np.asarray(counts.sum(axis=0))
    others = np.where(few, 0, patients[1:]).sum(axis=0)
    return np.asarray(np.maximum(counts.max(axis=0), patients[0] - others))


def _narrow(low: Floats, high: Floats, blur: float) -> Mask:
    known = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(known, low, 0.0), np.where(known, high, 0.0)
    found: Mask = known & (high - low <= blur * np.abs(high + low))
    return found


def _sums(view: Summary, policy: Policy, told: Mask) -> Iterator[tuple[Floats, Floats]]:
    """Yield the bounds of total and of square that n, mean and sd of each cell leave."""
    n = [np.asarray(x, float) for x in policy.bounds(view.data["exams"].values)]
    mean = of_digits(np.where(told, view.data["mean"].values, 0.0), policy.digits)
    sd = of_digits(np.where(told, view.data["sd"].values, 0.0), policy.digits)
    corners = np.stack([k * m for k in n for m in mean])
    total = corners.min(axis=0), corners.max(axis=0)
    # n mean² + (n - 1) sd² rises with n and with both distances from zero.
    far = np.maximum(np.abs(mean[0]), np.abs(mean[1]))
    near = np.where(mean[0] * mean[1] <= 0, 0.0, np.minimum(np.abs(mean[0]), np.abs(mean[1])))
    square = (
        n[0] * near**2 + np.maximum(n[0] - 1, 0) * np.maximum(sd[0], 0) ** 2,
        n[1] * far**2 + np.maximum(n[1] - 1, 0) * sd[1] ** 2,
    )
    empty = view.statuses["patients"].values == "ok"  # a zero that is told
    for low, high in (total, square):
        yield (
            np.where(told, low, np.where(empty, 0.0, -np.inf)),
            np.where(told, high, np.where(empty, 0.0, np.inf)),
        )

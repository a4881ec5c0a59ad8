"""Moments: exact integer sums of a value and its square, per cell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import xarray as xr

from workbench.errors import DefinitionError, show
from workbench.summaries.counts import EXAMS, PATIENTS
from workbench.summaries.dimension import Dimension
from workbench.summaries.distinct import (
    Integers,
    Rows,
    code_rows,
    count,
    margin_targets,
    pairs,
    with_values,
)
from workbench.summaries.field import Field, Kind
from workbench.summaries.summary import Summary, labelled

LARGEST = 2**31
"""Values are refused from this many units of resolution on; squares then fit 62 bits."""


def _validate(summary: Summary) -> None:
    _resolution(summary.attributes["resolution"])
    where = "summary moments"
    if not summary.exact:
        if np.isinf(summary.data["mean"]).any() or not (~(summary.data["sd"] < 0)).all():
            raise DefinitionError("There is no such mean or sd", where=where, todo="Count again")
        return
    for n, total, square in _cells(summary):
        if type(total) is not int or type(square) is not int:
            raise DefinitionError("Sums must be integers", where=where, todo="Use summarise")
        # Cauchy-Schwarz; without a value both sums are 0.
        if total**2 > n * square or (n == 0 and square != 0):
            raise DefinitionError("No values have these sums", where=where, todo="Count again")


MOMENTS = Kind(
    "moments",
    fields=(
        EXAMS,
        PATIENTS,
        Field("total", "object", "", sensitive=True, role="total"),
        Field("square", "object", "", sensitive=True, role="square"),
    ),
    released_fields=(
        EXAMS,
        PATIENTS,
        Field("mean", "float64", "", sensitive=True, role="mean"),
        Field("sd", "float64", "", sensitive=True, role="sd"),
    ),
    attributes={"unit": str, "resolution": float},
    validate=_validate,
)


def summarise(
    dimensions: Sequence[Dimension],
    columns: Mapping[str, npt.ArrayLike],
    exam: npt.ArrayLike,
    patient: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    unit: str,
    resolution: float,
    population: str = "exams",
    margins: bool = True,
) -> Summary:
    """Sum a value of each exam, and its square, exactly.

    Each value is rounded to the nearest multiple of `resolution` (half to even) and summed as an
    integer: the sums do not depend on the order of the rows, and splits combine bit by bit.

    Parameters
    ----------
    dimensions, columns, exam, patient, population, margins
        As for `workbench.summaries.counts.summarise`.
    values : (n,) float
        The value of each row's exam; NaN if it has none, which is then not counted.
    unit
        UCUM unit of the values.
    resolution
        Step to which values are rounded, in `unit`.

    Raises
    ------
    DefinitionError
        If a value is infinite or 2**31 resolutions or larger, or an exam has two values.

    Examples
    --------
    >>> s = summarise([], {}, exam=[1, 2, 3], patient=[1, 1, 2], values=[1.5, 2.5, float("nan")],
    ...               unit="mGy", resolution=0.1)
    >>> s.data.exams.item(), s.data.total.item(), s.data.square.item()
    (2, 40, 850)
    """
    step = _resolution(resolution)
    rows, numbers = with_values(code_rows(dimensions, columns, exam, patient), values)
    size, targets = margin_targets(dimensions, margins=margins)
    total, square = _sums(rows, _scale(numbers, step), targets, size)
    arrays = {
        "exams": count(rows.exam, rows.cell, targets, size),
        "patients": count(rows.patient, rows.cell, targets, size),
        "total": total,
        "square": square,
    }
    return Summary(
        "moments",
        labelled(dimensions, arrays, margins=[d.name for d in dimensions] if margins else []),
        tuple(dimensions),
        {"population": population, "unit": unit, "resolution": step},
    )


def finish(summary: Summary) -> xr.Dataset:
    """Return n, mean, variance and sd of every cell.

    Each is the float nearest to the exact value of the sums. The variance has n - 1 in the
    denominator. What is not defined (no value, or one for the variance) is NaN.

    Parameters
    ----------
    summary
        An exact Summary of moments.

    Returns
    -------
    xarray.Dataset
        `n`, `mean`, `variance`, `sd` over the dimensions of the Summary; `unit` in `attrs`.

    Raises
    ------
    DefinitionError
        If the Summary is of another kind, or a released view.

    Examples
    --------
    >>> s = summarise([], {}, exam=[1, 2], patient=[1, 2], values=[1, 4], unit="mGy", resolution=1)
    >>> f = finish(s)
    >>> f.n.item(), f["mean"].item(), f.variance.item()
    (2, 2.5, 4.5)
    """
    if summary.kind != "moments" or not summary.exact:
        raise DefinitionError(
            "Only exact moments can be finished",
            where=repr(summary),
            todo="Finish before release; a released view holds mean and sd already",
        )
    step = Fraction(repr(summary.attributes["resolution"]))
    mean, variance = np.array([_finish(step, *cell) for cell in _cells(summary)], np.float64).T
    dims = summary.data["exams"].dims
    shape = summary.data["exams"].shape
    arrays = {"mean": mean, "variance": variance, "sd": np.sqrt(variance)}
    return xr.Dataset(
        {
            "n": summary.data["exams"],
            **{name: (dims, array.reshape(shape)) for name, array in arrays.items()},
        },
        attrs={"unit": summary.attributes["unit"]},
    )


def _cells(summary: Summary) -> Iterator[tuple[int, int, int]]:
    fields = ("exams", "total", "square")
    return zip(*(summary.data[name].values.ravel().tolist() for name in fields), strict=True)


def _finish(step: Fraction, n: int, total: int, square: int) -> tuple[float, float]:
    # True division of Python integers is correctly rounded, whatever their size.
    top, bottom = step.numerator, step.denominator
    mean = total * top / (n * bottom) if n else math.nan
    spread = (n * square - total**2) * top**2
    variance = spread / (n * (n - 1) * bottom**2) if n > 1 else math.nan
    return mean, variance


def _resolution(value: float) -> float:
    step = float(value)
    if not (math.isfinite(step) and step > 0):
        raise DefinitionError(
            f"The resolution cannot be {show(value)}",
            todo="Give the step to which values are rounded: finite and above 0",
        )
    return step


def _scale(values: npt.NDArray[np.float64], step: float) -> Integers:
    with np.errstate(over="ignore"):
        scaled = np.rint(values / step)
    if (np.abs(scaled) >= LARGEST).any():
        raise DefinitionError(
            f"A value is {LARGEST} resolutions or larger",
            where=f"resolution {step!r}",
            todo="Declare a coarser resolution, or correct the value",
        )
    return scaled.astype(np.int64)


def _sums(
    rows: Rows, scaled: Integers, targets: Sequence[Integers], size: int
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    of_exam = np.zeros(int(rows.exam.max(initial=0)) + 1, np.int64)
    of_exam[rows.exam] = scaled
    total, high, low = np.zeros((3, size), np.int64)
    for exam, place in pairs(rows.exam, rows.cell, targets, size):
        value = of_exam[exam]
        np.add.at(total, place, value)
        # A square has up to 62 bits: its two 32-bit words can each be summed 2**31 times.
        np.add.at(high, place, (value * value) >> 32)
        np.add.at(low, place, (value * value) & 0xFFFFFFFF)
    return total.astype(object), high.astype(object) * 2**32 + low.astype(object)

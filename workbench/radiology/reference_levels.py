"""Reference levels: what rooms give for one kind of exam, and the dose to stay below.

The unit is the room (or facility), not the patient: each gives the median of its exams, and the
level is a percentile of these medians (ICRP Publication 135, 2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from workbench.errors import DefinitionError, suggest
from workbench.summaries.histogram import Method

FEWEST_ROOMS = 10
"""Below so many rooms the median of their medians is a "typical value", and there is no percentile
that could be a level (ICRP 135)."""
FEWEST_EXAMS = 20
"""A room of fewer exams tells no median (ICRP 135)."""
ERRORS = 3.0
"""Standard errors of a sign test from which on a room is above a level: by chance, one of 700 rooms
whose true median is the level."""
METHODS: tuple[Method, ...] = ("linear", "hazen", "weibull", "median_unbiased")
"""Percentile methods, as numpy names them: R-7, R-5, R-6 and R-8 of Hyndman & Fan (1996)."""
AGE_BANDS = (
    ("0-<1 month", 0.0, 1 / 12),
    ("1 month-<4 years", 1 / 12, 4.0),
    ("4-<10 years", 4.0, 10.0),
    ("10-<14 years", 10.0, 14.0),
    ("14-<18 years", 14.0, 18.0),
    ("adult", 18.0, float("inf")),
)
"""Bands of age (European Commission, Radiation Protection 185, 2018), from and to."""
WEIGHT_BANDS = (
    ("<5 kg", 0.0, 5.0),
    ("5-<15 kg", 5.0, 15.0),
    ("15-<30 kg", 15.0, 30.0),
    ("30-<50 kg", 30.0, 50.0),
    ("50-<80 kg", 50.0, 80.0),
    (">=80 kg", 80.0, float("inf")),
)
"""Bands of weight (the same), from and to."""


def band(column: str, bands: Sequence[tuple[str, float, float]] = AGE_BANDS) -> pl.Expr:
    """Return the band of each age or weight; null where it is missing.

    Examples
    --------
    >>> ages = pl.DataFrame({"age_years": [0.05, 3.9, 17.0, 64.0, None]})
    >>> ages.select(band("age_years"))["age_years"].to_list()
    ['0-<1 month', '1 month-<4 years', '14-<18 years', 'adult', None]
    """
    value = pl.col(column)
    named = [
        pl.when((value >= low) & (value < high)).then(pl.lit(name)) for name, low, high in bands
    ]
    return pl.coalesce(named).alias(column)


def add_main_event(exams: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return exams with what their event of the highest dose was, to tell one kind from another.

    Parameters
    ----------
    exams, events
        Of `DoseTables`.

    Returns
    -------
    polars.DataFrame
        Exams with protocol, target_region and ctdivol_mgy (mGy) of the event with the highest DLP;
        without any, the highest DAP, then glandular dose; null without a dose.

    Examples
    --------
    >>> events = pl.DataFrame({"exam_uid": ["1", "1"], "protocol": ["Topogram", "Thorax"],
    ...     "target_region": "Chest", "ctdivol_mgy": [0.1, 7.0], "dlp_mgy_cm": [5.0, 250.0],
    ...     "dap_gy_cm2": None, "agd_mgy": None})
    >>> add_main_event(pl.DataFrame({"exam_uid": ["1"]}), events).row(0)
    ('1', 'Thorax', 'Chest', 7.0)
    """
    doses = ("dlp_mgy_cm", "dap_gy_cm2", "agd_mgy")
    dosed = events.filter(pl.any_horizontal(pl.col(d).is_not_null() for d in doses))
    main = dosed.sort(*doses, descending=True, nulls_last=True, maintain_order=True)
    told = ("exam_uid", "protocol", "target_region", "ctdivol_mgy")
    main = main.unique("exam_uid", keep="first", maintain_order=True).select(told)
    return exams.join(main, on="exam_uid", how="left", maintain_order="left")


def summarise_rooms(
    exams: pl.DataFrame,
    quantity: str,
    *,
    room: str = "station",
    by: Sequence[str] = (),
    fewest_exams: int = FEWEST_EXAMS,
) -> pl.DataFrame:
    """Return the median of a quantity in each room, for each kind of exam.

    Parameters
    ----------
    exams
        Exams of `DoseTables`, or any table with one row an exam.
    quantity
        Column whose median is taken; exams without it are left out.
    room
        Column that tells one room from another.
    by
        Columns that tell one kind of exam from another, as protocol or indication and age band.
    fewest_exams
        A room with fewer exams of a kind is not judged by them.

    Returns
    -------
    polars.DataFrame
        `by`, room, n_exams and median (in the unit of the quantity), and `used`, whether the room
        has enough exams; sorted.

    Raises
    ------
    DefinitionError
        If the table lacks a column.
    """
    _require("Exams", exams, (quantity, room, *by))
    stated = exams.select(*by, room, pl.col(quantity).alias("_value")).drop_nulls()
    return (
        stated.group_by(*by, room)
        .agg(pl.len().cast(pl.Int64).alias("n_exams"), pl.col("_value").median().alias("median"))
        .with_columns(used=pl.col("n_exams") >= fewest_exams)
        .sort(*by, room)
    )


def reference_levels(
    rooms: pl.DataFrame, *, by: Sequence[str] = (), method: Method = "linear"
) -> pl.DataFrame:
    """Return the diagnostic reference level of each kind of exam, and the achievable dose.

    Source: ICRP Publication 135 (2017): the level is the 75th percentile of the medians of rooms,
    the achievable dose their median (NCRP Report 172); under 10 rooms that is a typical value.

    Parameters
    ----------
    rooms
        As `summarise_rooms` returns them; a room that is not `used` is left out.
    by
        Columns that tell one kind of exam from another.
    method
        Percentile method; it moves the level by several percent, so a figure must name it.

    Returns
    -------
    polars.DataFrame
        `by`, n_rooms, n_exams, kind (`reference level` or `typical value`), level (the 75th
        percentile, null under 10 rooms), achievable_dose (the median), and method.

    Raises
    ------
    DefinitionError
        If the method is not one of `METHODS`.

    Examples
    --------
    >>> medians = [300.0, 320, 350, 400, 410, 450, 480, 500, 520, 610]
    >>> rooms = pl.DataFrame({"median": medians, "n_exams": 30, "used": True})
    >>> [round(reference_levels(rooms, method=m)["level"].item(), 2) for m in METHODS]
    [495.0, 500.0, 505.0, 501.67]
    >>> reference_levels(rooms[:9]).select("kind", "level", "achievable_dose").row(0)
    ('typical value', None, 410.0)
    """
    if method not in METHODS:
        raise DefinitionError(
            "There is no such percentile method", where=str(method), todo=suggest(method, METHODS)
        )
    used = rooms.filter(pl.col("used"))
    kinds = used.partition_by(list(by), as_dict=True) if by else {(): used}
    made = []
    for names, part in kinds.items():
        if part.is_empty():
            continue
        medians = part["median"].to_numpy()
        enough = len(medians) >= FEWEST_ROOMS
        made.append(
            dict(zip(by, names, strict=True))
            | {
                "n_rooms": len(medians),
                "n_exams": int(part["n_exams"].sum()),
                "kind": "reference level" if enough else "typical value",
                "level": float(np.percentile(medians, 75, method=method)) if enough else None,
                "achievable_dose": float(np.median(medians)),
                "method": method,
            }
        )
    schema = {name: rooms.schema[name] for name in by} | {
        "n_rooms": pl.Int64(),
        "n_exams": pl.Int64(),
        "kind": pl.String(),
        "level": pl.Float64(),
        "achievable_dose": pl.Float64(),
        "method": pl.String(),
    }
    return pl.DataFrame(made, schema=schema).sort(*by) if by else pl.DataFrame(made, schema=schema)


def find_rooms_above(
    exams: pl.DataFrame,
    levels: pl.DataFrame,
    *,
    room: str = "station",
    by: Sequence[str] = (),
    fewest_exams: int = FEWEST_EXAMS,
) -> pl.DataFrame:
    """Return the rooms whose median dose is above the reference level of a kind of exam.

    A room is told if its median is above the level, and so many of its exams that chance does not
    explain it: by a sign test, half of them and `ERRORS` standard errors (half of the root of the
    number of exams) more. It asks for no distribution of doses.

    Source: ICRP Publication 135 (2017): a level that the median of a room exceeds is to be looked
    into; Conover, Practical Nonparametric Statistics (1999), for the test.

    Parameters
    ----------
    exams
        One row an exam, with the quantities of the levels; a national level is of adults.
    levels
        Columns `by`, quantity (a column of exams) and level, in its unit.
    room, by, fewest_exams
        As `summarise_rooms` takes them.

    Returns
    -------
    polars.DataFrame
        `by`, room, quantity, n_exams, median, level and share_above (of the exams, 1); the
        farthest above its level first.

    Raises
    ------
    DefinitionError
        If a table lacks a column.

    Examples
    --------
    >>> exams = pl.DataFrame({"station": ["A"] * 40 + ["B"] * 40, "protocol": "CTPA",
    ...                       "dlp_total_mgy_cm": [*range(305, 345), *range(270, 310)]})
    >>> levels = pl.DataFrame(
    ...     {"protocol": ["CTPA"], "quantity": ["dlp_total_mgy_cm"], "level": [310.0]})
    >>> find_rooms_above(exams, levels, by=["protocol"]).select("station", "median").rows()
    [('A', 324.5)]
    """
    _require("Levels", levels, (*by, "quantity", "level"))
    quantities = levels["quantity"].unique(maintain_order=True).to_list()
    _require("Exams", exams, (*by, room, *quantities))
    value, level, n = pl.col("_value"), pl.col("level"), pl.col("n_exams")
    stated = (
        exams.select(*by, room, *(pl.col(name).cast(pl.Float64) for name in quantities))
        .unpivot(quantities, index=[*by, room], variable_name="quantity", value_name="_value")
        .drop_nulls()
    )
    kinds = [*by, room, "quantity"]
    least = 0.5 + ERRORS * 0.5 / n.sqrt()
    return (
        stated.join(levels.select(*by, "quantity", level.cast(pl.Float64)), on=[*by, "quantity"])
        .group_by(*kinds, "level")
        .agg(
            n_exams=pl.len().cast(pl.Int64),
            median=value.median(),
            share_above=(value > level).mean(),
        )
        .filter((n >= fewest_exams) & (pl.col("median") > level) & (pl.col("share_above") >= least))
        .sort(pl.col("median") / level, *kinds, descending=[True, *(False for _ in kinds)])
        .select(*kinds, "n_exams", "median", "level", "share_above")
    )


def _require(name: str, table: pl.DataFrame, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in table.columns:
            raise DefinitionError(
                f"{name} have no such column", where=column, todo=suggest(column, table.columns)
            )

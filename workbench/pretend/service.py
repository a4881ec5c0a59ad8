"""Service: how many exams the pretend city does, of what, and when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from workbench.errors import UsageError, suggest
from workbench.pretend.sourced import ASSUMED, PLAN, Sourced

MODALITIES = ("CT", "MR", "MG", "DX", "CR", "RF", "XA", "US", "PX", "NM", "PT", "BMD")
"""What the service does; radiography is DX and CR together."""
YEARS = Sourced((2020, 2023), "year", PLAN)
EXAMS = Sourced(10_000_000, "exams in the last year", PLAN)
CT_EXAMS = Sourced((1_710_000, 2_325_000), "exams in the first and the last year", PLAN)
GROWTH = Sourced(
    {"mammography": 1.72, "radiography": 1.36},
    "last year over first year",
    f"{PLAN}; 'by 172 percent' and 'by 136 percent' are read as ratios to 2020, because CT's "
    "136 percent is one",
)
OTHER_GROWTH = Sourced(1.153, "last year over first year", "assumed: 7.5 million exams in 2020")
SHARES = Sourced(
    {"mammography": 0.086, "radiography": 0.47},
    "share of all exams in the last year",
    "assumed: the plan names their growth, not their number",
)
OTHER_EXAMS = Sourced(
    {"MR": 46, "RF": 12, "XA": 7.5, "US": 100, "PX": 29.4, "NM": 3, "PT": 5, "BMD": 8.6},
    "parts of what is neither CT, mammography nor radiography",
    ASSUMED,
)
MONTHS = Sourced(
    (0.90, 0.98, 1.06, 1.03, 0.96, 0.98, 0.93, 0.93, 1.03, 1.09, 1.07, 1.04),
    "exams of a month over those of a mean month",
    "assumed: fewer in holidays, more in autumn",
)
WEEKDAYS = Sourced(
    {
        "hospital": (1.06, 1.06, 1.04, 1.04, 1.02, 0.78, 0.72),
        "polyclinic": (1.10, 1.08, 1.04, 1.03, 0.97, 0.40, 0.0),
        "clinic": (1.08, 1.04, 1.0, 1.0, 0.95, 0.0, 0.0),
    },
    "exams of a day from Monday over those of a mean working day",
    ASSUMED,
)
HOLIDAYS = Sourced(
    (*((1, day) for day in range(1, 9)), (2, 23), (3, 8), (5, 1), (5, 9), (6, 12), (11, 4)),
    "month, day",
    "Labour Code of the Russian Federation, article 112",
)
ON_HOLIDAYS = Sourced(
    {"hospital": 0.65, "polyclinic": 0.35, "clinic": 0.25},
    "exams of a holiday over those of the same weekday",
    "assumed: a reduced staff works",
)
HOURS = Sourced(
    (3, 2, 2, 2, 2, 3, 4, 7, 13, 18, 20, 19, 16, 14, 15, 14, 12, 11, 10, 8, 6, 5, 4, 4),
    "wish for an exam, by hour from midnight, in parts",
    "assumed: two shifts, most before noon",
)


@dataclass(frozen=True)
class Demand:
    """Say how many exams of each modality a month has.

    Parameters
    ----------
    exams : (modalities, months)
        Expected exams at this scale.
    start
        First day.
    months
        Number of months.
    """

    exams: npt.NDArray[np.float64]
    start: dt.date
    months: int

    @cached_property
    def first_days(self) -> npt.NDArray[np.int64]:
        """Day of the period on which each month begins, and the day behind the last."""
        first = np.datetime64(self.start, "M")
        days = (first + np.arange(self.months + 1)).astype("datetime64[D]")
        numbers: npt.NDArray[np.int64] = (days - days[0]).astype(np.int64)
        return numbers

    @property
    def end(self) -> dt.date:
        """First day behind the period."""
        return self.start + dt.timedelta(days=int(self.first_days[-1]))

    def dates(self) -> list[dt.date]:
        """Return all days of the period."""
        return [self.start + dt.timedelta(days=i) for i in range(int(self.first_days[-1]))]


def make_demand(
    scale: float,
    start: dt.date,
    months: int,
    growth: Mapping[str, float] | None = None,
) -> Demand:
    """Return the expected exams by modality and month.

    Each modality grows by one ratio a year, month by month.

    Parameters
    ----------
    scale
        Share of the city, more than 0 and at most 1.
    start
        First day of a month; the published years begin in 2020, others are extrapolated.
    months
        Number of months.
    growth
        Ratios of the last year to the first that differ from the published ones, e.g.
        {"mammography": 2.72} where "by 172 percent" is read as an increase.

    Raises
    ------
    UsageError
        If the scale, the months or a ratio is impossible.

    Examples
    --------
    >>> demand = make_demand(1, dt.date(2023, 1, 1), 12)
    >>> round(demand.exams.sum()), round(demand.exams[0].sum())
    (10000000, 2325000)
    """
    if not 0 < scale <= 1 or not 1 <= months <= 240 or start.day != 1:
        raise UsageError(
            "The pretend city cannot be made in this size",
            where=f"scale {scale:g}, {months} months from {start}",
            todo="Name a scale above 0 and at most 1, 1 to 240 months, and the first of a month",
        )
    ratios = dict(GROWTH.value)
    for name, ratio in (growth or {}).items():
        if name not in ratios or not 0 < ratio < 100:
            raise UsageError(
                f"There is no growth {name} of {ratio:g}",
                where="growth",
                todo=suggest(name, ratios),
            )
        ratios[name] = ratio
    last, rate = _last_year(ratios)
    within = (start.month - 1 + np.arange(months)) % 12
    years = start.year - YEARS.value[1] + (start.month - 1 + np.arange(months)) // 12
    wish = np.asarray(MONTHS.value) * rate[:, None] ** (np.arange(12) / 12)
    shares = wish / wish.sum(axis=1, keepdims=True)
    exams = scale * last[:, None] * rate[:, None] ** years * shares[:, within]
    return Demand(exams, start, months)


def _last_year(
    ratios: Mapping[str, float],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return exams of the last published year and growth a year, by modality."""
    breast, bone = (SHARES.value[name] * EXAMS.value for name in ("mammography", "radiography"))
    others = EXAMS.value - CT_EXAMS.value[1] - breast - bone
    parts = sum(OTHER_EXAMS.value.values())
    exams = {name: others * part / parts for name, part in OTHER_EXAMS.value.items()}
    exams |= {"CT": CT_EXAMS.value[1], "MG": breast}
    # The two kinds of radiography are one demand; the register says which room has which.
    exams |= {"DX": bone, "CR": 0.0}
    total = dict.fromkeys(MODALITIES, OTHER_GROWTH.value)
    total |= {"CT": CT_EXAMS.value[1] / CT_EXAMS.value[0], "MG": ratios["mammography"]}
    total |= {"DX": ratios["radiography"], "CR": ratios["radiography"]}
    years = YEARS.value[1] - YEARS.value[0]
    return (
        np.array([exams[name] for name in MODALITIES]),
        np.array([total[name] ** (1 / years) for name in MODALITIES]),
    )


def day_weights(kind: str, days: list[dt.date]) -> npt.NDArray[np.float32]:
    """Return how busy a kind of facility is on each day, relative to a mean working day."""
    week = WEEKDAYS.value[kind]
    quiet = ON_HOLIDAYS.value[kind]
    free = set(HOLIDAYS.value)
    return np.array(
        [week[d.weekday()] * (quiet if (d.month, d.day) in free else 1) for d in days],
        dtype=np.float32,
    )

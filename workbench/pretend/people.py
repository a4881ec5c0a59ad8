"""People: who lives in the pretend city, and who of them comes for which exam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.pretend.service import MODALITIES
from workbench.pretend.sourced import ASSUMED, Sourced

PEOPLE = Sourced(15_000_000, "people", "a capital's digital health platform: 15 million records")
COHORTS = Sourced(
    (9.5, 5.6, 5.0, 4.6, 5.2, 6.4, 8.2, 8.3, 7.6, 7.0, 6.5, 6.3, 6.4, 5.2, 3.6, 2.4, 1.4, 0.6, 0.2),
    "parts of the people by birth: first after 2014, then five years each, backwards",
    "assumed: the shape of a European capital",
)
WOMEN = Sourced(0.54, "share", ASSUMED)
FREQUENT = Sourced((5, 0.2), "every n-th person makes this further share of exams", ASSUMED)
AT_HOME = Sourced(0.8, "share of exams at the facility of one's quarter", ASSUMED)
VISITS = Sourced(
    {
        "CT": ((0.15, 0.3, 0.4, 0.5, 0.8, 1.2, 1.8, 2.2, 2.2), 1.0),
        "MR": ((0.3, 0.6, 0.9, 1.2, 1.5, 1.6, 1.4, 0.9, 0.5), 1.2),
        "MG": ((0, 0, 0.02, 0.15, 1.6, 2.6, 2.5, 1.0, 0.2), float("inf")),
        "DX": ((0.8, 1.2, 1.0, 1.0, 1.1, 1.2, 1.4, 1.5, 1.5), 1.0),
        "CR": ((0.8, 1.2, 1.0, 1.0, 1.1, 1.2, 1.4, 1.5, 1.5), 1.0),
        "RF": ((0.3, 0.4, 0.6, 0.9, 1.2, 1.5, 1.8, 1.6, 1.0), 1.0),
        "XA": ((0, 0, 0.05, 0.2, 0.8, 1.8, 2.8, 2.6, 1.2), 0.6),
        "US": ((0.9, 0.9, 1.2, 1.2, 1.2, 1.3, 1.3, 1.2, 1.0), 1.6),
        "PX": ((0.3, 1.5, 1.3, 1.3, 1.2, 1.0, 0.8, 0.5, 0.2), 1.1),
        "NM": ((0.1, 0.1, 0.2, 0.5, 1.1, 1.8, 2.4, 2.0, 0.8), 0.9),
        "PT": ((0.1, 0.2, 0.3, 0.6, 1.2, 2.0, 2.4, 1.8, 0.5), 0.9),
        "BMD": ((0, 0.05, 0.1, 0.2, 0.8, 2.0, 2.8, 2.2, 1.0), 8.0),
    },
    "exams a person by decade of age, in parts; women over men",
    ASSUMED,
)
CHILD_WEIGHTS = Sourced(
    (7, 10, 12.5, 14.5, 16.5, 18.5, 21, 23, 26, 29, 32, 36, 41, 46, 52, 57, 61, 64),
    "kg at 0, 1 … 17 years",
    "of the order of the WHO growth references, medians",
)
ADULT_WEIGHTS = Sourced(((82.0, 71.0), 0.16), "kg men, women; share of spread", ASSUMED)

_FIRST_BIRTHS = (np.datetime64("2015-01-01"), 9 * 365.25)
"""The youngest cohort is still being born: it ends with the year 2023."""
_MODULUS, _FACTOR = 99_999_989, 38_500_009
"""A prime below the eight digits of an identifier, and what numbers are mixed with."""


@dataclass(frozen=True)
class Persons:
    """Hold who came, one entry an exam.

    Parameters
    ----------
    number : (n,) int64
        Number of the person in the city.
    birth : (n,) float32
        Day of birth since 1970-01-01.
    female : (n,) bool
        Sex.
    """

    number: npt.NDArray[np.int64]
    birth: npt.NDArray[np.float32]
    female: npt.NDArray[np.bool_]


class Quarter:
    """Choose people of one size of quarter: those around a facility.

    Numbers of a quarter run through its men, then its women, each from the youngest cohort to the
    oldest, and in a cohort by birth; sex and birth are thus known from the number alone.

    Parameters
    ----------
    people
        People of the quarter.
    """

    def __init__(self, people: int) -> None:
        self.people = people
        parts = np.asarray(COHORTS.value)
        shares = np.concatenate([parts * (1 - WOMEN.value), parts * WOMEN.value]) / parts.sum()
        ends = np.round(np.cumsum(shares) * people).astype(np.int64)
        self.first = np.concatenate([[0], ends[:-1]])
        self.size = np.diff(ends, prepend=0)
        cohorts = len(parts)
        first, days = _FIRST_BIRTHS
        start = (first - np.datetime64("1970-01-01")).astype(int)
        begins = start - 5 * 365.25 * np.arange(cohorts)
        self.born = np.tile(begins, 2).astype(np.float32)
        self.spans = np.tile([days, *[5 * 365.25] * (cohorts - 1)], 2).astype(np.float32)
        self.choice = self._choose(shares, cohorts)

    def _choose(self, shares: npt.NDArray[np.float64], cohorts: int) -> npt.NDArray[np.uint8]:
        """Return 4,096 cohorts for each modality."""
        found = np.zeros((len(MODALITIES), 4096), np.uint8)
        ages = np.concatenate([[4.0], 9.5 + 5 * np.arange(cohorts - 1)])  # mid-2022
        decades = np.minimum(ages // 10, 8).astype(int)
        for row, modality in enumerate(MODALITIES):
            visits, ratio = VISITS.value[modality]
            wish = np.asarray(visits)[decades]
            men, women = (0.0, 1.0) if ratio == np.inf else (1.0, ratio)
            weights = shares * np.concatenate([wish * men, wish * women]) * (self.size > 0)
            ends = np.round(np.cumsum(weights) / weights.sum() * 4096).astype(int)
            found[row] = np.repeat(np.arange(2 * cohorts), np.diff(ends, prepend=0))
        return found

    def draw(
        self,
        modality: npt.NDArray[np.intp],
        quarter: npt.NDArray[np.int64],
        day: int,
        bits: npt.NDArray[np.uint16],
    ) -> Persons:
        """Choose a person for each exam.

        Parameters
        ----------
        modality : (n,)
            Number of the modality.
        quarter : (n,)
            Number of the quarter.
        day
            Day since 1970-01-01 before which they must be born.
        bits : (3, n) uint16
            Random bits.
        """
        stratum = self.choice.ravel()[modality * 4096 + (bits[0] >> 4)].astype(np.intp)
        born = np.clip((day - self.born) / self.spans, 0, 1)
        alive = np.maximum(self.size * born, 1).astype(np.uint32)
        place = (bits[1].astype(np.uint32) * alive[stratum]) >> np.uint32(16)
        every, share = FREQUENT.value
        often = bits[2] < int(share * 65536)
        place -= (place % np.uint32(every)) * often
        span = (self.spans / np.maximum(self.size, 1)).astype(np.float32)
        return Persons(
            quarter * self.people + self.first[stratum] + place,
            self.born[stratum] + place.astype(np.float32) * span[stratum],
            stratum >= len(self.size) // 2,
        )

    def find(self, quarter: int, *, female: bool, born: int) -> tuple[int, float, bool]:
        """Return number, day of birth and sex of somebody born about a year."""
        day = float((np.datetime64(f"{born}-07-01") - np.datetime64("1970-01-01")).astype(int))
        half = len(self.size) // 2
        cohort = int(np.argmax(self.born[:half] <= day)) + half * female
        return (
            quarter * self.people + int(self.first[cohort]),
            float(self.born[cohort]),
            female,
        )


def patient_number(person: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the eight digits of an identifier, which tell neither sex nor birth.

    Examples
    --------
    >>> import numpy as np
    >>> len(np.unique(patient_number(np.arange(100_000))))
    100000
    """
    mixed: npt.NDArray[np.int64] = (person + 17) * _FACTOR % _MODULUS
    return mixed


def weigh(
    persons: Persons, identifier: npt.NDArray[np.int64], age: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the weight of each person, kg; it belongs to the person, and changes with age only.

    Parameters
    ----------
    persons
        Who came.
    identifier : (n,)
        Their `patient_number`, which says how much they differ from the median of their age.
    age : (n,)
        Age, years.
    """
    spread = _BELL[identifier & 0xFF]
    years = np.minimum(age, 18).astype(np.uint8)
    typical = _TYPICAL[persons.female.view(np.uint8), years]
    kilograms: npt.NDArray[np.float32] = np.rint(typical * spread)
    return kilograms


def _typical() -> npt.NDArray[np.float32]:
    men, women = ADULT_WEIGHTS.value[0]
    return np.array([[*CHILD_WEIGHTS.value, men], [*CHILD_WEIGHTS.value, women]], np.float32)


def _bell() -> npt.NDArray[np.float32]:
    """Return 256 factors, log-normal, at the middle of as many equal shares."""
    from statistics import NormalDist

    normal = NormalDist()
    quantiles = [normal.inv_cdf((i + 0.5) / 256) for i in range(256)]
    return np.exp(ADULT_WEIGHTS.value[1] * np.array(quantiles)).astype(np.float32)


_TYPICAL = _typical()
_BELL = _bell()

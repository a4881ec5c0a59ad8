"""Scope: the tables a question is answered from, and the reader's words for what they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from workbench.definition.dimensions import YEARS, StudyDimension
from workbench.publish.language import Words, lowered, speak
from workbench.publish.tables import Table
from workbench.summaries.dimension import MISSING, OTHER

COUNTED = ("exams", "patients")
"""Measures that are counts, of which there are shares."""
NAMED = ("a", "MB", "h", "min", "mGy", "mGy.cm")
"""UCUM units for which a language has words; others are written as they are."""


@dataclass(frozen=True)
class Scope:
    """Hold the tables a reading is made from, and the words for them.

    Parameters
    ----------
    pooled
        The table of all sites together.
    sites
        Table of each site by its name; None where the site has none.
    chosen
        Name of the site that is read, "" for all together.
    dimensions
        Dimensions of the study by name.
    unit
        UCUM unit of the table's values, "" for counts.
    language
        Two-letter code.
    threshold
        Fewest patients that are told.
    counted
        What is counted, in the reader's language, where that is no exams.
    """

    pooled: Table
    sites: Mapping[str, Table | None]
    chosen: str
    dimensions: Mapping[str, StudyDimension]
    unit: str = ""
    language: str = "en"
    threshold: int = 10
    counted: str = ""

    @property
    def table(self) -> Table:
        """The table that is read."""
        chosen = self.sites.get(self.chosen) if self.chosen else self.pooled
        return chosen or self.pooled

    @property
    def there(self) -> dict[str, Table]:
        """Table of each site that has one."""
        return {name: table for name, table in self.sites.items() if table is not None}

    @property
    def alone(self) -> bool:
        """True if one site only tells of this: then there is nothing to compare."""
        return len(self.there) == 1

    @property
    def words(self) -> Words:
        """The reader's language."""
        return speak(self.language, self.counted)

    def say(self, key: str, **values: object) -> str:
        """Return words in the reader's language."""
        return self.words.say(key, **values)

    def label(self, dimension: str, code: str) -> str:
        """Return the words for a code."""
        return self.dimensions[dimension].label(code, self.language)

    def inside(self, dimension: str, label: str) -> str:
        """Return the words for a code as they stand inside a sentence: names keep their capital."""
        held = self.dimensions[dimension]
        fixed = {held.label(code, self.language) for code in (OTHER, MISSING)}
        return label if held.proper and label not in fixed else lowered(label)

    def with_unit(self, dimension: str, label: str) -> str:
        """Return the words for an interval with its unit, in the form that the last number asks."""
        if self.dimensions[dimension].dimension.unit == YEARS:
            number = re.search(r"\d+$", label)
            return self.words.count("n_years", float(number[0]), label) if number else label
        if not re.search(r"\d", label):  # such as `other`
            return label
        return f"{label} {self.unit_of(dimension)}".rstrip()

    def unit_of(self, dimension: str) -> str:
        """Return the words for a dimension's unit."""
        return self.unit_words(self.dimensions[dimension].dimension.unit)

    def title(self, dimension: str) -> str:
        """Return the words for a dimension, with its unit."""
        words = self.dimensions[dimension].title(self.language)
        return self.words.listed((words, self.unit_of(dimension)))

    def measure(self, name: str) -> str:
        """Return the words for a measure, with its unit."""
        if name in COUNTED:
            return self.say(f"count_{name}")
        return self.words.listed((self.say(name), self.unit_words(self.unit)))

    def of(self, measure: str) -> str:
        """Return the words for what there are shares of."""
        return self.say(f"of_{measure}") if measure in COUNTED else self.measure(measure)

    def unit_words(self, unit: str) -> str:
        """Return the words for a UCUM unit; none for a plain number."""
        if unit == "1":
            return ""
        return self.say(f"unit_{unit}") if unit in NAMED else unit

"""Quality: how many values of each column are stated, missing, or not understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

WARNING = 0.05
"""Share of the stated values that may fail to be understood without a warning."""
MODALITIES = (
    *("AR", "BI", "BMD", "CFM", "CR", "CT", "CTPROTOCOL", "DG", "DMS", "DX", "ECG", "EEG", "EMG"),
    *("EOG", "EPS", "ES", "GM", "HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER", "LEN", "LS", "MG"),
    *("MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA"),
    *("POS", "PT", "PX", "RESP", "RF", "RG", "RTIMAGE", "SM", "SRF", "TG", "US", "VA", "XA"),
    *("XAPROTOCOL", "XC", "AS", "CD", "CF", "CP", "CS", "DD", "DF", "DM", "DS", "EC", "FA", "FS"),
    *("LP", "MA", "MS", "OPR", "ST", "VF"),
)
"""Modalities of images, those that are retired last (DICOM PS3.3, C.7.3.1.1.1)."""
NOT_UNDERSTOOD = {
    "modality": "no modality of DICOM: becomes `other` unless a codelist matches it",
    "age_years": "no age of 0 to 130 years, or two ages in one exam: becomes `missing`",
    "sex": "not F, M or O, or two sexes of one patient: becomes `missing`",
    "instances": "below 0, or more than an exam can have: taken as not stated",
    "megabytes": "below 0, or more than an exam can have: taken as not stated",
}
"""Column -> what is not understood there."""
COLUMNS = (
    *("modality", "manufacturer", "model", "body_part", "exam_description", "age_years", "sex"),
    *("instances", "megabytes"),
)
EMPTY = "not in the table, or empty"


@dataclass(frozen=True)
class Quality:
    """Say how far one column can be used; no value stands in it.

    Parameters
    ----------
    column
        Our name of the column.
    filled
        Series with images that state a value.
    missing
        Series with images that state none.
    not_understood
        Of the filled, those whose value is not believed, is no code, or contradicts another.

    Examples
    --------
    >>> age = Quality("age_years", filled=200, missing=0, not_understood=50)
    >>> age.share, age.warning
    (0.25, True)
    """

    column: str
    filled: int
    missing: int
    not_understood: int

    @property
    def share(self) -> float:
        """Share of the filled values that are not understood."""
        return self.not_understood / self.filled if self.filled else 0.0

    @property
    def warning(self) -> bool:
        """Whether more than `WARNING` of the filled values are not understood."""
        return self.share > WARNING

    @property
    def note(self) -> str:
        """What is not understood, or that nothing is stated; "" if all is well."""
        if not self.filled:
            return EMPTY
        return NOT_UNDERSTOOD.get(self.column, "") if self.not_understood else ""

    def row(self) -> dict[str, str | int | float | bool]:
        """Return what a table shows."""
        return {
            "column": self.column,
            "filled": self.filled,
            "missing": self.missing,
            "not_understood": self.not_understood,
            "share": round(self.share, 4),
            "warning": self.warning,
            "note": self.note,
        }


class QualityTally:
    """Add up, over the passes, what each column states."""

    def __init__(self) -> None:
        self.counts = {name: [0, 0, 0] for name in COLUMNS}

    def add(self, column: str, *, filled: int = 0, missing: int = 0, bad: int = 0) -> None:
        """Add series to the counts of a column."""
        for i, number in enumerate((filled, missing, bad)):
            self.counts[column][i] += int(number)

    def add_stored(self, stored: pl.DataFrame, clean: pl.DataFrame) -> None:
        """Count groups of series with images, in the same order as stored and as tidy.

        Parameters
        ----------
        stored
            Columns as they are stored, `series` (the size of the group), and `images_unknown` and
            `bytes_unknown`, how many of these state no number.
        clean
            The same as values.
        """
        import polars as pl

        from workbench.archive.archive import is_stated

        series = stored["series"]
        total = int(series.sum())
        for name in COLUMNS[:-2]:
            given = stored.select(is_stated(pl.col(name))).to_series()
            filled = int(series.filter(given).sum())
            lost = given & clean[name].is_null()
            if name == "modality":
                lost = given & ~clean[name].str.to_uppercase().is_in(MODALITIES)
            bad = int(series.filter(lost).sum())
            self.add(name, filled=filled, missing=total - filled, bad=bad)
        for name, unknown in (("instances", "images_unknown"), ("megabytes", "bytes_unknown")):
            missing = int(stored[unknown].sum())
            self.add(name, filled=total - missing, missing=missing)


def parse_quality(counts: Mapping[str, Sequence[int]]) -> tuple[Quality, ...]:
    """Return the counts of a record as rows.

    Raises
    ------
    ValueError
        If they are anything but counts of known columns.
    """
    rows = []
    for name in COLUMNS:
        filled, missing, bad = counts[name]
        if any(type(n) is not int or n < 0 for n in (filled, missing, bad)) or bad > filled:
            raise ValueError(name)
        rows.append(Quality(name, filled, missing, bad))
    return tuple(rows)

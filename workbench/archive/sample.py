"""Sample: the patients that a run opens for a first look, the same in every table of a site."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from workbench.definition.steps import SAMPLE
from workbench.errors import UsageError, show

if TYPE_CHECKING:
    from workbench.site import Site

PATIENT = pl.col("patient_id").cast(pl.String).str.strip_chars()
"""A patient as every table of a site names them, however it stores them."""


def read_sample_size() -> int | None:
    """Return how many patients the environment variable WORKBENCH_SAMPLE allows, None for all.

    Raises
    ------
    UsageError
        If it is set and no number of patients.
    """
    text = os.environ.get(SAMPLE, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text[:12]) < 10**9):
        raise UsageError(
            f"{SAMPLE} is {show(text)!r}",
            where=f"environment variable {SAMPLE}",
            todo="Set it to a number of patients, 1 or more, or unset it",
        )
    return int(text)


def choose_patients(rows: pl.LazyFrame, size: int) -> list[str]:
    """Return as many patients as a sample has, by the smallest digests of their ids.

    Parameters
    ----------
    rows
        patient_id, of all patients.
    size
        Number of patients.

    Examples
    --------
    >>> choose_patients(pl.LazyFrame({"patient_id": ["a", "b", " b", None, "c"]}), 2)
    ['c', 'b']
    """
    found = rows.select(PATIENT.unique()).collect(engine="streaming")["patient_id"].drop_nulls()
    return sorted(found.to_list(), key=lambda i: hashlib.sha256(i.encode()).digest())[:size]


def keep_sample(rows: pl.LazyFrame, site: Site | Path | str) -> pl.LazyFrame:
    """Return the rows of a table of patients that a sample holds: of those `open_archive` keeps.

    Parameters
    ----------
    rows
        patient_id, and whatever else.
    site
        A Site, or the path of a `site.toml`.

    Returns
    -------
    polars.LazyFrame
        All rows where the environment variable WORKBENCH_SAMPLE is not set.

    Raises
    ------
    SiteError
        If the archive cannot be opened to choose them.
    """
    from workbench.archive.archive import open_archive

    return rows if read_sample_size() is None else open_archive(site).keep_patients(rows)

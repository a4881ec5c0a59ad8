"""Buckets: the rows of a catalog in partitions of whole patients, and their series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from workbench.catalog.listing import drop_gone
from workbench.catalog.part import PLACE, add_place
from workbench.catalog.series import summarise_series
from workbench.catalog.table import Table, read_digest, read_table, scan_tables, write_table
from workbench.dicom.columns import SCHEMA
from workbench.dicom.modalities import count_modalities
from workbench.errors import SiteError

ROWS_PER_BUCKET = 50_000
PLACES = 2**32
"""Places of a patient: bucket i of n holds those from i/n to (i+1)/n of them."""
_ORDER = ("patient_id", "exam_uid", "series_uid", "path")
_NAMES = list(SCHEMA)


@dataclass(frozen=True)
class Bucket:
    """Say what one bucket is made of.

    Parameters
    ----------
    folder
        The catalog's folder.
    name
        What its files are called.
    low, high
        Places that it holds, the last not included.
    old
        Files of rows of the last scan, among them those of this bucket.
    gone
        Tables of paths that are no longer there, or changed.
    new
        Tables of rows that were read since, with their places.
    refused
        Table of the duplicates that are refused.
    """

    folder: Path
    name: str
    low: int
    high: int
    old: tuple[Path, ...]
    gone: tuple[Table, ...]
    new: tuple[Table, ...]
    refused: Table


def count_buckets(rows: int, now: int) -> int:
    """Return into how many buckets to divide; as now, unless these became too large or small.

    Examples
    --------
    >>> count_buckets(10, 0), count_buckets(120_000, 0), count_buckets(120_000, 2)
    (1, 3, 2)
    """
    wanted = max(1, -(-rows // ROWS_PER_BUCKET))
    return now if now and now / 4 <= wanted <= now * 2 else wanted


def bounds(number: int, buckets: int) -> tuple[int, int]:
    """Return the first place of a bucket, and the first of the next."""
    return number * PLACES // buckets, (number + 1) * PLACES // buckets


def write_bucket(bucket: Bucket) -> dict[str, Any]:
    """Write the instances and the series of one bucket.

    Returns
    -------
    dict
        Its entry in catalog.json.
    """
    here = (pl.col(PLACE) >= bucket.low) & (pl.col(PLACE) < bucket.high)
    tables = [
        add_place(drop_gone(pl.read_parquet(file), bucket.gone)).filter(here).select(_NAMES)
        for file in bucket.old
    ]
    if bucket.new:
        new = scan_tables(bucket.new)
        whole = (bucket.low, bucket.high) == (0, PLACES)
        tables.append((new if whole else new.filter(here)).select(_NAMES).collect())
    rows = pl.concat(tables or [pl.DataFrame(schema=SCHEMA)]).sort(_ORDER)
    refused = read_table(bucket.refused, ["path"])
    aside = rows[:0] if refused.is_empty() else rows.join(refused, on="path", how="semi")
    if len(aside):
        rows = rows.join(refused, on="path", how="anti", maintain_order="left")
    series = summarise_series(rows)
    names = {"instances": f"instances/{bucket.name}", "series": f"series/{bucket.name}"}
    for table, name in ((rows, names["instances"]), (series, names["series"])):
        write_table(table, bucket.folder / name, compression="zstd")
    names["aside"] = ""
    if len(aside):
        names["aside"] = f"state/aside-{bucket.name}"
        write_table(aside.sort("path"), bucket.folder / names["aside"], compression="zstd")
    told = read_digest(bucket.folder / names["instances"])
    if told is None:
        raise SiteError(
            "A table of the catalog cannot be read back",
            where=names["instances"],
            todo="Check the disk that the catalog is written to, and scan again",
        )
    return {
        **names,
        "low": bucket.low,
        "high": bucket.high,
        "rows": len(rows),
        "aside_rows": len(aside),
        "series_rows": len(series),
        "exams": series.select(pl.struct("patient_id", "exam_uid").n_unique()).item(),
        "patients": series["patient_id"].drop_nulls().n_unique(),
        "bytes": rows["pixel_bytes"].sum(),
        "modalities": count_modalities(rows["modality"]),
        "digest": told["digest"],
    }


def find_touched(
    folder: Path,
    old: Sequence[Mapping[str, Any]],
    gone: Sequence[Table],
    new: Sequence[Table],
    refused: pl.DataFrame,
) -> list[bool]:
    """Return for each bucket of the last scan whether its rows are others now.

    Parameters
    ----------
    folder
        The catalog's folder.
    old
        Entries of the buckets in catalog.json.
    gone, new
        As in `Bucket`.
    refused
        path and place of the duplicates that are refused.
    """
    edges = np.array([bucket["low"] for bucket in old])
    touched = np.zeros(len(old), bool)
    for table in new:
        places = read_table(table, [PLACE])[PLACE].unique()
        touched[np.searchsorted(edges, places.to_numpy(), "right") - 1] = True
    refused = refused.select("path", PLACE)
    for number, bucket in enumerate(old):
        if touched[number]:
            continue
        aside = _paths(folder, bucket["aside"])
        here = (pl.col(PLACE) >= bucket["low"]) & (pl.col(PLACE) < bucket["high"])
        if not aside["path"].sort().equals(refused.filter(here)["path"].sort()):
            touched[number] = True
        elif gone:
            paths = _paths(folder, bucket["instances"])
            touched[number] = len(drop_gone(paths, gone)) != len(paths)
    return [bool(t) for t in touched]


def _paths(folder: Path, name: str) -> pl.DataFrame:
    if not name:
        return pl.DataFrame(schema={"path": pl.String})
    return pl.read_parquet(folder / name, columns=["path"])


def mark_shared(folder: Path, buckets: Sequence[dict[str, Any]], generation: int) -> None:
    """Mark the series whose UID another exam or patient claims, in whichever bucket it is.

    Parameters
    ----------
    folder
        The catalog's folder.
    buckets
        Entries in catalog.json; the name of a table that is written again is changed.
    generation
        Number of this scan.
    """
    if len(buckets) == 1:
        return  # `summarise_series` marked them
    tables = [
        pl.read_parquet(folder / b["series"], columns=["series_uid", "shared"]) for b in buckets
    ]
    claimed = pl.concat([t["series_uid"] for t in tables]).value_counts()
    several = claimed.filter(pl.col("count") > 1)["series_uid"]
    for number, (bucket, table) in enumerate(zip(buckets, tables, strict=True)):
        shared = table["series_uid"].is_in(several.implode())
        if not shared.equals(table["shared"], check_names=False):
            path = folder / bucket["series"]
            rows = pl.read_parquet(path).with_columns(shared=shared)
            name = f"series/bucket-{number:04d}-{generation}-shared.parquet"
            write_table(rows, folder / name, compression="zstd")
            bucket["series"] = name

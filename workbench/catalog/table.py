"""Table: rows on the disk or in memory; a file of them is there whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import polars as pl

TABLES = ("instances", "series", "state")
"""Folders of a catalog's tables; a file there that catalog.json does not name is left over."""
Table: TypeAlias = Path | pl.DataFrame
"""A Parquet file, or what would be in it if it were too much to be held."""


def read_table(table: Table, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the rows of a table, or some of its columns."""
    if isinstance(table, Path):
        return pl.read_parquet(table, columns=None if columns is None else list(columns))
    return table if columns is None else table.select(columns)


def scan_tables(tables: Sequence[Table]) -> pl.LazyFrame:
    """Return the rows of one or more tables; of those on the disk nothing is read yet."""
    files = [table for table in tables if isinstance(table, Path)]
    held = [table.lazy() for table in tables if isinstance(table, pl.DataFrame)]
    return pl.concat([*([pl.scan_parquet(files)] if files else []), *held])


def count_rows(tables: Sequence[Table]) -> int:
    """Return the number of rows of tables."""
    files = [table for table in tables if isinstance(table, Path)]
    held = sum(len(table) for table in tables if isinstance(table, pl.DataFrame))
    return held + (pl.scan_parquet(files).select(pl.len()).collect().item() if files else 0)


def write_table(
    table: pl.DataFrame,
    path: Path,
    *,
    group: int | None = None,
    compression: Literal["lz4", "zstd"] = "lz4",
) -> None:
    """Write a Parquet file that is there whole, on the disk, or not at all."""
    coming = path.with_name(f".{path.name}")
    table.write_parquet(coming, compression=compression, row_group_size=group)
    sync(coming)
    coming.rename(path)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_digest(path: Path) -> dict[str, Any] | None:
    """Return the size of a file in bytes, and the SHA-256 of all of them.

    A Parquet file may hold checksums of its pages (Apache Parquet format, "Checksumming"), but
    polars neither writes nor compares them.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict or None
        "bytes" and "digest"; None if it is no regular file, is empty, or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None
        with os.fdopen(handle, "rb", closefd=False) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
    finally:
        os.close(handle)
    return {"bytes": status.st_size, "digest": digest}

"""Blame: what the system refuses during a scan, said of the archive or of the catalog."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from workbench.catalog.table import TABLES
from workbench.errors import SiteError, show
from workbench.running.disk import FULL, writing

_REFUSED = re.compile(r"\(os error (\d+)\)")
_FOOTER = "Invalid thrift: transport error"
"""What the writer of tables says where the system refuses the footer: it keeps no code of it."""


@contextlib.contextmanager
def writing_tables(folder: Path) -> Iterator[None]:
    """Do what `writing` does for tables too, whose writer has its own words for a full disk.

    Parameters
    ----------
    folder
        The catalog's folder.

    Raises
    ------
    ExecutionError
        In place of what the system refuses.
    SiteError
        If a table that shall be read is none.
    """
    with writing(folder):
        try:
            yield
        except pl.exceptions.ComputeError as error:
            text = str(error)
            if found := _REFUSED.search(text):
                raise OSError(int(found[1]), "") from None
            if _FOOTER in text and all(map(_can_be_read, _list_tables(folder))):
                raise OSError(errno.ENOSPC, "") from None
            if not text.startswith("parquet: File out of specification"):
                raise
            raise SiteError(
                "A table of the catalog cannot be read",
                where=show(str(folder), 200),
                todo="Remove the catalog's folder and scan again; check the disk",
            ) from None


def _list_tables(folder: Path) -> list[Path]:
    return [path for name in TABLES for path in (folder / name).glob("[!.]*")]


def _can_be_read(path: Path) -> bool:
    try:
        pl.read_parquet(path)
    except (OSError, pl.exceptions.ComputeError):
        return False
    return True


@contextlib.contextmanager
def reading_archive(root: Path) -> Iterator[None]:
    """Turn what the system refuses into an error that names the archive.

    Parameters
    ----------
    root
        Root of the archive, or the address of a server.

    Raises
    ------
    SiteError
        In place of an `OSError`, but for that of a full disk: reading needs no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise
        reason = os.strerror(error.errno) if error.errno else "the system refuses"
        raise SiteError(
            f"The archive cannot be read: {reason}",
            where=show(str(root), 200),
            todo="Check that it is there and can be reached: the same command goes on",
        ) from None

"""Unfinished: the work of a scan that is not the catalog yet, kept in parts by the next one.

It lies in a folder of the catalog's. A part holds what was read of some files, or of some exams
of a server, and counts as long as they are listed as they were.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from workbench.catalog.listing import IDENTITY, Changes
from workbench.catalog.part import ENTRIES, Part, list_parts
from workbench.catalog.record import CATALOG, columns_text, named_tables
from workbench.catalog.table import TABLES, count_rows, read_digest, read_table, scan_tables
from workbench.catalog.walk import file_of
from workbench.dicom.columns import REFUSED_SCHEMA
from workbench.errors import SiteError, show
from workbench.running.disk import writing

UNFINISHED = "unfinished-"
"""Start of the name of the folder."""
ABOUT = "about.json"
LEFT_OUT = "refused.parquet"
"""Name by which a person finds what is not in the catalog; one more for that table's file."""
_OURS = {CATALOG, f".{CATALOG}", "lock", LEFT_OUT, f".{LEFT_OUT}", "spool", *TABLES}


@dataclass(frozen=True)
class Left:
    """Hold what of a scan is read already.

    Parameters
    ----------
    parts
        Its parts.
    done, total
        Entries in them, and entries that are fresh.
    """

    parts: tuple[Path, ...]
    done: int
    total: int

    @property
    def next_number(self) -> int:
        """Number of the next part."""
        return 1 + max((int(part.name[5:]) for part in self.parts), default=0)

    def without(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the entries that are in no part."""
        if not self.parts or rows.is_empty():
            return rows
        held = pl.scan_parquet([part / ENTRIES for part in self.parts]).filter(
            pl.col("path").is_between(pl.lit(rows["path"][0]), pl.lit(rows["path"][-1]))
        )
        return rows.join(held.collect(), on="path", how="anti", maintain_order="left")


def prepare(out: Path) -> None:
    """Make the folder of a catalog, readable by its owner alone.

    Raises
    ------
    SiteError
        If it holds something else.
    """
    with writing(out):
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = {path.name for path in out.iterdir()}
        strange = {name for name in names - _OURS if not name.startswith(UNFINISHED)}
        if strange and CATALOG not in names:
            raise SiteError(
                "The folder is not empty, and is no catalog",
                where=show(str(out), 200),
                todo="Name a new folder",
            )
        out.chmod(0o700)


def open_work(out: Path, root: Path) -> Path:
    """Return a new folder for work, with the parts of one that was left.

    It is a new one, since a process of a scan that was killed may still write to the old.
    """
    work = out / f"{UNFINISHED}{secrets.token_hex(4)}"
    work.mkdir(mode=0o700)
    about = {"columns": columns_text(), "root": str(root)}
    for left in sorted(out.glob(f"{UNFINISHED}*")):
        if left == work:
            continue
        try:
            if json.loads((left / ABOUT).read_text(encoding="utf-8")) == about:
                for part in list_parts(left):
                    part.rename(work / part.name)
        except (OSError, ValueError):
            pass  # written by another version, or broken off: it is read again
        shutil.rmtree(left, ignore_errors=True)
    (work / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return work


def keep_parts(work: Path, changes: Changes) -> Left:
    """Return what is read already; a part whose entries have changed since is removed."""
    parts = tuple(part for part in list_parts(work) if _is_valid(part, changes))
    return Left(parts, count_rows([p / ENTRIES for p in parts]), count_rows(changes.fresh))


def _is_valid(part: Path, changes: Changes) -> bool:
    """Return whether all files of a part are as they were; else remove it."""
    entries = pl.read_parquet(part / ENTRIES)
    if changes.fresh and not entries.is_empty():
        now = scan_tables(changes.fresh).filter(
            pl.col("path").is_between(pl.lit(entries["path"].min()), pl.lit(entries["path"].max()))
        )
        if len(entries.join(now.collect(), on=IDENTITY, how="semi")) == len(entries):
            return True
    shutil.rmtree(part)
    return False


def find_refused(out: Path, old: dict[str, Any], reasons: Iterable[str]) -> set[str]:
    """Return the files, or exams, of which the last scan refused something for one of `reasons`."""
    refused = [out / name for name in old["state"]["refused"]]
    if not refused:
        return set()
    files = (
        scan_tables(refused)
        .filter(pl.col("reason").is_in(list(reasons)))
        .select(file_of(pl.col("path")))
    )
    return set(files.collect()["path"])


def is_known(out: Path, parts: Sequence[Part], changes: Changes, old: dict[str, Any]) -> bool:
    """Return whether nothing changed, and what was tried again was refused as before."""
    if not changes.same or count_rows([part.rows for part in parts]):
        return False
    now = pl.concat([pl.DataFrame(schema=REFUSED_SCHEMA), *(read_table(p.refused) for p in parts)])
    if now.is_empty():
        return True
    before = [out / name for name in old["state"]["refused"]]
    return bool(before) and now.join(pl.read_parquet(before), on=now.columns, how="anti").is_empty()


def remove_left(out: Path, record: dict[str, Any]) -> None:
    """Remove the tables that the catalog does not name: of the last one, and of a killed scan."""
    named = named_tables(record)
    for folder in TABLES:
        for path in (out / folder).iterdir():
            if f"{folder}/{path.name}" not in named:
                path.unlink()


def name_left_out(out: Path, record: dict[str, Any]) -> None:
    """Give the table of what is not in the catalog its second name, `LEFT_OUT`."""
    (table,) = record["state"]["left_out"]
    if read_digest(out / LEFT_OUT) == record["tables"][table]:
        return
    coming = out / f".{LEFT_OUT}"
    coming.unlink(missing_ok=True)
    try:
        coming.hardlink_to(out / table)
    except OSError:  # not every file system knows links
        shutil.copyfile(out / table, coming)
    coming.replace(out / LEFT_OUT)

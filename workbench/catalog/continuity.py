"""Continuity: whether a scan may put another catalog in the place of the last one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from workbench.catalog.listing import Changes
from workbench.catalog.record import Found
from workbench.catalog.table import scan_tables
from workbench.errors import SiteError, show

STAYED = ("path", "size", "mtime_ns")
"""What of a file stays when its archive moves to another folder or disk."""
SHARE = 0.5
"""Share of the last listing that is found unchanged in an archive that moved, at least."""


def require_same_archive(
    found: Found, root: Path, old: Sequence[Path] = (), changes: Changes | None = None
) -> None:
    """Refuse the catalog of another archive; a folder that moved is known by its files.

    Parameters
    ----------
    found
        The last catalog.
    root
        What is scanned now.
    old
        Files of the last listing, where the catalog is whole.
    changes
        What changed since; None for a server, which is known by its address alone.

    Raises
    ------
    SiteError
        If the root is another, and less than half of the files are where they were below it.
    """
    if found.root in ("", str(root)) or (old and changes is not None and _moved(old, changes)):
        return
    raise SiteError(
        "The catalog is of another archive",
        where=f"{show(found.root, 200)}, not {show(str(root), 200)}",
        todo="Name another folder for the catalog; if the archive moved, remove this one",
    )


def _moved(old: Sequence[Path], changes: Changes) -> bool:
    if changes.same:
        return True
    before, now = (scan_tables(tables).select(STAYED) for tables in (old, changes.listing))
    stayed = before.join(now, on=STAYED, how="semi").select(pl.len())
    number = before.select(pl.len()).collect().item()
    return bool(stayed.collect(engine="streaming").item() >= SHARE * number)


def require_files(found: Found, root: Path, changes: Changes, *, emptied: bool) -> None:
    """Refuse an archive without any file where there were some: its disk may not be mounted.

    Parameters
    ----------
    found
        The last catalog.
    root
        What is scanned.
    changes
        What changed since the last scan.
    emptied
        Whether it is known that the archive was emptied.

    Raises
    ------
    SiteError
        If the archive lists nothing that can be read, and the catalog held instances.
    """
    if changes.files or emptied or not found.instances:
        return
    what = "file" if root.is_absolute() else "exam"
    raise SiteError(
        f"The archive holds no {what} any more, the catalog {found.instances:,} instances",
        where=show(str(root), 200),
        todo="Check that its disk is mounted, or what its server may list; "
        "if it was emptied, scan with --emptied (emptied=True)",
    )

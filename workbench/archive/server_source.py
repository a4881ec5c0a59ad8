"""Server source: a server opened by the catalog of its last scan, asked for images alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from workbench.archive.archive import KEYWORDS, Source
from workbench.archive.site_scan import read_server
from workbench.catalog.catalog import Catalog, open_site_catalog
from workbench.catalog.series import as_stored
from workbench.errors import ImageError, SiteError, show


def open_server_source(declared: Mapping[str, Any], folder: Path) -> Source:
    """Open a server by its catalog.

    Parameters
    ----------
    declared
        Table `[archive]` of a `site.toml`.
    folder
        Folder of the `site.toml`.

    Raises
    ------
    SiteError
        If the declaration is not what it must be, or the server was not scanned yet.
    """
    server = read_server(declared, folder)
    catalog = open_site_catalog(declared, folder)
    if catalog.root != server.root:
        raise SiteError(
            "The catalog is of another server",
            where="archive.catalog",
            todo="Run 'workbench scan site.toml'",
        )

    def open_series(series_uid: str) -> tuple[Path, ...]:
        exam, expected = find_series(catalog, series_uid)
        return server.open_series(exam, series_uid, expected)

    return Source(
        lambda: as_stored(catalog.series(), KEYWORDS), catalog.fingerprint, open_series=open_series
    )


def find_series(catalog: Catalog, series_uid: str) -> tuple[str, int]:
    """Return the exam of a series, and the bytes of its pixels when they are not compressed.

    Raises
    ------
    ImageError
        If the catalog has no such series.
    """
    rows = catalog.series().filter(pl.col("series_uid") == series_uid)
    found = rows.select("exam_uid", "megabytes").collect().rows()
    if not found:
        raise ImageError(
            "The catalog has no such series",
            where=show(str(catalog.folder), 200),
            todo="Take a series_uid from open_archive(site).series()",
        )
    exam, megabytes = found[0]
    return exam, int((megabytes or 0) * 1e6)

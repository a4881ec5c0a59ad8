"""Server source: a server opened by the catalog of its last scan, asked for images alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.archive.archive import KEYWORDS, Source
from workbench.archive.site_scan import read_server
from workbench.catalog.catalog import open_site_catalog
from workbench.catalog.series import as_stored
from workbench.errors import SiteError


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

    def open_series(series_uid: str, exam_uid: str | None) -> tuple[Path, ...]:
        exam, megabytes = catalog.find_series(series_uid, exam_uid)
        return server.open_series(exam, series_uid, int(megabytes * 1e6))

    return Source(
        lambda: as_stored(catalog.series(), KEYWORDS), catalog.fingerprint, open_series=open_series
    )

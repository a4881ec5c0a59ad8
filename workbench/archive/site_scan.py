"""Site scan: the catalog of a site brought up to date, whatever holds its archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import SiteError, suggest

if TYPE_CHECKING:
    from workbench.archive.dicomweb import DicomwebServer
    from workbench.archive.dimse import DimseServer
    from workbench.catalog.catalog import Catalog
    from workbench.catalog.scan import Progress
    from workbench.site import Site


def scan_site(
    site: Site,
    *,
    workers: int = 1,
    emptied: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Catalog:
    """Scan the archive that a site declares, into the catalog that it declares.

    Parameters
    ----------
    site
        The site.
    workers
        Number of processes that read, for a folder; a server is asked by one.
    emptied
        Whether it is known that the archive holds nothing any more; else that is refused.
    progress
        Called as the scan goes on.

    Returns
    -------
    Catalog

    Raises
    ------
    SiteError
        If the archive is none that is scanned, or cannot be read.
    ExecutionError
        If the disk refuses.
    """
    from workbench.archive.archive import FOLDER_KEYS, require_keys
    from workbench.archive.server_scan import scan_server
    from workbench.catalog.scan import scan
    from workbench.site import CATALOG

    out = site.locate(str(site.archive.get("catalog", CATALOG)))
    if site.archive["kind"] == "folder" and "path" in site.archive:
        require_keys(site.archive, FOLDER_KEYS)
        folder = site.locate(str(site.archive["path"]))
        return scan(folder, out, workers=workers, emptied=emptied, progress=progress)
    server = open_server(site)
    with server.connect() as reader:
        return scan_server(reader, server.root, out, emptied=emptied, progress=progress)


def open_server(site: Site | Path | str) -> DicomwebServer | DimseServer:
    """Return the server that a site declares, to store results in it.

    Parameters
    ----------
    site
        A Site, or the path of a `site.toml`.

    Raises
    ------
    SiteError
        If the archive is no server, or its declaration is not what it must be.
    """
    if isinstance(site, str | Path):
        from workbench.site import read_site

        site = read_site(Path(site))
    return read_server(site.archive, site.folder)


def read_server(declared: Mapping[str, Any], folder: Path) -> DicomwebServer | DimseServer:
    """Return the server that `[archive]` declares.

    Parameters
    ----------
    declared
        Table `[archive]` of a `site.toml`.
    folder
        Folder of the `site.toml`.

    Raises
    ------
    SiteError
        If the archive is no server, or its declaration is not what it must be.
    """
    from workbench.site import SCANNED

    kind = str(declared["kind"])
    if kind == "dicomweb":
        from workbench.archive.dicomweb import read_dicomweb

        return read_dicomweb(declared, folder)
    if kind == "dimse":
        from workbench.archive.dimse import read_dimse

        return read_dimse(declared, folder)
    raise SiteError(
        "The archive says no folder to scan" if kind == "folder" else
        f"An archive of kind {kind!r} is not scanned",
        where="site.toml, archive",
        todo='Write path = "…"' if kind == "folder" else suggest(kind, SCANNED),
    )  # fmt: skip

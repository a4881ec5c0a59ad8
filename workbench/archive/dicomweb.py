"""DICOMweb: an archive behind a web server (DICOM PS3.18)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from workbench.archive.dicomweb_reader import DicomwebReader
from workbench.archive.server_storage import Receipt, store_by_web
from workbench.archive.web_access import Access, check_access
from workbench.archive.web_session import NotGiven, open_session
from workbench.catalog.spool import Spool
from workbench.definition.declaration import Declared, Line, validate
from workbench.errors import SiteError


class DicomwebTable(Declared):
    """Table `[archive]` of kind "dicomweb"."""

    kind: Literal["dicomweb"] = "dicomweb"
    url: Line
    catalog: Line = "catalog"
    user: Line | Literal[""] = ""
    password_file: Line | None = None
    token_file: Line | None = None
    ca_file: Line | None = None
    client_certificate: Line | None = None
    client_key: Line | None = None
    verify: bool = True
    plain: bool = False
    page: Annotated[int, Field(ge=1, le=100_000)] = 500
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    retries: Annotated[int, Field(ge=0, le=100)] = 5
    spool_gb: Annotated[float, Field(gt=0, le=1_000_000)] = 20.0


@dataclass(frozen=True)
class DicomwebServer:
    """Name a DICOMweb server; nothing is asked until it is used.

    Parameters
    ----------
    access
        How it is reached.
    page
        Exams that are asked for at once.
    spool
        Where series are kept that came from it.
    """

    access: Access
    page: int
    spool: Spool

    @contextmanager
    def connect(self) -> Iterator[DicomwebReader]:
        """Open connections to the server, and close them at the end."""
        with open_session(self.access) as session:
            yield DicomwebReader(session, self.page, self.spool.folder)

    @property
    def root(self) -> Path:
        """Address of the server as a catalog names it."""
        parts = urlsplit(self.access.url)
        return Path(f"dicomweb:{parts.netloc}{parts.path}")

    def open_series(self, exam_uid: str, series_uid: str, expected: int = 0) -> tuple[Path, ...]:
        """Return the files of a series, retrieved if they are not in the spool.

        Raises
        ------
        SiteError
            If the server cannot be used, does not give the series, or it is larger than the spool.
        """

        def fetch(folder: Path, limit: int) -> None:
            with self.connect() as reader:
                try:
                    reader.retrieve((exam_uid, series_uid), folder, limit)
                except NotGiven as error:
                    raise SiteError(
                        f"The server does not give a series that it listed ({error})",
                        where="archive.url",
                        todo="Scan the archive again; ask the server's administrator",
                    ) from None

        return self.spool.open_series(f"{exam_uid} {series_uid}", fetch, expected)

    def store(self, paths: Iterable[Path | str]) -> Receipt:
        """Send DICOM files, such as results, to the server.

        Raises
        ------
        SiteError
            If the server cannot be used.
        ImageError
            If a file cannot be read.
        """
        with open_session(self.access) as session:
            return store_by_web(session, paths)


def read_dicomweb(declared: Mapping[str, Any], folder: Path) -> DicomwebServer:
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
        If the table is not what it must be.
    """
    table = validate(DicomwebTable, declared, "site.toml, archive", SiteError)

    def place(name: str | None) -> Path | None:
        return None if name is None else folder / name

    access = Access(
        table.url,
        table.user,
        place(table.password_file),
        place(table.token_file),
        place(table.ca_file),
        place(table.client_certificate),
        place(table.client_key),
        table.verify,
        table.timeout_s,
        table.retries,
        table.plain,
    )
    check_access(access)
    spool = Spool(folder / table.catalog / "spool", int(table.spool_gb * 1e9))
    return DicomwebServer(access, table.page, spool)

"""DIMSE: an archive behind a DICOM server (PS3.4, B and C): C-FIND, C-GET or C-MOVE, C-STORE."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import polars as pl
from pydantic import Field

from workbench.archive.credentials import check_private
from workbench.archive.dimse_association import PENDING, STOPPED, Broken, Peer, status_of
from workbench.archive.dimse_retrieval import Wanted, retrieve
from workbench.archive.server_listing import (
    UNLISTED,
    Dates,
    ListedExam,
    Told,
    is_uid,
    list_all,
    make_mark,
)
from workbench.archive.server_reader import (
    NOT_GIVEN,
    UNLISTED_READ,
    ExamRead,
    count_missing,
    name_of,
)
from workbench.archive.server_storage import Receipt, store_by_dimse
from workbench.archive.web_access import PLAIN, PLAIN_TODO, is_here
from workbench.catalog.spool import Spool
from workbench.definition.declaration import Declared, Line, validate
from workbench.dicom.refusals import Refused
from workbench.errors import SiteError, show

if TYPE_CHECKING:
    from pydicom import Dataset

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
"""Study root query (PS3.4, C.6.2)."""
ECHO = "1.2.840.10008.1.1"
_TOLD = (
    "NumberOfStudyRelatedInstances", "NumberOfStudyRelatedSeries", "ModalitiesInStudy",
    "PatientID", "StudyTime", "StudyDescription",
)  # fmt: skip
_REFUSED, _MORE = 0x0122, 0xFE00
_TITLE = r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$"
_FORM = "1 to 16 plain characters in quotes, no backslash, no space at either end"
Title = Annotated[str, Field(pattern=_TITLE, description=_FORM)]
"""Title of an application entity: 1 to 16 characters, no backslash (PS3.5, 6.2, AE)."""
Port = Annotated[int, Field(ge=1, le=65_535)]


class DimseTable(Declared):
    """Table `[archive]` of kind "dimse"."""

    kind: Literal["dimse"] = "dimse"
    host: Line
    port: Port
    ae_title: Title
    calling_ae_title: Title = "WORKBENCH"
    retrieve: Literal["get", "move"] = "get"
    move_port: Port | None = None
    move_host: Line = "127.0.0.1"
    tls: bool = False
    plain: bool = False
    ca_file: Line | None = None
    client_certificate: Line | None = None
    client_key: Line | None = None
    catalog: Line = "catalog"
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    retries: Annotated[int, Field(ge=0, le=100)] = 5
    spool_gb: Annotated[float, Field(gt=0, le=1_000_000)] = 20.0


class Instance(NamedTuple):
    """Name an instance as a server lists it."""

    series_uid: str
    instance_uid: str
    sop_class: str


@dataclass(frozen=True)
class DimseServer:
    """Name a DICOM server; nothing is asked until it is used.

    Parameters
    ----------
    peer
        Who speaks with whom.
    page
        Most exams that are listed at once; a longer list is asked for in spans of dates.
    spool
        Where series are kept that came from it.
    move
        Host and port on which we take what the server sends; None to take it by C-GET.
    """

    peer: Peer
    page: int
    spool: Spool
    move: tuple[str, int] | None = None

    @property
    def root(self) -> Path:
        """Address of the server as a catalog names it."""
        return Path(f"dimse:{self.peer.ae_title}@{self.peer.host}:{self.peer.port}")

    @contextmanager
    def connect(self) -> Iterator[DimseServer]:
        """Check that the server answers (C-ECHO), and yield itself.

        Raises
        ------
        SiteError
            If it does not.
        """
        from pynetdicom import build_context

        def ask() -> int:
            with self.peer.associate([build_context(ECHO)]) as association:
                return status_of(association.send_c_echo())

        if status := self.peer.persist(ask):
            raise SiteError(
                f"The server does not answer as it should (status {status:04X})",
                where="archive.host",
                todo="Ask the server's administrator",
            )
        yield self

    def list_exams(self) -> Iterator[ListedExam]:
        """Yield every exam once (PS3.4, C.4.1).

        Raises
        ------
        SiteError
            If the server cannot be used.
        """
        return list_all(self._ask_exams)

    def _ask_exams(self, dates: Dates | None) -> Told:
        asked = {
            "QueryRetrieveLevel": "STUDY",
            "StudyInstanceUID": "",
            "StudyDate": "" if dates is None else f"{dates[0]:%Y%m%d}-{dates[1]:%Y%m%d}",
            **dict.fromkeys(_TOLD, ""),
        }
        found, whole = self.find(asked, self.page)
        for told in found:
            count = str(told.get("NumberOfStudyRelatedInstances") or "")
            values = {name: str(told.get(name) or "") for name in ("StudyDate", *_TOLD)}
            uid = str(told.get("StudyInstanceUID") or "")
            number = int(count) if count.isdecimal() else None
            yield ListedExam(uid if is_uid(uid) else UNLISTED.exam_uid, make_mark(values), number)
        return whole

    def find(self, asked: Mapping[str, str], most: int = 1_000_000) -> tuple[list[Dataset], bool]:
        """Return what the server finds (C-FIND), and whether it has no more.

        Parameters
        ----------
        asked
            Values to match, and "" for what to tell, by keyword.
        most
            Number of answers after which the search is broken off.

        Raises
        ------
        SiteError
            If the server cannot be used, or refuses the search.
        """
        from pydicom import Dataset
        from pynetdicom import build_context

        identifier = Dataset()
        for keyword, value in asked.items():
            setattr(identifier, keyword, value)

        def ask() -> tuple[list[Dataset], int]:
            found: list[Dataset] = []
            with self.peer.associate([build_context(FIND)]) as association:
                if not association.accepted_contexts:
                    return found, _REFUSED
                for answer, told in association.send_c_find(identifier, FIND):
                    status = status_of(answer)
                    if status not in PENDING:
                        return found, status
                    if len(found) == most:
                        association.abort()
                        return found, _MORE
                    if told is not None:
                        found.append(told)
            raise Broken(STOPPED)

        found, status = self.peer.persist(ask)
        if status not in (0, _MORE):
            raise SiteError(
                f"The server refuses a search (status {status:04X})",
                where="archive.ae_title or archive.calling_ae_title",
                todo="Ask the server's administrator for the right to search (C-FIND)",
            )
        return found, status == 0

    def list_instances(self, exam_uid: str, series_uid: str = "") -> tuple[list[Instance], bool]:
        """Return the instances of an exam, or of one series of it, and whether these are all.

        Raises
        ------
        SiteError
            If the server cannot be used.
        """
        at = {"StudyInstanceUID": exam_uid}
        asked = at | {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": series_uid}
        answers, whole = self.find(asked)
        told = [str(found.get("SeriesInstanceUID") or "") for found in answers]
        listed: dict[Instance, None] = {}
        for series in filter(None, dict.fromkeys(told)):
            names = {"SeriesInstanceUID": series, "SOPInstanceUID": "", "SOPClassUID": ""}
            answers, complete = self.find(at | names | {"QueryRetrieveLevel": "IMAGE"})
            whole = whole and complete
            for found in answers:
                uid, sop_class = (
                    str(found.get(k) or "") for k in ("SOPInstanceUID", "SOPClassUID")
                )
                listed[Instance(series, uid, sop_class)] = None
        return list(listed), whole

    def read_exam(self, exam: ListedExam) -> ExamRead:
        """Retrieve an exam, read the headers of its instances, and remove it.

        One that is larger than the spool is retrieved series by series.

        Raises
        ------
        SiteError
            If the server cannot be used.
        """
        uid = exam.exam_uid
        if not uid:
            return UNLISTED_READ
        listed, whole = self.list_instances(uid)
        if not listed:
            return ExamRead(refused=[Refused(name_of(uid), NOT_GIVEN)])
        try:
            reads = [self._read(uid, "", listed)]
        except OverflowError:
            reads = self._read_by_series(uid, listed)
        rows = [table for read in reads for table in read.rows]
        refused = [one for read in reads for one in read.refused]
        refused += count_missing(exam, sum(map(len, rows)), refused, whole=whole)
        return ExamRead(rows=rows, refused=refused)

    def _read_by_series(self, uid: str, listed: list[Instance]) -> list[ExamRead]:
        """Read an exam that is larger than the spool; refuse what is still larger."""
        reads = []
        for series in dict.fromkeys(i.series_uid for i in listed):
            own = [i for i in listed if i.series_uid == series]
            try:
                reads.append(self._read(uid, series, own))
            except OverflowError:
                size = f"larger than the spool, {self.spool.limit:,} bytes"
                names = [name_of(uid, series, i.instance_uid) for i in own]
                reads.append(ExamRead(refused=[Refused(n, NOT_GIVEN, size) for n in names]))
        return reads

    def _read(self, uid: str, series_uid: str, listed: list[Instance]) -> ExamRead:
        from workbench.dicom.headers import read_headers

        with self._coming() as folder:
            came = self._retrieve(uid, series_uid, listed, folder, self.spool.limit)
            paths = list(came.values())
            rows, bad = read_headers([str(p) for p in paths], [p.stat().st_size for p in paths])
        by_path = {str(path): instance for instance, path in came.items()}
        series = {i.instance_uid: i.series_uid for i in listed}
        refused = []
        for one in bad:
            instance = by_path[one.path]
            place = name_of(uid, series.get(instance, "?"), instance)
            refused.append(Refused(place, one.reason, one.detail))
        refused += [
            Refused(name_of(uid, i.series_uid, i.instance_uid), NOT_GIVEN)
            for i in listed
            if i.instance_uid not in came
        ]
        return ExamRead(rows=[rows.filter(pl.col("exam_uid") == uid)], refused=refused)

    def open_series(self, exam_uid: str, series_uid: str, expected: int = 0) -> tuple[Path, ...]:
        """Return the files of a series, retrieved if they are not in the spool.

        Raises
        ------
        SiteError
            If the server cannot be used, does not give the series, or it is larger than the spool.
        """

        def fetch(folder: Path, limit: int) -> None:
            listed, whole = self.list_instances(exam_uid, series_uid)
            came = self._retrieve(exam_uid, series_uid, listed, folder, limit)
            if not listed or not whole or len(came) < len(listed):
                told = f"{len(listed)}" if whole else f"more than {len(listed)}"
                raise SiteError(
                    f"The server gives {len(came)} of {told} instances of a series",
                    where="archive.host",
                    todo="Scan the archive again; ask the server's administrator",
                )

        return self.spool.open_series(f"{exam_uid} {series_uid}", fetch, expected)

    def store(self, paths: Iterable[Path | str]) -> Receipt:
        """Send DICOM files, such as results, to the server (C-STORE).

        Raises
        ------
        SiteError
            If the server cannot be used.
        ImageError
            If a file cannot be read.
        """
        return store_by_dimse(self.peer, paths)

    def _retrieve(
        self, exam_uid: str, series_uid: str, listed: list[Instance], folder: Path, limit: int
    ) -> dict[str, Path]:
        classes = tuple(dict.fromkeys(i.sop_class for i in listed if i.sop_class))
        instances = frozenset(i.instance_uid for i in listed)
        wanted = Wanted(exam_uid, series_uid, classes, instances)
        return retrieve(self.peer, wanted, folder, move=self.move, limit=limit)

    @contextmanager
    def _coming(self) -> Iterator[Path]:
        """Yield a private folder for what is removed when its headers are read."""
        self.spool.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="coming-", dir=self.spool.folder) as folder:
            yield Path(folder)


def read_dimse(declared: Mapping[str, Any], folder: Path) -> DimseServer:
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
    table = validate(DimseTable, declared, "site.toml, archive", SiteError)
    if not (table.tls or table.plain or is_here(table.host)):
        raise SiteError(PLAIN, where="archive.tls", todo=f"Write tls = true; {PLAIN_TODO}")
    files = {}
    for key in ("ca_file", "client_certificate", "client_key"):
        name = getattr(table, key)
        files[key] = None if name is None else folder / name
        if name is not None and not (table.tls and (folder / name).is_file()):
            raise SiteError(
                "There is no such file" if table.tls else "The file is for TLS, which is not used",
                where=f"archive.{key}, {show(name, 200)}",
                todo="Correct the path" if table.tls else "Write tls = true",
            )
    if files["client_key"] is not None:
        check_private(files["client_key"], "client_key")
    if (table.retrieve == "move") != (table.move_port is not None):
        raise SiteError(
            "retrieve = 'move' and move_port belong together",
            where="archive.move_port",
            todo="Write the port on which the server shall send to us",
        )
    peer = Peer(
        table.host, table.port, table.ae_title, table.calling_ae_title, table.tls, **files,
        timeout_s=table.timeout_s, retries=table.retries,
    )  # fmt: skip
    spool = Spool(folder / table.catalog / "spool", int(table.spool_gb * 1e9))
    move = None if table.move_port is None else (table.move_host, table.move_port)
    return DimseServer(peer, table.page, spool, move)

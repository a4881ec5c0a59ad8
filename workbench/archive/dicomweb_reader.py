"""DICOMweb reader: exams, their metadata and their instances, asked of a server (PS3.18, 10)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.archive.instance_json import read_instances, uid_of, values_of
from workbench.archive.multipart import find_boundary, write_parts
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
from workbench.archive.web_session import NotGiven, WebSession
from workbench.dicom.refusals import Refused
from workbench.errors import SiteError

if TYPE_CHECKING:
    from dicomweb_client.web import DICOMwebClient

CHUNK = 1 << 20
"""Bytes of an answer that are read at once."""
LARGE_EXAM = 2_000
"""Instances from which on an exam is read series by series."""
INSTANCES, SERIES = "00201208", "00201206"
"""Tags of how many instances, and how many series, an exam has."""
EXAM_UID, SERIES_UID, INSTANCE_UID = "0020000D", "0020000E", "00080018"

Json = dict[str, Any]


@dataclass(frozen=True)
class DicomwebReader:
    """Ask a connected server; made by `dicomweb.DicomwebServer.connect`.

    Parameters
    ----------
    session
        The connection.
    page
        Exams, series or instances that are asked for at once.
    scratch
        Folder for an instance whose metadata cannot be used; private.
    """

    session: WebSession
    page: int
    scratch: Path
    client: DICOMwebClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from dicomweb_client.web import DICOMwebClient

        access = self.session.access
        client = DICOMwebClient(
            access.url.rstrip("/"),
            session=self.session.session,
            permissive_uid=True,
            timeout=access.timeout_s,
        )
        client.set_http_retry_params(retry=False)  # `WebSession.persist` does, and more
        object.__setattr__(self, "client", client)

    def list_exams(self) -> Iterator[ListedExam]:
        """Yield every exam once (PS3.18, 10.6).

        Raises
        ------
        SiteError
            If the server cannot be used.
        """
        try:
            yield from list_all(self._ask_exams)
        except NotGiven as error:
            raise SiteError(
                f"The server does not answer a search for exams ({error})",
                where="archive.url",
                todo="Write the address that stands before '/studies'",
            ) from None

    def _ask_exams(self, dates: Dates | None) -> Told:
        filters = {} if dates is None else {"StudyDate": f"{dates[0]:%Y%m%d}-{dates[1]:%Y%m%d}"}
        fields = [INSTANCES, SERIES]

        def ask(limit: int, offset: int) -> list[Json]:
            return self.client.search_for_studies(
                limit=limit, offset=offset, fields=fields, search_filters=filters
            )

        pages = self._pages(ask)
        while True:
            try:
                yield from map(_listed, next(pages))
            except StopIteration as end:
                return bool(end.value)

    def _pages(self, ask: Callable[[int, int], list[Json]]) -> Generator[list[Json], None, bool]:
        """Yield all that a search finds; return whether the server gave page after page.

        A short page is not the last one: servers cap what they give. Only an empty one is.
        """
        offset = 0
        first: list[str] = []
        while True:
            answer = self.session.persist(partial(ask, self.page, offset))
            marks = [make_mark(a) for a in answer]
            if not answer:
                return True
            if marks == first:
                return False  # the server does not know `offset`
            first = first or marks
            offset += len(answer)
            yield answer

    def read_exam(self, exam: ListedExam) -> ExamRead:
        """Return the rows of an exam, from its metadata (PS3.18, 10.4.1.1.2).

        Raises
        ------
        SiteError
            If the server cannot be used.
        """
        uid = exam.exam_uid
        if not uid:
            return UNLISTED_READ
        items: list[Json] | None = None
        if (exam.instances or 0) <= LARGE_EXAM:
            items = self._given(partial(self.client.retrieve_study_metadata, uid))
        refused: list[Refused] = []
        whole = True
        if items is None:
            items, refused, whole = self._read_by_series(uid)
        read = read_instances(items, uid, self._rescue)
        refused += read.refused
        # The number may be one that a file states of itself: it only says where to look closer.
        if exam.instances != len({uid_of(i, INSTANCE_UID) or n for n, i in enumerate(items)}):
            refused += self._find_missing(exam, items, refused, whole=whole)
        return replace(read, refused=tuple(refused))

    def _given(self, ask: Callable[[], list[Json]]) -> list[Json] | None:
        try:
            return self.session.persist(ask)
        except NotGiven:
            return None

    def _read_by_series(self, uid: str) -> tuple[list[Json], list[Refused], bool]:
        """Read an exam that is large, or that the server does not give as one.

        The last value says whether all its series are known.
        """

        def ask(limit: int, offset: int) -> list[Json]:
            return self.client.search_for_series(uid, limit=limit, offset=offset)

        items: list[Json] = []
        refused: list[Refused] = []
        found, whole = self._search(ask)
        for series in dict.fromkeys(uid_of(a, SERIES_UID) for a in found):
            given = None
            if is_uid(series):
                given = self._given(partial(self.client.retrieve_series_metadata, uid, series))
            if given is None:
                refused.append(Refused(name_of(uid, series or "?"), NOT_GIVEN))
            items += given or []
        if not items and not refused:
            refused.append(Refused(name_of(uid), NOT_GIVEN))
        return items, refused, whole

    def _search(self, ask: Callable[[int, int], list[Json]]) -> tuple[list[Json], bool]:
        """Return what a search finds, and whether that is all."""
        found: list[Json] = []
        pages = self._pages(ask)
        try:
            while True:
                found += next(pages)
        except NotGiven:
            return found, False
        except StopIteration as end:
            return found, bool(end.value)

    def _find_missing(
        self, exam: ListedExam, items: Sequence[Json], refused: Sequence[Refused], *, whole: bool
    ) -> list[Refused]:
        """Return what a search for the instances of an exam finds, and its metadata did not.

        Parameters
        ----------
        exam
            The exam.
        items
            Metadata that was given of its instances.
        refused
            What of it is refused already.
        whole
            Whether all its series are known.
        """
        uid = exam.exam_uid

        def ask(limit: int, offset: int) -> list[Json]:
            return self.client.search_for_instances(uid, limit=limit, offset=offset)

        given = {uid_of(item, INSTANCE_UID) or number for number, item in enumerate(items)}
        known = {r.path for r in refused}
        if name_of(uid) in known:
            return []
        missing: dict[Refused, None] = {}
        instances, listed = self._search(ask)
        for found in instances:
            series, instance = uid_of(found, SERIES_UID), uid_of(found, INSTANCE_UID)
            if instance not in given and name_of(uid, series) not in known:
                missing[Refused(name_of(uid, series, instance), NOT_GIVEN)] = None
        if any(r.reason == NOT_GIVEN and "/" not in r.path for r in refused):
            return list(missing)  # nobody knows how many a series has that is not given
        if listed:
            return list(missing)
        return [*missing, *count_missing(exam, len(given), list(missing), whole=whole)]

    @contextmanager
    def _rescue(self, uids: tuple[str, str, str]) -> Iterator[Path | None]:
        """Retrieve an instance for as long as its header is read; None if it is not given."""
        self.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="coming-", dir=self.scratch) as folder:
            try:
                paths = self.retrieve(uids, Path(folder))
            except (NotGiven, OverflowError):
                paths = []
            yield paths[0] if len(paths) == 1 else None

    def retrieve(self, uids: Sequence[str], folder: Path, limit: int = 1 << 34) -> list[Path]:
        """Retrieve an exam, a series or an instance into a folder, streamed (PS3.18, 10.4).

        Parameters
        ----------
        uids
            Of the exam; of the series; of the instance.
        folder
            An empty folder.
        limit
            Bytes that may be written.

        Raises
        ------
        SiteError
            If the server cannot be used.
        NotGiven
            If it does not give them.
        OverflowError
            If they are larger than `limit`.
        """
        if not all(is_uid(uid) for uid in uids):
            raise NotGiven(0)
        names = ("studies", "series", "instances")
        address = "/".join(f"{n}/{uid}" for n, uid in zip(names, uids, strict=False))
        # Images hardly get smaller by gzip, and the server slower.
        headers = {
            "Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*',
            "Accept-Encoding": "identity",
        }

        def ask() -> list[Path]:
            for left in folder.iterdir():  # of a try before
                left.unlink()
            url = f"{self.client.base_url}/{address}"
            with self.session.session.get(url, headers=headers, stream=True) as answer:
                answer.raise_for_status()
                boundary = find_boundary(answer.headers.get("Content-Type", ""))
                return write_parts(answer.iter_content(CHUNK), boundary, folder, limit=limit)

        return self.session.persist(ask)


def _listed(told: Json) -> ListedExam:
    count = str(next(iter(values_of(told.get(INSTANCES))), ""))
    uid = uid_of(told, EXAM_UID)
    number = int(count) if count.isdecimal() else None
    return ListedExam(uid if is_uid(uid) else UNLISTED.exam_uid, make_mark(told), number)

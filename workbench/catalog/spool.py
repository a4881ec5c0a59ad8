"""Spool: a private folder of series that came from a server, bounded, the oldest evicted first."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import SiteError, show

ABANDONED_S = 86_400
"""Age in seconds of a retrieval that nobody can still be waiting for."""
_COMING = "coming-"


@dataclass(frozen=True)
class Spool:
    """Hold series that were retrieved, until their room is needed.

    Parameters
    ----------
    folder
        Where they stand; made with mode 0700. No identifier stands in a name below it.
    limit
        Bytes that all series may have together.
    """

    folder: Path
    limit: int

    def open_series(
        self, series_uid: str, fetch: Callable[[Path, int], object], expected: int = 0
    ) -> tuple[Path, ...]:
        """Return the files of a series, fetched if they are not here.

        Parameters
        ----------
        series_uid
            The series.
        fetch
            Called with an empty folder and the bytes that may be written there, if the series is
            not here.
        expected
            Bytes that it will about have, for which room is made at first.

        Raises
        ------
        SiteError
            If the series is larger than the spool, or the disk refuses.
        """
        place = self.folder / hashlib.sha256(series_uid.encode()).hexdigest()[:32]
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not place.is_dir():
                self._fetch(place, fetch, expected)
            os.utime(place)
            return tuple(sorted(place.iterdir()))
        except OverflowError:
            raise SiteError(
                f"The series is larger than the spool, {self.limit:,} bytes",
                where="archive.spool_gb",
                todo="Write a larger number",
            ) from None
        except OSError as error:
            raise SiteError(
                f"A series cannot be kept: {error.strerror}",
                where=show(str(self.folder), 200),
                todo="Check its rights, and the room on the disk",
            ) from None

    def _fetch(self, place: Path, fetch: Callable[[Path, int], object], expected: int) -> None:
        with self._lock():
            self._evict(self.limit - expected)
        coming = Path(tempfile.mkdtemp(prefix=_COMING, dir=self.folder))
        try:
            fetch(coming, self.limit)
            with self._lock():
                with suppress(FileExistsError):  # somebody else fetched it meanwhile
                    if not place.is_dir():
                        coming.rename(place)
                self._evict(self.limit, but=place)
        finally:
            shutil.rmtree(coming, ignore_errors=True)

    def _evict(self, room: int, but: Path | None = None) -> None:
        """Remove the series that were opened longest ago, until the rest fits."""
        held = []
        for place in self.folder.iterdir():
            if place.is_dir() and not place.is_symlink():
                opened = place.stat().st_mtime
                if not place.name.startswith(_COMING):
                    held.append((opened, sum(p.stat().st_size for p in place.iterdir()), place))
                elif time.time() - opened > ABANDONED_S:
                    shutil.rmtree(place, ignore_errors=True)
        total = sum(size for _, size, _ in held)
        for _, size, place in sorted(held):
            if total <= max(room, 0):
                return
            if place != but:
                shutil.rmtree(place, ignore_errors=True)
                total -= size

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

"""Series folder: the files that a path stands for, and what is wrong where there are none."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from workbench.errors import ImageError, show

LOOKED_AT = 1000
"""Folders below a folder that are looked at for images."""
FILES_EACH = 4
"""Files of each of them that are looked at."""


def list_path(path: str | Path) -> tuple[list[str], bool]:
    """Return the files of a path, and whether they were found in a folder.

    The path itself may be a link: the user gave it. Links in a folder are not followed.

    Parameters
    ----------
    path
        A file or a folder.

    Raises
    ------
    ImageError
        If there is no such path, or the folder cannot be read.
    """
    if not Path(path).exists():
        told = os.fspath(path)
        uid = told.replace(".", "").isdigit()
        raise ImageError(
            "The images cannot be read: there is no such file or folder",
            where=show(told, 200),
            todo="A UID alone finds no files: give what Archive.open_series(uid) returns"
            if uid
            else "Check the path, and where it starts from",
        )
    if not Path(path).is_dir():
        return [follow(path)], False
    try:
        with os.scandir(path) as entries:
            return sorted(e.path for e in entries if e.is_file(follow_symlinks=False)), True
    except OSError as error:
        raise ImageError(
            f"The folder cannot be read: {error.strerror}",
            where=show(os.fspath(path), 200),
            todo="Ask for the right to read it",
        ) from None


def follow(path: str | Path) -> str:
    """Return what a path leads to, if it is a link, else the path."""
    return os.path.realpath(path) if Path(path).is_symlink() else os.fspath(path)


def refuse_nested(path: str | Path) -> None:
    """Raise if a folder that holds no images is a catalog, or images lie in the folders below it.

    Raises
    ------
    ImageError
        If so; it says how many folders hold some.
    """
    from workbench.catalog.record import CATALOG

    if Path(path, CATALOG).is_file():
        raise ImageError(
            "This is a catalog, not a series",
            where=show(os.fspath(path), 200),
            todo="Write open_volume(open_catalog(folder).series_files(series_uid))",
        )
    below = islice(os.walk(path), 1, LOOKED_AT + 1)
    found = sum(
        any(_is_dicom(Path(folder, name)) for name in sorted(names)[:FILES_EACH])
        for folder, _, names in below
    )
    if found:
        one = "1 folder below it holds" if found == 1 else f"{found:,} folders below it hold"
        raise ImageError(
            "The folder itself holds no images",
            where=f"{show(os.fspath(path), 200)}: {one} some",
            todo="Open one of them, or 'workbench scan' this one and open a series of its catalog",
        )


def _is_dicom(path: Path) -> bool:
    """Return whether a file, and no link, has the mark of DICOM (PS3.10, 7.1)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, 4, 128) == b"DICM"
        finally:
            os.close(descriptor)
    except OSError:
        return False

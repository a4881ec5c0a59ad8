"""Credentials: secrets that stand alone in files of their own, read only when they are used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from workbench.errors import SiteError

LONGEST = 65_536
"""Bytes of the longest secret; an access token can have some thousands."""


def read_secret(path: Path, key: str) -> str:
    """Return the secret that a file holds: its one line, without the line's end.

    Parameters
    ----------
    path
        The file; mode 0600 or stricter.
    key
        Key of `[archive]` that names it, for errors.

    Raises
    ------
    SiteError
        If there is no such file, others may read it, or it holds no line or several. The secret
        stands in no error.
    """
    where = f"archive.{key}"  # not the path: a secret may stand there by mistake
    try:
        # A pipe is not waited for.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:  # noqa: PTH123 - of the handle, so that nothing is swapped
            status = os.fstat(file.fileno())
            content = file.read(LONGEST + 1) if stat.S_ISREG(status.st_mode) else b""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the path cannot be used"
        raise SiteError(
            f"The file of a secret cannot be read: {reason}",
            where=where,
            todo="Name there a file that holds the secret alone, with rights 600",
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise SiteError("A secret must stand in a regular file", where=where, todo="Name a file")
    if status.st_mode & 0o077:
        raise SiteError(
            "Others may read the file of a secret", where=where, todo="chmod 600 the file"
        )
    text = _decode(content)
    if text is None or len(content) > LONGEST:
        raise SiteError(
            "The file of a secret must hold one line of printable text",
            where=where,
            todo="Write the secret alone into it, as UTF-8",
        )
    return text


def check_private(path: Path, key: str) -> None:
    """Refuse the file of a private key that others may read.

    Raises
    ------
    SiteError
        If they may, or there is no such file.
    """
    where = f"archive.{key}"
    if not path.is_file():
        raise SiteError("There is no such file", where=where, todo="Correct the path")
    if path.stat().st_mode & 0o077:
        raise SiteError("Others may read a private key", where=where, todo="chmod 600 the file")


def _decode(content: bytes) -> str | None:
    try:
        text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        return None
    return text if text and text.isprintable() else None

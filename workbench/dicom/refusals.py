"""Refusals: the fixed list of reasons why a file is not in the catalog."""

from __future__ import annotations

from dataclasses import dataclass

DEEPEST = 64
"""Sequences that may be nested in each other, whoever reads them."""
REASONS: dict[str, str] = {
    "empty": "the file has no bytes",
    "not_dicom": "the content is not DICOM",
    "bad_meta": "the file meta information or the data set cannot be parsed",
    "truncated": "the file ends before the data its header declares",
    "bad_length": "the length of the pixel data disagrees with rows, columns, frames and bits",
    "too_deep": f"sequences are nested more than {DEEPEST} deep",
    "too_big_to_inflate": "deflated, and grows beyond 20 times its size or 512 MiB",
    "too_big": "reading one header takes too much memory, or a zip file has too many members",
    "too_slow": "reading takes longer than one file may take",
    "no_identifiers": "the UID of the exam, the series or the instance is missing",
    "dicomdir": "an index of a medium, not an instance",
    "unreadable": "the operating system cannot read the file",
    "link_out": "a link that leads out of the archive",
    "special_file": "a device, pipe or socket, not a file",
    "not_given": "the server lists the exam or the instance, and does not give it",
    "duplicate": "another file has its instance UID; if their content differs, both are refused",
}
"""Code -> sentence; every file of an archive is a row of the catalog or has one of these."""


@dataclass(frozen=True)
class Refused:
    """Name one file that is not in the catalog.

    Parameters
    ----------
    path
        Path relative to the root of the archive; `zip!member` for a member of a zip file.
    reason
        A key of `REASONS`.
    detail
        Fixed words and numbers, never a value of the file; of a duplicate, the path of the other
        file too; "" if there is no more to say.
    """

    path: str
    reason: str
    detail: str = ""


class UnreadableFile(Exception):  # noqa: N818 - it is the file that cannot be read
    """Say why one file is refused; caught by whoever reads many.

    Parameters
    ----------
    reason
        A key of `REASONS`.
    detail
        Fixed words and numbers, never a value of the file.

    Examples
    --------
    >>> print(UnreadableFile("truncated", "512 of 4096 bytes"))
    truncated: 512 of 4096 bytes
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason

"""Archive table: the kinds of archive that a site can declare, and which of them is meant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from workbench.definition.problems import problem
from workbench.errors import nearest, show
from workbench.findings import Finding

KINDS = ("folder", "table", "dicomweb", "dimse", "idc")
"""Kinds of archive; each is opened by what knows it."""
TABLES = (".parquet", ".pq", ".csv", ".tsv", ".txt")
"""How the name of a table's file ends."""
OWN = {"columns": "table", "level": "table", "url": "dicomweb", "token_file": "dicomweb",
       "host": "dimse", "port": "dimse", "ae_title": "dimse", "calling_ae_title": "dimse",
       "collection": "idc"}  # fmt: skip
"""Key that one kind alone has -> that kind."""


def guess_kind(archive: Mapping[str, Any]) -> str:
    """Return the kind of archive that is most likely meant; "" if nothing tells.

    Examples
    --------
    >>> guess_kind({"kind": "dicom", "path": "/srv/images"})
    'folder'
    >>> guess_kind({"kind": "tabel", "path": "exams.parquet"})
    'table'
    >>> guess_kind({"kind": "pacs", "host": "pacs.example"})
    'dimse'
    """
    kind, path = archive.get("kind"), archive.get("path")
    own = [OWN[key] for key in archive if key in OWN]
    if own:
        return max(own, key=own.count)
    local = isinstance(path, str)
    close = nearest(kind, ("folder", "table") if local else KINDS) if isinstance(kind, str) else ""
    if close or not local:
        return close or ""
    return "table" if PurePath(str(path)).suffix.lower() in TABLES else "folder"


def find_archive_problems(archive: Mapping[str, Any], file: str) -> list[Finding]:
    """Return what is wrong with the kind of an archive, and with keys that only others have.

    Parameters
    ----------
    archive
        Table `[archive]`.
    file
        Name of the declaration.
    """
    kind = archive.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        guess = guess_kind(archive)
        what = f"Unknown kind of archive {show(kind)!r}" if kind else "The archive has no kind"
        todo = f"Did you mean {guess!r}? " if guess else ""
        return [problem(what, f"{file}, archive.kind", f"{todo}Known: {', '.join(KINDS)}")]
    return [
        problem(
            f"An archive of kind {kind!r} has no {key!r}",
            f"{file}, archive.{key}",
            f'Remove it, or write kind = "{OWN[key]}"',
        )
        for key in archive
        if OWN.get(key, kind) != kind
    ]

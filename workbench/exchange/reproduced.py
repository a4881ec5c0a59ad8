"""Reproduced: what came of the last time that every site of a study was run again."""

from __future__ import annotations

import datetime as dt

from pydantic import ValidationError

from workbench.definition.declaration import Declared, Name
from workbench.errors import ReleaseError
from workbench.exchange.envelope import LIMIT, RefusedError, canonical, parse_canonical
from workbench.exchange.manifest import Count, Digest
from workbench.running.disk import writing
from workbench.running.publication import write_whole
from workbench.study import Study

REPRODUCED = "reproduced.json"
"""Name of the file, in the folder of the releases."""


class Reproduced(Declared):
    """What was run again, and how many of its numbers moved.

    Parameters
    ----------
    date
        The day it was done.
    study
        Digest of the definition that was run.
    compared
        How many published numbers were compared, by site.
    moved
        How many of them came out otherwise.
    manifests
        SHA-256 of the manifest of each release that was compared.
    """

    date: dt.date
    study: Digest
    compared: dict[Name, Count]
    moved: Count
    manifests: dict[Name, Digest]


def write_reproduced(found: Reproduced, study: Study) -> None:
    """Write down a reproduction beside the releases.

    Raises
    ------
    ExecutionError
        If the file cannot be written.
    """
    folder = study.folder / "releases"
    with writing(folder):
        write_whole(folder / REPRODUCED, canonical(found.model_dump(mode="json")))


def read_reproduced(study: Study) -> Reproduced | None:
    """Return what was written down; None if nothing was, or of another definition.

    Raises
    ------
    ReleaseError
        If the file is not what `write_reproduced` writes.
    """
    path = study.folder / "releases" / REPRODUCED
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT)
    except OSError:
        return None
    try:
        parse_canonical(content, REPRODUCED)
        found = Reproduced.model_validate_json(content)
    except (RefusedError, ValidationError) as error:
        raise ReleaseError(
            "What was reproduced cannot be read",
            where=str(path),
            todo="Reproduce the study again, or remove the file",
        ) from error
    return found if found.study == study.digest else None

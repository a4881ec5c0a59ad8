"""Contents: the files of a release folder, each the one that was signed."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from workbench.disclosure.policy import Policy
from workbench.errors import ReleaseError, show
from workbench.exchange.conformance import declared_output, require_declared, require_protected
from workbench.exchange.envelope import RefusedError, seal
from workbench.exchange.keys import Key
from workbench.exchange.manifest import ENVELOPE, MANIFEST, Manifest
from workbench.running.disk import writing
from workbench.running.publication import sync, sync_tree, write_whole
from workbench.study import Study
from workbench.summaries.summary import Summary
from workbench.summaries.table import LARGEST_FILE, parse_summary


def read_tables(
    folder: Path, manifest: Manifest, study: Study, policy: Policy
) -> dict[str, Summary]:
    """Return the tables of a release folder, which holds what its manifest names and no more.

    Parameters
    ----------
    folder
        The release folder.
    manifest
        What was signed.
    study, policy
        What each table must conform to.

    Raises
    ------
    RefusedError
        If a file is missing, added, changed or unreadable, or a table is not what it must be.
    """
    _require_files(folder, manifest)
    tables = {}
    for name, mark in manifest.tables.items():
        output = declared_output(name, study)
        content = read_file(folder, f"{name}.csv", LARGEST_FILE)
        if (len(content), hashlib.sha256(content).hexdigest()) != (mark.bytes, mark.sha256):
            raise RefusedError(
                "changed_file",
                "The file is not the one that was signed",
                where=f"{name}.csv",
                todo="Fetch the release again from the site",
            )
        try:
            view = parse_summary(content, where=f"{name}.csv")
        except ReleaseError as error:
            raise RefusedError(
                "table_unreadable", error.what, where=error.where, todo=error.todo
            ) from error
        require_declared(view, output)
        require_protected(view, policy, name)
        suppressed = int((view.statuses["patients"] == "suppressed").sum())
        if (view.kind, suppressed) != (mark.kind, mark.suppressed):
            raise RefusedError(
                "manifest_invalid",
                "The manifest says something else of the table than the table itself",
                where=f"{name}.csv",
                todo="Pack the release again with the Workbench",
            )
        tables[name] = view
    if manifest.what == "release":
        for output in study.released:
            if (output.name in tables) == (output.name in manifest.not_answered):
                raise RefusedError(
                    "incomplete",
                    f"{output.name!r} must be released, or said not to be answerable, not both",
                    where=MANIFEST,
                    todo="Run the study again at the site, and pack all of it",
                )
    for name in manifest.not_answered:
        declared_output(name, study)
    return tables


def _require_files(folder: Path, manifest: Manifest) -> None:
    expected = {MANIFEST, ENVELOPE, *(f"{name}.csv" for name in manifest.tables)}
    try:
        found = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise RefusedError(
            "unreadable",
            f"The folder cannot be listed: {error.strerror}",
            where=show(folder.name),
            todo="Let this user read it, or fetch the release again",
        ) from error
    for name in sorted(found - expected):
        raise RefusedError(
            "added_file",
            "The folder holds something that was not signed",
            where=show(name),
            todo="Remove it, or fetch the release again",
        )
    for name in sorted(expected - found):
        raise _missing(name)


def _missing(name: str) -> RefusedError:
    return RefusedError(
        "missing_file", "A file is missing", where=name, todo="Fetch the release again"
    )


def read_file(folder: Path, name: str, limit: int) -> bytes:
    """Return the bytes of one file of a release folder.

    Parameters
    ----------
    folder
        The release folder.
    name
        The file's name.
    limit
        Most bytes to read.

    Raises
    ------
    RefusedError
        If it is missing, no regular file, or too large.
    """
    path = folder / name
    try:
        # A link could show a file that is not in the release; a pipe would wait for ever.
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise RefusedError(
                "not_a_file",
                "It is no regular file",
                where=name,
                todo="Fetch the release again: files, no links",
            )
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise _missing(name) from None
    except OSError as error:
        raise RefusedError(
            "unreadable",
            f"The file cannot be read: {error.strerror}",
            where=name,
            todo="Let this user read it, or fetch the release again",
        ) from error
    if len(content) > limit:
        raise RefusedError(
            "unreadable",
            f"The file is larger than {limit:,} bytes",
            where=name,
            todo="Fetch the release again; the Workbench packs no file of this size",
        )
    return content


def write_folder(out: Path, manifest: Manifest, key: Key, files: Mapping[str, bytes]) -> None:
    """Write a signed release folder in one piece.

    Parameters
    ----------
    out
        The release folder; an earlier one is replaced.
    manifest
        What is signed.
    key
        The key that signs.
    files
        Content of each table by name.

    Raises
    ------
    ExecutionError
        If it cannot be written; an earlier release stays.
    """
    content = manifest.render()
    Manifest.parse(content)
    written = {MANIFEST: content, ENVELOPE: seal(content, key.id, key.sign)}
    written |= {f"{name}.csv": table for name, table in files.items()}
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            made = Path(folder) / out.name
            made.mkdir()
            for name, table in written.items():
                write_whole(made / name, table)
            sync_tree(made)
            old = Path(folder) / "old"
            if out.exists():
                out.rename(old)
            try:
                # A stop just here leaves no folder; the ledger knows the release: it is made again.
                made.rename(out)
            except OSError:
                if old.exists():
                    old.rename(out)
                raise
            sync(out.parent)

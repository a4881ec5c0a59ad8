"""Retention: find runs that were kept for long enough, and remove them safely.

What a run leaves can show patient data: tables of exams, executed notebooks. It is removed once it
was not used for the days that its site keeps it: `[retention] days` of site.toml. Ledgers and
releases are never touched, because what left a site must stay known. Only a folder that lies where
runs lie, is called like a run and holds a run's lock is taken for one; links are not followed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import ExecutionError, SiteError, UsageError, show
from workbench.running.disk import read_private, remove, size_of, writing
from workbench.running.lock import lock_folder

KEEP_DAYS = 90
"""How long a run is kept where its site does not say."""
_RUN_ID = re.compile(r"[0-9a-f]{12}", re.ASCII)
_REMOVING = ".removing-"
_LARGEST = {"record.json": 20_000_000, "params.yaml": 1_000_000}
_LARGEST_LEDGER = 200_000_000


@dataclass(frozen=True)
class KeptRun:
    """Say what is known of one run folder.

    Parameters
    ----------
    folder
        The run folder.
    study, site, run_id
        The names of its place.
    status
        As its record says: "finished", "failed" or "interrupted"; "unfinished" without a record.
    sample
        Whether it opened a sample of the patients only.
    used
        When it was last written to.
    bytes
        What it takes on the disk.
    released
        Whether the site's ledger holds a table of it; None where no ledger can be read.
    keep_days
        How long its site keeps it; `KEEP_DAYS` where no site.toml says so.
    """

    folder: Path
    study: str
    site: str
    run_id: str
    status: str
    sample: bool
    used: dt.datetime
    bytes: int
    released: bool | None
    keep_days: int = KEEP_DAYS

    def age_days(self, now: dt.datetime | None = None) -> float:
        """Return the days since it was last used."""
        return ((now or dt.datetime.now(dt.UTC)) - self.used).total_seconds() / 86_400

    def is_past(self, days: int | None = None) -> bool:
        """Return whether it was not used for so many days; None for `keep_days`."""
        return self.age_days() >= (self.keep_days if days is None else days)


def list_runs(runs: Path) -> list[KeptRun]:
    """Return the runs that a folder holds, the oldest first; nothing is changed.

    Parameters
    ----------
    runs
        Where runs are kept.

    Raises
    ------
    UsageError
        If there is no such folder.
    """
    root = _root(runs)
    with writing(root):
        found = [
            _read(run, study.name, site.name, root)
            for study in _folders(root)
            for site in _folders(study)
            for run in _folders(site)
            if _is_run(run)
        ]
    return sorted(found, key=lambda run: run.used)


def remove_run(run: KeptRun) -> int:
    """Remove a run that no process holds, and return the bytes that became free.

    Its folder first gets another name, so that a run is there whole or not at all; what a stop
    leaves of it is removed by `sweep`.

    Raises
    ------
    ExecutionError
        When a process holds the run, or the folder cannot be removed.
    """
    root = run.folder.parents[2]
    places = [run.folder.parents[1], run.folder.parent, run.folder]
    if any(p.is_symlink() or not p.is_dir() for p in places) or not _is_run(run.folder):
        raise ExecutionError(
            "The run was not removed: its folder is no longer one of a run",
            where=show(str(run.folder), 1000),
            todo="Look at what stands there",
        )
    with lock_folder(run.folder, wait_s=0), writing(run.folder):
        grave = run.folder.rename(root / f"{_REMOVING}{secrets.token_hex(8)}")
    for folder in (run.folder.parent, run.folder.parents[1]):
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if it was the last run
    _remove_whole(grave)
    return run.bytes


def list_left(runs: Path) -> dict[Path, int]:
    """Return what a stop left of runs that were being removed, with its bytes.

    Raises
    ------
    UsageError
        If there is no such folder.
    """
    root = _root(runs)
    with writing(root):
        return {left: size_of(left) for left in _folders(root, hidden=True)}


def sweep(runs: Path) -> int:
    """Remove what a stop left of runs that were being removed; return the bytes that became free.

    Raises
    ------
    UsageError
        If there is no such folder.
    ExecutionError
        When something cannot be removed; the rest is.
    """
    left = list_left(runs)
    for folder in left:
        remove(folder)
    for folder in left:
        _remove_whole(folder)
    return sum(left.values())


def _remove_whole(folder: Path) -> None:
    remove(folder)
    if os.path.lexists(folder):
        raise ExecutionError(
            "A part of the run could not be removed",
            where=show(str(folder), 1000),
            todo="Give its files to this user, then run the same command again",
        )


def _root(runs: Path) -> Path:
    if not runs.is_dir():
        raise UsageError(
            "There is no folder of runs here",
            where=show(str(runs), 200),
            todo="Name the folder with --runs",
        )
    return runs.resolve()


def _folders(place: Path, *, hidden: bool = False) -> Iterator[Path]:
    """Yield the real folders of runs in a place, or those that are being removed."""
    with os.scandir(place) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            wanted = entry.name.startswith(_REMOVING if hidden else ".") == hidden
            if wanted and entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


def _is_run(folder: Path) -> bool:
    return _RUN_ID.fullmatch(folder.name) is not None and (folder / "lock").is_file()


def _read(folder: Path, study: str, site: str, root: Path) -> KeptRun:
    record = _dict(_json(_content(folder, "record.json")))
    declared = _declaration(folder)
    times = [folder.lstat().st_mtime]
    for name in ("lock", "events.jsonl", "record.json"):
        with contextlib.suppress(OSError):
            times.append((folder / name).lstat().st_mtime)
    status = record.get("status")
    return KeptRun(
        folder,
        study,
        site,
        folder.name,
        status if isinstance(status, str) else "unfinished",
        record.get("sample") is not None,
        dt.datetime.fromtimestamp(max(times), dt.UTC),
        size_of(folder),
        _released(record, root / ".ledgers" / f"{site}.jsonl", declared),
        _keep_days(declared, site),
    )


def _released(record: dict[str, Any], ledger: Path, declared: Path | None) -> bool | None:
    """Return whether a ledger holds one of the run's tables.

    The ledger of a real site lies beside its site.toml, which the run's parameters name.
    """
    made = _texts(
        output.get("sha256")
        for step in _dicts(record.get("steps"))
        for output in _dicts(list(_dict(step.get("outputs")).values()))
    )
    paths = [ledger, *([] if declared is None else [declared.parent / "ledger.jsonl"])]
    known = [exact for path in paths if (exact := _tables(path)) is not None]
    return any(made & exact for exact in known) if known else None


def _declaration(folder: Path) -> Path | None:
    """Return the path of the site.toml that a run was given."""
    for line in _content(folder, "params.yaml").decode("utf-8", "replace").splitlines():
        name, _, text = line.partition(":")
        if name == "site" and (path := text.strip().strip("\"'")):
            return Path(path)
    return None


def _keep_days(declared: Path | None, site: str) -> int:
    from workbench.site import read_site

    if declared is None or declared.suffix != ".toml":
        return KEEP_DAYS
    try:
        place = read_site(declared)
    except SiteError:  # it was moved, or is being edited
        return KEEP_DAYS
    return place.keep_days if place.id == site and place.keep_days is not None else KEEP_DAYS


def _tables(ledger: Path) -> set[str] | None:
    """Return the digests of all exact tables in a ledger, or None if it cannot be read."""
    try:
        if not os.path.lexists(ledger):
            return set() if ledger.parent.is_dir() else None
        content = read_private(ledger, _LARGEST_LEDGER)
        if content is None:
            return None
        return _texts(
            digests["exact"]
            for line in content.splitlines()
            for digests in json.loads(line)["tables"].values()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _content(folder: Path, name: str) -> bytes:
    return read_private(folder / name, _LARGEST[name]) or b""


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _texts(values: Iterable[object]) -> set[str]:
    return {value for value in values if isinstance(value, str)}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []

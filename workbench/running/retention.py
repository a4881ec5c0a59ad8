"""Retention: find runs that were kept for long enough, and remove them safely.

What a run leaves can show patient data: tables of exams, executed notebooks. It is removed once it
was not used for the days a site keeps it. Ledgers and releases are never touched, because what
left a site must stay known. Only a folder that lies where runs lie, is called like a run and holds
a run's lock is taken for one; links are not followed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import ExecutionError, UsageError, show
from workbench.running.disk import remove, size_of, writing
from workbench.running.lock import lock_folder

KEEP_DAYS = 90
"""How long a run is kept unless the site says otherwise."""
_RUN_ID = re.compile(r"[0-9a-f]{12}", re.ASCII)
_REMOVING = ".removing-"
_LARGEST_RECORD = 20_000_000


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

    def age_days(self, now: dt.datetime | None = None) -> float:
        """Return the days since it was last used."""
        return ((now or dt.datetime.now(dt.UTC)) - self.used).total_seconds() / 86_400


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
    if not runs.is_dir():
        raise UsageError(
            "There is no folder of runs here",
            where=show(str(runs), 200),
            todo="Name the folder with --runs",
        )
    root = runs.resolve()
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
    leaves of it is removed by the next call.

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
        grave = Path(tempfile.mkdtemp(prefix=_REMOVING, dir=root))
        run.folder.rename(grave / run.run_id)
    for folder in (run.folder.parent, run.folder.parents[1]):
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if it was the last run
    for left in _folders(root, hidden=True):
        remove(left)
    if grave.exists():
        raise ExecutionError(
            "A part of the run could not be removed",
            where=show(str(grave), 1000),
            todo="Give its files to this user, then run the same command again",
        )
    return run.bytes


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
    record = _read_json(folder / "record.json")
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
        _released(folder, record, root / ".ledgers" / f"{site}.jsonl"),
    )


def _released(folder: Path, record: dict[str, Any], ledger: Path) -> bool | None:
    """Return whether a ledger holds one of the run's tables.

    The ledger of a real site lies beside its site.toml, which the run's parameters name.
    """
    made = {
        output.get("sha256")
        for step in _dicts(record.get("steps"))
        for output in _dicts(list(_dict(step.get("outputs")).values()))
    }
    paths = [ledger, *_site_ledger(folder)]
    known = [exact for path in paths if (exact := _tables(path)) is not None]
    return any(made & exact for exact in known) if known else None


def _site_ledger(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in (folder / "params.yaml").read_text("utf-8").splitlines():
            name, _, text = line.partition(":")
            if name == "site":
                yield Path(text.strip().strip("\"'")).parent / "ledger.jsonl"


def _tables(ledger: Path) -> set[object] | None:
    """Return the digests of all exact tables in a ledger, or None if it cannot be read."""
    try:
        lines = ledger.read_bytes().splitlines()
        return {
            digests["exact"] for line in lines for digests in json.loads(line)["tables"].values()
        }
    except FileNotFoundError:
        return set() if ledger.parent.is_dir() else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST_RECORD:
            return {}
        return _dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return {}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []

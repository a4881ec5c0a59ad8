"""Publication: outputs that appear whole or not at all.

A step writes below ``.tmp`` in its run folder. When it ended well, `publish` syncs every file and
folder, and then:

1. nothing published yet: one rename to ``<step>``;
2. an earlier ``<step>`` exists: rename the new one to ``<step>.new``, the earlier one to
   ``<step>.old``, the new one to ``<step>``, and remove ``<step>.old``.

``<step>.new`` exists only when it is complete and synced, so whatever moment a process dies at,
`recover` finds either the earlier folder or a complete new one, and rolls forward. The parent
folder is synced after each rename, so the order also holds when the power fails.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from workbench.running.disk import remove, writing

RUNS = Path("runs")
"""Where runs are kept, unless a command says otherwise."""
TEMPORARY = ".tmp"
"""Folder inside a run folder for what is not published yet."""


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that its name holds the old content or all of the new.

    Raises
    ------
    ExecutionError
        When there is no space left, or no right to write; the old content stays.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with writing(path, len(data)):
            remove(temporary)
            with temporary.open("xb") as file:  # follows no link that stands in its place
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync(path.parent)
    except BaseException:
        remove(temporary)
        raise


def write_json(path: Path, value: object) -> None:
    """Write a value as readable JSON, whole or not at all."""
    write_whole(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    # A pipe that someone put there is refused by the system, not waited for.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def seal(folder: Path) -> None:
    """Make all files below a folder read-only; what is so already keeps its times."""
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place) / name
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & 0o222:
                file.chmod(mode & 0o555)


def sync_tree(folder: Path) -> None:
    """Make all files below a folder read-only and sync them, then the folders, deepest first."""
    seal(folder)
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(place) / name)
        sync(Path(place))


def publish(made: Path, target: Path) -> None:
    """Give a complete folder its final name, in the place of an earlier one if there is one.

    Parameters
    ----------
    made
        A folder on the same file system, below the run folder.
    target
        ``<run folder>/<step>``.

    Raises
    ------
    ExecutionError
        When there is no space left, or no right to write; the earlier folder stays.
    """
    with writing(target):
        sync_tree(made)
        new = target.with_name(f"{target.name}.new")
        if os.path.lexists(target):
            made.rename(new)
            sync(target.parent)
            _exchange(target)
        else:
            made.rename(target)
            sync(target.parent)


def _exchange(target: Path) -> None:
    """Put ``<step>.new`` in the place of ``<step>``; may be called again after any crash."""
    new, old = target.with_name(f"{target.name}.new"), target.with_name(f"{target.name}.old")
    if os.path.lexists(target):
        remove(old)
        target.rename(old)
        sync(target.parent)
    new.rename(target)
    sync(target.parent)
    remove(old)


def recover(folder: Path, names: Iterable[str]) -> list[str]:
    """Finish or undo what a dead process left in a run folder; its lock must be held.

    Parameters
    ----------
    folder
        The run folder.
    names
        Ids of the steps.

    Returns
    -------
    list of str
        Steps whose publication was finished.
    """
    finished = []
    for name in names:
        target = folder / name
        new, old = folder / f"{name}.new", folder / f"{name}.old"
        if new.exists():
            _exchange(target)
            finished.append(name)
        elif old.exists() and not target.exists():
            old.rename(target)
        elif old.exists():
            remove(old)
    # A kernel whose runner was killed may still write there for a second: errors do no harm,
    # because each attempt has a folder of its own, and what is left goes at the next start.
    remove(folder / TEMPORARY)
    for unfinished in folder.glob(".*.tmp"):
        remove(unfinished)
    return finished

"""Outputs: what a step wrote, held against what the study declares."""

from __future__ import annotations

import stat
from collections import deque
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from workbench.cache import digest_path, digest_value
from workbench.definition.steps import FINGERPRINT
from workbench.errors import ExecutionError, nearest, show
from workbench.provenance import OutputRecord, StepRecord
from workbench.running.disk import size_of, walk
from workbench.running.publication import seal
from workbench.running.stamp import stamp

if TYPE_CHECKING:
    from workbench.definition.steps import Output, Step

MAX_FINGERPRINT = 1_000_000
MAX_DEPTH = 32
"""Folders that a step may write inside each other."""


def collect_outputs(step: Step, folder: Path, code: str = "") -> dict[str, OutputRecord]:
    """Return a record of each declared output, by name; the files are made read-only.

    Parameters
    ----------
    step
        What the study declares.
    folder
        The step's `output_dir`.
    code
        Source of the notebook. A name that stands neither here nor among the declared may be that
        of a patient, and is not told.

    Raises
    ------
    ExecutionError
        When a declared output is missing, or a file or folder is there that is not declared.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise ExecutionError(
            f"Step {step.id!r} removed or replaced its output_dir",
            where=f"step {step.id}",
            todo="Write into output_dir, and leave the folder itself alone",
        )
    declared = {output.path: output for output in step.outputs}
    found = _entries(step, folder)
    public = "\n".join([code, FINGERPRINT, *declared])
    for name, mode in found.items():
        told = repr(show(name)) if all(p in public for p in name.split("/")) else "something"
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ExecutionError(
                f"Step {step.id!r} wrote {told}, which is neither file nor folder",
                where=f"step {step.id}",
                todo="Write plain files",
            )
        if not any(_belongs(name, mode, output) for output in step.outputs):
            close = nearest(name, declared)
            known = ", ".join(declared)
            raise ExecutionError(
                f"Step {step.id!r} wrote {told}, which study.toml does not declare",
                where=f"study.toml, step.{step.id}.output",
                todo=(f"Did you mean {close!r}? " if close else "") + f"Declared: {known}",
            )
    for path, output in declared.items():
        there = (folder / path).is_dir() if output.kind == "folder" else path in found
        if not there:
            raise ExecutionError(
                f"Step {step.id!r} did not write its output {output.name!r}",
                where=f"study.toml, step.{step.id}.output.{output.name}",
                todo=f"Let the notebook write {path!r} into output_dir",
            )
    # Now, because giving a file other rights changes its stamp; a folder's new name does not.
    seal(folder)
    return {output.name: _record(folder, path) for path, output in declared.items()}


def take_fingerprint(folder: Path) -> str:
    """Return the digest of what a step says it opened, or ""; the file is removed.

    The text itself is not kept: it may name paths of the site.
    """
    path = folder / FINGERPRINT
    if not path.is_file() or path.is_symlink():
        return ""
    with path.open("rb") as file:
        content = file.read(MAX_FINGERPRINT)
    path.unlink()
    return digest_value(content.decode("utf-8", "replace").strip())


def is_intact(record: StepRecord, folder: Path) -> bool:
    """Return whether the published outputs of a step are still what its record says.

    Files of which the system says what it said then are not read again.
    """
    try:
        deque(walk(folder, MAX_DEPTH), maxlen=0)  # a folder nested too deeply is not walked twice
        return not folder.is_symlink() and all(
            stamp(folder / output.path) == output.stamp
            or digest_path(folder / output.path) == output.sha256
            for output in record.outputs.values()
        )
    except (OSError, RecursionError):
        return False


def _record(folder: Path, path: str) -> OutputRecord:
    place = folder / path
    before = stamp(place)  # first: what is written while it is digested shows in the next stamp
    return OutputRecord(path=path, sha256=digest_path(place), size=size_of(place), stamp=before)


def _entries(step: Step, folder: Path) -> dict[str, int]:
    """Return the mode of everything below a folder by its path, folders last."""
    try:
        found = {e.path: e.stat(follow_symlinks=False).st_mode for e in walk(folder, MAX_DEPTH)}
    except RecursionError:
        raise ExecutionError(
            f"Step {step.id!r} wrote folders more than {MAX_DEPTH} deep",
            where=f"step {step.id}",
            todo="Write flatter folders",
        ) from None
    named = {Path(path).relative_to(folder).as_posix(): mode for path, mode in found.items()}
    if stat.S_ISREG(named.get(FINGERPRINT, 0)):
        del named[FINGERPRINT]
    return dict(sorted(named.items(), key=lambda entry: stat.S_ISDIR(entry[1])))


def _belongs(name: str, mode: int, output: Output) -> bool:
    """Return whether an entry is an output, lies in one, or is a folder on the way to one."""
    if stat.S_ISDIR(mode) and PurePosixPath(name) in PurePosixPath(output.path).parents:
        return True
    if output.kind == "folder":
        return f"{name}/".startswith(f"{output.path}/")
    return name == output.path and stat.S_ISREG(mode)

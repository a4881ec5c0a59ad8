"""Outputs: what a step wrote, held against what the study declares."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cache import digest_path, digest_value
from workbench.definition.steps import FINGERPRINT
from workbench.errors import ExecutionError, nearest, show
from workbench.provenance import OutputRecord, StepRecord

if TYPE_CHECKING:
    from workbench.definition.steps import Step

MAX_FINGERPRINT = 1_000_000


def collect_outputs(step: Step, folder: Path) -> dict[str, OutputRecord]:
    """Return a record of each declared output, by name.

    Parameters
    ----------
    step
        What the study declares.
    folder
        The step's `output_dir`.

    Raises
    ------
    ExecutionError
        When a declared output is missing, or a file is there that is not declared.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise ExecutionError(
            f"Step {step.id!r} removed or replaced its output_dir",
            where=f"step {step.id}",
            todo="Write into output_dir, and leave the folder itself alone",
        )
    declared = {output.path: output for output in step.outputs}
    found = dict(_entries(folder))
    for name, mode in found.items():
        if not stat.S_ISREG(mode):
            raise ExecutionError(
                f"Step {step.id!r} wrote {show(name)!r}, which is neither file nor folder",
                where=f"step {step.id}",
                todo="Write plain files",
            )
        owner = next(
            (o for p, o in declared.items() if name == p or name.startswith(f"{p}/")), None
        )
        if owner is None or (owner.kind != "folder" and name != owner.path):
            close = nearest(name, declared)
            known = ", ".join(declared)
            raise ExecutionError(
                f"Step {step.id!r} wrote {show(name)!r}, which study.toml does not declare",
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

    Files whose names, sizes and times are as recorded are not read again.
    """
    for output in record.outputs.values():
        path = folder / output.path
        if not path.exists():
            return False
        if _stamp(path) != output.stamp and digest_path(path) != output.sha256:
            return False
    return True


def _record(folder: Path, path: str) -> OutputRecord:
    place = folder / path
    files = [p for p in place.rglob("*") if p.is_file()] if place.is_dir() else [place]
    return OutputRecord(
        path=path,
        sha256=digest_path(place),
        size=sum(p.stat().st_size for p in files),
        stamp=_stamp(place),
    )


def _stamp(path: Path) -> str:
    """Return the digest of names, sizes and modification times."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    listed = [(p.relative_to(path).as_posix(), p.stat()) for p in files]
    return digest_value([(name, s.st_size, s.st_mtime_ns) for name, s in listed])


def _entries(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield path and mode of everything below a folder that is no folder itself."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        mode = path.lstat().st_mode
        if not stat.S_ISDIR(mode) and name != FINGERPRINT:
            yield name, mode

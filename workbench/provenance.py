"""Provenance: the records of what a run was made from and what it made.

In a run folder, ``record.json``, ``ro-crate-metadata.json`` and ``events.jsonl`` hold ids, declared
names, parameter values, digests, times and classes of exceptions: no path of the site, no value
from its data, no message of an exception. ``<step>/.step/notebook.ipynb`` and ``<step>.failed``
hold executed notebooks, which may show patient data; neither is named in the crate, and both stay
at the site with the outputs that are not released. ``params.yaml`` holds the site's own paths.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from workbench.definition.declaration import read_file
from workbench.errors import ExecutionError
from workbench.running.publication import write_json

RECORD = "record.json"
MAX_RECORD = 50_000_000
"""Largest record that is read, in bytes."""
STEP = ".step"
"""Folder inside a published step: its record and its executed notebook."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OutputRecord(_Record):
    """Record one declared output.

    Parameters
    ----------
    path
        Path below the step's folder, as the study declares it.
    sha256
        Digest of the file, or of a folder's names and files.
    size
        Bytes.
    stamp
        What `running.stamp` says of the files, to see at once that nothing changed.
    """

    path: str
    sha256: str
    size: int
    stamp: str


class StepRecord(_Record):
    """Record how one step ended well.

    Parameters
    ----------
    step
        Id of the step.
    key
        Digest of the key.
    parts
        Parts of the key: names to values or digests.
    outputs
        Output by name.
    input_digest
        Digest of the fingerprint that the step wrote of what it opened, or "".
    started, ended
        ISO 8601 in UTC.
    seconds
        Wall-clock time.
    """

    step: str
    key: str
    parts: dict[str, dict[str, Any]]
    outputs: dict[str, OutputRecord]
    input_digest: str = ""
    started: str
    ended: str
    seconds: float


class Failure(_Record):
    """Record which step did not end well, at which cell, and the class of the exception."""

    step: str
    cell: int | None = None
    error: str


class RunRecord(_Record):
    """Record one run of a study at a site.

    Parameters
    ----------
    run_id
        First 12 hex digits of the digest of study, site, parameters and sample.
    status
        "finished", "failed" or "interrupted".
    study, study_version, study_digest
        Which definition ran.
    site, site_digest
        Which declaration it ran for.
    parameters
        Value by name.
    sample
        Number of patients the run was limited to, or None; a sample can never be released.
    steps
        The steps that ended well, in order.
    failure
        What stopped the run, if something did.
    started, ended, seconds
        Of the command that wrote this record; steps that were there before keep their own.
    workbench_version, workbench_digest
        The installed workbench.
    software
        Version by name: Python and the locked packages.
    platform
        Operating system and processor.
    """

    format: Literal[1] = 1
    run_id: str
    status: Literal["finished", "failed", "interrupted"]
    study: str
    study_version: str
    study_digest: str
    site: str
    site_digest: str
    parameters: dict[str, Any]
    sample: int | None
    steps: list[StepRecord]
    failure: Failure | None = None
    started: str
    ended: str
    seconds: float
    workbench_version: str
    workbench_digest: str
    software: dict[str, str]
    platform: str

    def output_path(self, name: str) -> Path:
        """Return the path of an output, below the run folder.

        Raises
        ------
        ExecutionError
            When the run has no such output.
        """
        for step in self.steps:
            if name in step.outputs:
                return Path(step.step, step.outputs[name].path)
        known = ", ".join(n for step in self.steps for n in step.outputs)
        raise ExecutionError(
            f"The run has no output {name!r}",
            where=f"run {self.run_id} of {self.study} at {self.site}",
            todo=f"Known: {known or 'none'}",
        )


def platform_name() -> str:
    """Return operating system and processor, without the name of the machine."""
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def read_step_record(folder: Path) -> StepRecord | None:
    """Return the record of a published step, or None where none can be read."""
    try:
        found = read_file(folder / STEP / RECORD, ExecutionError, MAX_RECORD)
        return StepRecord.model_validate_json(found)
    except (ExecutionError, ValidationError):
        return None


def read_record(folder: Path) -> RunRecord:
    """Read the record of a run.

    Parameters
    ----------
    folder
        The run folder.

    Raises
    ------
    ExecutionError
        When there is none, or it cannot be read.
    """
    path = folder / RECORD
    if not os.path.lexists(path):
        raise ExecutionError(
            "There is no finished run here", where=str(folder), todo="Run the study first"
        )
    try:
        return RunRecord.model_validate_json(read_file(path, ExecutionError, MAX_RECORD))
    except (ExecutionError, ValidationError):
        raise ExecutionError(
            "The run record cannot be read", where=str(path), todo="Run the study again"
        ) from None


def write_record(folder: Path, record: RunRecord) -> None:
    """Write the record of a run, whole or not at all."""
    write_json(folder / RECORD, record.model_dump(mode="json"))

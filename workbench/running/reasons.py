"""Reasons: why a step runs and is not kept, in words."""

from __future__ import annotations

from pathlib import Path

from workbench.cache import StepKey
from workbench.provenance import StepRecord, read_step_record


def find_reasons(
    folder: Path, step: str, key: StepKey, found: StepRecord | None, *, use_cache: bool
) -> list[str]:
    """Return in words why a step runs.

    Parameters
    ----------
    folder
        The run folder; without a record here, the latest run beside it is compared.
    step
        Id of the step.
    key
        What it depends on now.
    found
        Its record in the run folder, or None.
    use_cache
        Whether finished steps are kept in this run.
    """
    if found is not None:
        changes = key.changes(found.parts)
        if not changes and use_cache:
            return ["published outputs were changed or removed"]
        return changes or ["finished steps are not kept in this run"]
    others = [
        (record.ended, other.name, record)
        for other in folder.parent.iterdir()
        if other != folder and (record := read_step_record(other / step)) is not None
    ]
    if not others:
        return ["it was not finished before"]
    _, name, record = max(others, key=lambda other: other[0])
    changes = key.changes(record.parts)
    return [f"{change} (against run {name})" for change in changes] or ["it was not finished"]

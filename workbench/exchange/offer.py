"""Offer: what a finished run offers for release, read strictly."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workbench.disclosure.policy import Policy
from workbench.errors import ReleaseError, show, suggest
from workbench.exchange.conformance import require_declared
from workbench.provenance import RunRecord, read_record
from workbench.site import Site
from workbench.study import Study
from workbench.summaries.summary import Summary
from workbench.summaries.table import parse_summary

NOTHING_HELD = {
    "en": "The site holds nothing that this table is made of.",
    "ru": "У площадки нет данных для этой таблицы.",
    "zh": "该站点没有此表所需的数据。",
}
"""Why a table without an exam is not answered: signed words of a release, not those of a page."""


class HasFolder(Protocol):
    """A run, as far as a release needs it."""

    @property
    def folder(self) -> Path:
        """The run folder."""


@dataclass(frozen=True)
class Offer:
    """What a run offers for release; made by `read_offer`.

    Parameters
    ----------
    folder
        The run folder.
    record
        Its record.
    summaries
        Exact Summary by name of the output.
    not_answered
        Reason by language, by output that the site cannot answer.
    policy
        The stricter of study and site.
    """

    folder: Path
    record: RunRecord
    summaries: Mapping[str, Summary]
    not_answered: Mapping[str, Mapping[str, str]]
    policy: Policy


def read_offer(run: HasFolder | Path, study: Study, site: Site, *, sample: bool = False) -> Offer:
    """Return what a run offers for release.

    Parameters
    ----------
    run
        A finished run, or its folder.
    study, site
        What ran, and where.
    sample
        Whether a sample is read as well: to be looked at, never to be packed.

    Raises
    ------
    ReleaseError
        If it is a sample, unfinished, of another study or site, or was changed after it ended.
    """
    folder = run if isinstance(run, Path) else run.folder
    record = read_record(folder)
    where = f"run {record.run_id}"
    if record.sample is not None and not sample:
        raise ReleaseError(
            "A sample can never be released", where=where, todo="Run the study without --sample"
        )
    if record.status != "finished":
        raise ReleaseError(f"The run is {record.status}", where=where, todo="Run the study again")
    if (record.study, record.study_digest) != (study.id, study.digest):
        raise ReleaseError(
            "The run is not of the study as it is defined now",
            where=f"{where} of {show(record.study)} {show(record.study_version)}",
            todo="Run the study again",
        )
    if record.site != site.id:
        raise ReleaseError(
            f"The run is of {show(record.site)}, not {site.id}",
            where=where,
            todo=f"Run the study at {site.id}",
        )
    digests = {name: o.sha256 for step in record.steps for name, o in step.outputs.items()}
    for name in digests:
        if name not in study.outputs:
            raise ReleaseError(
                f"The study declares no output {show(name)!r}",
                where=where,
                todo=suggest(name, study.outputs),
            )
    summaries, not_answered = {}, {}
    for output in study.released:
        lacking = [column for column in output.requires if column in site.cannot_answer]
        if lacking:
            not_answered[output.name] = site.cannot_answer[lacking[0]]
            continue
        content = _read(folder / record.output_path(output.name), f"{where}, {output.name}")
        if hashlib.sha256(content).hexdigest() != digests[output.name]:
            raise ReleaseError(
                "An output was changed after the run",
                where=f"{where}, {output.name}",
                todo="Run the study again",
            )
        summary = parse_summary(content, output.kind, where=f"{output.name}.csv")
        require_declared(summary, output, exact=True)
        public = all(dimension.zeros == "public" for dimension in summary.dimensions)
        if public and not int(summary.data["exams"].max()):  # zeros would pass for a finding
            not_answered[output.name] = NOTHING_HELD
            continue
        summaries[output.name] = summary
    if not summaries:
        raise ReleaseError(
            "The site can answer nothing of this study",
            where=where,
            todo="Release nothing, or correct [[cannot_answer]] in site.toml",
        )
    return Offer(folder, record, summaries, not_answered, study.policy.tighten(site.policy))


def _read(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise ReleaseError(
            f"An output cannot be read: {error.strerror}",
            where=where,
            todo="Let this user read it, or run the study again",
        ) from error

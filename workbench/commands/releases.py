"""Commands about what leaves a site: release, verify, pool."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.commands.options import (
    Jobs,
    Json,
    Parameters,
    Quiet,
    RunsFolder,
    SiteFiles,
    StudyFolder,
    choose,
    confirm,
    describe,
)
from workbench.commands.quality import print_quality
from workbench.errors import (
    REFUSALS,
    DisclosureError,
    ExecutionError,
    PoolingError,
    ReleaseError,
    UsageError,
    WorkbenchError,
    show,
)
from workbench.running.publication import RUNS

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.definition.parameters import Value
    from workbench.exchange.checked import CheckedRun
    from workbench.running.progress import Listener
    from workbench.running.run import Run
    from workbench.site import Site
    from workbench.study import Study


def release(
    study: StudyFolder,
    site: SiteFiles = [],
    parameter: Parameters = [],
    yes: Annotated[bool, typer.Option("--yes", help="Pack without asking.")] = False,
    approver: Annotated[
        str | None, typer.Option("--approver", help="Who approves what needs review, or withdraws.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why.")] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Withdraw the release.")] = False,
    preview: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Report what we hold, what is missing, what is suppressed; pack nothing.",
        ),
    ] = False,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Report on a sample; with --dry-run.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --dry-run: print one JSON document.")
    ] = False,
    jobs: Jobs = 1,
    quiet: Quiet = False,
    runs: RunsFolder = RUNS,
) -> None:
    """Show what would leave, then pack and sign it; or withdraw it."""
    from workbench import release as releases
    from workbench.exchange.manifest import ENVELOPE, MANIFEST
    from workbench.exchange.places import release_of
    from workbench.running.parallel import at_sites
    from workbench.study import read_study
    from workbench.terminal import print_checked, say

    definition = read_study(study)
    values = definition.parse_parameters(parameter)
    if preview:
        _preview(definition, choose(definition, site), values, runs, sample, as_json)
        return
    if sample is not None or as_json:
        raise UsageError(
            "Nothing was packed: a sample can never be released"
            if sample is not None
            else "Nothing was packed: --json goes with --dry-run",
            where="workbench release",
            todo="Add --dry-run to look only",
        )
    today = dt.datetime.now(dt.UTC).date()
    places = choose(definition, site)
    if withdraw:
        _withdraw(definition, places, approver, reason, today, runs)
        return
    told = {"values": values, "runs": runs}
    with contextlib.closing(at_sites(_check, definition, places, told, jobs=jobs)) as found:
        for place, checked in zip(places, found, strict=True):
            if isinstance(checked, WorkbenchError):
                raise checked
            threshold = checked.offer.policy.threshold
            print_checked(checked, place.id, threshold=threshold, tables=not quiet)
            if checked.verdict != "fail" and not yes:
                confirm(
                    f"Pack and sign what is shown for {place.id}?", "Nothing was packed", "release"
                )
            out = release_of(definition, place.id)
            packed = releases.pack(
                checked, definition, place, out=out, approver=approver, reason=reason,
                date=today if approver else None,
            )  # fmt: skip
            mark = packed.manifest
            say(
                f"{place.id}: release {mark.id}, counter {mark.counter}, signed with key {mark.key}"
            )
            if not quiet:
                say(f"Send {out}")
                files = f"{MANIFEST}, {ENVELOPE}, {len(packed.tables)} tables"
                say(f"  the folder as it is, nothing else: {files}")


def _withdraw(
    study: Study,
    sites: Sequence[Site],
    approver: str | None,
    reason: str | None,
    today: dt.date,
    runs: Path,
) -> None:
    from workbench import release as releases
    from workbench.exchange.places import release_of
    from workbench.terminal import say

    if approver is None or reason is None:
        raise UsageError(
            "A withdrawal needs a person and a reason",
            where="--withdraw",
            todo="Add --approver NAME --reason TEXT",
        )
    for site in sites:
        out = release_of(study, site.id)
        releases.withdraw(
            study, site, out=out, approver=approver, reason=reason, date=today, runs=runs
        )
        say(f"{site.id}: withdrawn. Send {out}")


def _check(study: Study, site: Site, _: Listener, told: dict[str, Any]) -> CheckedRun:
    from workbench.release import check_release

    return check_release(_open_run(study, site, told["values"], told["runs"], None), study, site)


def _preview(
    study: Study,
    sites: Sequence[Site],
    values: Mapping[str, Value],
    runs: Path,
    sample: int | None,
    as_json: bool,
) -> None:
    from workbench.exchange.preview import preview_release
    from workbench.terminal import print_json, print_preview

    held = [_open_run(study, place, values, runs, sample) for place in sites]
    found = [preview_release(run, study, run.site) for run in held]
    if as_json:
        print_json([preview.document() for preview in found])
    else:
        for run, preview in zip(held, found, strict=True):
            print_quality(run)
            print_preview(preview)
    failed = [preview.site for preview in found if preview.verdict == "fail"]
    if failed:
        raise DisclosureError(
            "This could not be released",
            where=", ".join(failed),
            todo="See the findings above",
        )


def _open_run(
    study: Study, site: Site, values: Mapping[str, Value], runs: Path, sample: int | None
) -> Run:
    """Open a run that has ended well; where only a sample of it was run, say so.

    Raises
    ------
    ExecutionError
        When there is no such run, or it did not end well.
    """
    from workbench.provenance import read_record
    from workbench.running.run import name_run, open_run, run_id

    run = name_run(study, site, values, runs, sample)
    if sample is None and not run.folder.exists():
        for folder in sorted(run.folder.parent.glob("*/")):
            try:
                ran = read_record(folder).sample
            except ExecutionError:
                continue
            if ran is not None and folder.name == run_id(study, site, run.parameters, ran):
                raise ExecutionError(
                    f"Only a sample of {ran:,} patients was run: it can never be released",
                    where=str(folder),
                    todo=f"Add --dry-run --sample {ran} to look at it, or run without --sample",
                )
    return open_run(study, site, values, runs=runs, sample=sample)


def verify(study: StudyFolder, as_json: Json = False) -> None:
    """Verify the releases of a study; needs no network.

    Exit code 14 if any release is refused, though the others verify, or if there is none.
    """
    from workbench.exchange.places import received_of, releases_of
    from workbench.exchange.verification import find_releases, verify_all
    from workbench.study import read_study
    from workbench.terminal import note, print_json, print_table, say

    definition = read_study(study)
    folders = find_releases(definition)
    found = verify_all(folders, definition, received_of(definition))
    rows = [
        [r.site, r.id, str(r.manifest.created), str(len(r.tables)), r.kind] for r in found.releases
    ]
    if as_json:
        print_json(
            {
                "study": definition.id,
                "releases": [
                    {"site": r.site, "release": r.id, "counter": r.manifest.counter,
                     "created": str(r.manifest.created), "tables": list(r.tables),
                     "not_answered": list(r.not_answered), "key": r.kind, "verdict": r.verdict}
                    for r in found.releases
                ],
                "refusals": {n: {"reason": e.reason, **describe(e)}
                             for n, e in found.refusals.items()},
            }
        )  # fmt: skip
    elif rows:
        head = ["site", "release", "created", "tables", "key"]
        print_table(head, rows, numbers=["tables"])
        for kind, verdict in sorted({(r.kind, r.verdict) for r in found.releases}):
            say(f"Verified with a {kind} key: {verdict}")
    for name, refusal in found.refusals.items():
        note(f"{show(name, 200)}: {refusal.reason}\n{refusal}")
    if found.refusals:
        raise typer.Exit(ReleaseError.exit_code)
    if not folders:
        raise ReleaseError(
            "There is no release to verify",
            where=str(releases_of(definition)),
            todo="Put the folders that the sites sent there",
        )


def pool(study: StudyFolder, as_json: Json = False) -> None:
    """Combine the verified releases of a study.

    Exit code 9 if the others were pooled, but a release was refused.
    """
    from workbench.exchange.places import pooled_of, received_of
    from workbench.exchange.verification import find_releases, verify_all
    from workbench.pooling import list_used
    from workbench.pooling import pool as combine_releases
    from workbench.running.coordination import compare_pooled, read_earlier, run_pool
    from workbench.study import read_study
    from workbench.terminal import note, print_json, say

    definition = read_study(study)
    found = verify_all(find_releases(definition), definition, received_of(definition))
    for name, refusal in found.refusals.items():
        note(f"not pooled: {show(name, 200)}: {refusal.reason}\n{refusal}")
    now = list_used(found.releases, definition)
    before = read_earlier(definition)
    told = note if as_json else say
    for line in compare_pooled(before, now):
        told(line)
    try:
        pooled = run_pool(definition)
    except PoolingError:
        combine_releases(found.releases, definition)  # its refusal says more than a notebook's
        raise
    folder = pooled_of(definition)
    if as_json:
        print_json(
            {
                "study": definition.id,
                "folder": str(folder),
                "releases": {release.site: release.release for release in pooled.releases},
                "before": {release.site: release.release for release in before},
                "tables": list(pooled.tables),
                "keys": pooled.keys,
                "refusals": {n: {"reason": e.reason, **describe(e)}
                             for n, e in found.refusals.items()},
            }
        )  # fmt: skip
    else:
        say(f"Pooled {len(pooled.releases)} releases into {folder}")
    if found.refusals:
        raise typer.Exit(REFUSALS)

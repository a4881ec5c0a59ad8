"""Commands about what leaves a site: release, verify, pool, publish."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Annotated

import typer

from workbench.commands.options import (
    RUNS,
    Parameters,
    Quiet,
    RunsFolder,
    SiteFiles,
    StudyFolder,
    choose,
    confirm,
    received_log,
)
from workbench.errors import REFUSALS, ReleaseError, UsageError


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
    quiet: Quiet = False,
    runs: RunsFolder = RUNS,
) -> None:
    """Show what would leave, then pack and sign it; or withdraw it."""
    from workbench import release as releases
    from workbench.running.run import open_run
    from workbench.study import read_study
    from workbench.terminal import print_checked, say

    definition = read_study(study)
    values = definition.parse_parameters(parameter)
    today = dt.datetime.now(dt.UTC).date()
    for place in choose(definition, site):
        out = definition.folder / "releases" / place.id
        if withdraw:
            if approver is None or reason is None:
                raise UsageError(
                    "A withdrawal needs a person and a reason",
                    where="--withdraw",
                    todo="Add --approver NAME --reason TEXT",
                )
            releases.withdraw(
                definition, place, out=out, approver=approver, reason=reason, date=today, runs=runs
            )
            say(f"{place.id}: withdrawn. Send {out}")
            continue
        finished = open_run(definition, place, values, runs=runs)
        checked = releases.check_release(finished, definition, place)
        print_checked(checked, place.id, tables=not quiet)
        if checked.verdict != "fail" and not yes:
            confirm(f"Pack and sign what is shown for {place.id}?")
        packed = releases.pack(
            finished, definition, place, out=out, approver=approver, reason=reason,
            date=today if approver else None,
        )  # fmt: skip
        say(f"{place.id}: release {packed.id}, counter {packed.manifest.counter}, in {out}")


def verify(study: StudyFolder) -> None:
    """Verify the releases of a study; needs no network."""
    from workbench.exchange.verification import find_releases, verify_all
    from workbench.study import read_study
    from workbench.terminal import print_table

    definition = read_study(study)
    folders = find_releases(definition)
    found = verify_all(folders, definition, received_log(definition))
    rows = [
        [r.site, r.id, str(r.manifest.created), str(len(r.tables)), r.verdict]
        for r in found.releases
    ]
    print_table(["site", "release", "created", "tables", "verdict"], rows)
    for name, refusal in found.refusals.items():
        sys.stderr.write(f"{name}: {refusal.reason}\n{refusal}\n")
    if found.refusals:
        raise typer.Exit(ReleaseError.exit_code)
    if not folders:
        raise ReleaseError(
            "There is no release to verify",
            where=str(definition.folder / "releases"),
            todo="Put the folders that the sites sent there",
        )


def pool(study: StudyFolder) -> None:
    """Combine the verified releases of a study."""
    from workbench.exchange.verification import find_releases, verify_all
    from workbench.pooling import pool as combine_releases
    from workbench.running.coordination import run_pool
    from workbench.study import read_study
    from workbench.terminal import say

    definition = read_study(study)
    found = verify_all(find_releases(definition), definition, received_log(definition))
    for name, refusal in found.refusals.items():
        sys.stderr.write(f"not pooled: {name}: {refusal.reason}\n{refusal}\n")
    combine_releases(found.releases, definition)  # its own refusal says more than a notebook's
    pooled = run_pool(definition)
    say(f"Pooled {len(pooled.releases)} releases into {definition.folder / 'releases' / 'pooled'}")
    if found.refusals:
        raise typer.Exit(REFUSALS)


def publish(
    study: StudyFolder,
    port: Annotated[
        int, typer.Option("--port", help="Port on this machine; 0 for a free one.")
    ] = 0,
    show_only: Annotated[
        bool, typer.Option("--dry-run", help="Print the command and URL only.")
    ] = False,
    anyone: Annotated[
        bool, typer.Option("--open", help="Without a token: every user of this machine may read.")
    ] = False,
) -> None:
    """Serve the dashboard of a study on this machine."""
    import shlex

    from workbench.publish.server import dashboard_command, serve
    from workbench.terminal import say

    if show_only:
        chosen = port or 8866
        say(f"Start the dashboard: workbench publish {study} --port {chosen} --open")
        say(f"or: {shlex.join(dashboard_command(study, chosen))}")
        say(f"then open: http://127.0.0.1:{chosen}/")
        return
    with serve(study, port, token=not anyone) as server:
        say(f"{server.url}\nCtrl-C stops it.")
        server.process.wait()

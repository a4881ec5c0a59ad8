"""Commands about this machine: what it has, and old runs."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.commands.options import Json, RunsFolder, confirm
from workbench.errors import REFUSALS, ExecutionError
from workbench.running.publication import RUNS
from workbench.running.retention import KEEP_DAYS


def doctor(
    runs: RunsFolder = RUNS,
    torch: Annotated[
        bool, typer.Option("--torch", help="Start torch as well; takes seconds.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what this machine has and lacks, and what follows."""
    from workbench.machine import inspect_machine
    from workbench.terminal import print_json, print_table, say

    facts = inspect_machine(runs, torch=torch)
    stops = [fact.what for fact in facts if fact.status == "stops"]
    if as_json:
        print_json({"can_run": not stops, "facts": [vars(fact) for fact in facts]})
    else:
        rows = [["" if f.status == "ok" else f.status, f.what, f.found, f.follows] for f in facts]
        print_table(["", "what", "found", "what follows"], rows)
    if stops:
        raise ExecutionError(
            "A study cannot run on this machine",
            where=", ".join(stops),
            todo="Do what the report says",
        )
    if not as_json:
        lacks = sum(fact.status == "lacks" for fact in facts)
        say("A study can run here" + (f"; {lacks} things are lacking" if lacks else ""))


def clean(
    older_than: Annotated[
        int | None,
        typer.Option(
            "--older-than",
            min=0,
            max=100_000,
            metavar="DAYS",
            help=f"Days without use. Default: [retention] days of its site.toml, or {KEEP_DAYS}.",
        ),
    ] = None,
    runs: RunsFolder = RUNS,
    only_list: Annotated[
        bool, typer.Option("--dry-run", help="List what would be removed, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Remove runs past their retention; releases stay."""
    from workbench.display import size
    from workbench.running.retention import list_left, list_runs, remove_run, sweep
    from workbench.terminal import note, print_json, print_table, say

    found, left = list_runs(runs), list_left(runs)
    old = [run for run in found if run.is_past(older_than)]
    total = sum(run.bytes for run in old)
    words = {True: "yes", False: "no", None: "unknown"}
    refused: dict[str, ExecutionError] = {}
    if not as_json and old:
        print_table(
            ["study", "site", "run", "status", "days", "kept", "size", "released"],
            [
                [r.study, r.site, r.run_id, f"{r.status}{', sample' * r.sample}",
                 f"{r.age_days():.0f}", f"{r.keep_days}", size(r.bytes), words[r.released]]
                for r in old
            ],
            numbers=["days", "kept", "size"],
        )  # fmt: skip
    told = say if not as_json else note
    since = "as long as their site keeps them" if older_than is None else f"{older_than} days"
    told(
        f"{len(old)} of {len(found)} runs were not used for {since}: {size(total)}. "
        "Releases and ledgers stay."
    )
    for folder, held in left.items():
        told(f"A removal that was stopped left {folder.name}: {size(held)}")
    if left and not only_list:  # it was asked for then
        try:
            told(f"Removed what was left: {size(sweep(runs))}")
        except ExecutionError as error:
            refused["left"] = error
            note(str(error))
    if old and not only_list:
        if not yes:
            confirm(f"Remove {len(old)} runs for good?", "Nothing was removed", "clean")
        for run in old:
            try:
                remove_run(run)
            except ExecutionError as error:
                refused[run.run_id] = error
                note(f"{run.study}, {run.site}: {error}")
        told(f"Removed {sum(run.run_id not in refused for run in old)} runs")
    if as_json:
        print_json(
            {
                "older_than_days": older_than,
                "runs": [
                    {
                        "study": r.study, "site": r.site, "run": r.run_id, "status": r.status,
                        "sample": r.sample, "days": round(r.age_days(), 1), "bytes": r.bytes,
                        "keep_days": r.keep_days, "released": r.released,
                        "removed": not only_list and r.run_id not in refused,
                    }
                    for r in old
                ],
                "left": [folder.name for folder in left],
                "kept": len(found) - len(old),
            }
        )  # fmt: skip
    if refused:
        raise typer.Exit(REFUSALS)

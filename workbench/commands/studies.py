"""Commands about a study: write, check, run, and run it again to compare."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import (
    NEXT,
    Jobs,
    Json,
    Parameters,
    RunsFolder,
    SiteFiles,
    StudyFolder,
    choose,
    describe,
    next_command,
    print_next,
)
from workbench.commands.quality import print_quality
from workbench.errors import NotReproducedError, SiteError, WorkbenchError
from workbench.running.publication import RUNS


def new(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder to make; its name is the study's id.")
    ],
) -> None:
    """Write a new study that runs."""
    from workbench.template import create_study
    from workbench.terminal import say

    made = create_study(folder, folder.name)
    say(f"Wrote {made}. Next:")
    print_next(made, NEXT)


def check(study: StudyFolder, as_json: Json = False) -> None:
    """Check the definition of a study, and the keys it pins."""
    from workbench.errors import DefinitionError
    from workbench.study import read_study
    from workbench.terminal import note, print_findings, print_json, say

    definition = read_study(study)
    findings = definition.check()
    if as_json:
        print_json(
            {
                "study": definition.id,
                "version": definition.version,
                "findings": [vars(finding) for finding in findings],
            }
        )
    else:
        print_findings(findings)
    failed = [f for f in findings if f.level == "fail"]
    if failed:
        raise DefinitionError(
            f"{definition.id} has {len(failed)} problem(s)",
            where=str(study),
            todo="Mend what is listed above",
        )
    count = f"{len(definition.steps)} steps, {len(definition.outputs)} outputs"
    told = note if as_json else say
    told(f"{definition.id} {definition.version}: {count}, nothing wrong")
    try:
        choose(definition, [])
        told(f"Next: {next_command(study, 'run', '')}")
    except SiteError:  # its sites are not in this checkout
        told(f"Next: {next_command(study, 'run')}")


def run(
    study: StudyFolder,
    site: SiteFiles = [],
    parameter: Parameters = [],
    jobs: Jobs = 1,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Patients to open; never released.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why a step runs again.")] = False,
    papermill: Annotated[
        bool, typer.Option("--papermill", help="Print the papermill line of every step.")
    ] = False,
    runs: RunsFolder = RUNS,
) -> None:
    """Run a study at its sites; goes on where it stopped."""
    from workbench.archive.archive import open_archive
    from workbench.radiology.table_check import validate_tables
    from workbench.running.parallel import run_sites
    from workbench.running.progress import Display, Event
    from workbench.study import read_study
    from workbench.terminal import note, print_table, say

    definition = read_study(study)
    values = definition.parse_parameters(parameter)
    sites = choose(definition, site)
    for place in sites:
        place.validate()
        open_archive(place)  # a column that is missing is named here, not in a notebook
        validate_tables(place)
    say(f"Each run is kept in {runs.resolve() / definition.id}/SITE/RUN")
    ran: defaultdict[str, list[str]] = defaultdict(list)
    with Display() as display:

        def listen(event: Event) -> None:
            if event.name == "step ended":
                ran[event.site].append(event.step)
            display(event)

        results = run_sites(
            definition, sites, values, jobs=jobs, runs=runs, sample=sample, explain=explain,
            progress=listen,
        )  # fmt: skip
    errors = [r for r in results if isinstance(r, WorkbenchError)]
    ended = [r for r in results if not isinstance(r, WorkbenchError)]
    steps = [step.id for step in definition.steps]
    if ended:
        rows = [[r.site.id, r.run_id, _counted(len(ran[r.site.id]), len(steps))] for r in ended]
        print_table(["site", "run", "steps"], rows)
    for result in ended:
        print_quality(result)
    if sample is not None and ended:
        say(
            f"A sample of {sample:,} patients: to be looked at with release --dry-run "
            f"--sample {sample}, and never released"
        )
    for result in ended if papermill else []:
        say(f"The same with papermill alone, {result.site.id}:")
        for step in steps:
            say(f"  {result.papermill_command(step)}")
    for error in errors:
        note(str(error))
    if errors:
        raise typer.Exit(errors[0].exit_code)


def _counted(ran: int, steps: int) -> str:
    """Return what was done, as in "2 ran, 3 unchanged"."""
    parts = {"ran": ran, "unchanged": steps - ran}
    return ", ".join(f"{number} {word}" for word, number in parts.items() if number)


def reproduce(
    study: StudyFolder,
    site: SiteFiles = [],
    kept: Annotated[
        bool, typer.Option("--record", help="Write the result down for the study's dashboard.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run again without the cache; compare every number."""
    from workbench.exchange.places import releases_of
    from workbench.reproduction import record
    from workbench.reproduction import reproduce as compute_again
    from workbench.study import read_study
    from workbench.terminal import note, print_json, print_reproduction, say

    definition = read_study(study)
    found = compute_again(
        definition,
        [declared.path for declared in choose(definition, site)],
        releases_of(definition),
        progress=lambda name: note(f"running {name} again"),
    )
    if kept:
        record(found, definition)
    if as_json:
        print_json(
            {
                "study": definition.id,
                "reproduced": found.reproduced,
                "compared": dict(found.compared),
                "moved": [vars(moved) for moved in found.moved],
                "refusals": {name: describe(error) for name, error in found.refusals.items()},
            }
        )
    else:
        print_reproduction(found)
    for name, refusal in found.refusals.items():
        note(f"{name}: {refusal}")
    if not found.reproduced:
        raise NotReproducedError(
            f"{len(found.moved)} numbers moved, {len(found.refusals)} releases do not verify",
            where=str(releases_of(definition)),
            todo="Release again, or find out what changed",
        )
    told = note if as_json else say
    told(f"{sum(found.compared.values())} numbers came out again: {', '.join(found.compared)}")

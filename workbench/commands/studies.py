"""Commands about a study: write, check, run, and run it again to compare."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import RUNS, Parameters, RunsFolder, SiteFiles, StudyFolder, choose
from workbench.errors import NotReproducedError, WorkbenchError


def new(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder to make; its name is the study's id.")
    ],
) -> None:
    """Write a new study that runs."""
    from workbench.template import create_study
    from workbench.terminal import say

    made = create_study(folder, folder.name)
    say(f"Wrote {made}. Next: workbench check {made}")


def check(study: StudyFolder) -> None:
    """Check the definition of a study."""
    from workbench.errors import DefinitionError
    from workbench.study import read_study
    from workbench.terminal import print_findings, say

    definition = read_study(study)
    findings = definition.check()
    print_findings(findings)
    failed = [f for f in findings if f.level == "fail"]
    if failed:
        raise DefinitionError(
            f"{definition.id} has {len(failed)} problem(s)",
            where=str(study),
            todo="Mend what is listed above",
        )
    count = f"{len(definition.steps)} steps, {len(definition.outputs)} outputs"
    say(f"{definition.id} {definition.version}: {count}, nothing wrong")


def run(
    study: StudyFolder,
    site: SiteFiles = [],
    parameter: Parameters = [],
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=64, help="Sites at a time.")] = 1,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Patients to open; never released.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why a step runs again.")] = False,
    runs: RunsFolder = RUNS,
) -> None:
    """Run a study at its sites; goes on where it stopped."""
    from workbench.imaging.archive import open_archive
    from workbench.running.parallel import run_sites
    from workbench.running.progress import Display
    from workbench.study import read_study
    from workbench.terminal import print_table, say

    definition = read_study(study)
    values = definition.parse_parameters(parameter)
    sites = choose(definition, site)
    for place in sites:
        place.validate()
        open_archive(place)  # a column that is missing is named here, not in a notebook
    with Display() as display:
        results = run_sites(
            definition, sites, values, jobs=jobs, runs=runs, sample=sample, explain=explain,
            progress=display,
        )  # fmt: skip
    errors = [r for r in results if isinstance(r, WorkbenchError)]
    ended = [r for r in results if not isinstance(r, WorkbenchError)]
    print_table(
        ["site", "run", "steps", "folder"],
        [[r.site.id, r.run_id, str(len(definition.steps)), str(r.folder)] for r in ended],
    )
    if len(ended) == 1:
        say("The same with papermill alone:")
        for step in definition.steps:
            say(f"  {ended[0].papermill_command(step.id)}")
    for error in errors:
        sys.stderr.write(f"{error}\n")
    if errors:
        raise typer.Exit(errors[0].exit_code)


def reproduce(study: StudyFolder, site: SiteFiles = []) -> None:
    """Run again without the cache; compare every number."""
    from workbench.reproduction import reproduce as compute_again
    from workbench.study import read_study
    from workbench.terminal import print_reproduction, say

    definition = read_study(study)
    found = compute_again(
        definition,
        [declared.path for declared in choose(definition, site)],
        definition.folder / "releases",
        progress=lambda name: say(f"running {name} again"),
    )
    print_reproduction(found)
    for name, refusal in found.refusals.items():
        sys.stderr.write(f"{name}: {refusal}\n")
    if not found.reproduced:
        raise NotReproducedError(
            f"{len(found.moved)} numbers moved, {len(found.refusals)} releases do not verify",
            where=str(definition.folder / "releases"),
            todo="Release again, or find out what changed",
        )
    say(f"{sum(found.compared.values())} numbers came out again: {', '.join(found.compared)}")

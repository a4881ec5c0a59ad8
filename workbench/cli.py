"""The commands: parse, call, print."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.errors import (
    REFUSALS,
    NotReproducedError,
    ReleaseError,
    SiteError,
    UsageError,
    WorkbenchError,
)

if TYPE_CHECKING:
    from workbench.site import Site
    from workbench.study import Study

ABOUT = (
    "Write an imaging study once, run it at every institution, release only aggregates, "
    "pool them, publish."
)
app = typer.Typer(
    name="workbench",
    help=ABOUT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of a study.")]
SiteFiles = Annotated[
    list[Path],
    typer.Option(
        "--site",
        metavar="FILE",
        help="A site.toml; repeat it. Default: the study's sites in this checkout.",
    ),
]
Parameters = Annotated[
    list[str],
    typer.Option(
        "-p",
        "--parameter",
        metavar="NAME=VALUE",
        help="A parameter that study.toml declares; repeat it.",
    ),
]
RunsFolder = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Where runs are kept.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only what needs attention.")]
RUNS = Path("runs")


def main() -> None:
    """Run a command; print an error in three lines and exit with the code of its class."""
    debug = "--debug" in sys.argv
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    try:
        app(args=arguments, prog_name="workbench")
    except WorkbenchError as error:
        if debug:
            raise
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. The same command goes on from here.\n")
        raise SystemExit(130) from None
    except Exception as error:
        if debug:
            raise
        # A traceback can hold patient data, so only its class is shown.
        sys.stderr.write(
            f"Unexpected {type(error).__name__}\n  do:    Run with --debug, at the site only\n"
        )
        raise SystemExit(1) from None


@app.callback(help=ABOUT)
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the trace of an error; it may hold patient data.")
    ] = False,
) -> None:
    """Take the options of every command."""


@app.command()
def datasets(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to search.")] = Path(
        "datasets"
    ),
) -> None:
    """List the sites in this checkout."""
    from workbench.datasets import list_sites
    from workbench.terminal import print_table

    rows = [
        [s.id, s.name, s.kind, str(s.archive.get("kind", "")), str(s.path)]
        for s in list_sites(folder).values()
    ]
    print_table(["site", "name", "kind", "archive", "declaration"], rows)


@app.command()
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


@app.command()
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


@app.command()
def key(
    site: Annotated[
        Path, typer.Argument(metavar="SITE", help="A site.toml that names a key file.")
    ],
) -> None:
    """Make a site's key, and print the line that sites.toml pins."""
    from workbench.exchange.keys import make_key
    from workbench.site import read_site
    from workbench.terminal import say

    declared = read_site(site)
    if declared.key is None or declared.key_path is None:
        raise SiteError(
            "No key was made: the site names no key file",
            where=f"{site}, key",
            todo='Write [key] with file = "site.key"; to rotate, name a new file',
        )
    made = make_key(declared.key_path, declared.key.kind)
    say(f"Wrote {declared.key_path}. The coordinating centre adds this to sites.toml:\n")
    say("[[site]]")
    for name, value in {
        "id": declared.id,
        "name": declared.name,
        "public_key": made.public,
        "kind": made.kind,
    }.items():
        say(f"{name} = {json.dumps(value, ensure_ascii=False)}")
    say(f"valid_from = {dt.datetime.now(dt.UTC).date()}")


@app.command()
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
    """Run a study at one site or several; what is finished is not run again."""
    from workbench.imaging.archive import open_archive
    from workbench.running.parallel import run_sites
    from workbench.running.progress import Display
    from workbench.study import read_study
    from workbench.terminal import print_table, say

    definition = read_study(study)
    values = definition.parse_parameters(parameter)
    sites = _sites(definition, site)
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


@app.command()
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
    """Check and show what would leave, then pack and sign it; or withdraw a release."""
    from workbench import release as releases
    from workbench.running.run import open_run
    from workbench.study import read_study
    from workbench.terminal import print_checked, say

    definition = read_study(study)
    values = definition.parse_parameters(parameter)
    today = dt.datetime.now(dt.UTC).date()
    for place in _sites(definition, site):
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
            _confirm(f"Pack and sign what is shown for {place.id}?")
        packed = releases.pack(
            finished, definition, place, out=out, approver=approver, reason=reason,
            date=today if approver else None,
        )  # fmt: skip
        say(f"{place.id}: release {packed.id}, counter {packed.manifest.counter}, in {out}")


@app.command()
def verify(study: StudyFolder) -> None:
    """Verify the releases of a study; needs no network."""
    from workbench.exchange.verification import find_releases, verify_all
    from workbench.study import read_study
    from workbench.terminal import print_table

    definition = read_study(study)
    folders = find_releases(definition)
    found = verify_all(folders, definition, _received(definition))
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


@app.command()
def pool(study: StudyFolder) -> None:
    """Combine the verified releases of a study."""
    from workbench.exchange.verification import find_releases, verify_all
    from workbench.pooling import pool as combine_releases
    from workbench.running.coordination import run_pool
    from workbench.study import read_study
    from workbench.terminal import say

    definition = read_study(study)
    found = verify_all(find_releases(definition), definition, _received(definition))
    for name, refusal in found.refusals.items():
        sys.stderr.write(f"not pooled: {name}: {refusal.reason}\n{refusal}\n")
    combine_releases(found.releases, definition)  # its own refusal says more than a notebook's
    pooled = run_pool(definition)
    say(f"Pooled {len(pooled.releases)} releases into {definition.folder / 'releases' / 'pooled'}")
    if found.refusals:
        raise typer.Exit(REFUSALS)


@app.command()
def reproduce(study: StudyFolder, site: SiteFiles = []) -> None:
    """Run again without the cache, and compare every published number."""
    from workbench.reproduction import reproduce as compute_again
    from workbench.study import read_study
    from workbench.terminal import print_reproduction, say

    definition = read_study(study)
    found = compute_again(
        definition,
        [declared.path for declared in _sites(definition, site)],
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


@app.command()
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


def _sites(study: Study, declarations: list[Path]) -> list[Site]:
    from workbench.datasets import choose_sites
    from workbench.exchange.verification import read_pins_of

    wanted = [] if declarations else list(dict.fromkeys(p.id for p in read_pins_of(study)))
    return choose_sites(declarations, study.folder, wanted)


def _received(study: Study) -> Path:
    return study.folder / "releases" / "received.jsonl"


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "Nothing was packed: nobody can be asked here",
            where="workbench release",
            todo="Look at what is shown, then add --yes",
        )
    if not typer.confirm(question):
        raise typer.Exit(0)

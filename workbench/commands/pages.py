"""Commands that show a study: publish."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import StudyFolder, print_next
from workbench.errors import REFUSALS, DefinitionError, UsageError


def publish(
    study: StudyFolder,
    port: Annotated[
        int, typer.Option("--port", help="Port on this machine; 0 for a free one.")
    ] = 0,
    show_only: Annotated[
        bool, typer.Option("--dry-run", help="Print the command and the address only.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --dry-run: print the Voila command as well.")
    ] = False,
    anyone: Annotated[
        bool, typer.Option("--open", help="Without a token: every user of this machine may read.")
    ] = False,
    base_url: Annotated[
        str, typer.Option("--base-url", metavar="PATH", help="Path below which a proxy serves it.")
    ] = "/",
    origin: Annotated[
        str, typer.Option("--origin", metavar="URL", help="Address of that proxy.")
    ] = "",
    static: Annotated[
        Path | None,
        typer.Option(
            "--static",
            metavar="OUT",
            help="Write one HTML file instead, which needs no server. Of a folder of studies: "
            "a file each, and an index.",
        ),
    ] = None,
) -> None:
    """Serve the dashboard of a study, or write it as a file.

    Of a folder of studies, their index is served. Exit code 9 if --static left out a study of such
    a folder that cannot be read.
    """
    import shlex

    from workbench.exchange.verification import find_releases
    from workbench.publish.server import dashboard_command, serve
    from workbench.study import read_study
    from workbench.terminal import say

    if static is not None:
        _write_pages(study, static)
        return
    definition = None if _holds_studies(study) else read_study(study)
    if show_only:
        chosen = port or 8866
        command = dashboard_command(study, chosen)
        say(f"Show the dashboard:  workbench publish {study} --port {chosen}")
        say(f"Its address (voila): http://127.0.0.1:{chosen}/ and the token it prints at the start")
        if verbose:
            say(f"The same without the workbench, and without a token:\n{shlex.join(command)}")
        return
    if definition is not None and not find_releases(definition):
        say("There is nothing to show yet: the study has no release. Before this:")
        print_next(study, ["key FILE", "run", "release", "verify", "pool"])
    with serve(study, port, token=not anyone, base_url=base_url, origin=origin) as server:
        say(f"{server.url}\nCtrl-C stops it.")
        server.process.wait()


def _holds_studies(folder: Path) -> bool:
    """Tell whether a folder is none of a study, but holds some."""
    return not (folder / "study.toml").exists() and any(folder.glob("*/study.toml"))


def _write_pages(study: Path, out: Path) -> None:
    from workbench.publish.index import read_index, write_index
    from workbench.terminal import note, say

    if (study / "study.toml").exists():
        _write_page(study, out)
        return
    lines = read_index(study)
    if not lines:
        raise DefinitionError(
            "There is no study here",
            where=str(study),
            todo="Name the folder of a study, or of studies",
        )
    if out.suffix in {".html", ".htm"}:
        raise UsageError(
            "A folder of studies makes a page each, not one file",
            where=str(out),
            todo="Name a folder",
        )
    for line in lines:
        if line.titles:
            _write_page(study / line.folder, out / f"{line.folder}.html")
        else:
            note(f"{line.folder} gets no page: {line.problem}")
    say(f"Wrote {write_index(study, out)}")
    if not all(line.titles for line in lines):
        raise typer.Exit(REFUSALS)


def _write_page(study: Path, out: Path) -> None:
    from workbench.exchange.verification import find_releases
    from workbench.publish.page import sites_of, write_page
    from workbench.study import read_study
    from workbench.terminal import counting, note, say

    definition = read_study(study)
    choices, languages = len(find_releases(definition)) + 1, len(definition.languages)
    parts = f"{choices * languages} part{'s' * (choices * languages > 1)}"
    sites = f"all sites and {choices - 1} alone" if choices > 1 else "no site"
    tongues = f"{languages} language{'s' * (languages > 1)}"
    note(f"Drawing {definition.id} in {parts}: {sites}, in {tongues}")
    with counting("drawing") as progress:
        page = write_page(definition, out, progress=progress)
    say(f"Wrote {page}")
    if apart := sum(1 for _ in sites_of(page).glob("*.html")):
        say(f"  and {apart} pages of single sites in {sites_of(page)}: pass them on together")

"""What several commands take: arguments, options, and the sites they mean."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.errors import UsageError, WorkbenchError

if TYPE_CHECKING:
    from workbench.site import Site
    from workbench.study import Study

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
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=64, help="Sites at a time.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only what needs attention.")]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document; messages go to standard error."),
]


def choose(study: Study, declarations: list[Path]) -> list[Site]:
    """Return the sites that are named, or else those the study pins."""
    from workbench.datasets import choose_sites
    from workbench.exchange.verification import read_pins_of

    wanted = [] if declarations else list(dict.fromkeys(p.id for p in read_pins_of(study)))
    return choose_sites(declarations, study.folder, wanted)


def confirm(question: str, undone: str, command: str) -> None:
    """Ask, and end the command unless the answer is yes.

    Parameters
    ----------
    question
        What is asked.
    undone
        What does not happen where nobody can be asked, as in "Nothing was packed".
    command
        Name of the command.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{undone}: nobody can be asked here",
            where=f"workbench {command}",
            todo="Look at what is shown, then add --yes",
        )
    if not typer.confirm(question):
        raise typer.Exit(0)


def describe(error: WorkbenchError) -> dict[str, str]:
    """Return an error as a JSON document holds it."""
    return {"what": error.what, "where": error.where, "do": error.todo}


NEXT = {
    "check": "is the definition whole?",
    "key FILE": "once a site; pin what it prints in sites.toml",
    "run": "at each site",
    "release": "shows what would leave, asks, then packs",
    "verify": "the folders that the sites sent",
    "pool": "all sites together",
    "publish": "the dashboard",
}
"""The commands of a study's life in their order, and what each is for."""


def next_command(study: Path, name: str, site: str = " --site FILE") -> str:
    """Return a command of `NEXT` as it is typed.

    Parameters
    ----------
    study
        Folder of the study.
    name
        One of `NEXT`.
    site
        What names the site, where a command takes one.

    Examples
    --------
    >>> next_command(Path("studies/doses"), "run")
    'workbench run studies/doses --site FILE'
    """
    if name == "key FILE":
        return f"workbench {name}"
    return f"workbench {name} {study}{site if name in ('run', 'release') else ''}"


def print_next(study: Path, names: Iterable[str]) -> None:
    """Print the commands that come next, one a line."""
    from workbench.display import aligned
    from workbench.terminal import say

    say("\n".join(aligned([[next_command(study, name), NEXT[name]] for name in names])))

"""What several commands take: arguments, options, and the sites they mean."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.errors import UsageError

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
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only what needs attention.")]
RUNS = Path("runs")


def choose(study: Study, declarations: list[Path]) -> list[Site]:
    """Return the sites that are named, or else those the study pins."""
    from workbench.datasets import choose_sites
    from workbench.exchange.verification import read_pins_of

    wanted = [] if declarations else list(dict.fromkeys(p.id for p in read_pins_of(study)))
    return choose_sites(declarations, study.folder, wanted)


def received_log(study: Study) -> Path:
    """Return the centre's log of the releases it has received."""
    return study.folder / "releases" / "received.jsonl"


def confirm(question: str) -> None:
    """Ask, and end the command unless the answer is yes."""
    if not sys.stdin.isatty():
        raise UsageError(
            "Nothing was packed: nobody can be asked here",
            where="workbench release",
            todo="Look at what is shown, then add --yes",
        )
    if not typer.confirm(question):
        raise typer.Exit(0)

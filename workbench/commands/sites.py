"""Commands about one institution: which there are, its key."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated

import typer

from workbench.errors import SiteError


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


def key(
    site: Annotated[
        Path, typer.Argument(metavar="SITE", help="A site.toml that names a key file.")
    ],
) -> None:
    """Make a site's key; print what sites.toml pins."""
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

"""A new site: a commented site.toml and the skeleton of its card, to be filled in."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from pathlib import Path

from workbench.errors import SiteError, WorkbenchError, show
from workbench.running.disk import require_outside_repository
from workbench.site import Site, read_site

TEMPLATE = Path(__file__).parents[1] / "resources" / "site"
FILES = ("site.toml", "card.md")


def create_site(
    folder: Path | str,
    *,
    id: str,  # noqa: A002 - the word of site.toml
    name: str,
    country: str,
    kind: str,
    archive: str,
) -> Site:
    """Write the declaration of a site to a folder; what lies there is left as it is.

    Parameters
    ----------
    folder
        Folder of the site, made if needed, for this user alone. A real site lies outside of every
        git work tree, because its key and ledger lie beside the declaration.
    id, name, country
        Of the site.
    kind
        "real", "public" or "pretend".
    archive
        Path of the table, absolute or from the folder; it need not exist yet.

    Returns
    -------
    Site

    Raises
    ------
    SiteError
        When a value cannot be used, a file exists, or the folder cannot be written; nothing is
        written then.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     site = create_site(Path(parent, "north"), id="north", name="North", country="KG",
    ...                        kind="real", archive="exams.parquet")
    ...     site.id, sorted(path.name for path in site.folder.iterdir())
    ('north', ['card.md', 'site.toml'])
    """
    folder = Path(folder)
    values = {
        "id": _quoted(id),
        "name": _quoted(name),
        "country": _quoted(country),
        "kind": _quoted(kind),
        "archive": _quoted(archive),
        "key": "real" if kind == "real" else "demo",
        "title": name,
    }
    texts = {file: _filled((TEMPLATE / file).read_text("utf-8"), values) for file in FILES}
    with tempfile.TemporaryDirectory() as trial:  # what would be written must be a site
        (Path(trial) / "site.toml").write_bytes(texts["site.toml"].encode(errors="surrogatepass"))
        read_site(Path(trial))
    for file in FILES:
        if os.path.lexists(folder / file):
            raise SiteError(
                "No site was written: there is a file of that name",
                where=show(str(folder / file), 200),
                todo="Name a new folder, or edit what is there",
            )
    if kind == "real":
        try:
            require_outside_repository(folder / "site.toml", "A real site")
        except WorkbenchError as error:
            raise SiteError(error.what, where=show(str(folder), 200), todo=error.todo) from None
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for file, text in texts.items():
            with (folder / file).open("x", encoding="utf-8") as handle:
                written.append(folder / file)
                handle.write(text)
    except OSError as error:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        raise SiteError(
            f"The site cannot be written: {error.strerror}",
            where=show(str(folder), 200),
            todo="Name a folder that you may write to",
        ) from None
    return read_site(folder)


def suggest_id(folder: Path) -> str:
    """Return an id made of a folder's name.

    Examples
    --------
    >>> suggest_id(Path("North Hospital 2"))
    'north_hospital_2'
    """
    made = re.sub(r"[^a-z0-9]+", "_", folder.absolute().name[:64].casefold())
    return made.strip("_").lstrip("0123456789_") or "my_hospital"


def _quoted(text: str) -> str:
    """Return a text as TOML; JSON writes a subset of TOML's strings, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _filled(template: str, values: dict[str, str]) -> str:
    """Replace each @name@ once; what a value holds is not looked at again."""
    return re.sub(r"@([a-z]+)@", lambda found: values[found[1]], template)

"""A new site: a commented site.toml and the skeleton of its card, to be filled in."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from workbench.definition.archive_table import KINDS, TABLES
from workbench.definition.declaration import validate
from workbench.errors import SiteError, WorkbenchError, show
from workbench.running.disk import require_outside_repository
from workbench.site import Site, SiteFile, read_site

TEMPLATE = Path(__file__).parents[1] / "resources" / "site"
FILES = ("site.toml", "card.md")
ADDRESSES = "https://host/path, or dimse://AE_TITLE@host:port"
EXAMPLES: Mapping[str, Mapping[str, str | int]] = {
    "folder": {"path": "dicom"},
    "table": {"path": "exams.parquet"},
    "dicomweb": {"url": "https://pacs.example/dicom-web"},
    "dimse": {"host": "pacs.example", "port": 104, "ae_title": "PACS"},
    "idc": {"collection": "cmmd"},
}
"""What stands in the blocks of the other kinds of archive."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DIMSE = re.compile(r"dimse://([^@/]{1,48})@(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):([0-9]{1,5})/?")


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
        What holds the exams: the path of a folder of DICOM files or of a table, absolute or from
        the folder; or an address, `https://host/path` of DICOMweb or `dimse://AE_TITLE@host:port`.
        It need not exist yet: a path that ends like a table's file is one, any other a folder.

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
        "archive": _write_archive(name_archive(archive, folder)),
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


def check_answers(answers: Mapping[str, str], folder: Path) -> None:
    """Refuse what cannot stand in a site's declaration, before the others are known.

    Parameters
    ----------
    answers
        Some of the words that `create_site` takes.
    folder
        Folder of the site.

    Raises
    ------
    SiteError
        With every problem of them.

    Examples
    --------
    >>> check_answers({"id": "my_lab", "archive": "exams.csv"}, Path("my_lab"))
    >>> check_answers({"id": "My Lab"}, Path("my_lab"))
    Traceback (most recent call last):
    workbench.errors.SiteError: 'My Lab' cannot be a name
      where: site.toml, site.id
      do:    Use 1 to 64 of a-z, 0-9 and _, a letter first
    """
    stated = {"id": "site", "name": "Site", "kind": "real", **answers}
    archive = stated.pop("archive", None)
    stands_in = {"site": stated, "archive": {"kind": "idc"}}
    validate(SiteFile, stands_in, "site.toml", SiteError)
    if archive is not None:
        name_archive(archive, folder)


def name_archive(text: str, folder: Path) -> dict[str, str | int]:
    """Return the kind of archive that a path or an address means, and the keys that say where.

    Parameters
    ----------
    text
        A path, absolute or from the folder, or an address.
    folder
        Folder of the site.

    Raises
    ------
    SiteError
        If it cannot be an archive. No address is shown: a password may stand in it.

    Examples
    --------
    >>> name_archive("dimse://PACS@10.0.0.5:104", Path("north"))
    {'kind': 'dimse', 'ae_title': 'PACS', 'host': '10.0.0.5', 'port': 104}
    >>> name_archive("https://pacs.example/dicom-web", Path("north"))
    {'kind': 'dicomweb', 'url': 'https://pacs.example/dicom-web'}
    >>> name_archive("exams.csv", Path("north"))
    {'kind': 'table', 'path': 'exams.csv'}
    """
    if scheme := _SCHEME.match(text):
        return _name_server(scheme[1].lower(), text)
    try:
        place, here = (folder / text).absolute(), folder.absolute()
        is_folder, is_file = place.is_dir(), place.is_file()
        around = here.resolve().is_relative_to(place.resolve())
    except (OSError, RuntimeError, ValueError):
        raise _refuse("The path cannot be used", "Name a folder, or a table's file") from None
    # A path that leads into the site's folder moves with it.
    path = str(place.relative_to(here)) if place.is_relative_to(here) else text
    is_table = place.suffix.lower() in TABLES
    if is_file and not is_table:
        todo = f"Name a table ({', '.join(TABLES)}), or the folder that holds the DICOM files"
        raise _refuse("This file is no table", todo)
    if around:
        todo = "Write the site into a folder of its own: what lies in the archive is scanned"
        raise _refuse("The site would lie inside of its archive", todo)
    return {"kind": "table" if is_table and not is_folder else "folder", "path": path}


def _name_server(scheme: str, text: str) -> dict[str, str | int]:
    if scheme == "dimse":
        found = _DIMSE.fullmatch(text)
        if found is None or not 0 < int(found[3]) <= 65_535:
            raise _refuse("The address is none of a DICOM server", f"Write {ADDRESSES}")
        title, host = unquote(found[1]), found[2].strip("[]")
        return {"kind": "dimse", "ae_title": title, "host": host, "port": int(found[3])}
    if scheme not in ("http", "https"):
        raise _refuse(f"No archive has an address {show(scheme)}://", f"Write {ADDRESSES}")
    try:
        parts = urlsplit(text)
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise _refuse("The address is none of a web server", f"Write {ADDRESSES}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        todo = "Leave the rest out: site.toml names a user, and a file that holds the password"
        raise _refuse("The address holds more than host, port and path", todo)
    return {"kind": "dicomweb", "url": text}


def _refuse(what: str, todo: str) -> SiteError:
    return SiteError(
        f"No site was written: {what[0].lower()}{what[1:]}", where="archive", todo=todo
    )


def _write_archive(declared: Mapping[str, str | int]) -> str:
    """Return the table [archive] of this kind, and a block in comments for every other."""
    blocks = (TEMPLATE / "archive.toml").read_text("utf-8").strip().split("\n\n")
    filled = {
        kind: _filled(block, {key: _quoted(value) for key, value in values.items()})
        for kind, block in zip(KINDS, blocks, strict=True)
        for values in [declared if kind == declared["kind"] else EXAMPLES[kind]]
    }
    written = filled.pop(str(declared["kind"]))
    others = re.sub(r"^(?=[a-z])", "#", "\n\n".join(filled.values()), flags=re.MULTILINE)
    return f"{written}\n\n# Other archives: one such block in place of the above.\n\n{others}"


def suggest_id(folder: Path) -> str:
    """Return an id made of a folder's name.

    Examples
    --------
    >>> suggest_id(Path("North Hospital 2"))
    'north_hospital_2'
    """
    made = re.sub(r"[^a-z0-9]+", "_", folder.absolute().name[:64].casefold())
    return made.strip("_").lstrip("0123456789_") or "my_hospital"


def _quoted(value: str | int) -> str:
    """Return a text or number as TOML; JSON writes a subset of it, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _filled(template: str, values: dict[str, str]) -> str:
    """Replace each @name@ once; what a value holds is not looked at again."""
    return re.sub(r"@([a-z_]+)@", lambda found: values[found[1]], template)

"""Commands about one institution: which there are, its declaration, its key."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.built import print_built
from workbench.commands.options import Json
from workbench.errors import SiteError, UsageError, WorkbenchError, show

if TYPE_CHECKING:
    from workbench.findings import Finding
    from workbench.radiology.table_check import TableContents
    from workbench.site import Site


def datasets(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to search.")] = Path(
        "datasets"
    ),
    build: Annotated[
        list[str] | None,
        typer.Option("--build", metavar="NAME", help="Make a pretend dataset by its recipe."),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option("--scale", help="Share of it to make, 0.001 to 1. Default: the recipe's."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the sites in this checkout, or make pretend ones."""
    from workbench.datasets import build_dataset, list_sites
    from workbench.terminal import print_json, print_table, say

    if build:
        for name in build:
            build_dataset(folder, name, scale)
            print_built(folder / name)
        return
    head = ["site", "name", "kind", "archive", "declaration"]
    rows = [
        [s.id, s.name, s.kind, str(s.archive.get("kind", "")), str(s.path)]
        for s in list_sites(folder).values()
    ]
    if as_json:
        print_json([dict(zip(head, row, strict=True)) for row in rows])
    elif rows:
        print_table(head, rows)
    else:
        say(f"There is no site.toml below {folder.absolute()}.")
        say("Name another folder, or write a site with: workbench site --new FOLDER")


def site(
    declaration: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A site.toml to check and show.")
    ] = None,
    new: Annotated[
        Path | None, typer.Option("--new", metavar="FOLDER", help="Write a new site here.")
    ] = None,
    id: Annotated[str | None, typer.Option("--id", help="Id: a-z, 0-9, _.")] = None,  # noqa: A002
    name: Annotated[str | None, typer.Option("--name", help="Name for people.")] = None,
    country: Annotated[str | None, typer.Option("--country", help="Country.")] = None,
    archive: Annotated[
        str | None,
        typer.Option(
            "--archive",
            metavar="PLACE",
            help="A folder of DICOM files, a table of exams, https://… or dimse://AE_TITLE@host:port.",
        ),
    ] = None,
    kind: Annotated[str, typer.Option("--kind", help="real, public or pretend.")] = "real",
    as_json: Json = False,
) -> None:
    """Show and check a site's declaration; or write a new one."""
    from workbench.display import Card
    from workbench.site import SCANNED
    from workbench.terminal import note, print_card, print_findings, print_json, say

    if (declaration is None) == (new is None):
        raise UsageError(
            "Name one site",
            where="workbench site",
            todo="Write 'workbench site FILE' to check one, 'workbench site --new FOLDER' for one",
        )
    if new is not None:
        made = _write_new(new, kind, {"id": id, "name": name, "country": country,
                                      "archive": archive})  # fmt: skip
        if as_json:
            print_json({"id": made.id, "declaration": str(made.path)})
            return
        say(f"Wrote {made.path} and {made.card}. Next:")
        steps = [f"fill in both: {made.path} explains each key", f"workbench site {made.path}"]
        if made.archive["kind"] in SCANNED:
            steps.append(f"workbench scan {made.path}")
        steps += [
            f"workbench key {made.path}",
            f"workbench run STUDY --site {made.path} --sample 100",
        ]
        for number, step in enumerate(steps, start=1):
            say(f"  {number}. {step}")
        return
    if declaration is not None:
        from workbench.site import read_site

        place = read_site(declaration)
        held, findings = _check(place)
        contents, wrong = _check_tables(place, [finding.where for finding in findings])
        findings += wrong
        said = _describe(place, held)
        said["tables"] = {name: vars(holds) for name, holds in contents.items()}
        if as_json:
            print_json(said | {"findings": [vars(finding) for finding in findings]})
        else:
            facts = {k: ", ".join(v) if isinstance(v, list) else str(v) for k, v in said.items()}
            facts["tables"] = ", ".join(place.tables)
            for table, holds in contents.items():
                facts[f"  {table}"] = _tell(holds)
            del facts["name"], facts["cannot_answer"]
            reasons = [[column, place.reason(column)] for column in place.cannot_answer]
            print_card(Card(place.name, facts, ["cannot answer", "because"], reasons))
            print_findings(findings)
        failed = sum(finding.level == "fail" for finding in findings)
        if failed:
            raise SiteError(
                f"{place.id} has {failed} problem(s)",
                where=str(place.path),
                todo="Mend what is listed above",
            )
        if any(finding.rule == "catalog" for finding in findings):
            (note if as_json else say)(f"Next: workbench scan {place.path}")


def _write_new(folder: Path, kind: str, given: dict[str, str | None]) -> Site:
    from workbench.definition.new_site import check_answers, create_site, suggest_id

    asked = {"id": suggest_id(folder), "name": folder.absolute().name, "country": "",
             "archive": "dicom"}  # fmt: skip
    lacking = [key for key, value in given.items() if value is None]
    if lacking and not sys.stdin.isatty():
        raise UsageError(
            "No site was written: nobody can be asked here",
            where="workbench site --new",
            todo=f"Add {' '.join(f'--{key} …' for key in lacking)}",
        )
    questions = {"id": "Id (a-z, 0-9, _)", "name": "Name for people",
                 "country": "Country, such as KG; Enter leaves it out",
                 "archive": "Folder of DICOM, table of exams, or address of a server"}  # fmt: skip
    values = {"kind": kind} | {key: value for key, value in given.items() if value is not None}
    if "archive" in values:
        values["archive"] = _from_here(values["archive"])
    if lacking:  # what is given already is refused before anything is asked
        check_answers(values, folder)
    for key in lacking:
        values[key] = _ask(questions[key], asked[key], key, folder)
    return create_site(folder, **values)


def _ask(question: str, default: str, key: str, folder: Path) -> str:
    """Ask until the answer can stand in a declaration, and return it."""
    from workbench.definition.new_site import check_answers
    from workbench.terminal import note

    while True:
        answer = str(typer.prompt(question, default=default, show_default=bool(default)))
        answer = _from_here(answer) if key == "archive" else answer
        try:
            check_answers({key: answer}, folder)
        except SiteError as error:
            note(str(error))
        else:
            return answer


def _from_here(typed: str) -> str:
    """Return a path that leads from this folder to something as an absolute one."""
    if "://" in typed:
        return typed
    path = Path(typed).expanduser()
    return os.path.normpath(path.absolute()) if typed and path.exists() else str(path)


def _check(place: Site) -> tuple[list[str], list[Finding]]:
    """Return the columns that the archive holds, and what is wrong; nothing is read or asked."""
    from workbench.archive.archive import KEYWORDS, open_archive
    from workbench.archive.series_table import open_series_table
    from workbench.exchange.keys import read_key
    from workbench.findings import Finding
    from workbench.site import SCANNED

    # That an archive was not scanned yet is told below, as no fault of its declaration.
    findings = [f for f in place.check() if f.level != "pass" and f.rule != "catalog"]
    if place.key_path is not None:
        try:
            read_key(place.key_path)
        except WorkbenchError as error:
            if place.key_path.exists():
                findings.append(Finding("fail", "key", error.what, error.where, todo=error.todo))
            else:
                what, todo = "There is no key yet", f"Make one: workbench key {place.path}"
                findings.append(Finding("review", "key", what, "site.toml, key.file", todo=todo))
    held: list[str] = []
    if not any(finding.rule == "paths" for finding in findings):
        try:
            if place.archive["kind"] in SCANNED:
                findings += _check_scanned(place)
            else:
                open_archive(place)
            held = list(KEYWORDS)
            if place.archive["kind"] == "table":
                held = list(open_series_table(place.archive, place.folder, KEYWORDS).columns)
        except WorkbenchError as error:
            findings.append(Finding("fail", "archive", error.what, error.where, todo=error.todo))
    unsaid = [c for c in KEYWORDS if c not in held and c not in place.cannot_answer]
    if held and unsaid:
        what = f"The archive has no {', '.join(unsaid)}, and no reason is given"
        todo = "Say why, so that tables that need them are listed with the reason"
        findings.append(Finding("review", "cannot_answer", what, "site.toml", todo=todo))
    return held, findings


def _check_tables(place: Site, absent: list[str]) -> tuple[dict[str, TableContents], list[Finding]]:
    """Return what each table of `[tables]` holds, and what is wrong with it."""
    from workbench.errors import suggest
    from workbench.findings import Finding
    from workbench.radiology.table_check import SCHEMAS, read_contents

    held: dict[str, TableContents] = {}
    findings: list[Finding] = []
    for name in place.tables:
        where = f"site.toml, tables.{name}"
        if where in absent:  # told already
            continue
        try:
            held[name] = holds = read_contents(place, name)
        except SiteError as error:
            findings.append(Finding("fail", "tables", error.what, where, todo=error.todo))
            continue
        what = ""
        if name not in SCHEMAS:
            what, todo = "No table of this name is understood", suggest(name, SCHEMAS)
        elif not holds.rows:
            what, todo = "The table has no rows", "Write them, or remove the table from [tables]"
        if what:
            findings.append(Finding("review", "tables", what, where, todo=todo))
    return held, findings


def _tell(holds: TableContents) -> str:
    parts = [
        f"{holds.rows:,} row{'s' * (holds.rows != 1)}",
        f"understood: {', '.join(holds.understood) or 'nothing'}",
    ]
    if holds.missing:
        parts.append(f"missing: {', '.join(holds.missing)}")
    if holds.ignored:
        parts.append(f"ignored: {holds.ignored} more")
    return "; ".join(parts)


def _check_scanned(place: Site) -> list[Finding]:
    """Return what a scan would bring up to date, if one could read what is declared."""
    from workbench.archive.archive import open_archive
    from workbench.archive.dimse import DimseServer
    from workbench.archive.site_scan import read_server
    from workbench.findings import Finding

    found: list[Finding] = []
    if place.archive["kind"] == "folder":
        found += _check_folder(place)
    else:
        server = read_server(place.archive, place.folder)
        if not isinstance(server, DimseServer):
            server.access.authorization()
        elif server.peer.tls:
            server.peer.context()
    try:
        open_archive(place)
    except SiteError as error:
        absent = place.stamps()["archive.catalog"] == "absent"
        what = "The archive was not scanned yet" if absent else error.what
        where = "site.toml, archive.catalog"
        found.append(Finding("review", "catalog", what, where, todo=error.todo))
    return found


def _check_folder(place: Site) -> list[Finding]:
    """Refuse a folder that cannot be scanned into the catalog that is declared."""
    from workbench.archive.archive import FOLDER_KEYS, require_keys
    from workbench.findings import Finding
    from workbench.site import CATALOG

    require_keys(place.archive, FOLDER_KEYS)
    if "path" not in place.archive:
        todo = 'Write path = "…", the folder that holds the DICOM files'
        raise SiteError("The archive says no folder", where="archive.path", todo=todo)
    root = place.locate(place.archive["path"]).resolve()
    try:
        with os.scandir(root) as entries:
            empty = next(entries, None) is None
    except OSError as error:
        raise SiteError(
            f"The folder cannot be read: {error.strerror}",
            where=f"archive.path, {show(str(root), 200)}",
            todo="Correct the path, or have its disk mounted and its rights given",
        ) from None
    catalog = place.locate(str(place.archive.get("catalog", CATALOG))).resolve()
    if catalog.is_relative_to(root) or root.is_relative_to(catalog):
        raise SiteError(
            "The catalog would lie inside of the archive, or around it",
            where="archive.catalog",
            todo="Name another folder: catalog = '…'",
        )
    what, todo = "The folder is empty", "Correct the path, or have its disk mounted"
    return [Finding("review", "archive", what, "site.toml, archive.path", todo=todo)] * empty


def _describe(place: Site, held: list[str]) -> dict[str, object]:
    policy = place.policy
    return {
        "id": place.id,
        "name": place.name,
        "kind": place.kind,
        "country": place.country,
        "archive": str(place.archive["kind"]),
        "answers": [column for column in held if column not in place.cannot_answer],
        "cannot_answer": {column: place.reason(column) for column in place.cannot_answer},
        "policy": str(policy),
        "key": _key_state(place),
    }


def _key_state(place: Site) -> str:
    from workbench.exchange.keys import read_key

    if place.key is None or place.key_path is None:
        return "none: nothing can be released"
    if not place.key_path.exists():
        return f"{place.key.file}: no key yet"
    try:
        key = read_key(place.key_path)
    except WorkbenchError as error:
        return f"{place.key.file}: {error.what[0].lower()}{error.what[1:]}"
    mode = place.key_path.stat().st_mode & 0o777
    return f"{place.key.file}, {key.kind}, {key.id}, mode {mode:04o}"


def key(
    site: Annotated[
        Path, typer.Argument(metavar="SITE", help="A site.toml that names a key file.")
    ],
    show: Annotated[
        bool, typer.Option("--show", help="Print the key that exists again, and change nothing.")
    ] = False,
) -> None:
    """Make a site's key; print what sites.toml pins."""
    from workbench.exchange.keys import make_key, read_key
    from workbench.site import read_site
    from workbench.terminal import say

    declared = read_site(site)
    if declared.key is None or declared.key_path is None:
        raise SiteError(
            "The site names no key file",
            where=f"{site}, key",
            todo='Write [key] with file = "site.key"; to rotate, name a new file',
        )
    path = declared.key_path
    held = read_key(path) if show else make_key(path, declared.key.kind)
    say(str(path) if show else f"Wrote {path}")
    say(f"Fingerprint: {held.id}. Tell it to the coordinating centre by another way.")
    say("The centre adds this to the study's sites.toml:\n")
    # The file's time is that of its making: the key is printed the same again.
    made = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).date()
    said = {"id": declared.id, "name": declared.name, "public_key": held.public, "kind": held.kind}
    say(f"[[site]] # key {held.id}")
    for name, value in said.items():
        say(f"{name} = {json.dumps(value, ensure_ascii=False)}")
    say(f"valid_from = {made}")

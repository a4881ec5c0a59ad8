"""Site: an institution as site.toml declares it; nothing it names is opened here."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from workbench.definition.archive_table import find_archive_problems
from workbench.definition.declaration import (
    LANGUAGES,
    Declared,
    Line,
    Name,
    Texts,
    is_printable,
    read_toml,
    refusal,
    validate,
)
from workbench.definition.problems import problem, refuse, refuse_failures
from workbench.definition.study_file import PolicyTable, plain
from workbench.definition.trusted_bundles import BundlesTable
from workbench.disclosure.policy import Policy
from workbench.display import Card, Displayed
from workbench.errors import SiteError, WorkbenchError, show, suggest
from workbench.findings import Finding, Findings
from workbench.running.disk import require_outside_repository
from workbench.running.stamp import stamp

LOCAL = ("path", "folder", "file", "catalog")
"""Keys of [archive] that name a place on this machine."""
SECRETS = ("password_file", "token_file", "ca_file", "client_certificate", "client_key")
"""Keys of [archive] that name a file a server is reached with; never stamped."""
SCANNED = ("folder", "dicomweb", "dimse")
"""Kinds of archive that a run reads by their catalog."""
CATALOG = "catalog"
"""Folder of the catalog where site.toml names none."""
SCHEDULER = r"^(tcp|tls)://[A-Za-z0-9.\[\]:_-]{1,253}$"
ADDRESS = '"tcp://host:port" or "tls://host:port"'


def _check_place(text: str) -> str:
    if not text.strip() or len(text) > 1024 or not is_printable(text):
        raise refusal(f"{show(text)!r} cannot be a path", "Write 1 to 1,024 printable characters")
    return text


Place = Annotated[str, AfterValidator(_check_place)]


def _check_plain(value: object) -> object:
    parts = value if isinstance(value, list) else [value]
    if isinstance(value, dict):
        parts = [*value, *value.values()]
    good = (
        isinstance(p, bool | int | str) or (isinstance(p, float) and math.isfinite(p))
        for p in parts
    )
    if not all(good) or not all(is_printable(p) for p in parts if isinstance(p, str)):
        raise refusal(
            f"{show(value)} cannot be a value here",
            "Write a text, a number, true or false, a list of texts, or { name = 'text' }",
        )
    return value


Plain = Annotated[Any, AfterValidator(_check_plain)]
"""What an archive's opener may be told."""


class SiteTable(Declared):
    """Table `[site]`."""

    id: Name
    name: Line
    country: Line | Literal[""] = ""
    kind: Literal["real", "public", "pretend"]
    card: Place | None = None


class DaskTable(Declared):
    """Table `[dask]`: a scheduler that runs, or workers to start."""

    scheduler: Annotated[str, Field(pattern=SCHEDULER, description=ADDRESS)] | None = None
    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    processes: bool = True

    @model_validator(mode="after")
    def _check(self) -> DaskTable:
        if (self.scheduler is None) == (self.workers is None):
            raise refusal("[dask] needs 'scheduler' or 'workers'", "Write one of them")
        return self


class KeyTable(Declared):
    """Table `[key]`: the private key that signs releases."""

    file: Place
    kind: Literal["real", "demo"]


class RetentionTable(Declared):
    """Table `[retention]`: how long a run is kept after it was last used."""

    days: Annotated[int, Field(ge=1, le=100_000)]


class CannotAnswer(Declared):
    """Table `[[cannot_answer]]`: a column this site does not hold, and why."""

    column: Name
    reason: Texts


class SiteFile(Declared):
    """All of a site.toml."""

    site: SiteTable
    archive: dict[Name, Plain]
    tables: dict[Name, Place] = Field(default_factory=dict)
    policy: PolicyTable = PolicyTable()
    dask: DaskTable | None = None
    key: KeyTable | None = None
    retention: RetentionTable | None = None
    bundles: BundlesTable | None = None
    cannot_answer: list[CannotAnswer] = Field(default_factory=list, max_length=500)


@dataclass(frozen=True, repr=False)
class Site(Displayed):
    """Hold what a site.toml declares; made by `read_site`.

    Parameters
    ----------
    path
        The site.toml.
    file
        Its validated content.
    policy
        The disclosure policy, at least as strict as the floor.
    """

    path: Path
    file: SiteFile = field(repr=False)
    policy: Policy

    @property
    def folder(self) -> Path:
        """Folder of the site.toml; its paths start here."""
        return self.path.parent

    @property
    def id(self) -> str:
        """Name of the site in files and keys."""
        return self.file.site.id

    @property
    def name(self) -> str:
        """Name of the site for people."""
        return self.file.site.name

    @property
    def country(self) -> str:
        """Country, or ""."""
        return self.file.site.country

    @property
    def kind(self) -> str:
        """Whether the site is real, public or pretend."""
        return self.file.site.kind

    @property
    def card(self) -> Path | None:
        """Path of the data card, if there is one."""
        return None if self.file.site.card is None else self.locate(self.file.site.card)

    @property
    def archive(self) -> Mapping[str, Any]:
        """Table `[archive]` as it is written; `kind` says what opens it."""
        return dict(self.file.archive)

    @property
    def tables(self) -> Mapping[str, Path]:
        """Path of each clinical table by name."""
        return {name: self.locate(path) for name, path in self.file.tables.items()}

    @property
    def dask(self) -> Mapping[str, str | int | bool]:
        """Table `[dask]`: `scheduler`, or `workers` and `processes`; empty for threads."""
        if self.file.dask is None:
            return {}
        left_out = {"processes"} if self.file.dask.workers is None else set()
        return self.file.dask.model_dump(exclude_none=True, exclude=left_out)

    @property
    def key(self) -> KeyTable | None:
        """Table `[key]`, if there is one."""
        return self.file.key

    @property
    def key_path(self) -> Path | None:
        """Path of the private key, if there is one."""
        return None if self.key is None else self.locate(self.key.file)

    @property
    def keep_days(self) -> int | None:
        """Days that a run is kept after it was last used, if `[retention]` says so."""
        return None if self.file.retention is None else self.file.retention.days

    @property
    def trusted_bundles(self) -> tuple[str, ...]:
        """Digests of bundles whose configuration may hold code."""
        return () if self.file.bundles is None else tuple(self.file.bundles.trusted)

    @property
    def cannot_answer(self) -> Mapping[str, Mapping[str, str]]:
        """Reason by language, by column that this site cannot answer."""
        return {entry.column: entry.reason for entry in self.file.cannot_answer}

    def reason(self, column: str, language: str = "en") -> str:
        """Return why a column cannot be answered; "" if it can."""
        texts = self.cannot_answer.get(column, {})
        return texts.get(language, texts.get("en", ""))

    def locate(self, path: str) -> Path:
        """Return a declared path, which starts at the folder of site.toml."""
        return self.folder / path

    @cached_property
    def digest(self) -> str:
        """Sha256 of the declaration without key, Dask and retention, which change no result."""
        left_out = {"key", "dask", "retention"}
        declared = plain(self.file.model_dump(exclude=left_out, exclude_defaults=True))
        text = json.dumps(declared, ensure_ascii=False, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def stamps(self) -> dict[str, str]:
        """Return the stamp of each declared local path; nothing is opened.

        An archive that is scanned is stamped by its catalog, which changes with it, alone.

        Returns
        -------
        dict
            Key of site.toml, e.g. "tables.reports", to "files:bytes:digest" or "absent". No path
            stands in it.
        """
        archive = self.file.archive
        places = {f"archive.{k}": v for k, v in archive.items() if k in LOCAL}
        if archive["kind"] in SCANNED:
            places = {"archive.catalog": f"{archive.get('catalog', CATALOG)}/catalog.json"}
        places |= {f"tables.{k}": v for k, v in self.file.tables.items()}
        return {
            key: stamp(self.locate(place))
            for key, place in sorted(places.items())
            if isinstance(place, str)
        }

    def check(self) -> Findings:
        """Return what is wrong or doubtful about the declaration."""
        found = Findings()
        for key, found_there in self.stamps().items():
            if found_there == "absent":
                rule, what, todo = "paths", "There is nothing here", "Correct the path"
                if key == "archive.catalog":
                    rule, what = "catalog", "There is no catalog"
                    todo = "Run 'workbench scan site.toml'"
                found.append(Finding("fail", rule, what, f"site.toml, {key}", todo=todo))
        if self.kind == "real" and _in_work_tree(self.path):
            what = "A real site may not lie in a git work tree: 'git add' would commit patients"
            todo = "Move it outside of the repository"
            found.append(Finding("fail", "repository", what, "site.toml", todo=todo))
        if self.kind != "real" and (self.card is None or not self.card.is_file()):
            where, todo = "site.toml, site.card", "Write card.md"
            found.append(Finding("review", "card", "There is no data card", where, todo=todo))
        if self.key is None:
            found.append(
                Finding(
                    "review", "key", "There is no key", "site.toml, key", todo="Run 'workbench key'"
                )
            )
        if self.kind == "public":
            for column, texts in self.cannot_answer.items():
                for language in LANGUAGES:
                    if language not in texts:
                        what = f"The reason for {column!r} is missing in {language}"
                        where = f"site.toml, cannot_answer.{column}"
                        todo = f"Write {language} = …"
                        found.append(Finding("review", "labels", what, where, todo=todo))
        complete = Finding("pass", "site", "The declaration is complete", "site.toml")
        return found or Findings([complete])

    def validate(self) -> None:
        """Refuse a site that fails its check.

        Raises
        ------
        SiteError
            With every finding that fails.
        """
        refuse_failures(self.check(), SiteError)

    def _card(self) -> Card:
        facts = {
            "id": self.id,
            "kind": self.kind,
            "country": self.country,
            "archive": str(self.archive["kind"]),
            "tables": ", ".join(self.tables),
            "policy": str(self.policy),
            "runs kept": "" if self.keep_days is None else f"{self.keep_days} days",
        }
        reasons = [[column, self.reason(column)] for column in self.cannot_answer]
        return Card(self.name, facts, ["cannot answer", "because"], reasons)


def read_site(path: Path | str) -> Site:
    """Read and validate a site; nothing but the site.toml is opened.

    Parameters
    ----------
    path
        The site.toml, or its folder.

    Returns
    -------
    Site

    Raises
    ------
    SiteError
        When the file is not what it must be; all problems are named together.
    """
    path = Path(path)
    if path.suffix != ".toml":
        path = path / "site.toml"
    absent = "Check the path, or make one: workbench site --new FOLDER"
    data = read_toml(path, SiteError, absent)
    file = validate(SiteFile, data, path.name, SiteError)
    refuse(_cross_problems(file, path), SiteError)
    return Site(path, file, file.policy.policy())


def _cross_problems(file: SiteFile, path: Path) -> list[Finding]:
    found = find_archive_problems(file.archive, path.name)
    columns = [entry.column for entry in file.cannot_answer]
    found += [
        problem(f"The column {c!r} stands twice", f"{path.name}, cannot_answer.{c}", "Remove one")
        for c in sorted({c for c in columns if columns.count(c) > 1})
    ]
    for key, place in _places(file):
        if not isinstance(place, str) or not is_printable(place) or not place:
            todo = "Write a path in quotes"
            found.append(problem("The value is no path", f"{path.name}, {key}", todo))
        # A declaration that travels in a repository must not reach into the reader's machine.
        elif file.site.kind != "real" and not _inside(path.parent, place):
            found.append(
                problem(
                    f"{show(place)!r} leads out of the site's folder",
                    f"{path.name}, {key}",
                    f"A {file.site.kind} site keeps its files beside its site.toml",
                )
            )
    if file.site.kind == "real" and file.key is not None and file.key.kind == "demo":
        todo = suggest("real", ["real"])
        found.append(problem("A real site has a demo key", f"{path.name}, key.kind", todo))
    return found


def _places(file: SiteFile) -> Iterator[tuple[str, object]]:
    yield from ((f"archive.{k}", v) for k, v in file.archive.items() if k in LOCAL + SECRETS)
    yield from ((f"tables.{k}", v) for k, v in file.tables.items())
    if file.site.card is not None:
        yield "site.card", file.site.card
    if file.key is not None:
        yield "key.file", file.key.file


def _in_work_tree(path: Path) -> bool:
    try:
        require_outside_repository(path, "A real site")
    except WorkbenchError:
        return True
    return False


def _inside(folder: Path, place: str) -> bool:
    try:
        return (folder / place).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        return False

"""Manifest: what a release says of itself; the bytes that a site signs."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from workbench.definition.declaration import Declared, Line, Name, Texts, refusal
from workbench.errors import show
from workbench.exchange.envelope import LIMIT, RefusedError, canonical, parse_canonical

MANIFEST, ENVELOPE = "manifest.json", "manifest.dsse.json"
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Count = Annotated[int, Field(ge=0)]
Plain = bool | int | float | Line | Literal[""]


class StudyMark(Declared):
    """Which definition of which study was run."""

    id: Name
    version: Line
    digest: Digest


class SiteMark(Declared):
    """Whose release it is."""

    id: Name
    name: Line
    kind: Literal["real", "public", "pretend"]


class PolicyMark(Declared):
    """The disclosure policy in force."""

    threshold: Count
    rounding: Count
    digits: Count


class TableMark(Declared):
    """One released table: its file, small cells hidden, and large ones held back for them."""

    kind: Name
    sha256: Digest
    bytes: Count
    suppressed: Count


class Approval(Declared):
    """Who decided, why and when."""

    approver: Line
    reason: Line
    date: dt.date


class Review(Approval):
    """A finding that a person judged before release."""

    rule: Line
    where: Line


class RunMark(Declared):
    """Which run made the tables: digests, never paths."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
    parameters: dict[Name, Plain | list[Plain]]
    workbench: Digest
    steps: dict[Name, Digest]
    inputs: dict[Name, Digest]
    software: dict[Line, Line]


class Manifest(Declared):
    """Say what a release holds, whose it is, and what it stands on.

    Raises
    ------
    RefusedError
        By `parse`, if the bytes are not the canonical ones of a manifest.
    """

    format: Literal["workbench-release/1"] = "workbench-release/1"
    what: Literal["release", "withdrawal"]
    id: Id
    counter: Annotated[int, Field(ge=1, le=10**9)]
    supersedes: Id | None
    created: dt.date
    key: Id
    study: StudyMark
    site: SiteMark
    policy: PolicyMark
    tables: dict[Name, TableMark]
    not_answered: dict[Name, Texts]
    reviews: list[Review]
    run: RunMark | None
    withdrawn: Approval | None = None

    @model_validator(mode="after")
    def _whole(self) -> Manifest:
        if (self.what == "withdrawal") != (self.withdrawn is not None):
            raise refusal("A withdrawal, and only that, names who withdraws and why")
        if self.what == "withdrawal" and (self.tables or self.supersedes is None):
            raise refusal("A withdrawal names a release, and holds no table")
        if self.supersedes == self.id:
            raise refusal("A release does not supersede itself")
        if self.what == "release" and self.run is None:
            raise refusal("A release names its run")
        return self

    @property
    def content(self) -> str:
        """Identifier of what the release holds, whenever and whyever it was packed."""
        held = self.model_dump(
            mode="json", include={"what", "study", "site", "policy", "tables", "not_answered"}
        )
        if self.what == "withdrawal":
            held["withdraws"] = self.supersedes
        return hashlib.sha256(canonical(held)).hexdigest()[:16]

    def render(self) -> bytes:
        """Return the bytes of the manifest's file."""
        return canonical(self.model_dump(mode="json"))

    @classmethod
    def parse(cls, content: bytes) -> Manifest:
        """Return a manifest from the bytes of its file, strictly."""
        if len(content) > LIMIT:
            raise RefusedError(
                "unreadable",
                "The manifest is too large",
                where=MANIFEST,
                todo=f"Fetch it again; the Workbench packs at most {LIMIT:,} bytes",
            )
        parse_canonical(content, MANIFEST)
        try:
            manifest = cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise RefusedError(
                "manifest_invalid",
                f"The manifest is not valid: {show(first['msg'], 200)}",
                where=f"{MANIFEST}, key {show(key, 100)}" if key else MANIFEST,
                todo="Pack the release again with the Workbench",
            ) from error
        if manifest.render() != content:
            raise RefusedError(
                "not_canonical",
                "The manifest is not in its canonical form",
                where=MANIFEST,
                todo="Ask the site for the file as it was packed",
            )
        if manifest.id != manifest.content:
            raise RefusedError(
                "other_content",
                "The release's identifier is not that of what it holds",
                where=f"{MANIFEST}, id {manifest.id}",
                todo="Pack the release again with the Workbench",
            )
        return manifest

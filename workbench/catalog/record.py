"""Record: what catalog.json says, believed only where all of it can be true.

It names every table of a catalog with its size and its digest. A file that was cut off, replaced
or written anew, or of which one bit is another, has another: it is not taken for the catalog.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError, model_validator

from workbench.catalog.buckets import PLACES, bounds
from workbench.catalog.series import SERIES
from workbench.catalog.table import TABLES, read_digest
from workbench.dicom.columns import SCHEMA
from workbench.dicom.modalities import MODALITIES, NOT_STATED, OTHER
from workbench.dicom.refusals import REASONS
from workbench.errors import SiteError, show

CATALOG = "catalog.json"
"""File of a catalog that names all others: what it does not name is not in the catalog."""
FORMAT = 3
_LARGEST = 2**53

Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Positive = Annotated[int, Field(ge=1, le=_LARGEST)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
InstancesName = Annotated[str, Field(pattern=r"^instances/[a-z0-9][a-z0-9.-]*$")]
SeriesName = Annotated[str, Field(pattern=r"^series/[a-z0-9][a-z0-9.-]*$")]
StateName = Annotated[str, Field(pattern=r"^state/[a-z0-9][a-z0-9.-]*$")]


class _Part(BaseModel):
    """Parent of every part of a record: closed and strict."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class _Bucket(_Part):
    instances: InstancesName
    series: SeriesName
    aside: StateName | Literal[""]
    low: Count
    high: Count
    rows: Count
    aside_rows: Count
    series_rows: Count
    exams: Count
    patients: Count
    bytes: Count
    modalities: dict[str, Positive]
    digest: Digest


class _Counts(_Part):
    files: Count
    links: Count
    containers: Count
    members: Count
    instances: Count
    refused: Count
    series: Count
    exams: Count
    patients: Count


class _State(_Part):
    listing: list[StateName]
    left_out: Annotated[list[StateName], Field(min_length=1, max_length=1)]
    refused: list[StateName]
    zips: list[StateName]
    digests: list[StateName]


class _Table(_Part):
    bytes: Positive
    digest: Digest


class _Record(_Part):
    format: Positive
    columns: str
    root: Annotated[InstanceOf[str], Field(min_length=1)]
    generation: Positive
    scanned: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")]
    counts: _Counts
    bytes: Count
    modalities: dict[str, Positive]
    refused: dict[str, Positive]
    fingerprint: str
    buckets: Annotated[list[_Bucket], Field(min_length=1, max_length=PLACES)]
    state: _State
    tables: dict[InstancesName | SeriesName | StateName, _Table]

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse numbers that contradict each other."""
        counts, buckets = self.counts, self.buckets
        modalities: Counter[str] = Counter()
        for bucket in buckets:
            modalities.update(bucket.modalities)
        read = counts.instances + counts.refused + counts.links + counts.containers
        good = (
            [(b.low, b.high) for b in buckets]
            == [bounds(i, len(buckets)) for i in range(len(buckets))]
            and all(sum(b.modalities.values()) == b.rows for b in buckets)
            and all(bool(b.aside) == bool(b.aside_rows) for b in buckets)
            and dict(modalities) == self.modalities
            and modalities.keys() <= {*MODALITIES, NOT_STATED, OTHER}
            and self.refused.keys() <= REASONS.keys()
            and sum(b.rows for b in buckets) == counts.instances
            and sum(b.series_rows for b in buckets) == counts.series
            and sum(b.exams for b in buckets) == counts.exams
            and sum(b.patients for b in buckets) == counts.patients
            and sum(b.bytes for b in buckets) == self.bytes
            and sum(self.refused.values()) == counts.refused
            and counts.files + counts.members == read
            and make_fingerprint(b.digest for b in buckets) == self.fingerprint
        )
        if not good:
            raise ValueError
        return self


@dataclass(frozen=True)
class Found:
    """Say what lies in a folder.

    Parameters
    ----------
    state
        "none"; a catalog of "another version", whose columns or meanings are others; one that is
        "damaged", whose record or tables are not what a scan wrote; or one that is "whole".
    said
        Content of catalog.json; of a catalog that is not whole, nothing of it is to be believed.
    """

    state: Literal["none", "another version", "damaged", "whole"]
    said: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def record(self) -> dict[str, Any] | None:
        """Content of catalog.json of a whole catalog; else None."""
        return dict(self.said) if self.state == "whole" else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a scan says of a catalog that it does not believe."""
        if self.state in ("none", "whole"):
            return ()
        fault = "damaged" if self.state == "damaged" else f"of {self.state}"
        return (f"The last catalog was {fault}: everything was read anew",)

    @property
    def root(self) -> str:
        """Root of the archive, as far as it is said, or ""."""
        root = self.said.get("root")
        return root if isinstance(root, str) else ""

    @property
    def generation(self) -> int:
        """Number of the scan, as far as it is said, or 0."""
        return _number(self.said.get("generation"))

    @property
    def instances(self) -> int:
        """Number of instances, as far as it is said, or 0."""
        counts = self.said.get("counts")
        return _number(counts.get("instances")) if isinstance(counts, dict) else 0


def _number(value: object) -> int:
    return value if type(value) is int and 0 <= value < _LARGEST else 0


def read_record(folder: Path) -> Found:
    """Return what lies in a folder, with the record of a catalog that is whole.

    Parameters
    ----------
    folder
        Folder of a catalog.

    Raises
    ------
    SiteError
        If catalog.json is there and is no file, or the system does not let it be read.
    """
    path = folder / CATALOG
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would wait for ever
            raise SiteError(
                f"The catalog cannot be read: {CATALOG} is no file",
                where=show(str(folder), 200),
                todo=f"Remove what has the name {CATALOG}, and scan again",
            )
        said = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Found("none")
    except OSError as error:
        raise SiteError(
            f"The catalog cannot be read: {os.strerror(error.errno or 0)}",
            where=show(str(folder), 200),
            todo="Check the rights of its folder, and the disk",
        ) from None
    except (ValueError, RecursionError):
        return Found("damaged")
    if not isinstance(said, dict):
        return Found("damaged")
    return Found(_judge(folder, said), said)


def _judge(folder: Path, said: Mapping[str, Any]) -> Literal["another version", "damaged", "whole"]:
    version = (said.get("format"), said.get("columns"))
    if tuple(map(type, version)) != (int, str):
        return "damaged"
    if version != (FORMAT, columns_text()):
        return "another version"
    try:
        _Record.model_validate(said)
    except ValidationError:
        return "damaged"
    return "whole" if _are_whole(folder, said) else "damaged"


def _are_whole(folder: Path, record: Mapping[str, Any]) -> bool:
    """Return whether the tables are those that the record names, and all of them are there."""
    if any((folder / name).is_symlink() for name in TABLES):
        return False
    tables = record["tables"]
    return tables.keys() == named_tables(record) and all(
        read_digest(folder / name) == told for name, told in tables.items()
    )


def named_tables(record: Mapping[str, Any]) -> set[str]:
    """Return the names of all tables of a catalog, relative to its folder."""
    buckets = [b[kind] for b in record["buckets"] for kind in ("instances", "series", "aside")]
    return {name for names in (buckets, *record["state"].values()) for name in names if name}


def make_fingerprint(digests: Iterable[str]) -> str:
    """Return the fingerprint of a catalog whose tables of instances have these digests."""
    text = "\n".join(sorted(digests))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@cache
def columns_text() -> str:
    """Return a text that changes when the columns, the reasons or the modalities do."""
    columns = [f"{n} {t}" for n, t in [*SCHEMA.items(), *SERIES.items()]]
    text = ", ".join([*columns, *REASONS, *MODALITIES])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write catalog.json: from here on the catalog is the new one."""
    path = folder / CATALOG
    coming = path.with_name(f".{CATALOG}")
    with coming.open("w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    coming.rename(path)

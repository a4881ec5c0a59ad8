"""Commit: what was read becomes the catalog, at once.

New tables stand beside those of the last catalog under new names; `catalog.json`, which names
them, is replaced in one step. Killed before it, the catalog is the last one; behind it, the new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from workbench.catalog.blame import writing_tables
from workbench.catalog.buckets import (
    Bucket,
    bounds,
    count_buckets,
    find_touched,
    mark_shared,
    write_bucket,
)
from workbench.catalog.crew import Crew, Lost
from workbench.catalog.duplicates import DIGESTS, Judged, judge_duplicates
from workbench.catalog.listing import Changes, drop_gone, sort_on_disk
from workbench.catalog.part import ENTRIES, REFUSED, ROWS, list_parts, sync, write_table
from workbench.catalog.record import (
    FORMAT,
    TABLES,
    columns_text,
    make_fingerprint,
    named_tables,
    read_footer,
    write_record,
)
from workbench.catalog.walk import LINK
from workbench.dicom.columns import REFUSED_SCHEMA
from workbench.errors import ImageError

_ZIPS = pl.Schema({"path": pl.String(), "members": pl.Int64()})


def commit(
    folder: Path,
    work: Path,
    changes: Changes,
    crew: Crew,
    *,
    root: Path,
    old: dict[str, Any] | None,
    told: Callable[[int, int], None],
    generation: int | None = None,
) -> dict[str, Any]:
    """Make the next catalog of the last one and of what was read since.

    Parameters
    ----------
    folder
        The catalog's folder.
    work
        Its folder of unfinished work, with the parts.
    changes
        What changed since the last scan.
    crew
        Who writes the buckets.
    root
        Folder that was scanned.
    old
        Content of the last catalog.json; None for a first scan.
    told
        Called with the number of buckets that are written, and of all.
    generation
        Number that stands in the names of the new tables; by default the one after the last.

    Returns
    -------
    dict
        Content of the new catalog.json.
    """
    if generation is None:
        generation = 1 + (old["generation"] if old is not None else 0)
    parts, gone = list_parts(work), changes.gone
    last: list[dict[str, Any]] = old["buckets"] if old else []
    state = {
        name: [folder / f for f in files] for name, files in (old or {}).get("state", {}).items()
    }
    for name in TABLES:
        (folder / name).mkdir(mode=0o700, exist_ok=True)

    held = [folder / b[kind] for b in last for kind in ("instances", "aside") if b[kind]]
    digests = _carry(state.get("digests", []), gone, (), DIGESTS)
    judged = judge_duplicates(held, [part / ROWS for part in parts], gone, digests, root)
    duplicates = work / "duplicates.parquet"
    judged.refused.write_parquet(duplicates)

    rows = sum(b["rows"] + b["aside_rows"] for b in last) + _count(parts, ROWS)
    number = count_buckets(rows, len(last))
    if number == len(last):
        touched = find_touched(folder, last, gone, parts, judged.refused)
    else:
        touched = [True] * number
    jobs = []
    for i in range(number):
        low, high = bounds(i, number)
        files = tuple(
            folder / b[kind] for b in last if b["low"] < high and low < b["high"]
            for kind in ("instances", "aside") if b[kind]
        )  # fmt: skip
        name = f"bucket-{i:04d}-{generation}.parquet"
        jobs.append(Bucket(folder, name, low, high, files, gone, tuple(parts), duplicates))
    jobs = [job for job, again in zip(jobs, touched, strict=True) if again]
    kept = (
        [b for b, again in zip(last, touched, strict=True) if not again]
        if len(last) == number
        else []
    )
    buckets = _sorted(kept, crew, jobs, told)
    mark_shared(folder, buckets, generation)

    tables = {
        "refused": _carry(
            state.get("refused", []), gone, [p / REFUSED for p in parts], REFUSED_SCHEMA
        ),
        "zips": _carry(state.get("zips", []), gone, [p / ENTRIES for p in parts], _ZIPS),
        "digests": judged.digests,
    }  # fmt: skip
    names: dict[str, list[str]] = {}
    for kind, table in tables.items():
        names[kind] = [f"state/{kind}-{generation}.parquet"]
        write_table(table, folder / names[kind][0], compression="zstd")
    listing = [folder / f for f in (old or {}).get("state", {}).get("listing", [])]
    if not changes.same or old is None:
        listing = [
            folder / "state" / f"listing-{generation}-{i:06d}.parquet"
            for i in range(len(changes.listing))
        ]
        for place, target in zip(changes.listing, listing, strict=True):
            place.rename(target)
            sync(target)
    names["listing"] = [str(path.relative_to(folder)) for path in listing]
    names["left_out"] = [f"state/left-out-{generation}.parquet"]
    left_out = folder / names["left_out"][0]
    reasons = _write_left_out(left_out, work, listing, tables["refused"], judged)

    counts = _count_all(listing, buckets, reasons, tables["zips"])
    modalities: Counter[str] = Counter()
    for bucket in buckets:
        modalities.update(bucket["modalities"])
    record = {
        "format": FORMAT,
        "columns": columns_text(),
        "root": str(root),
        "generation": generation,
        "scanned": datetime.now(UTC).isoformat(timespec="seconds"),
        "counts": counts,
        "bytes": sum(b["bytes"] for b in buckets),
        "modalities": dict(modalities.most_common()),
        "refused": dict(reasons.most_common()),
        "fingerprint": make_fingerprint(b["digest"] for b in buckets),
        "buckets": buckets,
        "state": names,
    }
    told_of = old["tables"] if old else {}
    record["tables"] = {
        name: told_of.get(name) or read_footer(folder / name)
        for name in sorted(named_tables(record))
    }
    for name in TABLES:
        sync(folder / name)
    write_record(folder, record)
    sync(folder)
    return record


def write_named(bucket: Bucket) -> dict[str, Any]:
    """Write a bucket as `write_bucket` does; what the disk refuses has a name in any process."""
    with writing_tables(bucket.folder):
        return write_bucket(bucket)


def _sorted(
    kept: list[dict[str, Any]],
    crew: Crew,
    jobs: Sequence[Bucket],
    told: Callable[[int, int], None],
) -> list[dict[str, Any]]:
    buckets = list(kept)
    told(0, len(jobs))
    for done in crew.compute(write_named, jobs):
        # What another process could not do, for want of memory it seems, is tried here.
        buckets.append(write_named(done.item) if isinstance(done, Lost) else done)
        told(len(buckets) - len(kept), len(jobs))
    return sorted(buckets, key=lambda b: b["low"])


def _count(parts: Sequence[Path], name: str) -> int:
    files = [part / name for part in parts]
    return pl.scan_parquet(files).select(pl.len()).collect().item() if files else 0


def _carry(
    old: Sequence[Path], gone: Sequence[Path], new: Iterable[Path], schema: pl.Schema
) -> pl.DataFrame:
    """Return the rows of an old table that are still true, and the new ones."""
    tables = [drop_gone(pl.read_parquet(path), gone) for path in old]
    tables += [pl.read_parquet(path, columns=schema.names()) for path in new]
    rows = pl.concat([pl.DataFrame(schema=schema), *tables])
    return rows.drop_nulls("members") if "members" in schema else rows


def _write_left_out(
    path: Path, work: Path, listing: Sequence[Path], read: pl.DataFrame, judged: Judged
) -> Counter[str]:
    """Write the table of all that is not in the catalog; return how many for each reason."""
    odd = pl.scan_parquet(list(listing)).filter(
        pl.col("reason").is_not_null() & (pl.col("reason") != LINK)
    )
    duplicates = judged.refused.select("path", reason=pl.lit("duplicate"), detail="detail")
    seen = (
        odd.select(REFUSED_SCHEMA.names()).collect()
        if listing
        else pl.DataFrame(schema=REFUSED_SCHEMA)
    )
    reasons: Counter[str] = Counter()
    files = []
    for number, table in enumerate(sort_on_disk([seen, read, duplicates], work / "sorting")):
        reasons.update(dict(table["reason"].value_counts().iter_rows()))
        files.append(work / f"refused-{number:06d}.parquet")
        table.select(REFUSED_SCHEMA.names()).write_parquet(files[-1])
    coming = path.with_name(f".{path.name}")
    pl.scan_parquet(files).sink_parquet(coming)
    sync(coming)
    coming.rename(path)
    return reasons


def _count_all(
    listing: Sequence[Path],
    buckets: Sequence[dict[str, Any]],
    reasons: Counter[str],
    zips: pl.DataFrame,
) -> dict[str, int]:
    entries = pl.scan_parquet(list(listing)).select(
        files=pl.len(), links=(pl.col("reason") == LINK).sum()
    )
    found = entries.collect().row(0, named=True) if listing else {"files": 0, "links": 0}
    counts = {
        "files": int(found["files"]),
        "links": int(found["links"]),
        "containers": len(zips),
        "members": int(zips["members"].sum()),
        "instances": sum(b["rows"] for b in buckets),
        "refused": reasons.total(),
        "series": sum(b["series_rows"] for b in buckets),
        "exams": sum(b["exams"] for b in buckets),
        "patients": sum(b["patients"] for b in buckets),
    }
    missing = counts["files"] + counts["members"]
    missing -= counts["instances"] + counts["refused"] + counts["links"] + counts["containers"]
    if missing:
        raise ImageError(
            f"The counts of the catalog do not add up: {missing:+,} files",
            where="workbench scan",
            todo="Remove the catalog's folder and scan again; tell the developers",
        )
    return counts

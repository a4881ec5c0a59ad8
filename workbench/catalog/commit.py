"""Commit: what was read becomes the catalog, at once.

New tables stand beside those of the last catalog under new names; `catalog.json`, which names
them, is replaced in one step. Killed before it, the catalog is the last one; behind it, the new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
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
from workbench.catalog.listing import ROW_GROUP, Changes, drop_gone, sort_on_disk, with_end
from workbench.catalog.part import Part
from workbench.catalog.record import (
    FORMAT,
    columns_text,
    make_fingerprint,
    named_tables,
    write_record,
)
from workbench.catalog.table import (
    TABLES,
    Table,
    count_rows,
    read_digest,
    read_table,
    scan_tables,
    sync,
    write_table,
)
from workbench.dicom.columns import REFUSED_SCHEMA
from workbench.errors import ImageError

_ZIPS = pl.Schema({"path": pl.String(), "members": pl.Int64()})


def commit(
    folder: Path,
    work: Path,
    changes: Changes,
    parts: Sequence[Part],
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
        Its folder of unfinished work.
    changes
        What changed since the last scan.
    parts
        What was read since.
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
    new, gone = tuple(part.rows for part in parts), changes.gone
    last: list[dict[str, Any]] = old["buckets"] if old else []
    state = {
        name: [folder / f for f in files] for name, files in (old or {}).get("state", {}).items()
    }
    for name in TABLES:
        (folder / name).mkdir(mode=0o700, exist_ok=True)

    held = [folder / b[kind] for b in last for kind in ("instances", "aside") if b[kind]]
    digests = _carry(state.get("digests", []), gone, (), DIGESTS)
    judged = judge_duplicates(held, new, gone, digests, root)
    duplicates: Table = judged.refused
    if len(judged.refused):  # each process reads them
        duplicates = work / "duplicates.parquet"
        judged.refused.write_parquet(duplicates)

    rows = sum(b["rows"] + b["aside_rows"] for b in last) + count_rows(new)
    number = count_buckets(rows, len(last))
    if number == len(last):
        touched = find_touched(folder, last, gone, new, judged.refused)
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
        jobs.append(Bucket(folder, name, low, high, files, gone, new, duplicates))
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
            state.get("refused", []), gone, [part.refused for part in parts], REFUSED_SCHEMA
        ),
        "zips": _carry(state.get("zips", []), gone, [part.entries for part in parts], _ZIPS),
        "digests": judged.digests,
    }  # fmt: skip
    names: dict[str, list[str]] = {}
    for kind, table in tables.items():
        names[kind] = [f"state/{kind}-{generation}.parquet"] if len(table) else []
        for name in names[kind]:
            write_table(table, folder / name, compression="zstd")
    listing = [folder / f for f in (old or {}).get("state", {}).get("listing", [])]
    if not changes.same or old is None:
        listing = _keep_listing(folder, changes.listing, generation)
    names["listing"] = [str(path.relative_to(folder)) for path in listing]
    names["left_out"] = [f"state/left-out-{generation}.parquet"]
    left_out = folder / names["left_out"][0]
    reasons = _write_left_out(left_out, work, changes.odd, tables["refused"], judged)

    counts = _count_all(changes, buckets, reasons, tables["zips"])
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
        name: told_of.get(name) or read_digest(folder / name)
        for name in sorted(named_tables(record))
    }
    for name in TABLES:
        sync(folder / name)
    write_record(folder, record)
    sync(folder)
    return record


def _keep_listing(folder: Path, tables: Sequence[Table], generation: int) -> list[Path]:
    """Make a listing that of the catalog."""
    kept = []
    for number, table in enumerate(tables):
        kept.append(folder / "state" / f"listing-{generation}-{number:06d}.parquet")
        if isinstance(table, pl.DataFrame):
            write_table(table, kept[-1], group=ROW_GROUP)
        else:
            table.rename(kept[-1])
            sync(kept[-1])
    return kept


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


def _carry(
    old: Sequence[Path], gone: Sequence[Table], new: Sequence[Table], schema: pl.Schema
) -> pl.DataFrame:
    """Return the rows of an old table that are still true, and the new ones."""
    tables = [drop_gone(pl.read_parquet(path), gone) for path in old]
    if new:
        rows = scan_tables(new).select(schema.names())
        if "members" in schema:  # of files that are no zip nothing is held
            rows = rows.filter(pl.col("members").is_not_null())
        tables.append(rows.collect())
    return pl.concat([pl.DataFrame(schema=schema), *tables])


def _write_left_out(
    path: Path, work: Path, odd: Sequence[Table], read: pl.DataFrame, judged: Judged
) -> Counter[str]:
    """Write the table of all that is not in the catalog; return how many for each reason."""
    names = REFUSED_SCHEMA.names()
    duplicates = judged.refused.select("path", reason=pl.lit("duplicate"), detail="detail")
    tables = [*(read_table(table, names) for table in odd), read, duplicates]
    reasons: Counter[str] = Counter()
    files: list[Path] = []
    for table, last in with_end(sort_on_disk(tables, work / "sorting")):
        reasons.update(dict(table["reason"].value_counts().iter_rows()))
        if last and not files:
            write_table(table, path)
            return reasons
        files.append(work / f"refused-{len(files):06d}.parquet")
        table.write_parquet(files[-1])
    coming = path.with_name(f".{path.name}")
    pl.scan_parquet(files).sink_parquet(coming)
    sync(coming)
    coming.rename(path)
    return reasons


def _count_all(
    changes: Changes,
    buckets: Sequence[dict[str, Any]],
    reasons: Counter[str],
    zips: pl.DataFrame,
) -> dict[str, int]:
    counts = {
        "files": changes.entries,
        "links": changes.links,
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

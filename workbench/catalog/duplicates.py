"""Duplicates: files that claim the same instance UID, told apart by their content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from workbench.catalog.listing import drop_gone
from workbench.catalog.members import copy_member
from workbench.catalog.part import PLACE, add_place
from workbench.catalog.table import Table, read_table
from workbench.catalog.walk import locate, split_member
from workbench.dicom.refusals import UnreadableFile

SAME, OTHER = "same content as {}", "other content than {}"
"""What is said of a duplicate, with the path of the other file."""
DIGESTS = pl.Schema({"path": pl.String(), "digest": pl.String()})
JUDGED = pl.Schema({"path": pl.String(), "detail": pl.String(), PLACE: pl.UInt32()})
_READ = ["instance_uid", "path", "size", "patient_id", "exam_uid"]


@dataclass(frozen=True)
class Judged:
    """Hold what was decided.

    Parameters
    ----------
    refused
        path, detail and place of each file that is refused.
    digests
        path and digest of each file whose content was compared.
    """

    refused: pl.DataFrame
    digests: pl.DataFrame


def judge_duplicates(
    old: Sequence[Table],
    new: Sequence[Table],
    gone: Sequence[Table],
    known: pl.DataFrame,
    root: Path,
) -> Judged:
    """Find files of one instance UID, and decide which of them stay.

    Of files with the same content the first by path stays; of files with other content none.

    Parameters
    ----------
    old, new
        Tables of instances, of the last scan and of this one.
    gone
        Tables of paths; the rows of `old` that they name do not count.
    known
        Digests of an earlier scan, of files that did not change since.
    root
        Root of the archive, to compare contents.

    Returns
    -------
    Judged
    """
    files = [*old, *new]
    hashes = [read_table(f, ["instance_uid"])["instance_uid"].hash() for f in files]
    # One number for each instance: what may be claimed twice is told without its text.
    together = np.sort(np.concatenate([h.to_numpy() for h in hashes] or [np.empty(0, np.uint64)]))
    twice = pl.Series("hash", np.unique(together[1:][together[1:] == together[:-1]]), pl.UInt64)
    if twice.is_empty():
        return Judged(pl.DataFrame(schema=JUDGED), pl.DataFrame(schema=DIGESTS))
    some = []
    for number, (file, own) in enumerate(zip(files, hashes, strict=True)):
        claimed = own.is_in(twice.implode())
        if claimed.any():
            rows = read_table(file, _READ).filter(claimed)
            some.append((drop_gone(rows, gone) if number < len(old) else rows).select(_READ))
    several = pl.len().over("instance_uid") > 1
    claims = pl.concat(some).filter(several).sort("instance_uid", "path")
    digests = _compare(claims, known, root)
    claims = claims.join(digests, on="path", how="left", maintain_order="left")
    path, digest = pl.col("path"), pl.col("digest")
    like_first = digest == digest.first().over("instance_uid")
    differing = path.filter(digest != digest.first()).first().over("instance_uid")
    first = path.first().over("instance_uid")
    same = like_first.all().over("instance_uid")
    detail = (
        pl.when(same).then(pl.format(SAME, first))
        .when(like_first).then(pl.format(OTHER, differing))
        .otherwise(pl.format(OTHER, first))
    )  # fmt: skip
    refused = add_place(claims.with_columns(detail=detail).filter(~(same & (path == first))))
    return Judged(refused.select(JUDGED.names()), digests)


def _compare(claims: pl.DataFrame, known: pl.DataFrame, root: Path) -> pl.DataFrame:
    """Return a text for each path that is equal where the content is."""
    before = dict(known.iter_rows())
    found: dict[str, str] = {}
    by_file: dict[tuple[int, int], str] = {}
    sizes = claims.select("path", "size", one=pl.col("size").n_unique().over("instance_uid") == 1)
    for path, size, one in sizes.iter_rows():
        if not one and path not in before:  # the sizes tell them apart already
            found[path] = f"{size} bytes"
        elif path in before and (before[path].startswith("sha256:") or not one):
            found[path] = before[path]
        else:
            found[path] = _digest(root, path, by_file)
    return pl.DataFrame(list(found.items()), DIGESTS, orient="row")


def _digest(root: Path, path: str, by_file: dict[tuple[int, int], str]) -> str:
    place, member = split_member(path)
    try:
        status = os.stat(root / locate(place))  # noqa: PTH116 - names that are not UTF-8
        file = (status.st_dev, status.st_ino)
        # Two names of one file have one content, whatever it is.
        if not member and file in by_file:
            return by_file[file]
        digest = hashlib.sha256()
        if member:
            copy_member(root, path, _Sink(digest))  # type: ignore[arg-type]
        else:
            with open(root / locate(place), "rb") as stream:  # noqa: PTH123
                digest = hashlib.file_digest(stream, "sha256")
            by_file[file] = f"sha256:{digest.hexdigest()}"
    except (OSError, UnreadableFile):
        return f"not compared: {hashlib.sha256(path.encode()).hexdigest()}"
    return f"sha256:{digest.hexdigest()}"


class _Sink:
    """Digest what is written."""

    def __init__(self, digest: hashlib._Hash) -> None:
        self.write = digest.update

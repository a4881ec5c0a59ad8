"""Cohort: the exams that a pipeline is applied to, each with where its images come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from workbench.archive.archive import Archive
from workbench.catalog.catalog import Catalog
from workbench.errors import UsageError, show
from workbench.pipelines.selection import Candidate, describe_series, to_candidate

if TYPE_CHECKING:
    import xarray as xr

    from workbench.imaging.frames import Series

    Image: TypeAlias = Series | xr.DataArray
    Cohort: TypeAlias = Catalog | Archive | Mapping[str, Image] | Sequence[Image]


@dataclass(frozen=True)
class Exam:
    """Name one exam, and where its images come from.

    Parameters
    ----------
    exam_uid
        The exam, or the name that it was given.
    patient_id
        Whose, where known.
    source
        A catalog, an archive, files, or the volume itself.
    candidates
        Its series, where a catalog knows them.
    series
        UID and modality of its series, where an archive knows no more.
    """

    exam_uid: str
    patient_id: str | None
    source: Any = field(repr=False)
    candidates: tuple[Candidate, ...] = ()
    series: tuple[tuple[str, str | None], ...] = ()


def list_exams(cohort: Cohort) -> Iterator[Exam]:
    """Yield the exams of a cohort, sorted, each once."""
    import xarray as xr

    if isinstance(cohort, Catalog):
        yield from _list_catalog(cohort)
        return
    if isinstance(cohort, Archive):
        table = cohort.series().select("exam_uid", "patient_id", "series_uid", "modality").collect()
        for (exam_uid,), rows in table.sort("exam_uid", "series_uid").group_by(
            "exam_uid", maintain_order=True
        ):
            uids = tuple(zip(rows["series_uid"], rows["modality"], strict=True))
            yield Exam(str(exam_uid), rows["patient_id"][0], cohort, series=uids)
        return
    if isinstance(cohort, Mapping):
        named = {str(name): held for name, held in cohort.items()}
    elif isinstance(cohort, Sequence) and not isinstance(cohort, str):
        named = {f"{number:06d}": held for number, held in enumerate(cohort)}
    else:
        raise UsageError(
            f"A cohort cannot be {show(type(cohort).__name__)}", where="exams",
            todo="Give a catalog, an archive, a dict of names to volumes or folders, or a list",
        )  # fmt: skip
    for name, held in sorted(named.items()):
        if not isinstance(held, xr.DataArray | str | Path | Sequence):
            raise UsageError(
                f"An exam cannot be {show(type(held).__name__)}", where="exams",
                todo="Give a volume, a folder, or files",
            )  # fmt: skip
        yield Exam(name, None, held)


def _list_catalog(catalog: Catalog) -> Iterator[Exam]:
    table = describe_series(catalog.instances())
    for (exam_uid,), rows in table.group_by("exam_uid", maintain_order=True):
        found = rows.to_dicts()
        patients = {row["patient_id"] for row in found}
        patient = found[0]["patient_id"] if len(patients) == 1 else None
        candidates = tuple(to_candidate(row) for row in found)
        yield Exam(str(exam_uid), patient, catalog, candidates=candidates)

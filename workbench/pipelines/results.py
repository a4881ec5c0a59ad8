"""Results: one row an exam, kept the moment it is known, so that no work is done twice.

Below the folder that a pipeline is applied into::

    run.json            what was applied, and how
    exams/<name>/       one exam: row.json, and mask.zarr where there is a mask
    results.parquet     one row an exam
    attrition.parquet   one row a series or an exam that was not used

An exam's folder appears whole or not at all. Its name is a digest: it tells nothing of whom.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.display import Card, Displayed
from workbench.errors import PipelineError, show
from workbench.pipelines.attrition import REASONS, attrition_table, count_reasons
from workbench.running.disk import read_private, remove, writing
from workbench.running.publication import sync, write_whole

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

EXAMS, ROW, MASK = "exams", "row.json", "mask.zarr"
RESULTS, ATTRITION, RUN = "results.parquet", "attrition.parquet", "run.json"
MOST_ROW = 16 * 2**20
_CODES = frozenset("0123456789abcdef")


def exam_name(exam_uid: str) -> str:
    """Return the name of an exam's folder.

    Examples
    --------
    >>> exam_name("1.2.3")
    'c47f5b18b8a430e698b9'
    """
    return hashlib.sha256(exam_uid.encode("utf-8", "surrogatepass")).hexdigest()[:20]


@dataclass(frozen=True)
class Result:
    """Hold what a pipeline found in one exam, or why it found nothing.

    Parameters
    ----------
    exam_uid, patient_id, series_uid
        Whose, and of which series; None where not known.
    reason, detail
        Why there is no answer, a key of `REASONS`; "" where there is one.
    score
        Probability of the finding, 0 to 1, or None.
    measurements
        Number by name with unit, such as "nodule_volume_ml".
    seconds
        Wall-clock time of the exam.
    context
        Columns of the exam, as of `Candidate.context`.
    refused
        Rows of `Refusal` of this exam.
    """

    exam_uid: str
    patient_id: str | None
    series_uid: str | None
    reason: str = ""
    detail: str = ""
    score: float | None = None
    measurements: Mapping[str, float] | None = None
    seconds: float = 0.0
    context: Mapping[str, Any] | None = None
    refused: Sequence[Mapping[str, str | None]] = ()


def write_result(
    folder: Path, result: Result, told: Mapping[str, Any], mask: xr.DataArray | None
) -> None:
    """Write the row and the mask of one exam, whole or not at all.

    Parameters
    ----------
    folder
        Where the pipeline is applied into.
    result
        The row.
    told
        Columns that all rows share: digest, device, precision, threads.
    mask : xarray.DataArray, shape (z, y, x)
        On the grid of the volume; None for none.

    Raises
    ------
    ExecutionError, ImageError
        If there is no room, or no right to write.
    """
    from workbench.imaging.volume_file import write_volume

    name = exam_name(result.exam_uid)
    row = {**vars(result), **told, "mask": None if mask is None else f"{EXAMS}/{name}/{MASK}"}
    text = json.dumps(row, ensure_ascii=False, allow_nan=False, default=_text)
    target = folder / EXAMS / name
    made = folder / EXAMS / f".{name}.{secrets.token_hex(4)}.tmp"
    with writing(made):
        try:
            made.mkdir(parents=True)
            if mask is not None:
                write_volume(mask, made / MASK, names=True)
            write_whole(made / ROW, text)
            sync(made)
            remove(target)  # of an exam that is done again
            made.rename(target)
            sync(target.parent)
        finally:
            remove(made)


def _text(value: object) -> str:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else str(value)


def read_row(folder: Path, exam_uid: str) -> dict[str, Any] | None:
    """Return the row of an exam that is finished, or None."""
    content = read_private(folder / EXAMS / exam_name(exam_uid) / ROW, MOST_ROW)
    if content is None:
        return None
    try:
        row = json.loads(content)
    except (RecursionError, ValueError):
        return None
    good = isinstance(row, dict) and row.get("exam_uid") == exam_uid
    return row if good and row.get("reason") in ("", *REASONS) else None


def clear_unfinished(folder: Path) -> None:
    """Remove what a process that died left half made; the folder's lock must be held."""
    for left in (folder / EXAMS).glob(".*.tmp"):
        remove(left)


def gather(folder: Path, rows: Sequence[Mapping[str, Any]], measured: Sequence[str]) -> Results:
    """Write the two tables of all rows, sorted by exam, and return them.

    Parameters
    ----------
    folder
        Where the pipeline is applied into.
    rows
        As of `read_row`.
    measured
        Names of measurements, each a column.
    """
    import polars as pl

    schema = {
        "exam_uid": pl.String(), "patient_id": pl.String(), "series_uid": pl.String(),
        "truth": pl.Int8(), "score": pl.Float64(), "reason": pl.String(), "detail": pl.String(),
        "seconds": pl.Float64(), "model_digest": pl.String(), "mask": pl.String(),
        "device": pl.String(), "precision": pl.String(), "threads": pl.Int64(),
        "age_years": pl.Float64(), "sex": pl.String(), "manufacturer": pl.String(),
        "slice_thickness_mm": pl.Float64(), "kernel": pl.String(), "exam_time": pl.String(),
        **dict.fromkeys(measured, pl.Float64()),
    }  # fmt: skip
    flat = [
        {k: v for k, v in {**row, **(row["context"] or {}), **(row["measurements"] or {})}.items()
         if k in schema}
        for row in rows
    ]  # fmt: skip
    table = pl.DataFrame(flat, schema, orient="row").with_columns(
        pl.col("exam_time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.6f", strict=False)
    )
    lost = attrition_table([refused for row in rows for refused in row["refused"]])
    for name, frame in ((RESULTS, table.sort("exam_uid")), (ATTRITION, lost)):
        made = folder / f".{name}.tmp"
        with writing(made):
            frame.write_parquet(made)
            sync(made)
            made.replace(folder / name)
            sync(folder)
    return Results(folder)


@dataclass(frozen=True, repr=False)
class Results(Displayed):
    """Name the results of a pipeline; nothing is read until it is asked for.

    Parameters
    ----------
    folder
        Where the pipeline was applied into; private, since its tables name exams.
    """

    folder: Path

    def rows(self) -> pl.DataFrame:
        """Return one row an exam.

        Returns
        -------
        polars.DataFrame
            exam_uid, patient_id, series_uid, truth (null: to be joined), score (0 to 1), reason
            ("" where there is an answer), detail, seconds (s), model_digest, mask, device,
            precision, threads, age_years (a), sex, manufacturer, slice_thickness_mm (mm), kernel,
            exam_time, and the measurements with their units.
        """
        import polars as pl

        return pl.read_parquet(self._require(RESULTS))

    def attrition(self) -> pl.DataFrame:
        """Return exam_uid, series_uid (null for an exam), reason, detail of what was not used."""
        import polars as pl

        return pl.read_parquet(self._require(ATTRITION))

    def mask(self, exam_uid: str) -> xr.DataArray:
        """Return the mask of an exam on the grid of its volume.

        Raises
        ------
        PipelineError
            If there is none.
        """
        from workbench.imaging.volume_file import read_volume

        path = self.folder / EXAMS / exam_name(exam_uid) / MASK
        if not path.is_dir():
            todo = "Look into rows() and attrition() for why"
            raise PipelineError("The exam has no mask", where=MASK, todo=todo)
        return read_volume(path)

    @property
    def run(self) -> dict[str, Any]:
        """Return what was applied, and how."""
        content = read_private(self.folder / RUN, MOST_ROW)
        told: dict[str, Any] = json.loads(content or b"{}")
        return told

    def _require(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            todo = "Apply a pipeline into it"
            raise PipelineError("The folder holds no results", where=name, todo=todo)
        return path

    def _card(self) -> Card:
        rows = self.rows()
        answered = rows.filter(rows["reason"] == "").height
        run = self.run
        facts = {
            "exams": f"{rows.height:,}",
            "answered": f"{answered:,}",
            "model": str(run.get("name", "")),
            "digest": str(run.get("model_digest", ""))[:19],
            "device": f"{run.get('device', '')}, {run.get('precision', '')}",
        }
        lost = [[r, f"{n:,}", REASONS[r]] for r, n in count_reasons(self.attrition()).items()]
        return Card("Results", facts, ["not used", "exams", "because"], lost)


def measure_mask(
    mask: NDArray[np.uint8], affine: NDArray[np.float64], findings: Mapping[int, str]
) -> dict[str, float]:
    """Measure each finding of a mask.

    Parameters
    ----------
    mask : ndarray, shape (z, y, x)
        Number of the finding in each voxel, 0 for none.
    affine : ndarray, shape (4, 4)
        From voxel (x, y, z) to mm.
    findings
        Name of each finding by number.

    Returns
    -------
    dict of str to float
        For each finding `<name>_volume_ml` of all its voxels, `<name>_count`, how many connected
        parts (faces, edges and corners) it has, and `<name>_diameter_mm`, the longest line within
        one slice of its largest part, from outer corner to outer corner (RECIST 1.1, 4.1); 0 where
        there is none.

    Examples
    --------
    >>> mask = np.zeros((3, 8, 8), np.uint8)
    >>> mask[1, 2:5, 2:6] = 1
    >>> measure_mask(mask, np.diag([1.0, 1.0, 2.0, 1.0]), {1: "nodule"})
    {'nodule_volume_ml': 0.024, 'nodule_count': 1.0, 'nodule_diameter_mm': 5.0}
    """
    from scipy import ndimage

    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    boxes = ndimage.find_objects(mask, max_label=max(findings, default=0))
    measured: dict[str, float] = {}
    for number, name in findings.items():
        box = boxes[number - 1] if 0 < number <= len(boxes) else None
        volume, count, diameter = 0.0, 0.0, 0.0
        if box is not None:
            part = mask[box] == number
            parts, found = ndimage.label(part, np.ones((3, 3, 3)))
            sizes = np.bincount(parts.ravel())[1:]
            largest = parts == int(sizes.argmax()) + 1
            volume, count = float(sizes.sum()) * voxel_ml, float(found)
            diameter = max(_longest(slice_, affine) for slice_ in largest)
        measured |= {
            f"{name}_volume_ml": round(volume, 6),
            f"{name}_count": count,
            f"{name}_diameter_mm": round(diameter, 4),
        }
    return measured


def _longest(part: NDArray[np.bool_], affine: NDArray[np.float64]) -> float:
    """Return the longest line (mm) between corners of pixels of one slice."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    rows = np.nonzero(part.any(axis=1))[0]
    if not rows.size:
        return 0.0
    # Of each row only its ends can be corners of the outline.
    held = part[rows]
    first, last = held.argmax(axis=1), held.shape[1] - 1 - held[:, ::-1].argmax(axis=1)
    corners = np.concatenate(
        [np.stack([x, rows + j], axis=1) for x in (first, last + 1) for j in (0, 1)]
    )
    outline = corners[ConvexHull(corners).vertices]
    placed = outline @ np.stack([affine[:3, 0], affine[:3, 1]])
    return float(pdist(placed).max())


def names_of(findings: Mapping[int, str], kind: str) -> list[str]:
    """Return the names of the measurements that a pipeline makes."""
    if kind != "segmentation":
        return []
    units = ("volume_ml", "count", "diameter_mm")
    return [f"{name}_{unit}" for name in findings.values() for unit in units]


def describe_failure(error: BaseException) -> str:
    """Return the class of an error alone: its words may hold what a file says."""
    return show(type(error).__name__, 60)


def digest_of(results: Results) -> str:
    """Return a digest of all that was found, without times: equal results have equal ones.

    Parameters
    ----------
    results
        Of one run, or of a run that was stopped and went on.
    """
    digest = hashlib.sha256()
    for frame in (results.rows().drop("seconds"), results.attrition()):
        digest.update(frame.write_csv(float_precision=None).encode())
    for place in sorted((results.folder / EXAMS).glob("*/mask.zarr/**/*")):
        if place.is_file():
            digest.update(place.relative_to(results.folder).as_posix().encode())
            digest.update(place.read_bytes())
    return f"sha256:{digest.hexdigest()}"

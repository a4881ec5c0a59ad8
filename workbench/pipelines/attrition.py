"""Attrition: why a series, or an exam, was not used; one row each, from one list of reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import suggest
from workbench.imaging.volume_error import VOLUME_REASONS, VolumeError

if TYPE_CHECKING:
    import polars as pl

REASONS: dict[str, str] = {
    "no_series": "The exam has no series",
    "wrong_modality": "The series is of another modality",
    "wrong_series": "ImageType says that it is no series of this kind: a localiser, a projection",
    "wrong_orientation": "The slices lie in another plane",
    "wrong_kernel": "It was reconstructed with another kernel",
    "no_contrast": "No contrast agent is stated",
    "with_contrast": "A contrast agent is stated",
    "thick_slices": "The slices are too thick, or too far apart",
    "thin_slices": "The slices are thinner, or closer together, than the model was made for",
    "coarse_pixels": "The pixels are too large, or too small",
    "too_few_slices": "There are too few slices",
    "missing_slices": "Slices are missing",
    "too_short": "The slices cover too little, or too much, of the body",
    "several_volumes": "It holds several volumes, such as phases or echoes, or colours",
    "wrong_units": "Its values are in other units",
    "wrong_content": "Its values are not those of what the model looks at",
    "refused_geometry": "Its images do not make one regular volume",
    "unreadable": "It cannot be read",
    "not_best": "Another series of the exam was used",
    "out_of_memory": "It takes more memory than there is",
    "time_out": "It took longer than it may",
    "nan_score": "The model's answer is not a number",
    "bad_answer": "The model's answer is not in the form that the bundle declares",
    "failed": "The pipeline failed on it",
}
"""Reason -> what it means."""
ORDER = {reason: place for place, reason in enumerate(REASONS)}
"""How far a series came: an exam is not used for the reason of the one that came furthest."""
AGAIN = ("time_out", "out_of_memory", "failed", "unreadable")
"""Reasons that may be another one the next time."""
_BY_VOLUME = {
    "missing_slices": "missing_slices",
    "too_few_slices": "too_few_slices",
    "single_image": "too_few_slices",
    "localiser": "wrong_series",
    "segmentation": "wrong_series",
    "unreadable_files": "unreadable",
    "no_images": "unreadable",
    "overflow": "unreadable",
    "no_suv": "wrong_units",
}
"""Reason of `VolumeError` -> reason here; every other one is a refused geometry."""
COLUMNS = ("exam_uid", "series_uid", "reason", "detail")


@dataclass(frozen=True)
class Refusal:
    """Say why one series, or an exam as a whole, was not used.

    Parameters
    ----------
    exam_uid
        The exam.
    series_uid
        The series; None for the exam.
    reason
        A key of `REASONS`.
    detail
        Fixed words and numbers, never a value that names a patient.

    Examples
    --------
    >>> Refusal("1.2", None, "thick slices")
    Traceback (most recent call last):
    ...
    ValueError: no reason: Did you mean 'thick_slices'? Known: bad_answer, coarse_pixels, failed, \
missing_slices, nan_score, no_contrast, no_series, not_best, out_of_memory, refused_geometry, \
several_volumes, thick_slices, …
    """

    exam_uid: str
    series_uid: str | None
    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise ValueError(f"no reason: {suggest(self.reason, REASONS)}")

    def row(self) -> dict[str, str | None]:
        """Return the columns of `COLUMNS`."""
        return {name: getattr(self, name) for name in COLUMNS}


def reason_of(error: VolumeError) -> tuple[str, str]:
    """Return reason and detail of images that do not make a volume.

    Examples
    --------
    >>> reason_of(VolumeError("gantry_tilt", "12.00 degrees"))
    ('refused_geometry', 'gantry_tilt: 12.00 degrees')
    """
    detail = f"{error.reason}: {error.detail}" if error.detail else error.reason
    return _BY_VOLUME.get(error.reason, "refused_geometry"), detail


def refuse_exam(exam_uid: str, refusals: Iterable[Refusal]) -> Refusal:
    """Return why an exam as a whole is not used: as the series that came furthest.

    Examples
    --------
    >>> why = [Refusal("1", "1.1", "wrong_modality"), Refusal("1", "1.2", "thick_slices", "5 mm")]
    >>> refuse_exam("1", why).row()
    {'exam_uid': '1', 'series_uid': None, 'reason': 'thick_slices', 'detail': '5 mm'}
    """
    furthest = max(refusals, key=lambda r: ORDER[r.reason], default=None)
    if furthest is None:
        return Refusal(exam_uid, None, "no_series")
    return Refusal(exam_uid, None, furthest.reason, furthest.detail)


def attrition_table(rows: Iterable[Mapping[str, str | None]]) -> pl.DataFrame:
    """Return the table of what was not used, sorted.

    Parameters
    ----------
    rows
        As of `Refusal.row`.

    Returns
    -------
    polars.DataFrame
        exam_uid, series_uid (null for an exam as a whole), reason, detail.
    """
    import polars as pl

    schema = pl.Schema(dict.fromkeys(COLUMNS, pl.String()))
    return pl.DataFrame(list(rows), schema).sort(COLUMNS, nulls_last=True)


def count_reasons(attrition: pl.DataFrame) -> dict[str, int]:
    """Return how many exams were not used, by reason, in the order of `REASONS`.

    Examples
    --------
    >>> count_reasons(attrition_table([Refusal("1", None, "time_out").row()]))
    {'time_out': 1}
    """
    exams = attrition.filter(attrition["series_uid"].is_null())["reason"].to_list()
    return {reason: exams.count(reason) for reason in REASONS if reason in exams}


if unknown := set(_BY_VOLUME) - set(VOLUME_REASONS):
    raise ValueError(f"no reasons of a volume: {sorted(unknown)}")

"""Building: a planned hospital written as a site finds it: images, truth and scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.phantom.cases import PLANTED, Case, plan_cases
from workbench.phantom.exam import Image, paint_patient, reconstruct, scan_patient, thicken
from workbench.phantom.hospital import UPDATE_MONTH, Hospital, find_hospital
from workbench.phantom.scores import describe_model, draw_scores, find_model
from workbench.phantom.series import Label, write_localiser, write_masks, write_series
from workbench.pretend.sourced import ASSUMED, Sourced

LOST = Sourced(3, "neighbouring slices that are lost", ASSUMED)
LOCALISER, MAIN, SECOND, MASKS = 1, 2, 3, 9
"""Numbers of the series of an exam."""


def scan_case(case: Case) -> Image:
    """Return the image of the main series of an exam, as if nothing were planted in its files."""
    nodules = () if case.planted == "not_chest" else case.nodules
    return scan_patient(case.subject, nodules, case.scan, np.random.default_rng(case.seed))


def write_case(case: Case, folder: Path) -> Image:
    """Write all files of an exam into a folder of its own.

    Series 1 is a localiser, 2 the scan, 3 a second reconstruction with slices twice as thick, and
    9 the known masks of the nodules, where there are any.

    Parameters
    ----------
    case
        Which.
    folder
        Gets `<series>/<image>.dcm`.
    """
    image = scan_case(case)
    stream = np.random.default_rng([*case.seed, 1])
    lost: frozenset[int] = frozenset()
    if case.planted == "missing_slices":
        first = int(stream.integers(len(image.hu) // 3, len(image.hu) // 2))
        lost = frozenset(range(first, first + LOST.value))
    if case.localiser or case.planted == "localiser_only":
        write_localiser(folder / str(LOCALISER), image, case.label, LOCALISER)
    if case.planted == "localiser_only":
        return image
    written = write_series(folder / str(MAIN), image, case.label, MAIN, skip=lost)
    if case.second and not case.planted:
        write_series(folder / str(SECOND), _again(case), _renamed(case), SECOND)
    if not case.planted:
        write_masks(folder / str(MASKS), image, case.label, MASKS, MAIN)
    if case.planted == "corrupt_file":
        torn = written[int(stream.integers(len(written) // 4, 3 * len(written) // 4))]
        content = torn.read_bytes()
        torn.write_bytes(content[: len(content) // 2])
    return image


def _again(case: Case) -> Image:
    """Return the second reconstruction: thicker slices and the other kernel."""
    first = np.random.default_rng(case.seed)
    clean, _, heights = paint_patient(case.subject, case.nodules, case.scan, first)
    scan = replace(case.scan, kernel=case.other_kernel, slice_mm=2 * case.scan.slice_mm)
    thick = thicken(clean, 2)
    corner = scan.corner_mm
    return Image(
        hu=reconstruct(thick, scan, np.random.default_rng([*case.seed, 2])),
        labels=np.zeros(thick.shape, np.uint8),
        origin_mm=(*corner, round(float(heights[:2].mean()), 4)),
        spacing_mm=(scan.slice_mm, scan.pixel_mm, scan.pixel_mm),
        centres_mm=(),
    )


def _renamed(case: Case) -> Label:
    name = case.other_kernel.name
    told = f"{case.label.attributes['ProtocolName']} {2 * case.scan.slice_mm:g} {name}"
    return replace(
        case.label,
        attributes=dict(case.label.attributes)
        | {"ConvolutionKernel": name, "SeriesDescription": told},
    )


NODULE = pa.struct(
    [
        ("number", pa.int32()), ("kind", pa.string()), ("malignant", pa.bool_()),
        ("centre_x_mm", pa.float64()), ("centre_y_mm", pa.float64()), ("centre_z_mm", pa.float64()),
        ("diameter_mm", pa.float64()), ("volume_ml", pa.float64()), ("mask_ml", pa.float64()),
    ]
)  # fmt: skip
"""What is known of a nodule; its centre is in the patient, LPS."""
TRUTH = pa.schema(
    [
        ("exam_uid", pa.string()), ("patient_id", pa.string()), ("series_uid", pa.string()),
        ("exam_time", pa.timestamp("us")), ("age_years", pa.float64()), ("sex", pa.string()),
        ("truth", pa.int8()), ("malignancy", pa.string()), ("nodules", pa.list_(NODULE)),
        ("reader_1", pa.int8()), ("reader_2", pa.int8()),
    ]
)  # fmt: skip
"""Columns of the table of the truth."""


def tell_case(case: Case, image: Image) -> dict[str, Any]:
    """Return the row of an exam in the table of the truth."""
    voxel = float(np.prod(image.spacing_mm)) / 1000
    nodules = [] if case.planted == "not_chest" else [
        {"number": i, "kind": n.kind, "malignant": n.malignant,
         "centre_x_mm": c[0], "centre_y_mm": c[1], "centre_z_mm": c[2],
         "diameter_mm": round(n.diameter_mm, 4), "volume_ml": round(n.volume_ml, 6),
         "mask_ml": round(int((image.labels == i).sum()) * voxel, 6)}
        for i, (n, c) in enumerate(zip(case.nodules, image.centres_mm, strict=True), 1)
    ]  # fmt: skip
    return {
        "exam_uid": case.label.exam_uid,
        "patient_id": case.label.patient_id,
        "series_uid": case.label.series_uid(MAIN),
        "exam_time": case.label.time,
        "age_years": round(case.subject.age_years, 2),
        "sex": case.subject.sex,
        "truth": case.truth,
        "malignancy": ("malignant" if case.truth else "benign") if case.nodules else "none",
        "nodules": nodules,
        "reader_1": case.readers[0],
        "reader_2": case.readers[1],
    }


def write_cases(
    hospital: Hospital,
    folder: Path,
    exams: int,
    seed: int,
    *,
    pixels: int = 128,
    tell: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write the archive of a hospital, and the table of the truth beside it.

    Parameters
    ----------
    hospital
        Which.
    folder
        Gets `images/<exam>/<series>/<image>.dcm` and `truth.parquet`.
    exams, seed, pixels
        As for `plan_cases`.
    tell
        Called with how many exams are written, of how many.

    Returns
    -------
    dict
        What is planted, as JSON holds it: for each kind the exams.
    """
    planted: dict[str, list[dict[str, str]]] = {kind: [] for kind in PLANTED}
    rows = []
    for case in plan_cases(hospital, exams, seed, pixels=pixels):
        place = f"images/{case.number:04d}"
        image = write_case(case, folder / place)
        rows.append(tell_case(case, image))
        if case.planted:
            planted[case.planted].append({"exam_uid": case.label.exam_uid, "folder": place})
        if tell is not None:
            tell(case.number + 1, exams)
    pq.write_table(pa.Table.from_pylist(rows, TRUTH), folder / "truth.parquet")
    return {"planted": planted}


def build_hospital(
    name: str,
    folder: Path,
    *,
    exams: int,
    scores: int,
    seed: int,
    pixels: int = 128,
    model: str = "good",
    tell: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write all that a pretend hospital holds, and say what is planted in it.

    Parameters
    ----------
    name
        Id of the hospital.
    folder
        Gets `images/`, `truth.parquet` and `scores.parquet`.
    exams, scores
        How many with and without images.
    seed
        Decides everything.
    pixels
        Along a side of a slice.
    model
        Name of the score model.
    tell
        Called with how many exams are written, of how many.

    Returns
    -------
    dict
        As JSON holds it: `planted`, the exams of each kind; `update_month`; `score_model`.

    Raises
    ------
    UsageError
        If the hospital or the model is not known, or cannot be made.
    """
    hospital, drawn = find_hospital(name), find_model(model)
    table = draw_scores(hospital, scores, seed, drawn)
    folder.mkdir(parents=True, exist_ok=True)
    told = write_cases(hospital, folder, exams, seed, pixels=pixels, tell=tell)
    pq.write_table(table, folder / "scores.parquet")
    return told | {"update_month": UPDATE_MONTH.value, "score_model": describe_model(drawn)}

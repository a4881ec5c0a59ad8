"""Scores: a year of exams of a hospital without images, drawn from a stated model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import expit, logit, ndtr

from workbench.errors import UsageError, show, suggest
from workbench.phantom.hospital import (
    HOSPITALS,
    START,
    UPDATE_MONTH,
    Hospital,
    draw_age,
    draw_dose,
    draw_time,
    read_exam,
)
from workbench.phantom.series import make_uid
from workbench.pretend.sourced import ASSUMED, Sourced

RETURNS = Sourced(0.12, "share of the exams of a patient who was there before in the year", ASSUMED)
DAYS = Sourced(365, "days of the year", "calendar")
HOME_PREVALENCE = Sourced(0.11, "prevalence that the scores are calibrated for", ASSUMED)


@dataclass(frozen=True)
class ScoreModel:
    """Say how scores are drawn: two normal distributions of one width, binormal.

    What lies behind a score is normal with spread 1: around 0 where there is no malignant nodule,
    around the separation where there is one. The score is the probability that a calibrated
    service would give at home. All figures are assumed.

    Parameters
    ----------
    name : str
        Of the model.
    adults, children : float
        Separation; the AUC is that of the normal distribution at separation over root 2.
    thick_loss : float
        Separation lost for each mm of slice thickness above 3 mm.
    site_spread : float
        Spread over hospitals of what is added to all.
    update_shift : float
        Added to all from the update on, for each 10 HU that it adds to the images.
    update_loss : float
        Separation lost from the update on.
    defects, update_defects : float
        Share of the exams without a score before and after the update.
    seconds : (float, float)
        Median time of an exam, and spread of its logarithm.
    """

    name: str
    adults: float
    children: float
    thick_loss: float = 0.04
    site_spread: float = 0.10
    update_shift: float = 0.45
    update_loss: float = 0.35
    defects: float = 0.010
    update_defects: float = 0.035
    seconds: tuple[float, float] = (38.0, 0.25)

    def separation(
        self,
        age_years: npt.NDArray[np.float64],
        slice_mm: npt.NDArray[np.float64],
        updated: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.float64]:
        """Return the separation of each exam."""
        whole = np.where(age_years < 18, self.children, self.adults)
        lost = self.thick_loss * np.maximum(slice_mm - 3, 0) + self.update_loss * updated
        return np.asarray(np.maximum(whole - np.where(whole > 1, lost, 0), 0))

    def auc(self, *, child: bool = False, slice_mm: float = 3.0, updated: bool = False) -> float:
        """Return the area under the curve of exams of one kind.

        Examples
        --------
        >>> round(MODELS["good"].auc(), 3), round(MODELS["bad"].auc(), 3)
        (0.931, 0.6)
        >>> round(MODELS["fails_children"].auc(child=True), 2)
        0.57
        """
        apart = self.separation(
            np.array([8.0 if child else 50.0]), np.array([slice_mm]), np.array([updated])
        )
        return float(ndtr(apart[0] / np.sqrt(2)))


MODELS = {
    model.name: model
    for model in (
        ScoreModel("good", adults=2.10, children=1.95),
        ScoreModel("bad", adults=0.3583, children=0.3583, defects=0.04),
        ScoreModel("fails_children", adults=2.10, children=0.25),
    )
}
"""What a gate must admit, refuse, and admit with conditions; figures assumed."""
SCORES = pa.schema(
    [
        ("exam_uid", pa.string()), ("patient_id", pa.string()), ("exam_time", pa.timestamp("us")),
        ("age_years", pa.float64()), ("sex", pa.string()), ("manufacturer", pa.string()),
        ("model", pa.string()), ("slice_thickness_mm", pa.float64()), ("kernel", pa.string()),
        ("ctdivol_mgy", pa.float64()), ("truth", pa.int8()), ("score", pa.float64()),
        ("seconds", pa.float64()), ("defect", pa.bool_()), ("reader_1", pa.int8()),
        ("reader_2", pa.int8()),
    ],
    metadata={"drawn": "from a score model; no image was read"},
)  # fmt: skip
"""Columns of the table of scores; score and seconds are missing where the service gave none."""


def find_model(name: str) -> ScoreModel:
    """Return a score model by its name.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in MODELS:
        raise UsageError(
            f"There is no score model {show(name)!r}",
            where="model",
            todo=suggest(name, list(MODELS)),
        )
    return MODELS[name]


def draw_scores(
    hospital: Hospital, exams: int, seed: int, model: ScoreModel = MODELS["good"]
) -> pa.Table:
    """Draw a year of exams with their scores.

    Parameters
    ----------
    hospital
        Whose case mix, devices and readers.
    exams
        How many.
    seed
        Decides everything.
    model
        How well the service works, and for whom.

    Returns
    -------
    pyarrow.Table
        Columns of `SCORES`, by time.

    Raises
    ------
    UsageError
        If there are none, or the seed is negative.

    Examples
    --------
    >>> from workbench.phantom.hospital import find_hospital
    >>> table = draw_scores(find_hospital("hospital_osh"), 100, seed=1)
    >>> table.num_rows, table.schema.metadata[b"drawn"].decode()
    (100, 'from a score model; no image was read')
    """
    if exams < 1 or seed < 0:
        raise UsageError(
            "No scores can be drawn", where=f"exams {exams}, seed {seed}", todo="Name 1 or more"
        )
    number = [h.id for h in HOSPITALS.value].index(hospital.id)
    stream = np.random.default_rng([seed, number, 4])
    days = np.sort(stream.integers(0, DAYS.value, exams))
    values, shares = zip(*hospital.slices, strict=True)
    thick = stream.choice(values, exams, p=np.array(shares) / sum(shares))
    rows = [_draw_exam(hospital, seed, i, int(day), stream) for i, day in enumerate(days)]
    _return(rows, stream)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["slice_thickness_mm"] = [float(t) for t in thick]
    months = np.array([time.month for time in columns["exam_time"]])
    updated = months >= UPDATE_MONTH.value
    truth = np.array(columns["truth"])
    age = np.array(columns["age_years"])
    behind = stream.standard_normal(exams)
    behind += truth * model.separation(age, np.asarray(thick, float), updated)
    behind += model.site_spread * stream.standard_normal()
    behind += updated * model.update_shift * hospital.update.hu_shift / 10
    score = expit(model.adults * behind - model.adults**2 / 2 + logit(HOME_PREVALENCE.value))
    defect = stream.random(exams) < np.where(updated, model.update_defects, model.defects)
    median, spread = model.seconds
    seconds = np.round(median * np.exp(spread * stream.standard_normal(exams)), 2)
    columns["defect"] = defect.tolist()
    columns["score"] = [None if d else float(s) for d, s in zip(defect, score, strict=True)]
    columns["seconds"] = [None if d else float(s) for d, s in zip(defect, seconds, strict=True)]
    return pa.table({name: columns[name] for name in SCORES.names}, schema=SCORES)


def _draw_exam(
    hospital: Hospital, seed: int, index: int, day: int, stream: np.random.Generator
) -> dict[str, Any]:
    time = draw_time(day, stream)
    device, _ = hospital.device(int(stream.integers(len(hospital.devices))), time.month)
    kernel = device.sharp if stream.random() < hospital.sharp else device.smooth
    age = round(draw_age(hospital, stream), 2)
    truth = int(stream.random() < hospital.prevalence)
    first, second = read_exam(truth, hospital, stream)
    name = hospital.id.removeprefix("hospital_").upper()
    return {
        "exam_uid": make_uid("workbench phantom score", hospital.id, seed, index),
        "patient_id": f"{name}-{seed:03d}-S{index:05d}",
        "exam_time": time,
        "age_years": age,
        "sex": "F" if stream.random() < hospital.women else "M",
        "manufacturer": device.manufacturer,
        "model": device.model,
        "kernel": kernel.name,
        "ctdivol_mgy": draw_dose(hospital, age, stream),
        "truth": truth,
        "reader_1": first,
        "reader_2": second,
    }


def _return(rows: list[dict[str, Any]], stream: np.random.Generator) -> None:
    """Make some exams those of a patient who was there before: same person, some time older."""
    for index in range(1, len(rows)):
        if stream.random() >= RETURNS.value:
            continue
        before = rows[int(stream.integers(index))]
        later = rows[index]["exam_time"] - before["exam_time"]
        rows[index] |= {
            "patient_id": before["patient_id"],
            "sex": before["sex"],
            "age_years": round(before["age_years"] + later.days / 365.25, 2),
        }


def describe_model(model: ScoreModel) -> dict[str, object]:
    """Return the figures of a score model, and from which day on it changes, as JSON holds them."""
    changed = START.value.replace(month=UPDATE_MONTH.value)
    return {
        "name": model.name,
        "adults": model.adults,
        "children": model.children,
        "auc_adults": round(model.auc(), 4),
        "auc_children": round(model.auc(child=True), 4),
        "update": changed.isoformat(),
        "update_shift_each_10_hu": model.update_shift,
        "update_loss": model.update_loss,
        "defects": [model.defects, model.update_defects],
    }

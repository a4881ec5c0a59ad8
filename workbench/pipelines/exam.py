"""Exam: one exam from its files to its row, whatever happens on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.archive.archive import Archive
from workbench.catalog.catalog import Catalog
from workbench.errors import ImageError, PipelineError, show
from workbench.imaging.volume_error import VolumeError
from workbench.pipelines.attrition import Refusal, reason_of, refuse_exam
from workbench.pipelines.bundle import read_bundle
from workbench.pipelines.cohort import Exam
from workbench.pipelines.inference import (
    Limits,
    Model,
    StoppedError,
    Unanswered,
    load_model,
)
from workbench.pipelines.place import Place, deterministic
from workbench.pipelines.requirement import Requirement
from workbench.pipelines.results import Result, describe_failure, measure_mask, write_result
from workbench.pipelines.selection import (
    Candidate,
    describe_series,
    judge_content,
    judge_volume,
    select_series,
    to_candidate,
)
from workbench.pixels.decoding import PixelError

if TYPE_CHECKING:
    import xarray as xr

    from workbench.imaging.frames import Series

_KEPT = ("orientation", "frame_of_reference")
_SHORT_OF_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")
_models: dict[tuple[str, Place], Model] = {}
_loading = threading.Lock()


@dataclass(frozen=True)
class Order:
    """Say what is done with each exam; the same for all, in whatever process.

    Parameters
    ----------
    bundle, digest, trusted
        Where the bundle lies, its digest, and whether the site vouches for it.
    place
        Where and how numbers are computed.
    requirement
        What a series must be.
    out
        Folder of the results.
    timeout_s, memory_bytes
        What one exam may take.
    """

    bundle: Path
    digest: str
    trusted: bool
    place: Place
    requirement: Requirement
    out: Path
    timeout_s: float
    memory_bytes: float


def do_nothing(_: object) -> None:
    """Listen, and do nothing."""


def examine(
    order: Order, exam: Exam, model: Model | None = None, stop: threading.Event | None = None
) -> str | None:
    """Apply a pipeline to one exam, and write its row.

    Parameters
    ----------
    order
        What is done.
    exam
        To which.
    model
        The network; that of this process, if None.
    stop
        Set when the user stops the run.

    Returns
    -------
    str or None
        Why there is no answer, "" if there is one, None if the run was stopped before.

    Raises
    ------
    ExecutionError, ImageError
        If the row cannot be written.
    PipelineError
        If the bundle changed.
    """
    limits = Limits(order.timeout_s, order.memory_bytes, stop)
    if model is None:
        model = _model_of(order)
        with deterministic(order.place):
            return _examine(order, exam, model, limits)
    return _examine(order, exam, model, limits)


def _model_of(order: Order) -> Model:
    """Return the model of this process, read once."""
    key = (order.digest, order.place)
    with _loading:
        if key not in _models:
            trusted = (order.digest,) if order.trusted else ()
            bundle = read_bundle(order.bundle, trusted=trusted)
            if bundle.digest != order.digest:
                todo = "Load it again, and apply it into another folder"
                raise PipelineError("The bundle changed", where=bundle.name, todo=todo)
            _models.clear()
            _models[key] = load_model(bundle, order.place)
        return _models[key]


def _examine(order: Order, exam: Exam, model: Model, limits: Limits) -> str | None:
    run = _Run(order, exam, model, limits)
    try:
        run.do()
    except StoppedError:
        return None
    except Unanswered as why:
        run.fail(why.reason, why.detail)
    except Exception as error:  # noqa: BLE001 - one exam, whatever is wrong with it, stops no other
        memory = _is_short_of_memory(error)
        run.fail("out_of_memory" if memory else "failed", describe_failure(error))
    return run.write()


def _is_short_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError) or any(w in str(error) for w in _SHORT_OF_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


class _Run:
    """One exam on its way."""

    def __init__(self, order: Order, exam: Exam, model: Model, limits: Limits) -> None:
        self.order, self.exam, self.model, self.limits = order, exam, model, limits
        self.refused: list[Refusal] = []
        self.reason = self.detail = ""
        self.used: Candidate | None = None
        self.score: float | None = None
        self.measured: Mapping[str, float] = {}
        self.mask: xr.DataArray | None = None

    def do(self) -> None:
        volume = self._find()
        if volume is None:
            why = refuse_exam(self.exam.exam_uid, self.refused)
            self.fail(why.reason, why.detail)
            return
        self.limits.check()
        found = self.model.apply(volume, self.limits)
        self.score = found.score
        if found.mask is not None:
            self._keep(found.mask, volume)
        elif found.score is None:
            self.fail("nan_score")

    def fail(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        self.score, self.measured, self.mask = None, {}, None

    def write(self) -> str:
        uid = (self.used.series_uid or None) if self.used else None
        rows = [refusal.row() for refusal in self.refused if refusal.series_uid]
        if self.reason:
            rows.append(Refusal(self.exam.exam_uid, None, self.reason, self.detail).row())
            if uid is not None:
                rows.append(Refusal(self.exam.exam_uid, uid, self.reason, self.detail).row())
        result = Result(
            self.exam.exam_uid, self.exam.patient_id, uid, self.reason, self.detail, self.score,
            dict(self.measured), round(time.monotonic() - self.limits.started, 3),
            dict(self.used.context) if self.used else {}, rows,
        )  # fmt: skip
        place = self.order.place
        told = {
            "model_digest": self.order.digest, "device": place.device,
            "precision": place.precision, "threads": place.threads,
        }  # fmt: skip
        write_result(self.order.out, result, told, self.mask)
        return self.reason

    def _find(self) -> xr.DataArray | None:
        """Return the volume of the best series that can be used, in memory."""
        import xarray as xr

        source = self.exam.source
        if isinstance(source, xr.DataArray):
            return self._judge(Candidate("", context={}), source)
        candidates, files = self._list()
        good, self.refused = select_series(self.exam.exam_uid, candidates, self.order.requirement)
        for place, candidate in enumerate(good):
            self.limits.check()
            volume = self._open(candidate, files.get(candidate.series_uid))
            if volume is not None:
                rest = [c.series_uid for c in good[place + 1 :]]
                self.refused += [self._refusal(uid, "not_best") for uid in rest]
                return volume
        return None

    def _list(self) -> tuple[list[Candidate], dict[str, Series]]:
        """Return the series of the exam, and their files where they are known by now."""
        exam, source = self.exam, self.exam.source
        if isinstance(source, Catalog):
            return list(exam.candidates), {}
        if not isinstance(source, Archive):
            try:
                return _describe_files(source)
            except (ImageError, OSError) as error:
                told = error.what if isinstance(error, ImageError) else describe_failure(error)
                raise Unanswered("unreadable", show(told, 120)) from None
        candidates: list[Candidate] = []
        files: dict[str, Series] = {}
        wanted = self.order.requirement.modality
        for uid, modality in exam.series:
            if wanted and modality not in wanted:  # not worth to be asked for
                candidates.append(Candidate(uid, modality=modality))
                continue
            try:
                held = source.open_series(uid, exam.exam_uid)
                described, _ = _describe_files(held)
            except (ImageError, OSError):
                described = []
            candidates += described or [Candidate(uid, modality=modality)]
            if described:
                files[uid] = held
        return candidates, files

    def _open(self, candidate: Candidate, files: Series | None) -> xr.DataArray | None:
        from workbench.imaging.volume import open_volume

        try:
            if files is None:
                source = self.exam.source
                held = source.series_files if isinstance(source, Catalog) else source.open_series
                files = held(candidate.series_uid, self.exam.exam_uid)
            return self._judge(candidate, open_volume(files), files)
        except VolumeError as error:
            self._refuse(candidate, *reason_of(error))
        except PixelError as error:
            self._refuse(candidate, "unreadable", error.reason)
        except ImageError as error:
            self._refuse(candidate, "unreadable", show(error.what, 120))
        except OSError as error:
            self._refuse(candidate, "unreadable", describe_failure(error))
        return None

    def _judge(
        self, candidate: Candidate, opened: xr.DataArray, files: Series | None = None
    ) -> xr.DataArray | None:
        from workbench.imaging.volume import load_volume

        wanted = self.order.requirement
        found = judge_volume(opened, wanted)
        if found is None:
            self.used = candidate
            self.model.check_memory(opened, self.limits)
            volume = opened.compute() if files is None else load_volume(files)
            found = judge_content(volume, wanted)
            if found is None:
                return volume
            self.used = None
        self._refuse(candidate, *found)
        return None

    def _refuse(self, candidate: Candidate, reason: str, detail: str = "") -> None:
        self.used = None
        self.refused.append(self._refusal(candidate.series_uid, reason, detail))

    def _refusal(self, uid: str, reason: str, detail: str = "") -> Refusal:
        return Refusal(self.exam.exam_uid, uid, reason, detail)

    def _keep(self, labels: np.ndarray[Any, np.dtype[np.uint8]], volume: xr.DataArray) -> None:
        """Measure a mask, and give it the grid of the volume."""
        import xarray as xr

        from workbench.imaging.volume_grid import affine_of

        findings = self.model.bundle.answer.findings
        affine = affine_of(volume)
        self.measured = measure_mask(labels, affine, findings)
        attrs = {k: volume.attrs[k] for k in _KEPT if k in volume.attrs}
        attrs |= {"affine": affine.tolist(), "labels": dict(findings)}
        coords = {name: volume.coords[name] for name in ("z", "y", "x") if name in volume.coords}
        self.mask = xr.DataArray(labels, coords, ("z", "y", "x"), "segmentation", attrs)


def _describe_files(series: Series) -> tuple[list[Candidate], dict[str, Series]]:
    """Return the series that files hold, each with its files."""
    from workbench.dicom.headers import read_headers
    from workbench.imaging.frames import list_files

    paths, _ = list_files(series)
    sizes = [Path(path).stat().st_size if Path(path).exists() else 0 for path in paths]
    rows, _ = read_headers([str(Path(p).absolute()) for p in paths], sizes, identified=False)
    if rows.is_empty():
        return [Candidate("")], {"": series}
    rows = rows.with_columns(rows["series_uid"].fill_null(""))
    table = describe_series(rows.lazy())
    files: dict[str, Series] = {
        str(uid): group["path"].to_list()
        for (uid,), group in rows.group_by("series_uid", maintain_order=True)
    }
    if len(files) == 1:  # a file that could not be read is told when the volume is opened
        files = dict.fromkeys(files, series)
    seen: dict[str, Candidate] = {}
    for row in table.to_dicts():
        candidate = to_candidate(row)
        seen.setdefault(candidate.series_uid, candidate)
    return list(seen.values()), files

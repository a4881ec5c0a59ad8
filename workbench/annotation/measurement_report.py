"""Measurement report: what an algorithm measured, as a Comprehensive 3D SR, and back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.annotation.finding import Algorithm, Code, Finding, Measurement, require_distinct
from workbench.annotation.identity import coded, device, making, stamp, uid_of
from workbench.annotation.segmentation_file import SERIES_NUMBER, save, tracking_uid
from workbench.annotation.sources import Sources, read_sources
from workbench.errors import ImageError, show
from workbench.imaging.frames import Series

if TYPE_CHECKING:
    import xarray as xr

PROCEDURE = Code("24627-2", "LN", "CT Chest")
"""What was done to the patient, unless somebody says otherwise (LOINC)."""
WHOLE = "Exam"
"""Tracking identifier of what is measured of the exam as a whole."""


@dataclass(frozen=True)
class MeasurementReport:
    """Hold what a report states.

    Parameters
    ----------
    algorithm
        What computed it.
    findings
        Each with its measurements, by number.
    measurements
        Of the exam as a whole, such as the score.
    segmentation_uid
        SOP Instance UID of the segmentation that it refers to; None if nothing was found.
    """

    algorithm: Algorithm
    findings: tuple[Finding, ...]
    measurements: tuple[Measurement, ...]
    segmentation_uid: str | None


def write_measurements(
    series: Series,
    like: xr.DataArray,
    algorithm: Algorithm,
    path: Path | str,
    *,
    findings: Iterable[Finding] = (),
    measurements: Sequence[Measurement],
    segmentation: Path | str | None = None,
    procedure: Code = PROCEDURE,
    moment: dt.datetime,
) -> Path:
    """Write what an algorithm measured as a Comprehensive 3D SR (PS3.3, A.35.13; PS3.16, TID 1500).

    Each finding is a volumetric group of measurements (TID 1411) that refers to its segment; the
    exam as a whole is a group of its own (TID 1501). The report is complete and not verified: no
    person has looked at it.

    Parameters
    ----------
    series
        The images, as `open_volume` takes them.
    like : xarray.DataArray, shape (z, y, x)
        Their volume, or the mask.
    algorithm
        What measured.
    path
        File to write; never over another one.
    findings
        What was found; none if nothing was.
    measurements
        Of the exam as a whole, at least one.
    segmentation
        File that `write_segmentation` made of these findings; needed if there are any.
    procedure
        What was done to the patient.
    moment
        When it was made, local time.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ImageError
        If findings have no segmentation of theirs, or there is no measurement of the exam.
    VolumeError
        If the images cannot be read.
    """
    found, sources = require_distinct(findings), read_sources(series, like)
    if not measurements:
        raise ImageError(
            "A report without a measurement of the exam says nothing",
            todo="Give at least the score",
        )
    drawn = _open_segmentation(segmentation, found, sources, algorithm)
    report = MeasurementReport(
        algorithm, found, tuple(measurements), drawn and drawn.SOPInstanceUID
    )
    with making("report"):
        dataset = _make(report, sources, drawn, procedure, moment)
    return save(dataset, path)


def read_measurements(path: Path | str) -> MeasurementReport:
    """Read what `write_measurements` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    MeasurementReport

    Raises
    ------
    ImageError
        If it is no report of measurements, or lacks what TID 1500 asks for.
    """
    import highdicom as hd
    import pydicom

    try:
        dataset = pydicom.dcmread(path)
        content = hd.sr.Comprehensive3DSR.from_dataset(dataset).content
        return _read(content)
    except (
        OSError, pydicom.errors.InvalidDicomError, AttributeError, IndexError, KeyError,
        TypeError, ValueError,
    ) as error:  # fmt: skip
        raise ImageError(
            "The report cannot be read",
            where=f"{show(Path(path).name)}: {type(error).__name__}",
            todo="Give a Comprehensive 3D SR by TID 1500",
        ) from None


def _open_segmentation(
    path: Path | str | None, findings: tuple[Finding, ...], sources: Sources, algorithm: Algorithm
) -> Any:  # noqa: ANN401 - highdicom has no types
    import highdicom as hd

    if path is None:
        if findings:
            raise ImageError(
                "The findings are not drawn", todo="Write the segmentation first, and name it"
            )
        return None
    try:
        drawn = hd.seg.segread(path)
        held = {str(s.TrackingUID): s.SegmentNumber for s in drawn.SegmentSequence}
    except (OSError, AttributeError, TypeError, ValueError) as error:
        raise ImageError(
            "The segmentation cannot be read",
            where=f"{show(Path(path).name)}: {type(error).__name__}",
            todo="Give the file that write_segmentation made",
        ) from None
    if set(held) != {tracking_uid(f, sources, algorithm) for f in findings}:
        raise ImageError(
            "The segmentation is not of these findings",
            where=show(Path(path).name),
            todo="Give the file that write_segmentation made of them",
        )
    shared = drawn.SharedFunctionalGroupsSequence[0]
    if "SegmentIdentificationSequence" in shared:  # of one segment; highdicom asks each frame
        for frame in drawn.PerFrameFunctionalGroupsSequence:
            frame.SegmentIdentificationSequence = shared.SegmentIdentificationSequence
    return drawn


def _make(
    report: MeasurementReport,
    sources: Sources,
    drawn: Any,  # noqa: ANN401 - highdicom has no types
    procedure: Code,
    moment: dt.datetime,
) -> Any:  # noqa: ANN401 - highdicom has no types
    import highdicom as hd
    from pydicom.sr.codedict import codes

    algorithm = report.algorithm
    identification = hd.sr.AlgorithmIdentification(
        name=algorithm.name, version=algorithm.version, parameters=[algorithm.digest],
        manufacturer=algorithm.maker,
    )  # fmt: skip
    parts = (sources.series_uid, algorithm.digest, moment.isoformat())
    observer = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=uid_of(algorithm.digest),
            name=algorithm.name,
            manufacturer_name=algorithm.maker,
            model_name=algorithm.version,
        ),
    )
    groups: list[Any] = [
        hd.sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(
                uid=uid_of(sources.series_uid, algorithm.digest, WHOLE), identifier=WHOLE
            ),
            algorithm_id=identification,
            measurements=[_measurement(m) for m in report.measurements],
        )
    ]
    groups += [
        hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(
                uid=tracking_uid(finding, sources, algorithm), identifier=finding.name
            ),
            referenced_segment=hd.sr.ReferencedSegment.from_segmentation(drawn, number),
            finding_type=coded(finding.kind),
            finding_sites=[hd.sr.FindingSite(coded(finding.site))] if finding.site else None,
            algorithm_id=identification,
            measurements=[_measurement(m) for m in finding.measurements],
        )
        for number, finding in enumerate(report.findings, start=1)
    ]
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=coded(procedure),
        imaging_measurements=groups,
    )
    equipment = device(algorithm)
    dataset = hd.sr.Comprehensive3DSR(
        evidence=[*sources.headers, *([drawn] if drawn is not None else [])],
        content=content,
        series_instance_uid=uid_of(*parts, "report series"),
        series_number=SERIES_NUMBER + 1,
        sop_instance_uid=uid_of(*parts, "report"),
        instance_number=1,
        manufacturer=equipment["manufacturer"],
        is_complete=True,
        series_description=f"Measurements of {algorithm.name}"[:64],
    )
    dataset.ManufacturerModelName = equipment["manufacturer_model_name"]
    dataset.SoftwareVersions = equipment["software_versions"]
    dataset.DeviceSerialNumber = equipment["device_serial_number"]
    stamp(dataset, moment)
    return dataset


def _measurement(measurement: Measurement) -> Any:  # noqa: ANN401 - highdicom has no types
    import highdicom as hd

    name, unit = coded(measurement.name), coded(measurement.unit)
    return hd.sr.Measurement(name=name, value=float(measurement.value), unit=unit)


def _read(content: Any) -> MeasurementReport:  # noqa: ANN401 - highdicom has no types
    wholes = [
        group
        for group in content.get_image_measurement_groups()
        if group.tracking_identifier == WHOLE
    ]
    (whole,) = wholes  # a report of another program has none, or several
    drawn = content.get_volumetric_roi_measurement_groups()
    findings = [
        Finding(
            number=int(str(group.tracking_identifier).rsplit(" ", 1)[1]),
            kind=_code(group.finding_type),
            site=_code(group.finding_sites[0].value) if group.finding_sites else None,
            measurements=_numbers(group),
        )
        for group in drawn
    ]
    uids = {str(group.referenced_segment.referenced_sop_instance_uid) for group in drawn}
    return MeasurementReport(
        _algorithm(whole), require_distinct(findings), _numbers(whole), uids.pop() if uids else None
    )


def _code(concept: Any) -> Code:  # noqa: ANN401 - highdicom has no types
    return Code(concept.value, concept.scheme_designator, concept.meaning)


def _numbers(group: Any) -> tuple[Measurement, ...]:  # noqa: ANN401 - highdicom has no types
    return tuple(
        Measurement(_code(m.name), float(m.value), _code(m.unit)) for m in group.get_measurements()
    )


def _algorithm(group: Any) -> Algorithm:  # noqa: ANN401 - highdicom has no types
    """Return the algorithm of a group (PS3.16, TID 4019)."""
    said = {
        item.ConceptNameCodeSequence[0].CodeValue: item.get("TextValue", "")
        for item in group[0].ContentSequence
    }
    return Algorithm(said["111001"], said["111003"], said["122405"], said["111002"])

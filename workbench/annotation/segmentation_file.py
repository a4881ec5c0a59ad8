"""Segmentation file: a label map as a DICOM SEG that refers to the images it was made on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.annotation.finding import Algorithm, Code, Finding, require_distinct
from workbench.annotation.identity import coded, device, making, stamp, uid_of
from workbench.annotation.sources import Sources, read_sources
from workbench.errors import ImageError
from workbench.imaging.frames import Series

if TYPE_CHECKING:
    import xarray as xr

CATEGORY = Code("49755003", "SCT", "Morphologically Altered Structure")
"""Category of what is segmented (DICOM PS3.16, CID 7150)."""
FAMILY = Code("123109", "DCM", "Artificial Intelligence")
"""Family of the algorithm (DICOM PS3.16, CID 7162)."""
SERIES_NUMBER = 9001
"""Of the series that the results make; devices do not count so far."""


def write_segmentation(
    mask: xr.DataArray,
    series: Series,
    findings: Iterable[Finding],
    algorithm: Algorithm,
    path: Path | str,
    *,
    moment: dt.datetime,
) -> Path:
    """Write a label map as a binary DICOM SEG (PS3.3, A.51).

    Each finding is a segment with its own tracking identifier. Made again from the same mask at
    the same moment the file has the same bytes.

    Parameters
    ----------
    mask : xarray.DataArray, shape (z, y, x), unsigned integers or bool
        On the grid of the volume; 0 is nothing, other numbers are those of the findings.
    series
        The images, as `open_volume` takes them.
    findings
        One for each number of the mask.
    algorithm
        What made the mask.
    path
        File to write; never over another one.
    moment
        When it was made, local time.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ImageError
        If the mask holds no finding, or one that is not described, or is not on the grid of the
        images; or the file is there already.
    VolumeError
        If the images cannot be read.
    """
    found = require_distinct(findings)
    labels = np.asarray(mask.values)
    _check(labels, found)
    sources = read_sources(series, mask)
    with making("segmentation"):
        dataset = _make(labels, sources, found, algorithm, moment)
    return save(dataset, path)


def _make(
    labels: np.ndarray[Any, Any],
    sources: Sources,
    findings: tuple[Finding, ...],
    algorithm: Algorithm,
    moment: dt.datetime,
) -> Any:  # noqa: ANN401 - highdicom has no types
    import highdicom as hd

    identification = hd.AlgorithmIdentificationSequence(
        name=algorithm.name,
        family=coded(FAMILY),
        version=algorithm.version,
        source=algorithm.maker,
        parameters={"digest": algorithm.digest},
    )
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=finding.name,
            segmented_property_category=coded(CATEGORY),
            segmented_property_type=coded(finding.kind),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=identification,
            tracking_id=finding.name,
            tracking_uid=tracking_uid(finding, sources, algorithm),
            anatomic_regions=[coded(finding.site)] if finding.site else None,
        )
        for number, finding in enumerate(findings, start=1)
    ]
    numbers = np.zeros(max(f.number for f in findings) + 1, np.uint16)
    numbers[[f.number for f in findings]] = np.arange(1, len(findings) + 1)
    pixels = numbers[labels[sources.slices].astype(np.int64)]
    if len(findings) < 2**8:
        pixels = pixels.astype(np.uint8)
    parts = (sources.series_uid, algorithm.digest, moment.isoformat())
    dataset = hd.seg.Segmentation(
        source_images=list(sources.headers),
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=uid_of(*parts, "segmentation series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid_of(*parts, "segmentation"),
        instance_number=1,
        content_label="FINDINGS",
        content_description="Regions that an algorithm found",
        series_description=f"Findings of {algorithm.name}"[:64],
        **device(algorithm),
    )
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid_of(*parts, "dimensions")  # highdicom draws one
    stamp(dataset, moment)
    return dataset


def tracking_uid(finding: Finding, sources: Sources, algorithm: Algorithm) -> str:
    """Return the tracking unique identifier of a finding, the same in every file about it."""
    return uid_of(sources.series_uid, algorithm.digest, finding.name)


def save(dataset: Any, path: Path | str) -> Path:  # noqa: ANN401 - highdicom has no types
    """Write a dataset to a new file.

    Raises
    ------
    ImageError
        If the file is there already, or cannot be written.
    """
    place = Path(path)
    try:
        with place.open("xb") as file:
            dataset.save_as(file, enforce_file_format=True)
    except FileExistsError:
        raise ImageError(
            "The result was not written: there is a file of that name",
            where=place.name,
            todo="Choose another name, or take the old file away",
        ) from None
    except OSError as error:
        raise ImageError(
            f"The result was not written: {error.strerror}",
            where=place.name,
            todo="Check the folder, its rights and the space left",
        ) from None
    return place


def _check(labels: np.ndarray[Any, Any], findings: tuple[Finding, ...]) -> None:
    if labels.dtype.kind not in "bu":
        raise ImageError(
            "The mask is no label map",
            where=f"type {labels.dtype}",
            todo="Give unsigned whole numbers, or True and False",
        )
    held = set(np.unique(labels).tolist()) - {0}
    described = {finding.number for finding in findings}
    if not held:
        raise ImageError(
            "The mask holds no finding: there is nothing to draw",
            todo="Write the report alone: it says that nothing was found",
        )
    if held != described:
        raise ImageError(
            "Mask and findings do not fit",
            where=f"{len(held - described)} numbers are not described, "
            f"{len(described - held)} findings not drawn",
            todo="Describe each number of the mask once",
        )

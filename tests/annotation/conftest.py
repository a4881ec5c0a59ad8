"""A phantom, and what a pretend model found in it."""

import pytest

from tests.annotation.results import MODEL, NOW, finding, mask_of, score
from workbench.annotation.measurement_report import write_measurements
from workbench.annotation.segmentation_file import write_segmentation
from workbench.imaging.volume import open_volume
from workbench.segments.phantom import write_phantom


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    return write_phantom(tmp_path_factory.mktemp("phantom")).ct


@pytest.fixture(scope="module")
def volume(ct):
    return open_volume(ct)


@pytest.fixture(scope="module")
def written(ct, volume, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    mask, findings = mask_of(volume, (1, 3)), [finding(3, 0.1 + 0.2), finding(1, 2 / 3)]
    seg = write_segmentation(mask, ct, findings, MODEL, folder / "seg.dcm", moment=NOW)
    report = write_measurements(
        ct, mask, MODEL, folder / "sr.dcm", findings=findings, measurements=[score(1 / 3)],
        segmentation=seg, moment=NOW,
    )  # fmt: skip
    return mask, findings, seg, report

"""What a DIMSE server tells of and does not give is refused; an exam too large ends no scan."""

from contextlib import contextmanager

import pydicom
import pytest

from tests.archive.dicom_sources import write_site
from tests.imaging.images import ROOT, write_image
from workbench.archive.dimse import read_dimse
from workbench.archive.site_scan import scan_site
from workbench.site import read_site

CT = "1.2.840.10008.5.1.4.1.1.2"
LEVELS = {
    "STUDY": ("StudyInstanceUID", "NumberOfStudyRelatedInstances"),
    "SERIES": ("SeriesInstanceUID",),
    "IMAGE": ("SOPInstanceUID", "SOPClassUID"),
}


def matches(image, asked):
    names = ("StudyInstanceUID", "SeriesInstanceUID")
    return all(getattr(image, n) == asked.get(n) for n in names if asked.get(n))


@contextmanager
def serve(images, *, told=None, end=0x0000, sent=lambda image: image):
    """Serve images by C-FIND and C-GET; `told` is added to their number, `end` ends a listing."""
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import (
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet,
        Verification,
    )

    def find(event):
        asked, seen = event.identifier, set()
        for image in images:
            answer = pydicom.Dataset()
            for name in LEVELS[asked.QueryRetrieveLevel]:
                if name == "NumberOfStudyRelatedInstances":
                    exam = [i for i in images if i.StudyInstanceUID == image.StudyInstanceUID]
                    value = len(exam) + told if told is not None else ""
                else:
                    value = getattr(image, name)
                setattr(answer, name, value)
            if matches(image, asked) and str(answer) not in seen:
                seen.add(str(answer))
                yield 0xFF00, answer
        if asked.QueryRetrieveLevel == "IMAGE" and end:
            yield end, None

    def get(event):
        found = [i for i in images if matches(i, event.identifier)]
        yield len(found)
        for image in found:
            yield 0xFF00, sent(image)

    entity = AE("PACS")
    for uid in (
        Verification,
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet,
    ):
        entity.add_supported_context(uid)
    entity.add_supported_context(CT, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get), (evt.EVT_C_ECHO, lambda _: 0)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield {
            "kind": "dimse",
            "host": "127.0.0.1",
            "port": server.server_address[1],
            "ae_title": "PACS",
            "retries": 0,
        }
    finally:
        server.shutdown()


@pytest.fixture
def images(tmp_path):
    paths = [write_image(tmp_path / f"in/{n}", n) for n in (1, 2, 3)]
    return [pydicom.dcmread(path) for path in paths]


def read(folder, declared):
    server = read_dimse(declared, folder)
    (exam,) = server.list_exams()
    return server.read_exam(exam)


def refusals(found):
    return [(r.path.split("!")[1], r.reason, r.detail) for r in found.refused]


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        ({"told": 2}, "5 told, 3 given"),
        ({"end": 0xFE00}, "number not told, 3 given"),
        ({"told": 0, "end": 0xFE00}, None),
        ({"told": 0}, None),
        ({}, None),
    ],
)
def test_instances_that_are_not_listed_are_counted(tmp_path, images, options, detail):
    with serve(images, **options) as declared:
        found = read(tmp_path, declared)
    assert found.instances == 3
    assert refusals(found) == ([("?/?", "not_given", detail)] if detail else [])


def test_an_instance_of_another_exam_is_missed(tmp_path, images):
    def sent(image):
        if image.InstanceNumber == 2:
            image.StudyInstanceUID = "1.2.3"
        return image

    with serve(images, told=0, sent=sent) as declared:
        found = read(tmp_path, declared)
    assert found.instances == 2
    assert refusals(found) == [("?/?", "not_given", "3 told, 2 given")]


def test_an_exam_larger_than_the_spool_is_refused_and_the_scan_goes_on(tmp_path, images):
    large = {"Rows": 256, "Columns": 256, "PixelData": bytes(256 * 256 * 2)}
    for number, exam, series in ((1, 2, 1), (2, 2, 1), (3, 2, 2), (4, 3, 1)):
        values = large if (exam, series) == (2, 1) else {}
        path = write_image(tmp_path / "in/more", number, exam=exam, series=series, **values)
        images.append(pydicom.dcmread(path))
    with serve(images, told=0) as declared:
        site = write_site(tmp_path / "site", declared | {"spool_gb": 1e-4})
        catalog = scan_site(read_site(site))
    held = catalog.instances().collect()
    assert sorted(set(held["exam_uid"])) == [f"{ROOT}.{n}" for n in (1, 2, 3)]
    assert len(held) == 5
    refused = catalog.refused().sort("path").collect().rows()
    series = f"{ROOT}.2.1"
    assert refused == [
        (
            f"{ROOT}.2.exam!{series}/{series}.{n}",
            "not_given",
            "larger than the spool, 100,000 bytes",
        )
        for n in (1, 2)
    ]

"""A real server filled with the `files` of a test module, and the same files as a folder."""

import pytest

from tests.archive.dicom_sources import scan, write_site
from tests.archive.orthanc import run_orthanc


@pytest.fixture(scope="module")
def server(place, files):
    with run_orthanc(place / "orthanc") as found:
        found.rejected = {p.name for p in found.fill(files)}
        yield found


@pytest.fixture(scope="module")
def folder(place, files):
    return scan(write_site(place / "folder", {"kind": "folder", "path": "../dicom"}))

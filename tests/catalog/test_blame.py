"""A disk that is full, and an archive that is gone, are each called by their name."""

from __future__ import annotations

import errno
import resource
import shutil
import subprocess

import polars as pl
import pytest

from tests.imaging.images import write_image
from workbench.catalog import scan as scanning
from workbench.catalog.blame import reading_archive, writing_tables
from workbench.catalog.catalog import open_catalog
from workbench.catalog.scan import scan
from workbench.errors import ExecutionError, SiteError


@pytest.fixture
def archive(tmp_path):
    for number in range(1, 40):
        write_image(tmp_path / f"archive/{number}", number, patient=f"P{number % 3}")
    return tmp_path / "archive"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "toy", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted as root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("room", [4_096, 16_384, 28_672, 45_056])
def test_a_full_disk_has_its_name_and_the_same_scan_goes_on(
    archive, small_disk, monkeypatch, workers, room
):
    monkeypatch.setattr(scanning, "FEW", 0)
    out = small_disk / "catalog"
    first = scan(archive, out)
    for number in range(40, 80):
        write_image(archive / str(number), number, patient="P7", exam=7)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - room))
    with pytest.raises(ExecutionError, match="No space left for"):
        scan(archive, out, workers=workers)
    assert open_catalog(out).fingerprint() == first.fingerprint()
    filler.unlink()
    assert scan(archive, out, workers=workers).counts["instances"] == 79


def test_a_limit_of_the_size_of_a_file_is_named_too(archive, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    told = []
    for limit in range(1_000, 60_000, 2_500):  # in the pages of a table, and in its footer
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            scan(archive, tmp_path / f"catalog {limit}")
        except ExecutionError as error:
            told.append(error.what)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 5 < len(told) < 24
    assert all(what.startswith("No space left for") for what in told)


def test_other_errors_of_tables_are_not_hidden(tmp_path):
    with pytest.raises(pl.exceptions.ComputeError, match="a bug"), writing_tables(tmp_path):
        raise pl.exceptions.ComputeError("a bug")


def test_an_archive_that_breaks_off_is_blamed_and_not_the_catalog(archive, tmp_path, monkeypatch):
    def broken(root, **_):
        yield from ()
        raise OSError(errno.EIO, "MARKER", str(root))

    monkeypatch.setattr(scanning, "walk", broken)
    with pytest.raises(SiteError, match="The archive cannot be read: Input/output") as caught:
        scan(archive, tmp_path / "catalog")
    assert caught.value.where == str(archive)
    assert "MARKER" not in str(caught.value)


def test_an_archive_that_goes_away_while_it_is_listed_is_refused(archive, tmp_path, monkeypatch):
    first = scan(archive, tmp_path / "catalog")
    really = scanning.walk

    def unmount(root, **_):
        for table in really(root):
            yield table[:10]
        archive.rename(tmp_path / "away")
        archive.mkdir()

    monkeypatch.setattr(scanning, "walk", unmount)
    with pytest.raises(SiteError, match="The archive cannot be read: Stale file handle"):
        scan(archive, tmp_path / "catalog")
    assert open_catalog(tmp_path / "catalog").counts == first.counts


def test_a_full_disk_is_not_said_of_the_archive(tmp_path):
    with pytest.raises(OSError, match="full"), reading_archive(tmp_path):
        raise OSError(errno.ENOSPC, "full")
    with pytest.raises(SiteError, match="the system refuses"), reading_archive(tmp_path):
        raise OSError

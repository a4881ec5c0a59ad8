"""A DICOMweb server against the folder that it was filled from; stopped, misused, and sent to."""

import base64
import json
import logging
import subprocess
import sys
import threading
import time

import polars as pl
import pytest

from tests.archive.dicom_sources import (
    copy_files,
    dicomweb,
    differences,
    list_files,
    scan,
    uids,
    write_site,
)
from tests.archive.orthanc import PASSWORD, USER, run_orthanc
from workbench.archive.archive import open_archive
from workbench.archive.site_scan import open_server
from workbench.errors import ImageError, SiteError
from workbench.site import read_site

HALF = 9
"""Exams after which a server is stopped."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("dicomweb")


@pytest.fixture(scope="module")
def files(shared_data, place):
    return copy_files(list_files(shared_data), place / "dicom")


@pytest.fixture(scope="module")
def site(place, server):
    return write_site(place / "site", dicomweb(server, page=7))


@pytest.fixture(scope="module")
def catalog(site):
    return scan(site)


@pytest.fixture(scope="module")
def small(tmp_path_factory, files):
    """Return a server that a test may stop, and its own site."""
    place = tmp_path_factory.mktemp("small")
    with run_orthanc(place / "orthanc") as found:
        found.fill(files[::9])
        yield found


def test_the_server_holds_most_of_the_files(server, files):
    assert server.count() > 400
    assert len(files) - len(server.rejected) > 440


def test_the_catalog_of_the_server_equals_that_of_the_folder(folder, catalog):
    assert differences(folder, catalog) == []
    assert len(uids(folder) & uids(catalog)) > 380


def test_what_only_one_catalog_has_is_refused_in_the_other(folder, catalog, server):
    ours = folder.instances().collect()
    missing = ours.filter(~pl.col("instance_uid").is_in(list(uids(catalog))))
    given = " ".join(catalog.refused().collect()["path"])
    for path, series in missing.select("path", "series_uid").iter_rows():
        assert path in server.rejected or series in given
    # A server keeps the first of two contents of one UID, a folder shows both.
    theirs = catalog.instances().collect()
    extra = theirs.filter(~pl.col("instance_uid").is_in(list(uids(folder))))
    doubtful = folder.refused().filter(pl.col("reason") == "duplicate").collect()
    assert len(extra) < len(doubtful)
    assert catalog.reasons == {"not_given": 1}


def test_counts_of_the_server_add_up(catalog, server):
    counts = catalog.counts
    assert counts["members"] == counts["instances"] + counts["refused"]
    assert server.count() == counts["instances"] + 2  # two patients' exam of one UID is not given


def test_the_second_scan_reads_only_what_the_server_did_not_give(site, catalog):
    told = []
    again = scan(site, progress=told.append)
    assert max(p.total for p in told if p.step == "read") == 1
    assert again.fingerprint() == catalog.fingerprint()


def test_the_path_of_an_instance_names_exam_series_and_instance(catalog):
    rows = catalog.instances().select("path", "exam_uid", "series_uid", "instance_uid").collect()
    for path, exam, series, instance in rows.iter_rows():
        assert path == f"{exam}.exam!{series}/{instance}"


def test_a_series_is_retrieved_once_with_every_byte(site, catalog, folder, files):
    archive = open_archive(site)
    several = folder.series().filter((pl.col("instances") > 3) & pl.col("modality").is_in(["CT"]))
    uid = several.collect()["series_uid"][0]
    found = archive.open_series(uid).paths
    stored = {p.read_bytes() for p in folder.series_files(uid)}
    assert {p.read_bytes() for p in found} == stored
    times = [p.stat().st_mtime_ns for p in found]
    assert [p.stat().st_mtime_ns for p in archive.open_series(uid).paths] == times
    assert all(uid not in str(p) and p.is_relative_to(catalog.folder / "spool") for p in found)
    assert (catalog.folder / "spool").stat().st_mode & 0o077 == 0


def test_a_series_that_is_larger_than_the_spool_is_refused(place, server, catalog, folder):
    site = write_site(place / "tight", dicomweb(server, spool_gb=1e-6))
    scan(site)
    large = folder.series().sort("megabytes", descending=True).collect()["series_uid"][0]
    with pytest.raises(SiteError, match="larger than the spool"):
        open_archive(site).open_series(large)
    assert [p.name for p in (place / "tight" / "catalog" / "spool").iterdir()] == [".lock"]


def test_a_series_nobody_has_is_refused(site, catalog):
    with pytest.raises(ImageError, match="no such series"):
        open_archive(site).open_series("1.2.3")


def test_a_site_that_was_not_scanned_says_what_to_do(place, server):
    site = write_site(place / "new", dicomweb(server))
    with pytest.raises(SiteError, match="workbench scan"):
        open_archive(site)


def test_a_stopped_server_ends_the_scan_by_name_and_the_next_goes_on(small, tmp_path):
    whole = scan(write_site(tmp_path / "whole", dicomweb(small)))
    site = write_site(tmp_path / "stopped", dicomweb(small))
    exams = whole.counts["files"]
    assert exams > 2 * HALF

    def stop(progress):
        if progress.step == "read" and progress.done == HALF:
            small.kill()

    with pytest.raises(SiteError, match=r"cannot be reached|stopped|TLS") as caught:
        scan(site, progress=stop)
    assert "goes on" in str(caught.value)
    assert not (tmp_path / "stopped" / "catalog" / "catalog.json").exists()
    small.start()
    told = []
    found = scan(site, progress=told.append)
    first = next(p for p in told if p.step == "read")
    assert (first.done, first.total) == (HALF, exams)
    assert differences(whole, found) == []
    assert uids(whole) == uids(found)


def test_a_server_that_comes_back_in_time_is_waited_for(small, tmp_path):
    site = write_site(tmp_path / "site", dicomweb(small, retries=6))
    threads = []

    def restart(progress):
        if progress.step == "read" and progress.done == HALF:
            small.kill()
            threads.append(threading.Timer(0.3, small.start))
            threads[0].start()

    found = scan(site, progress=restart)
    threads[0].join()
    assert found.counts["exams"] > 2 * HALF


def test_only_exams_that_changed_are_read_again(small, tmp_path, files):
    site = write_site(tmp_path / "site", dicomweb(small))
    catalog = scan(site)
    before, mark = uids(catalog), catalog.fingerprint()
    one = next(f for f in files if f not in files[::9] and small.fill([f]) == [])
    told = []
    after = scan(site, progress=told.append)
    assert max(p.total for p in told if p.step == "read") == 1
    assert after.fingerprint() != mark
    assert len(uids(after) - before) == 1, one


def test_wrong_credentials_are_named(small, tmp_path):
    for changes in ({"user": "nobody"}, {}):
        site = write_site(tmp_path / f"site{len(changes)}", dicomweb(small, **changes))
        if not changes:
            (site.parent / "password").write_text("wr0ng-Pa55word")
        with pytest.raises(SiteError, match="refuses user and password") as caught:
            scan(site)
        told = repr(caught.value) + str(caught.value)
        assert PASSWORD not in told
        assert "wr0ng" not in told


def test_an_address_that_is_no_dicomweb_is_named(small, tmp_path):
    site = write_site(tmp_path, dicomweb(small, url=small.url.replace("dicom-web", "else")))
    with pytest.raises(SiteError, match="does not answer a search"):
        scan(site)


@pytest.mark.parametrize("change", [{"ca_file": None}, {"ca_file": "other/ca.pem"}])
def test_a_certificate_of_a_stranger_is_not_trusted(small, tmp_path, change):
    from tests.archive.certificates import make_certificates

    make_certificates(tmp_path / "other")
    site = write_site(tmp_path, dicomweb(small, **change))
    start = time.monotonic()
    with pytest.raises(SiteError, match="certificate is not trusted"):
        scan(site)
    assert time.monotonic() - start < 10


def test_a_server_that_asks_for_our_certificate_gets_it(tmp_path, files):
    with run_orthanc(tmp_path / "orthanc", ask=True) as server:
        server.fill(files[:2])
        own = {
            "client_certificate": str(server.tls.certificate("client")),
            "client_key": str(server.tls.key("client")),
        }
        with pytest.raises(SiteError):
            scan(write_site(tmp_path / "without", dicomweb(server, retries=0)))
        assert scan(write_site(tmp_path / "with", dicomweb(server, **own))).counts["instances"] > 0
        server.tls.key("client").chmod(0o644)
        with pytest.raises(SiteError, match="Others may read a private key"):
            scan(write_site(tmp_path / "open", dicomweb(server, **own)))


def test_the_command_scans_a_server_as_it_does_a_folder(small, tmp_path):
    site = write_site(tmp_path / "site", dicomweb(small))
    command = [sys.executable, "-m", "workbench", "scan", str(site), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["counts"]["instances"] == small.count()
    (site.parent / "password").chmod(0o644)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == SiteError.exit_code
    assert "Others may read the file of a secret" in ended.stderr
    assert PASSWORD not in ended.stderr + ended.stdout


def test_results_are_sent_back_and_found_again(small, tmp_path, files):
    import pydicom

    site = write_site(tmp_path / "site", dicomweb(small))
    before = uids(scan(site))
    result = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm"))
    result.SOPInstanceUID = pydicom.uid.generate_uid()
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    path, broken = tmp_path / "result.dcm", tmp_path / "broken.dcm"
    result.save_as(path)
    broken.write_bytes(b"not DICOM at all")
    receipt = open_server(site).store([path, broken])
    assert receipt.stored == (path,)
    assert list(receipt.failed.values()) == [(broken,)]
    after = scan(site)
    assert uids(after) - before == {result.SOPInstanceUID}
    found = open_archive(site).open_series(result.SeriesInstanceUID).paths
    assert path.read_bytes() in {p.read_bytes() for p in found}


def test_the_secret_is_in_no_file_log_or_error(small, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    site = write_site(tmp_path / "site", dicomweb(small, retries=0))
    catalog = scan(site)
    archive = open_archive(site)
    archive.open_series(catalog.series().collect()["series_uid"][0])
    told = [repr(open_server(site)), repr(archive), str(catalog), archive.fingerprint()]
    told.append(str(read_site(site).stamps()))
    small.kill()
    with pytest.raises(SiteError) as caught:
        scan(site)
    small.start()
    error = caught.value
    told += [str(error), repr(error), repr(vars(error)), caplog.text]
    assert error.__context__ is None
    texts = [text.encode() for text in told]
    texts += [
        p.read_bytes() for p in site.parent.rglob("*") if p.is_file() and p.name != "password"
    ]
    assert len(texts) > 12
    assert "/dicom-web/studies" in caplog.text  # that there was something to look at
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).rstrip(b"=")
    for text in texts:
        assert PASSWORD.encode() not in text
        assert basic not in text

"""A DICOM server spoken to by DIMSE, against the folder that it was filled from."""

import socket

import polars as pl
import pytest

from tests.archive.certificates import make_certificates
from tests.archive.dicom_sources import (
    copy_files,
    differences,
    dimse,
    list_files,
    scan,
    uids,
    write_site,
)
from tests.archive.orthanc import Orthanc, free_port, run_orthanc
from workbench.archive.archive import open_archive
from workbench.archive.site_scan import open_server
from workbench.errors import SiteError


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("dimse")


@pytest.fixture(scope="module")
def files(shared_data, place):
    return copy_files(list_files(shared_data)[::16], place / "dicom")


@pytest.fixture(scope="module")
def by_get(place, server):
    return scan(write_site(place / "get", dimse(server)))


def by_move(server: Orthanc) -> dict[str, object]:
    return dimse(server, retrieve="move", move_port=server.our_port)


def test_the_catalog_of_the_server_equals_that_of_the_folder(folder, by_get, server):
    assert differences(folder, by_get) == []
    ours = folder.instances().collect()
    missing = ours.filter(~pl.col("instance_uid").is_in(list(uids(by_get))))
    assert set(missing["path"]) <= server.rejected
    assert len(uids(by_get)) > 20


def test_move_gives_the_same_as_get(place, server, by_get):
    catalog = scan(write_site(place / "move", by_move(server)))
    assert (
        catalog.instances()
        .drop("transfer_syntax")
        .collect()
        .equals(by_get.instances().drop("transfer_syntax").collect())
    )


def test_nothing_that_was_retrieved_is_left(by_get):
    spool = by_get.folder / "spool"
    assert [p for p in spool.rglob("*") if p.is_file()] == []


def test_the_second_scan_retrieves_nothing(place, server, by_get):
    told = []
    again = scan(write_site(place / "get", dimse(server)), progress=told.append)
    assert max((p.total for p in told if p.step == "read"), default=0) == 0
    assert again.fingerprint() == by_get.fingerprint()


@pytest.mark.parametrize("way", [dimse, by_move])
def test_a_series_is_retrieved_as_it_is_stored(tmp_path, server, by_get, folder, way):
    import pydicom

    site = write_site(tmp_path, way(server))
    scan(site)
    uid = folder.series().filter(pl.col("modality") == "CT").collect()["series_uid"][0]
    ours = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, folder.series_files(uid))}
    found = [pydicom.dcmread(p) for p in open_archive(site).open_series(uid).paths]
    assert {d.SOPInstanceUID for d in found} == set(ours)
    for theirs in found:
        mine = ours[theirs.SOPInstanceUID]
        assert mine == theirs
        assert theirs.file_meta.TransferSyntaxUID == mine.file_meta.TransferSyntaxUID


def test_a_server_that_tells_few_at_once_is_asked_by_dates(tmp_path, files):
    with run_orthanc(tmp_path / "orthanc", LimitFindResults=3) as server:
        server.fill(files)
        whole = open_server(write_site(tmp_path / "a", dimse(server)))
        told = {e.exam_uid for e in whole.list_exams()}
        with server.session() as session:
            exams = [
                session.get(f"{server.root}{s}").json()["MainDicomTags"]
                for s in (f"/studies/{i}" for i in session.get(f"{server.root}/studies").json())
            ]
    dated = {e["StudyInstanceUID"] for e in exams if e.get("StudyDate", "").isdigit()}
    assert len(dated) > 10
    assert dated <= told
    assert "" in told  # stands for those without a date, which nobody can list


def test_a_page_is_the_most_that_is_asked_for_at_once(tmp_path, server, by_get):
    few = open_server(write_site(tmp_path, dimse(server, page=4)))
    told = {e.exam_uid for e in few.list_exams()}
    dated = by_get.instances().filter(pl.col("exam_time_source").str.starts_with("StudyDate"))
    assert set(dated.collect()["exam_uid"]) <= told


def test_a_stopped_server_ends_the_scan_by_name_and_the_next_goes_on(tmp_path, files):
    with run_orthanc(tmp_path / "orthanc") as server:
        server.fill(files[::2])
        site = write_site(tmp_path / "site", dimse(server, timeout_s=5))

        def stop(progress):
            if progress.step == "read" and progress.done == 4:
                server.kill()

        with pytest.raises(SiteError, match=r"cannot be reached|stopped"):
            scan(site, progress=stop)
        server.start()
        told = []
        found = scan(site, progress=told.append)
        assert next(p for p in told if p.step == "read").done == 4
        assert found.counts["instances"] == server.count()


def test_a_wrong_title_and_a_closed_port_are_named(tmp_path, server):
    with pytest.raises(SiteError, match="refuses the conversation"):
        scan(write_site(tmp_path / "title", dimse(server, ae_title="NOBODY")))
    with pytest.raises(SiteError, match="cannot be reached"):
        scan(write_site(tmp_path / "port", dimse(server, port=free_port(), retries=0)))


def test_a_server_that_never_answers_is_left(tmp_path, server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        site = write_site(tmp_path, dimse(server, port=port, timeout_s=0.5, retries=1))
        with pytest.raises(SiteError, match="cannot be reached"):
            scan(site)


def test_a_server_that_gives_nothing_is_named(tmp_path, server):
    # It knows no title but ours, to which it would have to send.
    site = write_site(tmp_path, by_move(server) | {"calling_ae_title": "STRANGER"})
    with pytest.raises(SiteError, match="gives nothing"):
        scan(site)


def test_tls_is_spoken_with_known_authorities_only(tmp_path, files):
    certificates = make_certificates(tmp_path / "tls")
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(certificates.certificate("server")),
        "DicomTlsPrivateKey": str(certificates.key("server")),
        "DicomTlsTrustedCertificates": str(certificates.ca),
    }
    with run_orthanc(tmp_path / "orthanc", **settings) as server:
        server.fill(files[:4])
        own = {
            "tls": True,
            "ca_file": str(certificates.ca),
            "client_certificate": str(certificates.certificate("client")),
            "client_key": str(certificates.key("client")),
            "retries": 0,
        }
        found = scan(write_site(tmp_path / "good", dimse(server, **own)))
        assert found.counts["instances"] == server.count()
        make_certificates(tmp_path / "other")
        stranger = own | {"ca_file": str(tmp_path / "other" / "ca.pem")}
        with pytest.raises(SiteError, match="certificate is not trusted"):
            scan(write_site(tmp_path / "stranger", dimse(server, **stranger)))
        with pytest.raises(SiteError):
            scan(write_site(tmp_path / "plain", dimse(server, retries=0, timeout_s=2)))


def test_results_are_sent_back_and_found_again(tmp_path, files):
    import pydicom

    with run_orthanc(tmp_path / "orthanc") as server:
        site = write_site(tmp_path / "site", dimse(server))
        path = tmp_path / "result.dcm"
        dataset = pydicom.dcmread(pydicom.data.get_testdata_file("JPEG2000.dcm"))
        dataset.save_as(path)
        receipt = open_server(site).store([path])
        assert (receipt.stored, receipt.failed) == ((path,), {})
        assert uids(scan(site)) == {dataset.SOPInstanceUID}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"retrieve": "move"}, "belong together"),
        ({"move_port": 104}, "belong together"),
        ({"ca_file": "ca.pem"}, "for TLS"),
        ({"tls": True, "ca_file": "none.pem"}, "no such file"),
        ({"ae_title": "more than sixteen characters"}, "ae_title"),
        ({"calling_ae_title": "back\\slash"}, "calling_ae_title"),
        ({"port": 0}, "port"),
        ({"retrieve": "give"}, "Did you mean 'get'|Allowed: get, move"),
        ({"hots": "x"}, "Did you mean 'host'"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(tmp_path, server, change, words):
    site = write_site(tmp_path, dimse(server, **change))
    with pytest.raises(SiteError, match=words):
        open_server(site)


@pytest.mark.parametrize("way", [dimse, by_move])
def test_exams_larger_than_the_spool_are_refused_and_the_others_read(tmp_path, server, by_get, way):
    catalog = scan(write_site(tmp_path, way(server) | {"spool_gb": 5e-4}))
    assert set(catalog.reasons) - set(by_get.reasons) <= {"not_given"}
    assert 0 < catalog.counts["instances"] < by_get.counts["instances"]
    missing = uids(by_get) - uids(catalog)
    refused = catalog.refused().filter(pl.col("detail").str.contains("larger than the spool"))
    assert {p.rsplit("/", 1)[1] for p in refused.collect()["path"]} == missing

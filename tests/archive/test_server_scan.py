"""Scans of a server that is stopped, changes, and gives what nobody can read."""

import errno
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from tests.dicom.dicom_files import as_bytes, image
from tests.dicom.test_careful import slow_file
from workbench.archive.instance_json import read_instances
from workbench.archive.server_listing import UNLISTED, ListedExam, make_mark
from workbench.archive.server_reader import NOT_GIVEN, UNLISTED_READ, ExamRead, name_of
from workbench.archive.server_scan import scan_server
from workbench.catalog.catalog import open_catalog
from workbench.dicom import careful
from workbench.dicom.refusals import Refused
from workbench.errors import SiteError

ROOT = "dicomweb:pacs.example/dicom-web"


def instance(exam, number, **values):
    """Return the metadata of one instance."""
    item = {
        "0020000D": ("UI", exam),
        "0020000E": ("UI", f"{exam}.1"),
        "00080018": ("UI", f"{exam}.1.{number}"),
        "00100020": ("LO", f"P{exam}"),
        "00080060": ("CS", "CT"),
        "00080020": ("DA", "20250102"),
    }
    found = {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in item.items()}
    return found | values


@dataclass
class Server:
    """A server of made exams."""

    exams: dict[str, list[dict]]
    told: dict[str, int | None] = field(default_factory=dict)
    stops_after: int = 10**9
    withheld: set[str] = field(default_factory=set)
    read: list[str] = field(default_factory=list)

    def list_exams(self):
        for exam, items in self.exams.items():
            count = self.told.get(exam, len(items))
            yield ListedExam(exam, make_mark({"exam": exam, "n": count}), count)

    def read_exam(self, exam):
        if len(self.read) >= self.stops_after:
            raise SiteError("The server cannot be reached")
        self.read.append(exam.exam_uid)
        if exam.exam_uid in self.withheld:
            return ExamRead(refused=[Refused(name_of(exam.exam_uid), NOT_GIVEN)])
        return read_instances(self.exams[exam.exam_uid], exam.exam_uid, None)


def make(count, each=3):
    return {f"1.{n}": [instance(f"1.{n}", i) for i in range(each)] for n in range(count)}


def scan(server, folder):
    server.read.clear()
    return scan_server(server, Path(ROOT), folder)


def rows(catalog):
    return catalog.instances().sort("instance_uid").collect()


def test_a_scan_reads_every_exam_and_the_next_none(tmp_path):
    server = Server(make(7))
    catalog = scan(server, tmp_path / "catalog")
    assert len(server.read) == 7
    assert catalog.counts["instances"] == 21
    assert str(catalog.root) == ROOT
    assert (tmp_path / "catalog").stat().st_mode & 0o077 == 0
    mark = catalog.fingerprint()
    assert scan(server, tmp_path / "catalog").fingerprint() == mark
    assert server.read == []


def test_new_changed_and_vanished_exams_alone_are_touched(tmp_path):
    server = Server(make(7))
    scan(server, tmp_path / "catalog")
    server.exams.pop("1.3")
    server.exams["1.4"].append(instance("1.4", 9))
    server.exams["1.8"] = [instance("1.8", 0)]
    catalog = scan(server, tmp_path / "catalog")
    assert sorted(server.read) == ["1.4", "1.8"]
    fresh = scan(Server(server.exams), tmp_path / "fresh")
    assert rows(catalog).equals(rows(fresh))
    assert catalog.fingerprint() == fresh.fingerprint()


def test_an_exam_whose_number_is_not_told_is_read_every_time(tmp_path):
    server = Server(make(4), told={"1.2": None})
    scan(server, tmp_path)
    scan(server, tmp_path)
    assert server.read == ["1.2"]


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_scan_that_was_stopped_goes_on(tmp_path, after):
    server = Server(make(9), stops_after=after)
    with pytest.raises(SiteError, match="cannot be reached"):
        scan(server, tmp_path / "catalog")
    server.stops_after = 10**9
    catalog = scan(server, tmp_path / "catalog")
    assert len(server.read) == 9 - after
    assert rows(catalog).equals(rows(scan(Server(make(9)), tmp_path / "whole")))


def test_an_exam_that_changed_since_the_stop_is_read_again(tmp_path):
    server = Server(make(9), stops_after=5)
    with pytest.raises(SiteError):
        scan(server, tmp_path)
    server.stops_after = 10**9
    server.exams["1.0"].append(instance("1.0", 7))
    assert scan(server, tmp_path).counts["instances"] == 28


def test_what_is_not_given_is_listed_and_asked_for_again(tmp_path):
    server = Server(make(5), withheld={"1.2"})
    catalog = scan(server, tmp_path)
    assert catalog.refused().collect().rows() == [("1.2.exam", NOT_GIVEN, "")]
    assert catalog.counts["instances"] == 12
    server.withheld.clear()
    assert scan(server, tmp_path).reasons == {}
    assert server.read == ["1.2"]


def test_a_server_that_gives_nothing_is_named(tmp_path):
    server = Server(make(5), withheld={f"1.{n}" for n in range(5)})
    with pytest.raises(SiteError, match="gives nothing of 5 exams"):
        scan(server, tmp_path)


def test_what_nobody_can_ask_for_is_accounted_for(tmp_path):
    server = Server(make(2))
    server.list_exams = lambda: iter([UNLISTED])
    server.read_exam = lambda exam: UNLISTED_READ
    with pytest.raises(SiteError, match="gives nothing"):
        scan_server(server, tmp_path / ROOT, tmp_path / "catalog")


def test_an_empty_server_has_an_empty_catalog(tmp_path):
    catalog = scan(Server({}), tmp_path)
    assert catalog.counts["instances"] == 0
    assert catalog.instances().collect().is_empty()


def test_a_server_that_lists_no_exam_any_more_is_refused(tmp_path):
    server = Server(make(3))
    first = scan(server, tmp_path)
    server.exams.clear()
    with pytest.raises(SiteError, match="no exam any more, the catalog 9 instances"):
        scan(server, tmp_path)
    assert rows(open_catalog(tmp_path)).equals(rows(first))
    assert scan_server(server, Path(ROOT), tmp_path, emptied=True).counts["instances"] == 0


@pytest.mark.parametrize("where", ["list_exams", "read_exam"])
def test_a_connection_that_breaks_is_said_of_the_server(tmp_path, where):
    server = Server(make(3))

    def broken(*_):
        raise ConnectionResetError(errno.ECONNRESET, "MARKER")

    setattr(server, where, broken)
    with pytest.raises(SiteError, match="archive cannot be read: Connection reset") as caught:
        scan(server, tmp_path)
    assert caught.value.where == ROOT
    assert "MARKER" not in str(caught.value)


def test_a_damaged_catalog_of_a_server_is_made_anew(tmp_path):
    server = Server(make(3))
    first = scan(server, tmp_path)
    first.partitions[0].write_bytes(first.partitions[0].read_bytes()[:-20])
    again = scan(server, tmp_path)
    assert len(server.read) == 3
    assert again.notes == ("The last catalog was damaged: everything was read anew",)
    assert again.fingerprint() == first.fingerprint()


def test_an_instance_of_two_exams_is_refused_in_both(tmp_path):
    exams = make(3)
    exams["1.0"].append(instance("1.0", 8, **{"00080018": exams["1.1"][0]["00080018"]}))
    catalog = scan(Server(exams), tmp_path)
    assert catalog.reasons == {"duplicate": 2}
    assert catalog.counts["instances"] == 8


def test_an_instance_that_is_told_twice_is_there_once(tmp_path):
    exams = make(1)
    exams["1.0"] *= 2
    assert scan(Server(exams), tmp_path).counts["instances"] == 3


def test_an_instance_without_a_uid_is_refused(tmp_path):
    exams = make(1)
    exams["1.0"].append(instance("1.0", 8, **{"00080018": {"vr": "UI"}}))
    catalog = scan(Server(exams), tmp_path)
    assert catalog.reasons == {"no_identifiers": 1}


def test_a_catalog_of_another_archive_is_not_overwritten(tmp_path):
    scan(Server(make(1)), tmp_path)
    with pytest.raises(SiteError, match="another archive"):
        scan_server(Server(make(1)), tmp_path / "else", tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(SiteError, match="not empty"):
        scan(Server(make(1)), tmp_path / "mine")


ODD = (
    {"00280010": {"vr": "US", "Value": "512"}},
    {"00280010": None},
    {"00280010": {"vr": "US", "Value": [None]}},
    {"00280010": {"vr": "US", "Value": [{"a": 1}]}},
    {"00280010": {"vr": "US", "InlineBinary": "AAA="}},
    {"00280010": {"vr": "US", "Value": [10**400]}},
    {"00100020": {"vr": "LO", "Value": [7]}},
    {"52009229": {"vr": "SQ", "Value": [7]}},
    {"52009229": {"vr": "SQ", "Value": [{"00289110": {"vr": "SQ"}}]}},
    {"00200032": {"vr": "DS", "Value": ["1", None, "x"]}},
)


@pytest.mark.parametrize("odd", ODD)
def test_odd_metadata_costs_a_value_and_not_the_scan(tmp_path, odd):
    catalog = scan(Server({"1.0": [instance("1.0", 0, **odd)]}), tmp_path)
    found = rows(catalog)
    assert found["instance_uid"].to_list() == ["1.0.1.0"]
    assert found["rows"].to_list() == [None]


def test_metadata_of_a_multi_frame_image_is_read_as_the_file_is(tmp_path, shared_data):
    import pydicom

    from workbench.dicom.header import read_header

    path = next((shared_data / "dcm_qa_enh").rglob("*.dcm"))
    item = pydicom.dcmread(path, stop_before_pixels=True).to_json_dict()
    uid = item["0020000D"]["Value"][0]
    row = rows(scan(Server({uid: [item]}), tmp_path)).drop("path", "size", "mtime_ns")
    expected = pl.DataFrame([read_header(path)], schema=row.schema)
    assert row.drop("transfer_syntax").equals(expected.drop("transfer_syntax"))


def test_an_instance_that_is_retrieved_is_read_within_its_time(tmp_path, monkeypatch):
    monkeypatch.setattr(careful, "TIME_S", 1.5)
    spoilt = {"00080008": {"vr": "CS", "Value": ["ORIGINAL¥PRIMARY"]}}
    contents = [as_bytes(image()), slow_file(), None]

    @contextmanager
    def rescue(uids):
        content = contents[int(uids[2][-1])]
        path = tmp_path / "retrieved.dcm"
        path.write_bytes(content or b"")
        yield path if content else None

    read = read_instances([instance("1.7", n, **spoilt) for n in range(3)], "1.7", rescue)
    assert [rows["modality"].to_list() for rows in read.rows] == [["CT"]]
    assert [r.reason for r in read.refused] == ["too_slow", NOT_GIVEN]

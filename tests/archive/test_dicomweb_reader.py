"""What a DICOMweb server tells of and does not give is refused by name, or counted."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from workbench.archive.dicomweb import read_dicomweb

EXAM, SERIES = "1.2", "1.2.3"
MOST = 2
"""Instances or series that the server tells at once, whatever it is asked."""


def item(number, told):
    values = {"0020000D": EXAM, "0020000E": f"{SERIES}.{number}", "00080018": f"1.2.3.4.{number}"}
    found = {tag: {"vr": "UI", "Value": [value]} for tag, value in values.items()}
    return found | ({} if told is None else {"00201208": {"vr": "IS", "Value": [told]}})


@contextmanager
def serve(*, held, told, given, refusing=(), offset=False):
    """Serve one exam of `held` instances, a series each, and the metadata of some of them."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            address = urlsplit(self.path)
            name = address.path.rsplit("/", 1)[1]
            asked = parse_qs(address.query)
            first = int(asked.get("offset", ["0"])[0]) if offset or name == "studies" else 0
            items = [item(n, told) for n in range(held)]
            if "/metadata" in address.path and "/series/" in address.path:
                found = [i for i in items if i["0020000E"]["Value"][0] in address.path][:given]
            elif name == "metadata":
                found = items[:given]
            else:
                found = items[: 1 if name == "studies" else None][first : first + MOST]
            refused = address.path.removeprefix("/studies/1.2/") in refusing
            body = json.dumps(found).encode()
            self.send_response(404 if refused else 200 if found else 204)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def read(folder, **options):
    with serve(**options) as url:
        server = read_dicomweb({"kind": "dicomweb", "url": url, "retries": 0}, folder)
        with server.connect() as reader:
            (exam,) = reader.list_exams()
            return reader.read_exam(exam)


@pytest.mark.parametrize("refusing", [(), ("instances",)])
def test_instances_that_cannot_be_listed_are_counted(tmp_path, refusing):
    found = read(tmp_path, held=5, told=5, given=2, refusing=refusing)
    assert found.instances == 2
    assert [(r.path, r.reason, r.detail) for r in found.refused] == [
        ("1.2.exam!?/?", "not_given", "5 told, 2 given")
    ]
    assert not found.whole


def test_instances_that_are_listed_are_named(tmp_path):
    found = read(tmp_path, held=5, told=5, given=2, offset=True)
    assert [r.path for r in found.refused] == [
        f"1.2.exam!{SERIES}.{n}/1.2.3.4.{n}" for n in (2, 3, 4)
    ]


@pytest.mark.parametrize(("told", "detail"), [(None, "number not told"), (5, "5 told")])
def test_series_that_cannot_be_listed_are_counted(tmp_path, told, detail):
    found = read(tmp_path, held=5, told=told, given=1, refusing=("metadata",))
    assert [(r.reason, r.detail) for r in found.refused] == [("not_given", f"{detail}, 2 given")]


def test_an_exam_that_is_given_whole_is_whole(tmp_path):
    assert read(tmp_path, held=5, told=5, given=5).refused == ()
    assert read(tmp_path, held=5, told=None, given=5).refused == ()


def test_a_list_to_its_end_counts_more_than_a_number_that_a_file_may_state(tmp_path):
    assert read(tmp_path, held=2, told=5, given=2, offset=True).refused == ()

"""The application: what a stranger, and a reader with the token, may not get from it."""

import json
import os
import re
import socket
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import websocket

from workbench.publish.server import serve

PRIVATE = "/data/hospital/datasets/real/exams.parquet"
SECRETS = (
    "PRIVATE KEY",
    "[study]",
    "import show",
    "root:x:",
    "nbformat",
    "Traceback",
    "connection",
)
UP = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "%252e%252e%252f", "..\\", "..%5c", "..%c0%af",
      "%uff0e%uff0e/", "．．/", "....//")  # fmt: skip
HELD = ("study.toml", "north.key", "dashboard.ipynb")
PROBES = [
    *(("GET", f"/{name}") for name in ("study.toml", "dashboard.ipynb", "figure.png",
      "releases/north/devices.csv", "north.key", ".git/config", "requirements.lock")),
    *(("GET", f"/voila/{name}") for name in ("tree", "tree/", "tree/releases", "files/study.toml",
      "files/north.key", "files/figure.png", "files/releases/north/devices.csv",
      "render/dashboard.ipynb", "render/01_count.ipynb", "api/contents", "api/contents/study.toml",
      "api/themes/x", "query/00000000-0000-0000-0000-000000000000",
      "execution/00000000-0000-0000-0000-000000000000")),
    *(("GET", f"/api/{name}") for name in ("kernels", "contents", "contents/study.toml", "sessions",
      "terminals", "config/notebook", "nbconvert", "kernelspecs", "spec.yaml", "status", "me")),
    ("GET", "/api/kernels/00000000-0000-0000-0000-000000000000"),
    ("POST", "/api/kernels"),
    ("POST", "/api/sessions"),
    ("POST", "/api/terminals"),
    ("POST", "/api/shutdown"),
    ("POST", "/voila/api/shutdown/00000000-0000-0000-0000-000000000000"),
    ("DELETE", "/api/kernels/00000000-0000-0000-0000-000000000000"),
    ("PUT", "/api/contents/new.ipynb"),
    ("PATCH", "/api/config/notebook"),
    ("GET", "/nbconvert/html/dashboard.ipynb"),
    ("GET", "/files/study.toml"),
    ("GET", "/view/study.toml"),
    ("GET", "/lab"),
    ("GET", "/tree"),
    ("GET", "/metrics"),
    *((method, "/") for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND")),
    *(("GET", f"/voila/static/{8 * up}etc/passwd") for up in UP),
    *(("GET", f"/voila/files/{up}{HELD[i % 3]}") for i, up in enumerate(UP)),
    *(("GET", f"/voila/templates/lab/static/{8 * up}etc/passwd") for up in UP),
    *(("GET", f"/voila/labextensions/{8 * up}etc/passwd") for up in UP),
    ("GET", "/voila/templates/../../../../etc/static/passwd"),
    ("GET", "/voila/static//etc/passwd"),
    ("GET", "//etc/passwd"),
    ("GET", "/voila/static/%00"),
]  # fmt: skip


@pytest.fixture(scope="module")
def served(small_study, tmp_path_factory):
    (small_study / "figure.png").write_bytes(b"\x89PNG")
    before = dict(os.environ)
    os.environ["WORKBENCH_ARCHIVE"] = PRIVATE
    try:
        log = tmp_path_factory.mktemp("log") / "voila.log"
        with serve(small_study, log=log, wait=120) as running:
            yield running
    finally:
        os.environ.clear()
        os.environ.update(before)


def ask(server, method, path, headers=(), body=b""):
    """Send a request as it is written: no client tidies the path."""
    parts = urlsplit(server.url)
    lines = [f"{method} {path} HTTP/1.1", "Connection: close", f"Content-Length: {len(body)}"]
    if not any(h.lower().startswith("host:") for h in headers):
        lines.append(f"Host: {parts.netloc}")
    raw = "\r\n".join([*lines, *headers, "", ""]).encode() + body
    answer = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as link:
        try:
            link.sendall(raw)
            while part := link.recv(65536):
                answer += part
        except ConnectionError:
            pass
    status = int(answer.split(b" ", 2)[1]) if answer else 0
    return status, answer.decode(errors="replace")


def token(server):
    return server.url.partition("token=")[2]


def live(server):
    """Return a kernel's id and the cookie; until one is ready, a reader gets another page."""
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        status, text = ask(server, "GET", f"/?token={token(server)}")
        assert status == 200
        if found := re.search(r'"kernelId": ?"([0-9a-f-]{36})"', text):
            assert "rendered_cells" in text
            cookie = re.findall(r"Set-Cookie: ([^;]+);", text)
            return found.group(1), "; ".join(cookie)
        time.sleep(1)
    raise AssertionError("No page came with a kernel")


@pytest.fixture(scope="module")
def kernel(served):
    return live(served)


def test_there_are_forty_probes():
    assert len(set(PROBES)) >= 40


@pytest.mark.parametrize("who", ["a stranger", "a reader"])
@pytest.mark.parametrize(("method", "path"), PROBES, ids=str)
def test_nothing_but_the_page_is_served(served, method, path, who):
    headers = [f"Authorization: token {token(served)}"] if who == "a reader" else []
    status, text = ask(served, method, path, headers)
    # The server says no; or sends to the login page, which says nothing.
    assert status in {302, 400, 403, 404, 405}, status
    if status == 302:
        assert re.search(r"Location: /(login|voila)", text)
    assert [secret for secret in SECRETS if secret in text.partition("\r\n\r\n")[2]] == []
    assert token(served) not in text


def test_a_stranger_is_sent_to_the_login_page_and_a_wrong_token_opens_nothing(served):
    for path in ("/", "/?token=", "/?token=wrong", "/?token=%00", "/?token[]=x"):
        status, text = ask(served, "GET", path)
        assert status in {302, 403}
        assert "rendered_cells" not in text
    status, text = ask(served, "GET", "/", ["Authorization: token wrong"])
    assert status in {302, 403}


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "[::1]",
     "0.0.0.0", "169.254.169.254"],
)  # fmt: skip
def test_a_name_that_was_bound_to_this_machine_gets_nothing(served, host):
    for path in ("/", "/login", f"/?token={token(served)}"):
        status, text = ask(served, "GET", path, [f"Host: {host}"])
        assert status == 404
        assert "rendered_cells" not in text


@pytest.mark.parametrize(
    "headers",
    [
        ["X-Large: " + "a" * 200_000],
        [f"X-{n}: {'a' * 100}" for n in range(2000)],
        ["Content-Length: 99999999999"],
        ["Transfer-Encoding: chunked", "Content-Length: 4"],
        ["Cookie: " + "a=b; " * 30_000],
    ],
    ids=["one", "many", "length", "both", "cookie"],
)
def test_a_request_that_is_too_large_ends_and_the_server_goes_on(served, headers):
    status, text = ask(served, "GET", "/", headers)
    assert status in {0, 400, 413, 431}
    assert "rendered_cells" not in text
    assert ask(served, "GET", "/login")[0] == 200


@pytest.mark.parametrize(
    "header",
    ["X-HTTP-Method-Override: DELETE", "X-Original-URL: /api/kernels", "X-Rewrite-URL: /voila/tree",
     "X-Forwarded-Host: evil.example"],
)  # fmt: skip
def test_headers_that_stand_for_something_else_do_nothing(served, header):
    status, text = ask(served, "GET", "/login", [header])
    assert status == 200
    assert "evil.example" not in text
    assert "kernel" not in text.partition("\r\n\r\n")[2].lower()


def connect(server, kernel, *, protocol=None, **options):
    parts = urlsplit(server.url)
    address = f"ws://{parts.netloc}/api/kernels/{kernel}/channels?session_id=probe"
    subprotocols = [protocol] if protocol else None
    return websocket.create_connection(address, timeout=30, subprotocols=subprotocols, **options)


def test_a_stranger_and_another_page_reach_no_kernel(served, kernel):
    number, cookie = kernel
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        connect(served, number)
    reader = {"header": [f"Authorization: token {token(served)}"]}
    for origin in ("http://evil.example", "null", "http://127.0.0.1.evil.example"):
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            connect(served, number, origin=origin, **reader)
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            connect(served, number, origin=origin, cookie=cookie)
    with pytest.raises(websocket.WebSocketBadStatusException, match="404"):
        connect(served, uuid.uuid4(), **reader)


def test_a_reader_asks_for_the_own_kernel_and_does_nothing_to_it(served, kernel):
    headers = [f"Authorization: token {token(served)}"]
    path = f"/api/kernels/{kernel[0]}"
    assert ask(served, "GET", path, headers)[0] == 200
    assert ask(served, "GET", path)[0] == 403
    for method, tail in (
        ("DELETE", ""),
        ("POST", "/restart"),
        ("POST", "/interrupt"),
        ("PATCH", ""),
    ):
        assert ask(served, method, path + tail, headers)[0] in {404, 405}
    assert ask(served, "GET", path, headers)[0] == 200
    assert ask(served, "POST", f"/voila/api/shutdown/{kernel[0]}")[0] in {302, 403}
    assert ask(served, "GET", path, headers)[0] == 200


def message(kind, content, channel="shell"):
    header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "username": "x", "session": "probe",
              "date": "2026-01-01T00:00:00Z", "version": "5.3"}  # fmt: skip
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content,
            "channel": channel, "buffers": []}  # fmt: skip


def packed(sent):
    """Return a message as protocol v1 has it: a table of offsets, then each part."""
    parts = [sent["channel"].encode()]
    names = ("header", "parent_header", "metadata", "content")
    parts += [json.dumps(sent[name]).encode() for name in names]
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    numbers = [len(offsets), *offsets]
    return b"".join(n.to_bytes(8, "little") for n in numbers) + b"".join(parts)


@pytest.mark.parametrize("protocol", [None, "v1.kernel.websocket.jupyter.org"])
def test_a_reader_runs_no_code_in_the_kernel(served, kernel, protocol, tmp_path):
    made = tmp_path / "made"
    code = f"open({str(made)!r}, 'w').close()"
    run = {"code": code, "silent": False, "store_history": True, "user_expressions": {"x": code},
           "allow_stdin": True, "stop_on_error": False}  # fmt: skip
    ask_debugger = {"type": "request", "seq": 1, "command": "evaluate",
                    "arguments": {"expression": code}}  # fmt: skip
    attempts = [
        *(message("execute_request", run, channel) for channel in ("shell", "control", "stdin")),
        message("EXECUTE_REQUEST", run),
        message("debug_request", ask_debugger, "control"),
        message("create_subshell_request", {}, "control"),
        message("complete_request", {"code": "import os; os.", "cursor_pos": 14}),
        message("inspect_request", {"code": "show", "cursor_pos": 4, "detail_level": 1}),
        message("history_request", {"raw": True, "hist_access_type": "tail", "n": 9}),
        message("input_reply", {"value": code}, "stdin"),
        message("interrupt_request", {}, "control"),
        message("shutdown_request", {"restart": True}, "control"),
        message("comm_open", {"comm_id": "x", "target_name": "os", "target_module": "os"}),
        message("comm_open", {"comm_id": "y", "target_name": "jupyter.widget", "data": {"state": {
            "_model_module": "os", "_model_name": "system", "code": code}}}),
    ]  # fmt: skip
    reader = {"header": [f"Authorization: token {token(served)}"]}
    link = connect(served, kernel[0], protocol=protocol, **reader)
    for attempt in attempts:
        wire = packed(attempt) if protocol else json.dumps(attempt)
        (link.send_binary if protocol else link.send)(wire)
    last = message("comm_info_request", {"target_name": "jupyter.widget"})
    (link.send_binary if protocol else link.send)(packed(last) if protocol else json.dumps(last))
    said = ""
    while '"comms"' not in said:
        part = link.recv()
        said += part.decode(errors="replace") if isinstance(part, bytes) else part
    link.close()
    assert not made.exists()
    for kind in ("execute_reply", "debug_reply", "complete_reply", "inspect_reply", "history_reply",
                 "shutdown_reply", "create_subshell_reply", "interrupt_reply"):  # fmt: skip
        assert kind not in said


def test_two_types_in_one_header_are_one_message_that_runs_nothing(served, kernel, tmp_path):
    made = tmp_path / "made"
    text = json.dumps(
        message("execute_request", {"code": f"open({str(made)!r}, 'w')", "silent": 1})
    )
    link = connect(served, kernel[0], header=[f"Authorization: token {token(served)}"])
    twice = '"msg_type": "comm_info_request", "msg_type": "execute_request"'
    link.send(text.replace('"msg_type": "execute_request"', twice))
    swapped = '"msg_type": "execute_request", "msg_type": "comm_info_request"'
    link.send(text.replace('"msg_type": "execute_request"', swapped))
    while "comm_info_reply" not in link.recv():
        pass
    link.close()
    assert not made.exists()


def processes(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in processes(int(child)))]


def test_no_process_is_told_where_patients_data_are(served, kernel, small_study):
    found = processes(served.process.pid)
    assert len(found) >= 2  # the server and a kernel
    for pid in found:
        root = Path(f"/proc/{pid}")
        told = (root / "environ").read_text() + (root / "cmdline").read_text()
        opened = [str(fd.readlink()) for fd in (root / "fd").iterdir() if fd.is_symlink()]
        assert (root / "cwd").readlink() == small_study
        for place in [*told.split("\0"), *opened]:
            assert PRIVATE not in place
            assert not re.search(r"(^|/)(datasets|runs)(/|$)", place), place
        assert "WORKBENCH_ARCHIVE" not in told
    kernels = [pid for pid in found if b"ipykernel" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert kernels
    for pid in kernels:
        assert token(served) not in Path(f"/proc/{pid}/environ").read_text()

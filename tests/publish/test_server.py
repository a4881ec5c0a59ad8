"""The server: loopback only, with a token, one notebook, no files, no stock template."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
import websocket

from workbench.errors import DefinitionError, ExecutionError, UsageError
from workbench.publish.server import TEMPLATES, dashboard_command, serve


@pytest.fixture(scope="module")
def server(small_study, tmp_path_factory):
    with serve(small_study, log=tmp_path_factory.mktemp("log") / "voila.log", wait=120) as running:
        yield running


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


def live_page(read):
    """Return a page with a kernel, and its id; until one is ready, a reader gets another page."""
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        status, text, _ = read()
        assert status == 200
        if found := re.search(r'"kernelId": ?"([0-9a-f-]{36})"', text):
            return text, found.group(1)
        time.sleep(1)
    raise AssertionError("No page came with a kernel")


def parts(server):
    base, token = re.fullmatch(r"(http://127\.0\.0\.1:\d+/)\?token=(\S+)", server.url).groups()
    return base, token


def test_without_the_token_nothing_is_read(server):
    base, token = parts(server)
    status, text, _ = get(base)
    assert "rendered_cells" not in text
    assert status in (200, 403)  # the login page, or a refusal
    assert token not in " ".join(
        Path(f"/proc/{server.process.pid}/cmdline").read_text().split("\0")
    )


def test_the_page_holds_no_address_of_another_machine_and_no_source(server):
    status, text, headers = get(server.url + "&template=lab&theme=dark")
    assert status == 200
    assert 'id="rendered_cells"' in text
    assert "templates/workbench/static" in text  # the stock template was asked for, and not given
    assert re.findall(r'(?:src|href)="https?://[^"]*"', text) == []
    assert "cdn" not in text.lower()
    assert "import show" not in text
    assert "default-src 'self'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "voila/tree",
        "voila/tree/",
        "voila/files/study.toml",
        "voila/files/dashboard.ipynb",
        "voila/files/north.key",
        "voila/render/dashboard.ipynb",
        "study.toml",
        "voila/api/contents",
        "voila/files/..%2f..%2fetc%2fpasswd",
    ],
)
def test_nothing_else_is_served(server, path):
    base, token = parts(server)
    status, text, _ = get(f"{base}{path}?token={token}")
    assert status in (403, 404)
    assert "PRIVATE KEY" not in text
    assert "[study]" not in text


def test_it_listens_on_the_loopback_interface_only(server):
    port = int(parts(server)[0].rsplit(":", 1)[1].strip("/"))
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    places = {
        line.split()[1]
        for line in listening.splitlines()
        if f":{port:04X} " in line and " 0A " in line
    }
    assert places == {f"0100007F:{port:04X}"}


def test_stop_ends_the_server_and_its_kernels(small_study):
    with serve(small_study, token=False, wait=120) as running:
        assert "token" not in running.url
        host, port = re.fullmatch(r"http://([^:]+):(\d+)/", running.url).groups()
        pid = running.process.pid
    assert running.process.returncode is not None
    with pytest.raises(OSError):
        socket.create_connection((host, int(port)), timeout=1)
    left = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    assert left.stdout == ""


class Proxy:
    """A reverse proxy that passes on what it gets, as a hospital's web server does."""

    def __init__(self, port):
        self.port = port
        self.door = socket.create_server(("127.0.0.1", 0))
        self.own = self.door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with suppress(OSError):
            while True:
                near = self.door.accept()[0]
                far = socket.create_connection(("127.0.0.1", self.port))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one, other):
        with suppress(OSError):
            while part := one.recv(65536):
                other.sendall(part)
            other.shutdown(socket.SHUT_WR)


def test_behind_a_proxy_with_a_path_of_its_own(small_study):
    origin = "https://studies.example.org"
    with serve(small_study, base_url="/wb/small/", origin=origin, wait=120) as running:
        base, token = re.fullmatch(r"(http://[^?]+)\?token=(.+)", running.url).groups()
        assert base.endswith("/wb/small/")
        proxy = Proxy(int(re.search(r":(\d+)/", base).group(1)))
        place = f"http://127.0.0.1:{proxy.own}/wb/small/"

        def through(address, host="studies.example.org"):
            return get(urllib.request.Request(address, headers={"Host": host}))

        text, kernel = live_page(lambda: through(f"{place}?token={token}"))
        addresses = re.findall(r'(?:src|href)="(/[^"]*)"', text)
        assert addresses
        for address in addresses:
            assert address.startswith("/wb/small/")
            assert through(f"http://127.0.0.1:{proxy.own}{address}")[0] == 200
        assert through(place)[0] == 200  # the login page, below the same path
        assert "rendered_cells" not in through(place)[1]
        assert through(f"http://127.0.0.1:{proxy.own}/?token={token}")[0] == 404
        assert through(f"{place}?token={token}", "other.example.org")[0] == 404
        channels = f"ws://127.0.0.1:{proxy.own}/wb/small/api/kernels/{kernel}/channels"
        reader = {"header": [f"Authorization: token {token}"], "host": "studies.example.org"}
        websocket.create_connection(channels, origin=origin, timeout=30, **reader).close()
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            websocket.create_connection(channels, origin="https://evil.example", **reader)


def test_who_finds_no_place_reads_the_static_page_and_no_kernel_is_left(small_study):
    with serve(small_study, readers=1, idle=5, wait=120) as running:

        def kernels():
            children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
            commands = (
                Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children.read_text().split()
            )
            return sum(b"ipykernel" in command for command in commands)

        _, kernel = live_page(lambda: get(running.url))
        base, token = parts(running)
        channels = f"{base.replace('http', 'ws')}api/kernels/{kernel}/channels"
        reader = {"header": [f"Authorization: token {token}"]}
        link = websocket.create_connection(channels, timeout=30, **reader)
        # One reads, and one kernel is kept ready: nobody else gets one.
        status, text, headers = get(running.url)
        assert status == 200
        assert "rendered_cells" not in text
        end = time.monotonic() + 120
        while "Refresh" in headers and time.monotonic() < end:
            assert "The page is being prepared" in text
            time.sleep(1)
            status, text, headers = get(running.url)
        assert (status, headers.get("Refresh")) == (200, None)
        assert '<main id="page">' in text
        assert "Northern University Hospital" in text
        assert kernels() <= 2
        link.close()
        # When the reader has gone, only the spare kernel is left, and the place is free again.
        end = time.monotonic() + 60
        while kernels() != 1 and time.monotonic() < end:
            time.sleep(0.5)
        assert kernels() == 1
        live = False
        while not live and time.monotonic() < end:
            time.sleep(1)
            live = "rendered_cells" in get(running.url)[1]
        assert live


def test_a_kernel_that_ended_is_replaced(small_study):
    with serve(small_study, wait=120) as running:
        get(running.url)
        children = f"/proc/{running.process.pid}/task/{running.process.pid}/children"
        time.sleep(5)  # the next stands ready
        for child in Path(children).read_text().split():
            if b"ipykernel" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)
        end, live = time.monotonic() + 60, ""
        while "Northern University Hospital" not in live and time.monotonic() < end:
            time.sleep(2)
            live = get(running.url)[1]
        assert "Northern University Hospital" in live


@pytest.mark.parametrize("base_url", ["wb", "/wb", "/../", "/a b/", "/<b>/", "//evil.example/"])
def test_a_path_that_no_proxy_can_serve_below(small_study, base_url):
    with pytest.raises(UsageError, match="path"):
        dashboard_command(small_study, base_url=base_url)


@pytest.mark.parametrize(
    "origin", ["*", "example.org", "https://a.org/path", "https://a.org,b.org"]
)
def test_an_origin_that_is_none(small_study, origin):
    with pytest.raises(UsageError, match="proxy"):
        dashboard_command(small_study, origin=origin)


def test_the_command_can_be_pasted(small_study):
    command = dashboard_command(small_study, 8899)
    assert command[0] == "env"
    assert f"JUPYTER_PATH={TEMPLATES}" in command
    assert sys.executable in command
    assert "--port=8899" in command
    assert any(
        "@jupyter-widgets/jupyterlab-manager" in word and "anywidget" in word for word in command
    )


def test_a_port_that_is_taken_is_an_error(small_study):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ExecutionError, match="in use"):
            serve(small_study, port, wait=60)


def test_a_folder_without_a_dashboard_and_a_port_that_is_none(tmp_path, small_study):
    with pytest.raises(DefinitionError, match="There is no dashboard"):
        serve(tmp_path)
    with pytest.raises(UsageError):
        dashboard_command(small_study, 70000)


def test_the_template_is_shipped_and_names_no_other_machine():
    files = [p for p in TEMPLATES.rglob("*") if p.is_file()]
    assert {p.name for p in files} == {"conf.json", "index.html.j2"}
    assert not [p for p in files if "http" in p.read_text()]

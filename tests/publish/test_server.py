"""The server: loopback only, with a token, one notebook, no files, no stock template."""

import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

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

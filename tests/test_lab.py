"""JupyterLab as `make lab` and Binder start it: its launcher, its manners, its dashboards."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.measured import Watch, jupyter_folders, without
from tests.test_conventions import ROOT

SETTINGS = ROOT / "workbench" / "resources" / "lab"
START = ROOT / "binder" / "start"
MOST_BYTES = 2**30
"""What Binder gives at least: a server and one dashboard fit into it."""
DASHBOARD = "voila/render/studies/imaging_service/dashboard.ipynb"
DATA = re.compile(r"(?:data|blob):")


def made() -> list[str]:
    """Return the command of `make lab`."""
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "lab"],
        cwd=ROOT, env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    text = done.stdout.replace("\\\n", " ")
    return shlex.split(text.splitlines()[-1])


class Lab:
    """A running server, in a checkout that holds committed files only and no archive."""

    def __init__(self, folder: Path) -> None:
        checkout = folder / "checkout"
        for name in ("binder", "notebooks", "studies", "workbench/resources"):
            shutil.copytree(ROOT / name, checkout / name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        token = secrets.token_hex(8)
        self.base, self.token = f"http://127.0.0.1:{port}/", f"?token={token}"
        env = without("torch", "monai", "idc_index_data", folder=folder / "without")
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [
                checkout / "binder" / "start", sys.executable, "-m", "jupyterlab",
                *(word.replace(str(ROOT), str(checkout)) for word in made()[3:]),
                "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={token}",
            ],
            cwd=folder,
            env=env | jupyter_folders(folder),
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.watch = Watch(self.process.pid)
        self.watch.start()
        until = time.monotonic() + 120
        while True:
            try:
                self.get("api")
                break
            except OSError:
                assert self.process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.2)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.base + path + self.token, timeout=120) as answer:
            return answer.read().decode()

    def stop(self) -> None:
        self.watch.over.set()
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


def test_the_settings_are_those_that_jupyterlab_knows(lab):
    overrides = json.loads(
        (SETTINGS / "config/labconfig/default_setting_overrides.json").read_text()
    )
    for plugin, values in overrides.items():
        held = json.loads(lab.get(f"lab/api/settings/{plugin}"))["schema"]["properties"]
        assert {name: held[name]["default"] for name in values} == values


def test_the_one_kernel_is_named_after_the_workbench(lab):
    kernels = json.loads(lab.get("api/kernelspecs"))["kernelspecs"]
    assert set(kernels) == {"python3"}
    assert kernels["python3"]["spec"]["display_name"] == "Workbench (Python)"
    assert "logo-svg" in kernels["python3"]["resources"]


def test_the_dashboard_is_shown_by_its_own_template_within_the_memory_of_binder(lab):
    page = lab.get(DASHBOARD)
    assert 'id="rendered_cells"' in page
    assert "wb-loading" in page
    assert "There was an error" not in page
    assert "import show" not in page
    assert re.findall(r'(?:src|href)="https?://[^"]*"', page) == []
    assert 0 < lab.watch.peak < MOST_BYTES, f"{lab.watch.peak / 2**20:.0f} MiB"


def test_without_its_token_the_server_shows_nothing(lab):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(lab.base + "api/contents/studies", timeout=60)


@pytest.fixture
def page(browser, lab):
    """A page that remembers what it asked for; nothing of it may leave the machine."""
    opened = browser.new_page(viewport={"width": 1280, "height": 860})
    opened.set_default_timeout(90_000)
    asked, errors = [], []
    opened.on("request", lambda r: asked.append(r.url))
    opened.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    opened.asked = asked
    yield opened
    opened.close()
    assert [u for u in asked if not u.startswith(lab.base) and not DATA.match(u)] == []
    assert [u for u in asked if "/lab/api/news" in u or "/lab/api/update" in u] == []
    assert errors == []


@pytest.mark.browser
def test_the_launcher_shows_the_workbench_and_no_news(lab, page):
    page.goto(f"{lab.base}lab{lab.token}")
    page.wait_for_selector(".jp-LauncherCard[title*='Workbench']")
    page.wait_for_timeout(3000)  # when news would have been asked for
    labels = [card.inner_text() for card in page.query_selector_all(".jp-LauncherCard-label")]
    assert labels.count("Workbench (Python)") == 2  # notebook and console
    assert not any("ipykernel" in label for label in labels)
    assert page.locator(".Toastify__toast").count() == 0
    assert page.locator("[data-id='extensionmanager.main-view']").count() == 0
    page.screenshot(path=lab.log.name + "-launcher.png")


@pytest.mark.browser
def test_start_here_runs_in_jupyterlab(lab, page):
    page.goto(f"{lab.base}lab/tree/notebooks/start_here.ipynb{lab.token}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")
    # A run follows its cells down; those above are on the page once they come into view again.
    shown = """() => {
        document.querySelector(".jp-WindowedPanel-outer").scrollTop = 0;
        const outputs = document.querySelectorAll(".jp-OutputArea-output");
        return [...outputs].map((output) => output.innerText).join(" ");
    }"""
    told, again = "", 0.0
    until = time.monotonic() + 300
    while "imaging_service 2.1.0, pooled" not in told and time.monotonic() < until:
        if not told and time.monotonic() > again:  # a page still being made can lose a click
            page.click("text=Run >> nth=0")
            page.click("text=Run All Cells")
            again = time.monotonic() + 60
        page.wait_for_timeout(1500)
        told = page.evaluate(shown)
    assert "The imaging service" in told
    assert "imaging_service 2.1.0, pooled" in told
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0


@pytest.mark.browser
def test_the_dashboard_shows_its_widgets_under_jupyterlab(lab, page):
    page.goto(f"{lab.base}{DASHBOARD}{lab.token}")
    page.wait_for_selector(".wb-page select")
    assert page.locator(".wb-page").count() == 1


def test_start_hands_on_to_what_it_is_given(tmp_path):
    code = "import os; print(os.environ['JUPYTER_PATH']); print(os.environ['JUPYTER_CONFIG_PATH'])"
    env = {**os.environ, "JUPYTER_PATH": "/before"}
    env.pop("JUPYTER_CONFIG_PATH", None)
    done = subprocess.run(
        [START, sys.executable, "-c", code],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    data, config = done.stdout.splitlines()
    assert data.endswith(":/before")
    assert all(Path(part).is_dir() for part in data.split(":")[:-1])
    assert Path(config, "labconfig").is_dir()


def test_make_lab_starts_it_on_the_first_notebook():
    line = made()
    assert line[:3] == ["binder/start", ".venv/bin/jupyter", "lab"]
    assert os.access(ROOT / line[0], os.X_OK)
    assert f"--ServerApp.root_dir={ROOT}" in line
    first = "notebooks/start_here.ipynb"
    assert f"--LabApp.default_url=/lab/tree/{first}" in line
    assert (ROOT / first).is_file()


def test_the_tree_holds_the_studies_and_the_first_page_is_the_first_notebook(lab):
    held = {entry["name"] for entry in json.loads(lab.get("api/contents"))["content"]}
    assert {"notebooks", "studies"} <= held
    with urllib.request.urlopen(lab.base + lab.token, timeout=60) as answer:
        assert urlsplit(answer.geturl()).path == "/lab/tree/notebooks/start_here.ipynb"

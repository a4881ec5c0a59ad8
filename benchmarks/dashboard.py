"""What a reader waits for: the server, the first figure, fifty readers at once, the static page.

A reader of the fifty is a client that has read the first figure when its first `<svg` has come;
five of them are browsers. Each reader with a live page costs a kernel, so the server gives a few of
them one, and the others the static page with the same numbers.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.row import Row
from workbench.publish.page import write_page
from workbench.publish.server import Server, serve

STUDY = Path(__file__).parents[1] / "studies" / "imaging_service"
READERS, BROWSERS = 50, 5
IDLE = 15
FIGURE = ".wb-figure svg"
MEGABYTE = 1e6


def run() -> list[Row]:
    """Measure and return one row a figure."""
    start = time.perf_counter()
    with serve(STUDY, idle=IDLE, wait=120) as server:
        up = time.perf_counter() - start
        with chromium() as browser:
            cold, size, _ = first_figure(browser, server.url)
            live, tries = False, 0
            while not live and tries < 30:  # the static page comes until a kernel is ready
                time.sleep(4)
                warm, size, live = first_figure(browser, server.url)
                tries += 1
        wait_for((Path(server.pages.name) / "static.html").exists, 300)
        crowd = readers(server.url)
        busiest = kernels(server)
        # A browser that is closed leaves its kernel to the idle time; one is kept ready.
        wait_for(lambda: kernels(server) <= 1, 6 * IDLE)
        left = kernels(server) - 1
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        start = time.perf_counter()
        page = write_page(STUDY, folder)
        written = time.perf_counter() - start
        static = page.stat().st_size
        readable, *_ = first_figure(browser, page.as_uri())
    rank = math.ceil(0.95 * len(crowd)) - 1
    return [
        Row("dashboard: server up", up, limit=2),
        Row("dashboard: first figure in a browser, cold", cold, limit=6),
        Row("dashboard: first figure in a browser, preheated", warm, limit=3),
        Row("dashboard: page and its parts", size / MEGABYTE, limit=6, unit="MB"),
        Row(f"dashboard: first figure of {len(crowd)} readers at once, p95", crowd[rank], limit=10),
        Row("dashboard: kernels of these readers", busiest, unit="kernels"),
        Row("dashboard: kernels left, beside the one kept ready", left, limit=0, unit="kernels"),
        Row("static page: written", written),
        Row("static page: size", static / MEGABYTE, limit=3, unit="MB"),
        Row("static page: readable in a browser", readable, limit=1),
    ]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser."""
    found = shutil.which("chromium")
    if found is None:
        raise SystemExit("Chromium is needed to see what a reader sees")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def first_figure(browser: Browser, url: str) -> tuple[float, int, bool]:
    """Return seconds until the first figure is drawn, the bytes loaded, and if a kernel answers."""
    page, sizes = browser.new_page(locale="en-GB"), []
    page.on("requestfinished", lambda r: sizes.append(r.sizes()["responseBodySize"]))
    start = time.perf_counter()
    page.goto(url, wait_until="commit", timeout=120_000)
    page.wait_for_selector(FIGURE, timeout=120_000)
    taken = time.perf_counter() - start
    live = page.locator("#rendered_cells").count() > 0
    if live:
        page.wait_for_selector(f".wb-page {FIGURE}", timeout=120_000)
        page.wait_for_load_state("networkidle")
    page.context.close()
    return taken, sum(sizes), live


def readers(url: str) -> list[float]:
    """Return the seconds each reader waits for the first figure, the fastest first."""
    taken: list[float] = []
    together = threading.Barrier(READERS)

    def client() -> None:
        together.wait()
        start = time.perf_counter()
        read = b""
        with urllib.request.urlopen(url, timeout=120) as answer:
            while b"<svg" not in read:
                part = answer.read1(65536)
                if not part:  # the page asks to come again
                    raise SystemExit("A reader got a page without a figure")
                read += part
        taken.append(time.perf_counter() - start)

    def person() -> None:
        with chromium() as browser:
            page = browser.new_page(locale="en-GB")
            together.wait()
            start = time.perf_counter()
            page.goto(url, wait_until="commit", timeout=120_000)
            page.wait_for_selector(FIGURE, timeout=120_000)
            taken.append(time.perf_counter() - start)

    work = [person] * BROWSERS + [client] * (READERS - BROWSERS)
    crowd = [threading.Thread(target=one) for one in work]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    if len(taken) != READERS:
        raise SystemExit(f"{READERS - len(taken)} of {READERS} readers saw no figure")
    return sorted(taken)


def kernels(server: Server) -> int:
    """Return how many kernels the server has."""
    process = server.process.pid
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    return sum(b"ipykernel" in command for command in commands)


def wait_for(true: Callable[[], bool], seconds: float) -> None:
    """Wait until something is true, or the time is over."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)

"""The dashboard: its words and states as HTML, and the real page in a browser."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.publish.releases import HOSTILE
from workbench.publish.content import read_content
from workbench.publish.dashboard import show
from workbench.publish.parts import header_html, refusal_html, section_html
from workbench.publish.server import serve

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
SECTIONS = ("activity", "patients", "devices", "images", "description", "concentration")


@pytest.fixture(scope="module")
def content(small_study):
    return read_content(small_study)


class Balance(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "br", "link", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parse(html):
    parser = Balance()
    parser.feed(html)
    assert parser.open == []
    return parser.tags


def test_the_head_says_what_it_must(content):
    html = header_html(content).replace("\u202f", " ")
    for words in (
        "A small imaging service",
        "Not for clinical use",
        "What is done, for whom",
        "7 160",
        "4 120",
        "2026-11-05",
        "integrity, not origin",
        "The file is not the one that was signed",
    ):
        assert words in html
    suppressed = sum(
        m.suppressed for r in content.releases.values() for m in r.manifest.tables.values()
    )
    assert f"<dd>{suppressed}<small>" in html
    for release in content.releases.values():
        assert release.manifest.run.id[:12] in html


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("site", ["", "东方医院", f"West {HOSTILE}", "A small practice"])
def test_every_section_is_whole_and_escaped(content, name, site):
    section = content.study.section(name)
    html = section_html(content, section, site)
    tags = parse(html)
    assert "img" not in [tag for tag, _ in tags]
    assert not [a for _, a in tags for key in a if key.startswith("on")]
    assert "nan" not in re.sub(r"<[^>]*>", " ", html).lower().split()
    figures = [a["aria-label"] for tag, a in tags if tag == "figure"]
    assert ("wb-state" in html) == (not figures)
    for words in figures:
        assert len(words) > 30


def test_states_are_told_apart(content):
    west = f"West {HOSTILE}"
    devices, patients = (content.study.section(n) for n in ("devices", "patients"))
    not_here = section_html(content, devices, west)
    assert "Not answerable here" in not_here
    assert "the archive does not keep the manufacturer" in not_here
    too_few = section_html(content, patients, "A small practice")
    assert "at least 3 numbers" in too_few
    assert "fewer than 10" in too_few
    refused = refusal_html(content, "broken")
    assert "wb-error" in refused
    assert "does not verify" in refused


def test_a_study_without_releases_says_so(small_study, tmp_path):
    import shutil

    study = shutil.copytree(small_study, tmp_path / "study")
    shutil.rmtree(study / "releases")
    empty = read_content(study)
    assert "No release verifies" in section_html(empty, empty.study.section("activity"))
    parse(header_html(empty))


def test_show_without_a_kernel_fills_every_section(small_study):
    head, _bar, *parts = show(small_study).children
    assert "A small imaging service" in head.value
    assert all("wb-section" in part.value for part in parts)


def test_choosing_a_site_changes_numbers_and_figure(small_study):
    _, bar, *parts = show(small_study).children
    before = [part.value for part in parts]
    bar.children[0].value = "东方医院"
    assert all(new.value != old for new, old in zip(parts, before, strict=True))
    bar.children[0].value = "broken"
    assert "does not verify" in parts[0].value
    assert [part.value for part in parts[1:]] == [""] * (len(parts) - 1)


def test_importing_the_dashboard_loads_nothing_heavy():
    heavy = (
        "torch",
        "monai",
        "dask",
        "distributed",
        "papermill",
        "polars",
        "pydicom",
        "workbench.execution",
    )
    code = (
        f"import sys, workbench.publish.dashboard\nprint([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        reason = "Chromium is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def server(small_study, tmp_path_factory):
    with serve(small_study, log=tmp_path_factory.mktemp("log") / "voila.log", wait=120) as running:
        yield running


@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 390])
def test_the_page_in_a_browser(server, browser, width, tmp_path):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(120_000)
    errors, requests = [], []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("request", lambda r: requests.append(r.url))
    page.goto(server.url)
    for name in SECTIONS:
        page.wait_for_selector(f"#{name}")
    finding = "#activity .wb-finding"
    before = page.inner_text(finding)
    assert "of 7\u202f160" in before
    assert page.locator("#activity svg.marks >> visible=true").count() == 1
    assert page.locator("code, .jp-InputArea").count() == 0  # no source on the page

    page.select_option("select", label="东方医院")
    page.wait_for_function(
        "[...document.querySelectorAll('.wb-scope')]"
        ".filter(e => e.innerText == '东方医院').length == 6"
    )
    after = page.inner_text(finding)
    assert after != before
    assert "of 900" in after
    page.screenshot(path=tmp_path / f"site_{width}.png")

    inside = page.evaluate("document.querySelector('.wb-page').scrollWidth <= window.innerWidth")
    right = page.evaluate(
        "Math.max(...[...document.querySelectorAll('.wb')]"
        ".map(e => e.getBoundingClientRect().right))"
    )
    assert inside
    assert right <= width
    origin = re.match(r"https?://[^/]+", server.url).group(0)
    foreign = [u for u in requests if not u.startswith((origin, "data:", "blob:"))]
    assert foreign == []
    assert errors == []
    page.close()

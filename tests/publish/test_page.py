"""The static twin: one file, the same numbers as the live page, no script but its own."""

import base64
import hashlib
import html
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser

import pytest
from playwright.sync_api import expect

from tests.conftest import missing
from tests.publish.releases import HOSTILE
from workbench.errors import UsageError
from workbench.publish.dashboard import Page
from workbench.publish.document import unpack, write
from workbench.publish.language import LANGUAGES
from workbench.publish.page import page_html, sites_of, write_page
from workbench.publish.pages import FOLDER, Pages
from workbench.study import read_study

LARGEST = 3_000_000
NORTH = "Northern University Hospital"


@pytest.fixture(scope="module")
def pages(small_study, tmp_path_factory):
    return Pages(read_study(small_study), tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def text(pages):
    return page_html(pages)


@pytest.fixture(scope="module")
def variants(text):
    """Body by language and number of the site."""
    return read(text)


def read(text):
    """Return what each choice shows: the answers, and what stands above and below them."""
    main = re.search(r'<main id="page">(.*)</main>', text, re.DOTALL).group(1)
    place = '<div id="top">(.*)</div><div id="answers">(.*)</div><div id="end">(.*)</div>'
    shown = re.search(r'<option value="(\d+)"[^>]* selected', text)
    names = ("en-top", f"en-{shown.group(1) if shown else 0}", "en-end")
    parts = dict(zip(names, re.fullmatch(place, main, re.DOTALL).groups(), strict=True))
    for name, blob in re.findall(r'<script type="text/plain" id="v-([^"]*)">([^<]*)<', text):
        assert name not in parts
        parts[name] = unpack(blob)
    return {
        name: "".join(parts[f"{name[:2]}-{part}"] for part in ("top", name[3:], "end"))
        for name in parts
        if name[3:].isdigit()
    }


def body(pages, site, language):
    """Return all that one reader sees, as it is drawn."""
    places = range(len(pages.study.sections))
    sections = (pages.section(place, site, language) for place in places)
    return "".join((pages.head(language), *sections, pages.closing(language)))


@pytest.fixture(scope="module")
def file(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "small.html"
    path.write_text(text)
    return path


def said(markup):
    """Return what a reader sees, without what the script fills in."""
    return html.unescape(
        re.sub(r"<style>.*?</style>|<[^>]*>", "\n", markup, flags=re.DOTALL)
    ).split()


def test_every_site_and_language_is_in_the_file_as_it_is_drawn(pages, text, variants):
    sites = ["", *pages.sites]
    assert len(sites) == 7
    assert set(variants) == {f"{code}-{n}" for code in LANGUAGES for n in range(len(sites))}
    for code in LANGUAGES:
        for number, site in enumerate(sites):
            assert variants[f"{code}-{number}"] == body(pages, site, code)
    assert "does not verify" in variants[f"en-{sites.index('broken')}"]
    # What stands above and below the answers is held once, whichever site is chosen.
    for code in LANGUAGES:
        held = [unpack(blob) for blob in re.findall(r' id="v-[^"]*">([^<]*)<', text)]
        assert [pages.closing(code) in part for part in held].count(True) == (code != "en")
    assert len(text.encode()) <= LARGEST


def test_the_numbers_are_those_of_the_live_page(pages, small_study, variants, monkeypatch):
    monkeypatch.setenv(FOLDER, str(pages.folder))  # drawn once for both, as a server does
    live = Page(read_study(small_study))
    for language in LANGUAGES:
        live.tongue.value = language
        for number, site in enumerate(["", *pages.sites]):
            live.site.value = site
            shown = "".join(part.value for part in (live.head, *live.parts, live.closing))
            numbers = [word for word in said(shown) if re.search(r"\d", word)]
            static = [
                word for word in said(variants[f"{language}-{number}"]) if re.search(r"\d", word)
            ]
            assert static == numbers
            assert len(numbers) > 50 or site == "broken"


def test_it_names_no_other_file_and_runs_no_other_script(text):
    assert re.findall(r"""(?:src|href|action)\s*=\s*["'](?!data:|#)[^"']*""", text) == []
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/)", text)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text).group(1)
    assert html.unescape(policy).startswith("default-src 'none';")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert scripts
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in html.unescape(policy)
    assert "unsafe-inline" not in re.search("script-src [^;]*", policy).group()
    assert "unsafe-eval" not in policy
    seen = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, given: seen.extend(name for name, _ in given)
    reader.feed(text)
    assert "data-name" in seen
    assert [name for name in seen if name.startswith("on")] == []


def test_what_a_site_is_named_does_nothing(text, variants):
    assert HOSTILE in " ".join(said(variants["en-0"]))
    assert HOSTILE not in text
    for one in variants.values():
        assert HOSTILE not in one


def test_the_same_releases_make_the_same_bytes(small_study, tmp_path):
    code = "import sys, workbench.publish.page as p; p.write_page(*sys.argv[1:], whole=False)"
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code, str(small_study), str(tmp_path / f"{seed}.html")]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"})
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()


def test_who_waits_is_told_how_much_is_drawn(small_study, tmp_path):
    told = []
    write_page(small_study, tmp_path, whole=False, progress=lambda *done: told.append(done))
    assert told == [(0, 3), (1, 3), (2, 3)]


def test_a_folder_gets_a_file_named_after_the_study(small_study, tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.publish.page.document", lambda *_, **__: "<p>")
    assert write_page(small_study, tmp_path / "new") == tmp_path / "new" / "small.html"
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["small.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_page(small_study, tmp_path / "file" / "small.html")


def test_a_file_of_another_origin_is_not_replaced_and_no_part_is_left(small_study, tmp_path):
    write_page(small_study, tmp_path, whole=False)
    again = write_page(small_study, tmp_path / "small.html", whole=False)  # one of ours
    keep = tmp_path / "keep.html"
    keep.write_text("<html>my thesis</html>")
    with pytest.raises(UsageError, match="another origin"):
        write(keep, again.read_text())
    assert keep.read_text() == "<html>my thesis</html>"
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write(tmp_path / "folder.html", "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.html", "keep.html", "small.html"]


def test_a_study_without_releases_makes_a_page_that_says_so(small_study, tmp_path):
    copy = shutil.copytree(small_study, tmp_path / "study")
    shutil.rmtree(copy / "releases")
    (copy / "releases").mkdir()
    written = write_page(copy, tmp_path).read_text()
    assert "No release yet" in written
    assert 'id="site" hidden' in written


def opened(browser, file, anchor="", **options):
    page = browser.new_context(**options).new_page()
    page.troubles = []
    page.on("console", lambda m: page.troubles.append(m.text))
    page.on("pageerror", lambda e: page.troubles.append(str(e)))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:")) else page.troubles.append(r.url),
    )
    page.goto(f"file://{file}{anchor}")
    return page


@pytest.mark.browser
def test_it_opens_in_the_readers_language_and_keeps_a_choice(browser, file, variants, pages):
    page = opened(browser, file, locale="ru-RU")
    page.wait_for_selector("html[lang=ru]")
    assert page.title() == "Небольшая служба"
    assert page.text_content("label[for=site]") == "Учреждение"
    assert page.get_attribute("nav", "aria-label") == "Учреждение и язык"
    assert said(page.inner_html("#page")) == said(variants["ru-0"])
    page.select_option("#language", "zh")
    page.select_option("#site", label=NORTH)
    expect(page.locator("#page .wb-scope").first).to_contain_text(NORTH)
    page.wait_for_selector("html[lang=zh]")
    assert page.title() == "小型影像检查服务"
    assert said(page.inner_html("#page")) == said(
        variants[f"zh-{1 + list(pages.sites).index(NORTH)}"]
    )
    kept = page.evaluate("location.hash")
    assert "language=zh" in kept
    assert page.troubles == []
    again = opened(browser, file, kept, locale="fr-FR")
    again.wait_for_selector("html[lang=zh]")
    assert again.input_value("#site") == str(1 + list(pages.sites).index(NORTH))
    assert NORTH in again.text_content("#page .wb-scope")
    again.evaluate("location.hash = '#language=xx&site=nowhere'")
    expect(again.locator("#site")).to_have_value("0")
    assert again.troubles == []


@pytest.mark.browser
def test_it_reads_without_a_script_and_at_once(browser, file):
    page = opened(browser, file, java_script_enabled=False)
    assert page.is_visible("text=A small imaging service")
    assert page.locator("#page svg").count() > 3
    assert page.locator("noscript p").first.is_visible()
    page = opened(browser, file, locale="en-GB")
    start = time.perf_counter()
    page.reload()
    page.wait_for_selector("#page svg", state="attached")
    assert time.perf_counter() - start < 5  # the benchmark holds it to one second
    assert page.get_attribute("html", "lang") == "en"


@pytest.mark.browser
def test_it_prints(browser, file, tmp_path):
    page = opened(browser, file, locale="en-GB")
    path = tmp_path / "page.pdf"
    path.write_bytes(page.pdf(format="A4"))
    assert len(re.findall(rb"/Type\s*/Page\b", path.read_bytes())) in range(3, 25)
    if shutil.which("pdftotext") is None:
        missing("pdftotext is not installed: the text of the print was not read")
    printed = subprocess.run(
        ["pdftotext", path, "-"], capture_output=True, text=True, check=True
    ).stdout
    assert "A small imaging service" in printed
    assert "Not for clinical use" in printed
    assert "Show site" not in printed
    assert str(file.parent) not in printed


@pytest.mark.browser
def test_a_print_breaks_no_number_and_no_finding(browser, file):
    page = opened(browser, file, "#language=ru", locale="ru-RU")
    page.wait_for_selector("html[lang=ru]")
    page.emulate_media(media="print")
    styles = page.evaluate("""() => {
      const found = (query, key) => [...new Set([...document.querySelectorAll(query)].map(
        (one) => getComputedStyle(one)[key]))];
      return {
        words: found(".wb :is(th, td, p)", "overflowWrap"),
        numbers: found(".wb td:not(.wb-words), .wb td:not(.wb-words) small", "whiteSpace"),
        findings: found(".wb .wb-finding, .wb .wb-answer", "breakInside"),
        padding: found(".wb tbody td", "padding"),
      };
    }""")
    assert styles == {
        "words": ["break-word"], "numbers": ["nowrap"], "findings": ["avoid"],
        "padding": ["4px 0px 4px 8px"],
    }  # fmt: skip
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_phone_shows_the_whole_width(browser, file, language):
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto(file.as_uri())
    page.locator("#language").select_option(language)
    expect(page.locator("main [lang]").first).to_have_attribute("lang", re.compile(language))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 390])
def test_a_title_that_a_link_leads_to_is_not_under_the_bar(browser, file, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(file.as_uri())
    for name in ("patients", "how-sure"):
        page.locator(f'main a[href="#{name}"]').click()
        bar, title = (page.locator(at).bounding_box() for at in ("#choices", f"#{name}-title"))
        section = page.locator(f"#{name}").bounding_box()
        assert bar["y"] == 0
        assert bar["height"] - 1 <= section["y"] < title["y"] < 400
    page.close()


@pytest.fixture(scope="module")
def apart(pages, small_study, tmp_path_factory):
    """A page too large for one file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(pages.folder))
        return write_page(small_study, tmp_path_factory.mktemp("apart"), largest=100_000)


def test_a_page_too_large_for_one_file_has_a_file_for_each_site(pages, apart, variants):
    assert sites_of(apart) == apart.parent / "small_sites"
    found = {path.name: path.read_text() for path in sites_of(apart).iterdir()}
    assert sorted(found) == ["east.html", "north.html", "refused-broken.html", "small.html",
                             "south.html", "west.html"]  # fmt: skip
    assert set(read(apart.read_text())) == {f"{code}-0" for code in LANGUAGES}
    number = 1 + list(pages.sites).index(NORTH)
    assert read(found["north.html"]) == {
        name: html for name, html in variants.items() if name.endswith(f"-{number}")
    }
    for path in (apart, *sites_of(apart).iterdir()):
        there = re.findall(r'data-address="([^"]*)"', path.read_text())
        assert len(there) == len(pages.sites)  # all but what stands here
        assert all((path.parent / name).is_file() for name in there)


def test_a_page_of_a_site_that_is_told_no_more_is_removed(small_study, tmp_path):
    target = tmp_path / "small.html"
    kept, old = sites_of(target) / "mine.html", sites_of(target) / "gone.html"
    write(old, write_page(small_study, target, whole=False).read_text())
    kept.write_text("<html>")
    write_page(small_study, target, whole=False)
    assert list(sites_of(target).iterdir()) == [kept]


@pytest.mark.browser
def test_a_choice_leads_to_the_file_of_the_site_and_back(browser, apart):
    page = opened(browser, apart, locale="ru-RU")
    page.wait_for_selector("html[lang=ru]")
    page.select_option("#site", label=NORTH)
    page.wait_for_url("**/small_sites/north.html#language=ru")
    expect(page.locator("#answers .wb-scope").first).to_have_text(NORTH)
    assert page.title() == "Небольшая служба"
    page.select_option("#language", "zh")
    page.wait_for_selector("html[lang=zh]")
    assert NORTH in page.text_content("#answers .wb-scope")
    plain = opened(browser, apart, java_script_enabled=False)
    plain.click(f"nav a >> text={NORTH}")
    expect(plain.locator("#answers .wb-scope").first).to_have_text(NORTH)
    page.reload()
    page.wait_for_selector("html[lang=zh]")
    page.select_option("#site", value="0")
    page.wait_for_url("**/small.html#language=zh")
    expect(page.locator("#answers .wb-scope").first).to_have_text("全部机构")
    page.go_back()
    page.wait_for_url("**/north.html*")
    expect(page.locator("#site option:checked")).to_have_text(NORTH)
    assert page.troubles == []

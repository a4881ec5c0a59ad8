"""The dashboard: its words and states as HTML, and the real page in a browser."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.publish.releases import HOSTILE, write_study
from workbench.publish.assurance import closing_html
from workbench.publish.content import read_content
from workbench.publish.dashboard import show
from workbench.publish.parts import header_html, refusal_html, section_html
from workbench.publish.server import TEMPLATES, serve

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
    html = header_html(content).replace("\xa0", " ")
    for words in (
        "A small imaging service",
        "Not for clinical use",
        "What is done, for whom",
        "7,160",
        "4,120",
        "5 Nov 2026",
        "5 of 6 releases verified",
        "demo keys",
    ):
        assert words in html
    suppressed = sum(
        m.suppressed for r in content.releases.values() for m in r.manifest.tables.values()
    )
    assert f"<dd>{suppressed}<small>" in html
    answer = re.search(r'<p class="wb-answer">(.*?)</p>', html)[1]
    assert "2,985 (2,975–2,995) of 7,160 (7,150–7,170) exams" in answer


@pytest.mark.parametrize("language", ["en", "ru", "zh"])
def test_below_the_answer_stands_what_the_numbers_do_not_say(content, language):
    html = header_html(content, language)
    limits = f'</p><p class="wb-limits">{content.study.limits[language]}</p>'
    assert html.index("wb-answer") < html.index(limits)
    silent = content.study.file.study.model_copy(update={"limits": {}})
    file = content.study.file.model_copy(update={"study": silent})
    assert "wb-limits" not in header_html(
        replace(content, study=replace(content.study, file=file)), language
    )


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
    assert "A file is not the one that was signed." in refused
    russian = refusal_html(content, "broken", "ru")
    assert "Файл изменён после подписания." in russian
    assert "The file is not the one that was signed" in russian  # whoever mends it needs it


def test_a_study_without_releases_says_so(small_study, tmp_path):
    study = shutil.copytree(small_study, tmp_path / "study")
    shutil.rmtree(study / "releases")
    empty = read_content(study)
    assert "No release yet" in section_html(empty, empty.study.section("activity"))
    parse(header_html(empty))
    page = show(study)
    assert [bool(part.value) for part in page.parts] == [True] + [False] * (len(SECTIONS) - 1)
    assert page.site.disabled


def test_a_study_whose_releases_are_all_refused_says_that(small_study, tmp_path):
    study = shutil.copytree(small_study, tmp_path / "study")
    for table in study.glob("releases/*/devices.csv"):
        table.write_text(table.read_text() + " ")
    for folder in study.glob("releases/west"):
        shutil.rmtree(folder)
    page = show(study)
    assert page.closing.value.count("A file is not the one that was signed") == 5
    assert "No release verifies" in page.parts[0].value
    assert not any(part.value for part in page.parts[1:])


@pytest.mark.parametrize(
    ("sites", "told"),
    [
        ({"alone": ("Only Hospital", 2000)}, "CT comes first"),
        ({"tiny": ("Tiny Practice", 6), "other": ("Other Practice", 5)}, "Too few numbers to draw"),
    ],
)
def test_one_site_only_and_sites_that_tell_nothing_make_sense(tmp_path, sites, told):
    content = read_content(write_study(tmp_path / "study", sites))
    pages = [header_html(content), closing_html(content)]
    for site in ("", *content.releases):
        pages += [section_html(content, section, site) for section in content.study.sections]
    for html in pages:
        parse(html)
        assert "nan" not in re.sub(r"<[^>]*>", " ", html).lower().split()
    assert told in pages[2]
    silent = "Every number above zero is suppressed" in pages[0]
    assert silent == (told != "CT comes first")
    assert f"{len(sites)} of {len(sites)} release" in pages[0]


def test_show_without_a_kernel_fills_every_section(small_study):
    page = show(small_study)
    assert "A small imaging service" in page.head.value
    assert len(page.parts) == len(SECTIONS)
    assert all("wb-section" in part.value for part in page.parts)


def test_the_page_is_there_without_widgets(small_study):
    bundle = show(small_study)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    tags = parse(bundle["text/html"].split("</style>")[1])
    ids = [attributes.get("id") for tag, attributes in tags if tag == "section"]
    assert tuple(ids) == (*SECTIONS, "how-sure", "cite")


def test_choosing_a_site_changes_numbers_and_figure(small_study):
    page = show(small_study)
    parts = page.parts
    before = [part.value for part in parts]
    page.site.value = "东方医院"
    assert all(new.value != old for new, old in zip(parts, before, strict=True))
    page.site.value = "broken"
    assert "does not verify" in parts[0].value
    assert [part.value for part in parts[1:]] == [""] * (len(parts) - 1)


def test_choosing_a_language_changes_every_word_and_no_choice(small_study):
    page = show(small_study)
    page.site.value = "东方医院"
    page.tongue.value = "ru"
    assert page.site.value == "东方医院"
    assert page.site.label == "东方医院"
    assert page.site.description == "Учреждение"
    assert page.site.options[0] == ("Все учреждения", "")
    assert "Не для клинического применения" in page.head.value
    assert all('lang="ru"' in part.value for part in page.parts)
    assert "Что выполняется" in page.parts[0].value
    page.site.value = ""
    assert "Все учреждения" in page.parts[0].value


def test_a_language_the_study_lacks_is_english_and_that_is_said(small_study):
    page = show(small_study, "fr")
    assert page.language == "en"
    assert "not available in the language asked for (fr)" in page.head.value
    page.tongue.value = "ru"
    assert "wb-lacking" not in page.head.value.split("</style>")[1]


def test_a_study_that_cannot_be_verified_says_what_to_do(small_study, tmp_path):
    study = shutil.copytree(small_study, tmp_path / "study")
    (study / "sites.toml").write_text("[[site]]\nid = 3\n")
    page = show(study)
    assert "wb-error" in page.head.value
    assert "sites.toml" in page.head.value
    assert page.site.disabled


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
def server(small_study, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "voila.log"
    # A page that a test closes may keep its kernel until the idle time is over.
    with serve(small_study, log=log, wait=120, readers=40) as running:
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
        page.wait_for_selector(f".wb-page #{name}")
    finding = "#activity .wb-finding"
    before = page.inner_text(finding)
    assert "of 7,160" in before
    assert page.locator("#activity svg.marks >> visible=true").count() == 1
    assert page.locator("code, .jp-InputArea").count() == 0  # no source on the page

    shown = """[...document.querySelectorAll("select")]
        .map((s) => s.selectedOptions[0].text.replaceAll("\\u00a0", " "))"""
    assert page.evaluate(shown) == ["All sites", "English"]
    page.select_option("select", label="东方医院")
    page.wait_for_function(
        "[...document.querySelectorAll('.wb-scope')]"
        ".filter(e => e.innerText == '东方医院').length == 6"
    )
    after = page.inner_text(finding)
    assert after != before
    assert "of 900" in after
    page.select_option(".wb-controls >> nth=0 >> select >> nth=1", label="Русский")
    page.wait_for_selector("#concentration >> text=Индекс Херфиндаля >> nth=0")
    assert "из 900" in page.inner_text(finding)
    assert page.evaluate(shown) == ["东方医院", "Русский"]
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


@pytest.mark.browser
@pytest.mark.parametrize(
    ("asked", "heard"), [("ru-RU", "Все учреждения"), ("zh-CN", "全部机构"), ("fr-FR", "All sites")]
)
def test_the_page_speaks_the_readers_language(server, browser, asked, heard):
    page = browser.new_page(locale=asked)
    page.set_default_timeout(120_000)
    page.goto(server.url)
    page.wait_for_selector(f".wb-page #concentration >> text={heard}")
    page.wait_for_function("!document.querySelector('.wb-busy')")
    assert page.inner_text("#activity .wb-scope") == heard
    page.select_option(".wb-controls >> nth=0 >> select >> nth=1", label="English")
    page.wait_for_selector(".wb-page #concentration >> text=All sites")
    page.close()


@pytest.mark.browser
def test_the_tab_speaks_the_language_that_is_chosen_and_a_choice_is_kept(server, browser):
    reader = browser.new_context(locale="en-GB")
    page = reader.new_page()
    page.set_default_timeout(120_000)

    def heard(words, language, title):
        page.wait_for_selector(f".wb-page #concentration >> text={words}")
        page.wait_for_function("!document.querySelector('.wb-busy')")
        assert page.get_attribute("html", "lang") == language
        assert page.title() == title

    page.goto(server.url)
    heard("All sites", "en", "A small imaging service")
    chosen = ".wb-controls >> nth=0 >> select >> nth=1"
    page.select_option(chosen, label="中文")
    heard("全部机构", "zh", "小型影像检查服务")
    page.reload()
    heard("全部机构", "zh", "小型影像检查服务")
    page.goto("about:blank")
    page.goto(f"{server.url}#language=ru")  # an address says more than what was chosen before
    heard("Все учреждения", "ru", "Небольшая служба")
    page.select_option(chosen, label="English")
    heard("All sites", "en", "A small imaging service")
    assert page.url.endswith("#language=en")
    reader.close()


@pytest.mark.browser
def test_a_browser_that_keeps_nothing_hears_its_own_language(server, browser):
    reader = browser.new_context(locale="zh-CN")
    reader.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('refused'); } });"
    )
    page = reader.new_page()
    page.set_default_timeout(120_000)
    page.goto(server.url)
    page.wait_for_selector(".wb-page #concentration >> text=全部机构")
    page.select_option(".wb-controls >> nth=0 >> select >> nth=1", label="Русский")
    page.wait_for_selector(".wb-page #concentration >> text=Все учреждения")
    reader.close()


def test_without_a_script_the_page_says_so_in_every_language():
    text = (TEMPLATES / "nbconvert/templates/workbench/index.html.j2").read_text()
    said = re.search(r"<noscript>(.*?)</noscript>", text, re.DOTALL).group(1)
    assert re.findall(r'<p lang="(..)">[^<]*JavaScript', said) == ["en", "ru", "zh"]


SLOW_SOCKET = """
// What goes through a web socket arrives five seconds late, in both directions.
window.WebSocket = class extends WebSocket {
  send(data) { setTimeout(() => super.send(data), 5000); }
  set onmessage(handle) { super.onmessage = (event) => setTimeout(() => handle(event), 5000); }
  get onmessage() { return super.onmessage; }
};
"""


@pytest.mark.browser
def test_nothing_is_lost_while_a_slow_browser_connects(server, browser):
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(120_000)
    page.add_init_script(SLOW_SOCKET)
    page.goto(server.url)
    page.wait_for_selector("#activity svg.marks >> visible=true")
    assert page.locator("select").count() == 0  # the static page, before anything is connected
    static = [page.inner_text(f"#{name}") for name in SECTIONS]
    page.wait_for_selector("select")
    assert page.locator(".wb-first").count() == 0
    assert [page.inner_text(f"#{name}") for name in SECTIONS] == static
    page.select_option("select", label="东方医院")
    page.wait_for_function(
        "[...document.querySelectorAll('.wb-scope')]"
        ".filter(e => e.innerText == '东方医院').length == 6"
    )
    page.close()

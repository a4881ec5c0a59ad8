"""The page as it is seen: by a screen reader, with a keyboard, in the dark, on paper, saved."""

import io
import re
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import missing
from tests.publish.releases import many_sites
from workbench.publish import markup
from workbench.publish.pages import Pages
from workbench.study import read_study

SOUND = ("serious", "critical")
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def axe():
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        missing("The accessibility rules (axe-playwright-python) are not installed")
    (rules,) = Path(found.origin).parent.glob("axe*.js")
    return rules


def document(study, site="", language="en"):
    pages = Pages(read_study(study))
    places = range(len(pages.study.sections))
    parts = [pages.head(language), *(pages.section(i, site, language) for i in places)]
    parts.append(pages.closing(language))
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>Study</title>'
        f'<meta name="viewport" content="width=device-width">{markup.style()}'
        f"<main>{''.join(parts)}</main>{markup.script()}</html>"
    )


@pytest.fixture(scope="module")
def files(small_study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seen")
    made = {}
    for name, site, language in (
        ("all", "", "en"),
        ("one", "东方医院", "ru"),
        ("bad", "broken", "zh"),
    ):
        made[name] = folder / f"{name}.html"
        made[name].write_text(document(small_study, site, language), encoding="utf-8")
    made["many"] = folder / "many.html"
    made["many"].write_text(document(many_sites(folder / "study")), encoding="utf-8")
    return made


@pytest.fixture
def opened(browser, files):
    shown = []

    def show(name, width=1400, scheme="light"):
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
        )
        shown.append(page)
        page.goto(files[name].as_uri())
        return page

    yield show
    for page in shown:
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["all", "one", "bad", "many"])
def test_no_rule_of_accessibility_is_broken_badly(opened, axe, name, scheme):
    page = opened(name, scheme=scheme)
    page.add_script_tag(path=str(axe))
    found = page.evaluate("axe.run().then((r) => r.violations)")
    bad = {v["id"]: v["nodes"][0]["html"][:200] for v in found if v["impact"] in SOUND}
    assert bad == {}


def test_headings_are_in_order_and_every_figure_states_its_finding(opened):
    page = opened("all")
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for words in page.eval_on_selector_all("figure[role=img]", "f => f.map(e => e.ariaLabel)"):
        assert re.search(r"\d", words)
    captions = page.eval_on_selector_all("table", "t => t.map(e => e.caption?.innerText)")
    assert all(captions)


@pytest.mark.parametrize("name", ["all", "one", "many"])
@pytest.mark.parametrize("width", [1400, 390, 1920])
def test_nothing_is_wider_than_the_window(opened, name, width):
    page = opened(name, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_table_that_goes_on_has_a_shadow_at_that_edge_only(opened):
    page = opened("all", 390)
    table = page.locator(".wb-scroll", has=page.locator("table")).first
    assert table.evaluate("e => e.scrollWidth > e.clientWidth")

    def edge():
        with Image.open(io.BytesIO(table.screenshot())) as shot:
            right = shot.convert("L").crop((shot.width - 3, 0, shot.width - 1, 12))
            return right.getextrema()[0]

    there = edge()
    table.evaluate("e => e.scrollTo(e.scrollWidth, 0)")
    assert there < 235 < edge()


def test_light_or_dark_is_the_systems_until_the_reader_chooses(opened):
    paper = "getComputedStyle(document.querySelector('.wb')).backgroundColor"
    light, dark = (opened("all", scheme=scheme) for scheme in ("light", "dark"))
    colours = [page.evaluate(paper) for page in (light, dark)]
    assert colours[0] == "rgb(255, 255, 255)"
    assert colours[1] != colours[0]
    button = light.locator(".wb-theme")
    assert button.get_attribute("aria-pressed") == "false"
    button.focus()
    light.keyboard.press("Enter")
    assert light.evaluate(paper) == colours[1]
    assert button.get_attribute("aria-pressed") == "true"
    outline = light.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


@pytest.mark.parametrize("kind", ["csv", "svg", "png"])
def test_a_section_is_saved_under_a_name_that_says_what_it_is(opened, kind, tmp_path):
    page = opened("all", scheme="dark")
    place = "#activity .wb-files a" if kind == "csv" else f"#activity [data-wb-save={kind}]"
    with page.expect_download() as waiting:
        page.click(place)
    saved = waiting.value
    assert saved.suggested_filename == f"small_activity_all-sites_2026-11-05.{kind}"
    path = tmp_path / "saved"
    saved.save_as(path)
    content = path.read_bytes()
    if kind == "svg":
        text = content.decode()
        assert "CT comes first" in text
        assert 'fill="#0072b2"' in text  # its own colours, not those of a dark page
    if kind == "png":
        assert content.startswith(b"\x89PNG")
        width, height = (int.from_bytes(content[i : i + 4]) for i in (16, 20))
        assert width > 1800
        assert height > 200


@pytest.mark.parametrize("width", [1400, 390])
def test_a_saved_figure_has_its_legend_and_caption_within_it(opened, width, browser, tmp_path):
    page = opened("all", width)
    with page.expect_download() as waiting:
        page.click("#patients [data-wb-save=svg]")
    waiting.value.save_as(tmp_path / "saved.svg")
    saved = browser.new_page()
    saved.goto((tmp_path / "saved.svg").as_uri())
    said = saved.evaluate("[...document.querySelectorAll('svg > text')].map((t) => t.textContent)")
    words = page.locator("#patients .wb-legend li > span").all_inner_texts()
    assert len(words) >= 3
    for one in words:
        assert one in " ".join(said)
    assert "A small imaging service · For whom · All sites" in " ".join(said)
    assert saved.locator("svg > svg").count() == len(words)  # the mark of each
    outside = """[...document.querySelectorAll('svg > text, svg > svg')].filter((e) => {
        const box = e.getBoundingClientRect(), all = document.rootElement.getBoundingClientRect();
        return box.right > all.right + 1 || box.bottom > all.bottom + 1;
    }).map((e) => e.textContent)"""
    assert saved.evaluate(outside) == []
    saved.close()


def test_a_print_has_no_controls_and_says_when_and_from_where(opened, browser):
    page = opened("all")
    page.evaluate("history.replaceState(null, '', '?token=secret#x')")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    said = page.inner_text(".wb-printed")
    assert "all.html" in said
    assert "secret" not in said
    assert re.search(r"\d{4}", said)
    for hidden in (".wb-files", ".wb-theme", ".wb-narrow", ".wb-contents"):
        assert not page.locator(hidden).first.is_visible()
    assert page.locator(".wb-wide").first.is_visible()
    page.set_viewport_size({"width": 690, "height": 980})  # A4 within its margins
    wide = """[...document.querySelectorAll('table, .wb-wide svg')].filter(e =>
        e.getBoundingClientRect().right > innerWidth + 1).map(e => e.closest('section').id)"""
    assert page.evaluate(wide) == []


def test_every_one_of_many_sites_is_named_in_its_own_script(opened):
    page = opened("many")
    text = page.inner_text("#how-sure")
    for words in ("Областная клиническая", "第一附属医院", "University Hospital"):
        assert words in text
    assert page.locator("#how-sure table >> nth=0").locator("tbody tr").count() == 35

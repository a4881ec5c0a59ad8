"""The landing page: every study, what it found, and what does not verify."""

import json
import re
import shutil

import pytest

from tests.publish.releases import HOSTILE
from tests.publish.test_page import said
from tests.test_conventions import ROOT
from workbench.errors import DefinitionError
from workbench.publish.index import index_html, read_index, show, write_index
from workbench.publish.language import LANGUAGES


@pytest.fixture(scope="module")
def studies(small_study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    shutil.copytree(small_study, folder / "small")
    empty = shutil.copytree(small_study, folder / "empty")
    shutil.rmtree(empty / "releases")
    (folder / "wrong").mkdir()
    (folder / "wrong" / "study.toml").write_text("[study]\nid = 3\n")
    (folder / "no_study").mkdir()
    return folder


@pytest.fixture(scope="module")
def lines(studies):
    return {line.folder: line for line in read_index(studies)}


def test_every_study_is_read_with_its_sites_and_its_finding(lines):
    assert sorted(lines) == ["empty", "small", "wrong"]
    small = lines["small"]
    assert len(small.sites) == 5
    assert small.refused == ("broken",)
    assert small.status == "open"
    for language in LANGUAGES:
        assert re.search(r"\d.*[–(].*\d", small.findings[language])  # a number with its interval
    assert lines["empty"].findings == {}
    assert lines["wrong"].problem


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_tells_of_each(lines, language):
    text = index_html(tuple(lines.values()), {"small": "small.html"}, language)
    words = " ".join(said(text))
    assert " ".join(lines["small"].findings[language].split()) in words
    assert lines["small"].titles[language] in words
    limits = lines["small"].limits[language]
    assert text.index('class="wb-finding"') < text.index(f'<p class="wb-limits">{limits}</p>')
    assert "broken" in words
    assert "Northern University Hospital" in words
    assert 'href="small.html"' in text
    assert "workbench publish empty" in words
    assert HOSTILE not in text
    assert text.count("wb-error") == 2  # a release that does not verify, a definition that is wrong


def test_the_file_holds_all_languages_and_links_the_pages_beside_it(studies, tmp_path):
    (tmp_path / "small.html").write_text("")
    path = write_index(studies, tmp_path)
    text = path.read_text()
    assert path == tmp_path / "index.html"
    assert re.findall(r'<a href="([^"]*)"', text) == ["small.html"]
    assert re.findall(r'id="v-([a-z]+-0)"', text) == ["ru-0", "zh-0"]
    assert 'id="site" hidden' in text
    assert write_index(studies, tmp_path / "again.html").stat().st_size > 1000


def test_a_folder_without_studies_and_none_at_all(tmp_path):
    assert "There is no study here" in write_index(tmp_path, tmp_path).read_text()
    with pytest.raises(DefinitionError, match="no such folder"):
        read_index(tmp_path / "nowhere")


def test_in_a_notebook_the_reader_chooses_the_language(studies):
    shown = show(studies, "ru")
    assert "Исследовательские проекты" in shown.body.value
    shown.tongue.value = "zh"
    assert "研究项目" in shown.body.value
    bundle = shown._repr_mimebundle_()
    assert "研究项目" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_notebook_shows_it():
    notebook = json.loads((ROOT / "studies" / "index.ipynb").read_text())
    code = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    assert code[-1] == "show(folder, language)"

"""Pages: drawn once, kept whole, and never kept past a change of what they are made from."""

import shutil

import pytest

from workbench.publish import content
from workbench.publish.dashboard import show
from workbench.publish.language import say
from workbench.publish.pages import FOLDER, Pages, write_whole
from workbench.study import read_study


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept"


def test_what_is_kept_is_what_would_be_drawn_and_needs_no_release(small_study, folder, monkeypatch):
    study = read_study(small_study)
    fresh, first = Pages(study), Pages(study, folder)
    asked = [lambda p: p.head("en"), lambda p: p.section(0, "", "en"), lambda p: p.sites]
    drawn = [ask(first) for ask in asked]
    assert drawn == [ask(fresh) for ask in asked]
    monkeypatch.setattr(content, "read_content", None)  # a call would fail
    again = Pages(study, folder)
    assert [ask(again) for ask in asked] == drawn
    assert not [path for path in folder.iterdir() if path.suffix != ".html"]


def test_no_part_is_left_of_what_cannot_be_kept(folder):
    (folder / "taken.html").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(folder / "taken.html", "x")
    with pytest.raises(UnicodeEncodeError):
        write_whole(folder / "new.html", "\ud800")
    assert [path.name for path in folder.iterdir()] == ["taken.html"]


def test_a_changed_release_is_read_anew(small_study, folder, tmp_path):
    copy = shutil.copytree(small_study, tmp_path / "study")
    before = Pages(read_study(copy), folder).sites
    table = copy / "releases" / "north" / "exams_by_modality.csv"
    table.write_text(table.read_text().replace("4000", "9000"))
    after = Pages(read_study(copy), folder).sites
    assert "Northern University Hospital" in before
    assert "Northern University Hospital" not in after
    assert "north" in after


def test_a_refused_release_is_told_once(small_study):
    pages = Pages(read_study(small_study))
    assert "does not verify" in pages.section(0, "broken", "en")
    assert pages.section(1, "broken", "en") == ""


def test_the_first_reader_gets_the_first_question_and_the_others_when_connected(
    small_study, tmp_path, monkeypatch
):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    first = show(small_study)
    drawn = ["<svg" in part.value for part in first.parts]
    assert drawn == [True] + [False] * (len(first.parts) - 1)
    waits = say("drawing")
    assert all(waits in part.value for part in first.parts[1:])
    html = first._repr_mimebundle_()["text/html"]
    assert html.count(waits) == len(first.parts) - 1
    first.hears.click()  # as the script of the page does when it is connected
    values = [part.value for part in first.parts]
    assert not any(waits in value for value in values)
    # The next reader's page is whole before a browser hears of it.
    second = show(small_study)
    assert [part.value for part in second.parts] == values
    second.hears.click()
    assert [part.value for part in second.parts] == values


def test_without_a_server_the_page_is_whole_at_once(small_study, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    assert not any(say("drawing") in part.value for part in show(small_study).parts)

"""Fonts: the shipped font draws every Chinese word of the repository, and says what it cannot."""

from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from tests.conftest import ROOT, missing
from workbench.errors import UsageError
from workbench.publish import fonts

COLLECTION = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
FOLDERS = [ROOT / name for name in ("workbench", "studies", "datasets")]


def test_every_chinese_word_of_the_repository_is_drawn():
    words = fonts.written_characters(FOLDERS)
    assert len(words) > 400
    assert fonts.missing_characters(words) == ""
    assert fonts.missing_characters("㐀中𠮷") == "㐀𠮷"


def test_the_font_names_its_makers_and_its_licence():
    names = TTFont(fonts.FONT)["name"]
    assert names.getDebugName(1) == fonts.FAMILY
    assert "Adobe" in names.getDebugName(0)
    assert "SIL Open Font License" in names.getDebugName(13)
    licence = (fonts.FONT.parent / "OFL.txt").read_text(encoding="utf-8")
    assert licence.startswith("© 2014-2021 Adobe")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence


def test_the_shipped_font_draws_as_the_whole_one_does(tmp_path):
    if not COLLECTION.is_file():
        missing("fonts-noto-cjk is not installed")
    part = fonts.write_font(COLLECTION, "肺", tmp_path / "part.otf")
    shipped, whole = TTFont(fonts.FONT), TTFont(COLLECTION, fontNumber=2)
    for c in "肺癌检查":
        drawn = {f["hmtx"][f.getBestCmap()[ord(c)]][0] for f in (shipped, whole)}
        assert len(drawn) == 1
    assert ord("肺") in TTFont(part).getBestCmap()
    assert ord("检") not in TTFont(part).getBestCmap()


def test_another_file_is_refused(tmp_path):
    other = tmp_path / "x.ttc"
    other.write_bytes(b"no font")
    with pytest.raises(UsageError, match="no Noto Sans CJK SC"):
        fonts.write_font(other, "肺", tmp_path / "part.otf")

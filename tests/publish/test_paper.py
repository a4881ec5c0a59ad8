"""Paper: a section's figure is the dashboard's, and a file that needs nothing of the machine."""

import struct
import xml.etree.ElementTree as ET

import altair as alt
import pytest

from tests.conftest import ROOT
from workbench import plot_section, write_figure
from workbench.errors import DefinitionError, UsageError
from workbench.publish.panels import inline

STUDY = ROOT / "studies" / "imaging_service"


@pytest.mark.parametrize("language", ["en", "ru", "zh"])
def test_a_figure_is_written_in_every_language(tmp_path, language):
    chart = plot_section(STUDY, "activity", language=language)
    png = write_figure(chart, tmp_path / "a.png", scale=2).read_bytes()
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    assert width > 1_500
    assert height > 400
    said = {"en": "Exams", "ru": "Исследования", "zh": "检查数"}[language]
    assert said in write_figure(chart, tmp_path / "a.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [960, 350])
def test_a_file_has_the_legend_and_whose_numbers_they_are(small_study, tmp_path, width):
    for language, last in (("en", "For whom · All sites"), ("zh", "全部机构")):
        chart = plot_section(small_study, "patients", language=language, width=width)
        drawn = write_figure(chart, tmp_path / "a.svg").read_text(encoding="utf-8")
        root = ET.fromstring(drawn)
        words = [t.text for t in root if t.tag.endswith("text")]
        legend = [said for _, said in chart.usermeta["legend"]]
        assert len(legend) >= 3
        for said in (*legend, last):
            assert said.replace(" ", "") in "".join(words).replace(" ", "")
        heights = [float(t.get("y")) for t in root if t.tag.endswith("text")]
        assert heights == sorted(heights)
        assert heights[-1] < float(root.get("height"))
        write_figure(chart, tmp_path / "a.png", scale=1)
    plain = alt.Chart(inline([{}])).mark_point()
    assert ET.fromstring(write_figure(plain, tmp_path / "b.svg").read_text()).tag.endswith("svg")


def test_what_nobody_has_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(UsageError, match="no section 'activty'") as refused:
        plot_section(STUDY, "activty")
    assert "activity" in refused.value.todo
    with pytest.raises(UsageError, match="no site"):
        plot_section(STUDY, "activity", "Nowhere")
    with pytest.raises(UsageError, match="no language 'fr'"):
        plot_section(STUDY, "activity", language="fr")
    chart = plot_section(STUDY, "activity")
    with pytest.raises(UsageError, match=r"not written as '\.pdf'"):
        write_figure(chart, tmp_path / "a.pdf")


def test_what_a_site_cannot_answer_is_said(tmp_path):
    site = "Chinese Mammography Database (CMMD)"
    with pytest.raises(DefinitionError, match="cannot be answered") as refused:
        plot_section(STUDY, "devices", site)
    assert "manufacturer" in refused.value.todo


def test_a_character_that_cannot_be_drawn_is_refused_not_drawn_as_a_box(tmp_path):
    data = inline([{"word": "𠮷"}])
    chart = alt.Chart(data).mark_text().encode(text="word:N").configure(background="white")
    with pytest.raises(UsageError, match="cannot draw"):
        write_figure(chart, tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
    assert write_figure(chart, tmp_path / "a.svg").exists()

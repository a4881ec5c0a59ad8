"""Figures: schema, escaping, suppressed marks, no network."""

import json
import math
import xml.etree.ElementTree as ET

import pytest

from workbench.publish.drawing import draw
from workbench.publish.figures import plot_bars, plot_forest, plot_grouped_bars, plot_shares
from workbench.publish.histograms import plot_histogram
from workbench.publish.marks import SUPPRESSED, Bin, Cell, Quantile, Row, comparable
from workbench.publish.panels import INK, NARROW, ON_PALETTE, PALETTE, WIDE

HOSTILE = '"><script>alert(1)</script>{{7*7}}'
ROWS = [
    Row(
        "CT",
        Cell(200, 198, 202),
        share=Cell(0.5, 0.49, 0.51),
        by_site=(("North", Cell(0.4, 0.4, 0.4)),),
        note="12 %",
    ),
    Row(
        HOSTILE,
        Cell(100, 98, 400),
        share=Cell(0.3, 0.3, 0.3),
        by_site=(("North", Cell(0.2, 0.2, 0.2)),),
    ),
    Row("超声", SUPPRESSED, share=SUPPRESSED, by_site=(("North", SUPPRESSED),)),
]
BINS = [Bin(0, 1, Cell(0.2, 0.1, 0.3)), Bin(1, 3, Cell(0.6, 0.5, 0.7)), Bin(3, 4, SUPPRESSED)]
ENDS = (-math.inf, 1, 10, 100, math.inf)
GROUPED = [
    Row(band, Cell(v, v, v + 9), group)
    for band in ("0–18", "18–40")
    for group, v in (("F", 30), ("M", 20))
]


def charts(width):
    quantile = Quantile("median", "median", Cell(5, 1, 10), 1.5, 1, 2)
    return {
        "bars": plot_bars(ROWS, axis="Exams", share_axis="Share", chosen="North", width=width),
        "plain": plot_bars(ROWS, axis="Exams", width=width),
        "shares": plot_shares(ROWS, axis="Share", width=width),
        "forest": plot_forest(ROWS, axis="Index", pooled="CT", width=width),
        "grouped": plot_grouped_bars(
            [*GROUPED, Row("40–", SUPPRESSED, "F")],
            axis="N",
            bands="Age",
            groups=("F", "M"),
            width=width,
        ),
        "histogram": plot_histogram(
            BINS, [quantile], ends=ENDS, axis="Share, %", values="Images", width=width
        ),
    }


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("name", list(charts(WIDE)))
def test_a_figure_is_valid_and_well_formed(name, width):
    chart = charts(width)[name]
    chart.to_dict(validate=True)
    svg = draw(chart)
    root = ET.fromstring(svg)  # well-formed: hostile text has been escaped
    assert root.tag.endswith("svg")
    assert root.get("aria-hidden") == "true"
    assert "<script" not in svg
    assert "href" not in svg.replace("xmlns:xlink", "")
    assert ' id="' not in svg  # two figures on a page would share it
    assert float(root.get("width")) <= width + 30


def drawn_values(chart):
    return [value for data in chart.to_dict()["datasets"].values() for value in json.loads(data)]


def titles(svg):
    return [t.text for t in ET.fromstring(svg).iter() if t.tag.endswith("title")]


def texts(svg):
    return [t.text for t in ET.fromstring(svg).iter() if t.tag.endswith("text")]


def test_hostile_and_chinese_labels_are_drawn_as_they_are():
    drawn = texts(draw(charts(NARROW)["bars"]))
    assert HOSTILE in drawn
    assert "超声" in drawn


def test_suppressed_is_hatched_and_named_never_a_bar():
    svg = draw(plot_bars(ROWS[2:], axis="Exams"))
    assert "suppressed" in texts(svg)
    assert "╱╱╱" in texts(svg)
    assert 'stroke-dasharray="3,2"' in svg
    assert f'fill="{PALETTE[0]}"' not in svg
    assert "0" not in [t for t in texts(svg) if t and t != "0"]


def test_a_whisker_that_would_flatten_the_others_ends_in_an_arrow():
    most = 1.25 * 200
    values = [v for v in drawn_values(plot_bars(ROWS, axis="N")) if "high" in v]
    assert max(v["high"] for v in values if v["shown"]) == most
    assert [v["beyond"] for v in values] == [False, True, False]


def test_merged_bins_keep_their_area():
    drawn = [v for v in drawn_values(charts(WIDE)["histogram"]) if "start" in v and v["shown"]]
    area = sum(v["value"] * (v["stop"] - v["start"]) for v in drawn)
    assert area == pytest.approx(80)


def test_histogram_axis_shows_edges_not_positions():
    drawn = texts(draw(charts(WIDE)["histogram"]))
    assert {"1", "10", "100"} <= set(drawn)
    assert "median 5 (1–10)" in drawn


def test_whole_numbers_are_written_below_the_bin_that_holds_them():
    chart = plot_histogram(BINS, [], ends=ENDS, axis="Share, %", values="Images", whole=True)
    assert {"≤0", "1–9", "10–99"} <= set(texts(draw(chart)))
    tips = [v["tip"].split(":")[0] for v in drawn_values(chart) if "tip" in v]
    assert set(tips) == {"≤0", "1–99", "≥100"}


def test_all_sites_are_drawn_only_where_they_are_told_as_finely():
    part, fine = Cell(0.055, 0.05, 0.06), [Bin(i, i + 1, Cell(0.1, 0.1, 0.1)) for i in range(13)]
    coarse = [Bin(0, 13, part)]
    kept = comparable(fine, coarse)
    assert [b.cell.shown for b in kept] == [False]
    given = {"ends": range(14), "axis": "Share, %", "values": "Images"}
    assert "mark-line" not in draw(plot_histogram(fine, [], against=kept, **given))
    assert "mark-line" in draw(plot_histogram(fine, [], against=fine, **given))
    assert comparable(coarse, fine) == tuple(fine)
    assert comparable(coarse, coarse) == tuple(coarse)


def test_a_long_title_of_a_panel_takes_two_lines():
    title = "Компьютерная рентгенография: доля исследований, %"
    drawn = draw(plot_histogram(BINS, [], ends=ENDS, axis=title, values="N", width=NARROW))
    said = "".join(t for t in ET.fromstring(drawn).itertext())
    assert "…" not in said
    for word in title.split():
        assert word in said
    assert title not in said  # in one line


def lightness(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_first_two_colours_differ_in_a_grey_print():
    low, high = sorted(map(lightness, PALETTE[:2]))
    assert (high + 0.05) / (low + 0.05) > 1.9


@pytest.mark.parametrize(
    ("language", "numbers"),
    [
        ("en", {"1,234,567", "1,000,000"}),
        ("ru", {"1\u00a0234\u00a0567", "1\u00a0000\u00a0000"}),
        ("zh", {"1,234,567", "1,000,000"}),
    ],
)
def test_numbers_beside_marks_and_on_axes_are_those_of_the_language(language, numbers):
    row = Row("CT", Cell(1234567, 1234567, 1234567))
    assert numbers <= set(texts(draw(plot_bars([row], axis="N", language=language))))


def test_a_mark_that_is_pointed_at_says_figure_range_and_rule():
    said = titles(draw(charts(WIDE)["bars"]))
    assert "CT: 200 (198–202)" in said
    assert "CT, North: 40.0%" in said
    rule = "suppressed, not zero: fewer than 10 patients, or hidden to protect such a number"
    assert f"超声: {rule}" in said
    strict = titles(draw(plot_bars(ROWS[2:], axis="N", threshold=25)))
    assert strict == [f"超声: {rule.replace('10', '25')}"]
    assert not [t for t in titles(draw(charts(WIDE)["histogram"])) if "nan" in t]


@pytest.mark.parametrize("name", list(charts(WIDE)))
def test_every_figure_says_what_is_suppressed_when_pointed_at(name):
    assert any("suppressed, not zero" in said for said in titles(draw(charts(WIDE)[name])))


def test_one_site_is_drawn_beside_all_together():
    beside = Cell(150, 149, 151)
    marks = [
        draw(plot_bars([Row("CT", Cell(9, 9, 9), **given)], axis="mean")).count("<path")
        for given in ({}, {"against": beside})
    ]
    assert marks[1] == marks[0] + 1
    rows = [Row(r.label, r.cell, r.group, against=Cell(70, 60, 80)) for r in GROUPED]
    plain, compared = (
        plot_grouped_bars(r, axis="N", bands="Age", groups=("F", "M")) for r in (GROUPED, rows)
    )
    assert draw(compared).count("<path") == draw(plain).count("<path") + 2 * len(rows)
    given = {"ends": ENDS, "axis": "Share", "values": "Images"}
    alone = draw(plot_histogram(BINS, [], **given))
    outlined = draw(plot_histogram(BINS, [], against=BINS[:2], **given))
    assert outlined.count(f'stroke="{INK}"') == alone.count(f'stroke="{INK}"') + 1


def test_groups_are_told_apart_without_colour():
    chart = plot_grouped_bars(GROUPED, axis="N", bands="Age", groups=("F", "M"))
    drawn = draw(chart)
    assert texts(drawn).count("F") == 2
    assert all(
        f'fill="{colour}">{sign}' in drawn
        for sign, colour in zip("FM", ON_PALETTE[:2], strict=True)
    )
    for paper, sign in zip(PALETTE, ON_PALETTE, strict=True):
        low, high = sorted((lightness(paper), lightness(sign)))
        assert (high + 0.05) / (low + 0.05) > 3


def test_long_names_that_differ_last_are_told_apart():
    names = [f"University Hospital, Department of Diagnostic Radiology No. {n}" for n in (1, 2)]
    rows = [Row(name, Cell(1, 1, 1)) for name in names]
    for width in (WIDE, NARROW):
        drawn = draw(plot_forest(rows, axis="N", pooled="all", width=width))
        ends = {t[-1] for t in texts(drawn) if t and t.startswith("Univ")}
        assert ends == {"1", "2"}
        assert f"{names[0]}: 1" in titles(drawn)

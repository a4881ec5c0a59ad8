"""Heatmaps: an order that a grey print keeps, suppressed cells hatched, no network, no script."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from workbench.publish.drawing import draw
from workbench.publish.heatmaps import LEAST, MOST, plot_heatmap, shade
from workbench.publish.marks import ABSENT, SUPPRESSED, Cell
from workbench.publish.matrix import Matrix
from workbench.publish.panels import NARROW, WIDE

HOSTILE = '"><script>alert(1)</script>{{7*7}}'


def matrix(cells):
    rows = tuple(f"row {i}" for i in range(len(cells) - 1))
    columns = tuple(f"{i:02}:00" for i in range(len(cells[0])))
    return Matrix((*rows, HOSTILE), columns, ("Day", "Hour"), cells, lambda v: f"{v:g} h")


CELLS = (
    tuple(Cell(v, v - 1, v + 1) for v in range(24)),
    (SUPPRESSED, ABSENT, *(Cell(v, v, v) for v in range(2, 24))),
)


def texts(svg):
    return [t.text for t in ET.fromstring(svg).iter() if t.tag.endswith("text")]


def titles(svg):
    return [t.text for t in ET.fromstring(svg).iter() if t.tag.endswith("title")]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_it_is_valid_and_nothing_in_it_runs(width):
    chart = plot_heatmap(matrix(CELLS), axis="Mean, h", width=width)
    chart.to_dict(validate=True)
    svg = draw(chart)
    assert "<script" not in svg
    assert ' id="' not in svg
    assert float(ET.fromstring(svg).get("width")) <= width + 30
    said = texts(svg)
    assert said.count(MOST) == 2  # of both rows
    assert said.count(LEAST) == 1
    assert {"Mean, h", "0 h", "23 h"} <= set(said)


def test_what_is_suppressed_is_hatched_and_what_is_absent_is_not_drawn():
    svg = draw(plot_heatmap(matrix(CELLS), axis="Mean"))
    assert "╱╱" in texts(svg)
    assert any("suppressed, not zero" in t for t in titles(svg))
    told = [t for t in titles(svg) if ": " in t and "suppressed" not in t]
    assert len(told) == 24 + 22
    assert "row 0, 05:00: 5 h (4 h–6 h)" in told


def lightness(colour):
    return sum(
        w * int(colour[i : i + 2], 16)
        for w, i in zip((0.2126, 0.7152, 0.0722), (1, 3, 5), strict=True)
    )


def test_colours_fall_evenly_in_lightness():
    steps = [lightness(shade(i / 20)) for i in range(21)]
    falls = [a - b for a, b in pairwise(steps)]
    assert min(falls) > 0
    assert max(falls) < 3 * min(falls)


def test_a_matrix_of_one_number_has_no_ends():
    flat = matrix(((Cell(5, 5, 5),) * 3, (Cell(5, 5, 5),) * 3))
    said = texts(draw(plot_heatmap(flat, axis="Mean")))
    assert MOST not in said
    assert LEAST not in said

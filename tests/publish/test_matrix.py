"""Matrix: every cell holds the exact share or mean, and the ends are named."""

import numpy as np
import pytest

from tests.publish.city import DAYS, DISTRICTS, make_rows
from workbench.publish.marks import SUPPRESSED, Cell
from workbench.publish.matrix import Matrix
from workbench.publish.readings import read


@pytest.fixture(scope="module")
def truth():
    numbers = [(exams, seed) for seed, (_, exams) in enumerate(DISTRICTS.values())]
    rows = [make_rows(exams, seed, len(DISTRICTS)) for exams, seed in numbers]
    return {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}


def reading(city, name, site="", language="en"):
    section = city.study.section(name)
    return read(section, city.scope(section, site, language))


def test_every_share_is_held(city, truth):
    matrix = reading(city, "hours").matrix
    total = len(truth["hour"])
    assert (len(matrix.rows), len(matrix.columns)) == (7, 24)
    told = 0
    for row, line in enumerate(matrix.cells):
        for column, cell in enumerate(line):
            exact = ((truth["weekday"] == row) & (truth["hour"] == column)).sum() / total
            if cell.shown:
                assert cell.low <= exact <= cell.high
                told += 1
    assert told > 140


def test_every_mean_of_a_site_is_held(city):
    matrix = reading(city, "use", "North district").matrix
    rows = make_rows(DISTRICTS["north"][1], 0, len(DISTRICTS))
    for row, line in enumerate(matrix.cells):
        for column, cell in enumerate(line):
            here = (rows["weekday"] == row) & (rows["hour"] == column)
            if cell.shown:
                assert cell.low <= rows["use"][here].mean() <= cell.high


def test_the_sentence_names_the_busiest_and_the_quietest(city, truth):
    counts = np.zeros((7, 24))
    np.add.at(counts, (truth["weekday"], truth["hour"]), 1)
    day, hour = np.unravel_index(counts.argmax(), counts.shape)
    said = reading(city, "hours").answer
    assert said.startswith(f"{DAYS[day][0]}, {hour:02}:00: the largest share of exams, ")
    assert "Suppressed, and perhaps lower still: " in reading(city, "hours").finding


def test_one_site_is_said_beside_all(city):
    found = reading(city, "use", "North district")
    assert "Over all sites together: Monday, 12:00 " in found.finding
    assert found.head[-2:] == ("All", "All sites: All")
    assert {len(row) for row in found.body} == {len(found.head)}


def test_the_longer_dimension_stands_down_the_table(city):
    found = reading(city, "hours")
    assert found.head[0] == "Hour"
    assert [row[0].text for row in found.body][:2] == ["All", "00:00"]
    assert len(found.body) == 25


def test_ends_are_of_what_is_told():
    cells = ((Cell(1, 1, 1), SUPPRESSED), (Cell(3, 3, 3), Cell(2, 2, 2)))
    matrix = Matrix(("a", "b"), ("x", "y"), ("A", "X"), cells, str)
    assert [place[:2] for place in matrix.ends] == [("b", "x"), ("a", "x")]
    assert matrix.turned.cells == ((cells[0][0], cells[1][0]), (SUPPRESSED, cells[1][1]))
    assert Matrix(("a",), ("x",), ("A", "X"), ((SUPPRESSED,),), str).ends is None

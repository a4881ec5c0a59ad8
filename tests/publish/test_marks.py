"""Marks: what counts as shown."""

import math

from workbench.publish.marks import ABSENT, SUPPRESSED, Cell, enough


def test_a_figure_needs_three_numbers_that_are_shown():
    cell = Cell(0, 0, 0)
    assert enough([cell, cell, cell])
    assert not enough([cell, cell, SUPPRESSED, ABSENT, Cell(math.nan, 0, 1, "estimated")])

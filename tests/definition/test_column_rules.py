"""Column rules: two dimensions of one column do not cut one population, in what is released."""

from __future__ import annotations

import pytest

from tests.released import STUDY, write_study
from workbench.errors import DefinitionError

SEX = '[dimensions.sex]\nlabel = "Sex"'
TWIN = """\
[dimensions.sex_again]
label = "Sex again"
column = "sex"
codelist = "codelists/sex.csv"
one_per = "patient"

"""
DOSE = 'name = "dose"\nkind = "moments"\ndimensions = ["sex"]'
AGAIN = DOSE.replace('"sex"', '"sex_again"')


def changed(folder, *changes):
    text = STUDY
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return write_study(folder / "study", text)


@pytest.mark.parametrize("column", ["sex", "gender"])  # "sex" names no column, and one does
def test_two_dimensions_of_one_column_are_refused_by_name(tmp_path, column):
    twins = TWIN.replace('column = "sex"', f'column = "{column}"') + SEX
    named = "" if column == "sex" else f'\ncolumn = "{column}"'
    with pytest.raises(DefinitionError) as refused:
        changed(tmp_path, (SEX, twins + named), (DOSE, AGAIN))
    assert refused.value.what == f"Both 'sex' and 'sex_again' cut 'exams' by the column '{column}'"
    assert refused.value.where == "study.toml, step.count.output.dose.dimensions"
    assert "Use one of them in 'exams' and 'dose'" in refused.value.todo
    assert "more" not in refused.value.todo  # told once


def test_one_table_cut_twice_by_one_column_is_refused(tmp_path):
    both = DOSE.replace('["sex"]', '["sex", "sex_again"]')
    with pytest.raises(DefinitionError, match="Both 'sex' and 'sex_again' cut 'exams'"):
        changed(tmp_path, (SEX, TWIN + SEX), (DOSE, both))


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [(AGAIN, f'{AGAIN}\npopulation = "dosed"')],  # of other exams
        [('column = "sex"', 'column = "gender"')],  # of another column
        # What stays at the site is subtracted from nothing.
        [(AGAIN, DOSE), ('name = "rows"\nkind = "counts"\ndimensions = ["sex"]',
                         'name = "rows"\nkind = "counts"\ndimensions = ["sex_again"]')],
    ],
)  # fmt: skip
def test_what_cannot_be_subtracted_is_not_refused(tmp_path, changes):
    first = [(SEX, TWIN + SEX), (DOSE, AGAIN)] if changes else []
    assert changed(tmp_path, *first, *changes).released

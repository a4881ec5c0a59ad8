import math

import pytest

from workbench.errors import DefinitionError
from workbench.summaries.dimension import Dimension, interval_label, interval_labels


@pytest.mark.parametrize("name", ["", "a b", "2x", "статус", "value", "variable", "status", "a\n"])
def test_a_name_that_a_table_cannot_hold_is_refused(name):
    with pytest.raises(DefinitionError):
        Dimension(name, ("a",))


@pytest.mark.parametrize(
    "labels",
    [
        (),
        ("a", "a"),
        ("all", "a"),
        ("",),
        (" a",),
        ("a\n",),
        ("a\x1b[31m",),
        ("a\u202eb",),
        ("=1+1",),
        ("@x",),
        ("x" * 201,),
    ],
)
def test_a_label_that_a_table_cannot_hold_is_refused(labels):
    with pytest.raises(DefinitionError):
        Dimension("modality", labels)


@pytest.mark.parametrize("entry", [{"one_per": "series"}, {"zeros": "yes"}, {"labels_from": "me"}])
def test_a_declaration_outside_the_allowed_words_is_refused(entry):
    with pytest.raises(DefinitionError, match="cannot be"):
        Dimension("modality", ("a",), **entry)


def test_interval_labels_are_short_and_exact():
    assert interval_labels([0, 0.1, 5]) == ("[0,0.1)", "[0.1,5)", "[5,inf)")
    assert interval_label(-math.inf, 1e300) == "[-inf,1e+300)"

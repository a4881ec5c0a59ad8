from dataclasses import replace

import numpy as np
import pytest

from tests.summaries.strategies import MODALITY, SEX
from workbench.errors import DefinitionError
from workbench.summaries import counts, histogram, moments
from workbench.summaries.kinds import KINDS, fields_of, kind_of, validate

ROWS = {"exam": [1, 2, 3], "patient": [1, 1, 2]}
COUNTS = counts.summarise([SEX, MODALITY], {"sex": [0, 0, 1], "modality": [0, 1, 1]}, **ROWS)
MOMENTS = moments.summarise([], {}, **ROWS, values=[1, 2, 3], unit="1", resolution=1)
HISTOGRAM = histogram.summarise([], {}, **ROWS, values=[1, 2, 3], edges=[2, 3], unit="1")


def test_every_kind_declares_what_leaves_and_that_it_is_sensitive():
    assert set(KINDS) == {"counts", "moments", "histogram"}
    for kind in KINDS.values():
        roles = {f.role for f in kind.released_fields}
        assert {"exams", "patients"} <= roles
        assert not roles & {"total", "square"}
        assert all(f.sensitive for f in (*kind.fields, *kind.released_fields))
    assert [f.name for f in fields_of(MOMENTS)] == ["exams", "patients", "total", "square"]


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(DefinitionError, match="no kind") as refusal:
        kind_of("count")
    assert "'counts'" in refusal.value.todo


def changed(summary, name, value, **cell):
    data = summary.data.copy(deep=True)
    data[name].loc[cell] = value
    return replace(summary, data=data)


@pytest.mark.parametrize(
    ("summary", "reason"),
    [
        (replace(COUNTS, kind="scores"), "no kind"),
        (replace(COUNTS, data=COUNTS.data[["exams"]]), "fields are not"),
        (replace(COUNTS, data=COUNTS.data[["patients", "exams"]]), "fields are not"),
        (replace(COUNTS, data=COUNTS.data.astype(np.int32)), "fields are not"),
        (replace(COUNTS, attributes={}), "attributes are not"),
        (replace(COUNTS, attributes={"population": "exams", "name": "x"}), "attributes are not"),
        (replace(COUNTS, attributes={"population": 1}), "attributes are not"),
        (replace(COUNTS, attributes={"population": "a\nb"}), "cannot be printed"),
        (changed(COUNTS, "exams", -1, sex="M", modality="CT"), "negative"),
        (changed(COUNTS, "patients", 9, sex="M", modality="CT"), "more patients than exams"),
        (changed(COUNTS, "patients", 0, sex="F", modality="CT"), "exams without patients"),
        (changed(COUNTS, "exams", 9, sex="F", modality="all"), "margin of exams over 'sex'"),
        (changed(COUNTS, "exams", 2, sex="all", modality="all"), "margin of exams over 'sex'"),
        (changed(COUNTS, "exams", 3, sex="M", modality="MR"), "margin of exams over 'sex'"),
        (
            replace(MOMENTS, attributes={**MOMENTS.attributes, "resolution": 0.0}),
            "resolution cannot be",
        ),
        (
            replace(MOMENTS, attributes={**MOMENTS.attributes, "resolution": 1}),
            "attributes are not",
        ),
        (changed(MOMENTS, "square", 11), "No values have these sums"),
        (changed(MOMENTS, "total", 6.0), "must be integers"),
        (
            replace(HISTOGRAM, attributes={**HISTOGRAM.attributes, "edges": [2.0, 4.0]}),
            "not the grid",
        ),
        (
            replace(HISTOGRAM, attributes={**HISTOGRAM.attributes, "edges": [2, 3]}),
            "must be floats",
        ),
        (replace(HISTOGRAM, attributes={**HISTOGRAM.attributes, "edges": []}), "Edges must be"),
        (changed(HISTOGRAM, "exams", 2, bin="[3,inf)"), "does not fit its halves"),
        (changed(HISTOGRAM, "patients", 1, bin="[-inf,inf)"), "does not fit its halves"),
    ],
)
def test_what_no_count_can_be_is_refused(summary, reason):
    with pytest.raises(DefinitionError, match=reason):
        validate(summary)


@pytest.mark.parametrize("summary", [COUNTS, MOMENTS, HISTOGRAM])
def test_what_was_counted_is_accepted(summary):
    validate(summary)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.acceptance.flow import Box, Flow, make_flow
from workbench.errors import DefinitionError

reasons = st.dictionaries(st.sampled_from(["thick", "missing", "damaged"]), st.integers(0, 5))


@given(st.integers(30, 99), st.lists(reasons, max_size=2))
def test_a_flow_adds_up(found, steps):
    flow = make_flow(found, [(f"stage {i}", step) for i, step in enumerate(steps)], {})
    assert flow.analysed == found - sum(sum(step.values()) for step in steps)
    rows = flow.rows()
    left = sum(r["exams"] for r in rows if r["reason"])
    assert left + flow.analysed == found


@pytest.mark.parametrize(
    ("boxes", "ends", "what"),
    [
        ((), {}, "no stage"),
        ((Box("found", 9, {"lost": 1}),), {}, "add up"),
        ((Box("found", 9, {}), Box("read", 7, {"thick": 1})), {}, "add up"),
        ((Box("found", 9, {}), Box("read", 10, {})), {}, "add up"),
        ((Box("found", 9, {}),), {"positive": 4, "negative": 4}, "add up"),
        ((Box("found", -1, {}),), {}, "no exams"),
        ((Box("found", 9, {}), Box("read", 10, {"thick": -1})), {}, "no exams"),
        ((Box("found", 9.0, {}),), {}, "no exams"),
        ((Box("found", True, {}),), {}, "no exams"),
    ],
)
def test_a_flow_that_does_not_add_up_is_refused(boxes, ends, what):
    with pytest.raises(DefinitionError, match=what):
        Flow(boxes, ends)


def test_more_left_out_than_there_were_is_refused():
    with pytest.raises(DefinitionError, match="no exams"):
        make_flow(2, [("read", {"thick": 3})], {})

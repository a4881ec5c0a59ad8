import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.acceptance.rules import STAGES, Rule
from workbench.acceptance.verdict import Evidence, judge
from workbench.errors import DefinitionError

RULES = [
    Rule("self_test", "share_read", "at_least", 0.95, "refusal"),
    Rule("functional_test", "share_answered", "at_least", 0.9, "refusal"),
    Rule("functional_test", "seconds_p95", "at_most", 60, "condition"),
    Rule("calibration_test", "auc", "at_least", 0.81, "refusal"),
    Rule("calibration_test", "auc", "at_least", 0.75, "condition", "age_group"),
    Rule("technological_monitoring", "defect_rate", "at_most", 0.1, "refusal"),
    Rule("clinical_monitoring", "agreement", "at_least", 0.6, "condition"),
    Rule("feedback", "share_useful", "at_least", 0.5, "condition"),
    Rule("re_test", "auc_change", "at_most", 0.03, "condition"),
]
GOOD = {
    "share_read": 1.0, "share_answered": 0.99, "seconds_p95": 20, "auc": 0.9,
    "defect_rate": 0.02, "agreement": 0.8, "share_useful": 0.7, "auc_change": 0.01,
}  # fmt: skip


def measured(exams=900, **changed):
    return [Evidence(name, value, value, exams) for name, value in (GOOD | changed).items()]


def groups(**auc):
    return [Evidence("auc", v, v, 200, "age_group", name) for name, v in auc.items()]


def decide(*evidence, **more):
    return judge(RULES, evidence, **more)


def test_a_good_model_is_admitted():
    verdict = decide(*measured(), *groups(children=0.86, adults=0.91))
    assert verdict.decision == "admitted"
    assert verdict.conditions == verdict.grounds == ()


def test_a_bad_model_is_refused_with_rule_value_and_threshold():
    verdict = decide(*measured(auc=0.62), *groups(children=0.6, adults=0.63))
    assert verdict.decision == "refused"
    (ground,) = verdict.grounds
    assert (ground.rule.measure, ground.evidence.low, ground.rule.threshold) == ("auc", 0.62, 0.81)


def test_a_model_that_fails_children_only_has_a_condition():
    verdict = decide(*measured(), *groups(children=0.6, adults=0.92))
    assert verdict.decision == "admitted with conditions"
    assert [c.evidence.label for c in verdict.conditions] == ["children"]


def test_what_was_not_measured_is_not_passed():
    verdict = decide(*measured())
    assert verdict.decision == "admitted with conditions"
    (one,) = verdict.conditions
    assert (one.rule.group, one.outcome) == ("age_group", "not_measured")


def test_a_value_of_too_few_exams_is_not_believed():
    held = [*measured(), *groups(adults=0.9), Evidence("auc", 0.1, 0.1, 9, "age_group", "children")]
    assert decide(*held, fewest=10).decision == "admitted"
    assert decide(*held).decision == "admitted with conditions"
    few = [Evidence(e.measure, e.low, e.high, 3) for e in measured()]
    assert decide(*few, fewest=10).decision == "admitted with conditions"


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_range_is_met_broken_or_open(a, b):
    low, high = sorted((a, b))
    rest = [e for e in measured() if e.measure != "auc"]
    verdict = decide(*rest, *groups(all=0.9), Evidence("auc", low, high, 900))
    (one,) = [j for j in verdict.judged if j.rule.name == "auc"]
    assert one.outcome == ("met" if low >= 0.81 else "broken" if high < 0.81 else "open")
    assert verdict.decision == (
        "admitted" if low >= 0.81 else "refused" if high < 0.81 else "admitted with conditions"
    )


@given(st.floats(0, 0.2), st.floats(0, 0.2))
def test_a_limit_from_above_is_the_mirror(a, b):
    low, high = sorted((a, b))
    rest = [e for e in measured() if e.measure != "defect_rate"]
    verdict = decide(*rest, *groups(all=0.9), Evidence("defect_rate", low, high, 900))
    (one,) = [j for j in verdict.judged if j.rule.name == "defect_rate"]
    assert one.outcome == ("met" if high <= 0.1 else "broken" if low > 0.1 else "open")


def test_every_rule_has_a_row():
    rows = decide(*measured(), *groups(children=0.6, adults=0.92)).rows()
    assert len(rows) == len(RULES) + 1
    assert [r["stage"] for r in rows] == sorted((r["stage"] for r in rows), key=STAGES.index)
    (broken,) = [r for r in rows if r["outcome"] == "broken"]
    assert (broken["group"], broken["follows"]) == ("children", "condition")


def test_values_that_nobody_asked_for_are_refused():
    with pytest.raises(DefinitionError, match="No rule asks"):
        decide(*measured(), Evidence("acu", 1, 1, 9))
    with pytest.raises(DefinitionError, match="by 'sex'"):
        decide(*measured(), Evidence("auc", 1, 1, 9, "sex", "F"))
    with pytest.raises(DefinitionError, match="measured twice"):
        decide(*measured(), *measured())
    with pytest.raises(DefinitionError, match="no range"):
        Evidence("auc", float("nan"), 0.9, 9)
    with pytest.raises(DefinitionError, match="no range"):
        Evidence("auc", 0.9, 0.8, 9)

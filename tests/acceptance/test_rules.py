import pytest

from workbench.acceptance.rules import STAGES, Rule, require_all_stages
from workbench.errors import DefinitionError

RULES = [Rule(stage, "auc", "at_least", 0.8, "refusal") for stage in STAGES]


def test_the_seven_stages_are_those_of_the_method():
    assert len(STAGES) == 7
    assert (STAGES[0], STAGES[-1]) == ("self_test", "re_test")


def test_rules_stand_in_the_order_of_their_stages():
    assert [r.stage for r in require_all_stages(RULES[::-1])] == list(STAGES)


@pytest.mark.parametrize("lacking", STAGES)
def test_a_stage_without_a_rule_is_refused(lacking):
    with pytest.raises(DefinitionError, match="Not every stage") as told:
        require_all_stages([r for r in RULES if r.stage != lacking])
    assert lacking in str(told.value)


def test_a_rule_that_stands_twice_is_refused():
    other = Rule("self_test", "auc", "at_least", 0.7, "condition")
    with pytest.raises(DefinitionError, match="twice"):
        require_all_stages([*RULES, other])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"stage": "selftest"}, "stage"),
        ({"direction": "above"}, "direction"),
        ({"consequence": "refuse"}, "consequence"),
        ({"threshold": float("nan")}, "no number"),
        ({"threshold": float("inf")}, "no number"),
    ],
)
def test_a_rule_that_cannot_be_judged_is_refused(change, what):
    good = {
        "stage": "self_test", "measure": "auc", "direction": "at_least",
        "threshold": 0.8, "consequence": "refusal",
    }  # fmt: skip
    with pytest.raises(DefinitionError, match=what):
        Rule(**good | change)

import pytest

from workbench.acceptance.checklist import check_checklist, claim_items, require_complete
from workbench.errors import ReleaseError, UsageError

WHOLE = {item.number: "It is said here" for item in claim_items()}


def test_the_items_are_those_of_the_2024_update():
    assert [item.number for item in claim_items()] == list(range(1, 45))


def test_a_whole_checklist_is_published():
    require_complete(WHOLE)
    require_complete(WHOLE | {34: "not applicable: this is no clinical trial"})


@pytest.mark.parametrize("number", range(1, 45))
def test_an_item_that_the_run_cannot_fill_blocks_publication(number):
    for answer in (None, "", "  ", "not applicable: ", "not applicable: no"):
        held = {n: text for n, text in WHOLE.items() if n != number}
        if answer is not None:
            held[number] = answer
        with pytest.raises(ReleaseError, match="not filled") as told:
            require_complete(held)
        assert f"CLAIM items {number}" in str(told.value)


def test_findings_are_one_an_item():
    found = check_checklist({})
    assert len(found) == 44
    assert {f.level for f in found} == {"fail"}


def test_an_item_that_is_none_is_refused():
    with pytest.raises(UsageError, match="no item 45"):
        check_checklist({45: "x"})

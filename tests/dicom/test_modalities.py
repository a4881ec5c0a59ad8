"""The modalities hold those of DICOM, as others list them."""

from __future__ import annotations

import pydicom.sr.codedict
from hypothesis import given
from hypothesis import strategies as st
from polars import Series, String

from workbench.dicom.modalities import MODALITIES, NOT_STATED, OTHER, count_modalities
from workbench.radiology import quality


def test_they_hold_the_context_group_of_the_standard():
    listed = {code.value for code in pydicom.sr.codedict.codes.cid33.concepts.values()}
    assert len(listed) > 70
    assert listed <= set(MODALITIES)
    assert set(quality.MODALITIES) <= set(MODALITIES)
    assert len(set(MODALITIES)) == len(MODALITIES)


@given(st.lists(st.none() | st.sampled_from(MODALITIES[:3]) | st.text(max_size=20)))
def test_a_count_holds_every_value_and_no_other_text(values):
    counted = count_modalities(Series(values, dtype=String))
    assert sum(counted.values()) == len(values)
    assert set(counted) <= {*MODALITIES, OTHER, NOT_STATED}
    assert all(counted[name] == values.count(name) for name in MODALITIES if name in counted)

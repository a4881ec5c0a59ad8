"""Protocols: coded body parts that others define, and the published reference levels."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.pretend.protocols import CT_DOSE, PROTOCOLS, ProtocolTable

# UK national diagnostic reference levels, 20 November 2024, adult CT: CTDIvol mGy, DLP mGy·cm.
PUBLISHED = {
    "CT_HEAD": (47, 790), "CT_SINUSES": (12, 160), "CT_CSPINE": (16, 400), "CT_CHEST": (8.5, 290),
    "CT_HRCT": (8, 300), "CT_CTPA": (9.1, 310), "CT_ABDPELVIS": (10, 530), "CT_KUB": (6.3, 290),
}  # fmt: skip


def test_body_parts_are_coded_as_dicom_does():
    from pydicom.sr._concepts_dict import concepts

    known = {code for held in concepts["SCT"].values() for code in held}
    assert {p.code for p in PROTOCOLS.value} <= known


@pytest.mark.parametrize("name", PUBLISHED)
def test_doses_begin_at_the_published_levels(name):
    assert CT_DOSE.value[name] == PUBLISHED[name]
    # No CTDIvol is published for it.
    assert CT_DOSE.value["CT_CAP"][1] == 660


def test_protocols_come_as_often_as_they_should():
    table = ProtocolTable()
    for row in table.choice:
        held = [table.protocols[i] for i in row[[0, -1]]]
        assert held[0].modality == held[1].modality
        shares = {p.name: p.share for p in table.protocols if p.modality == held[0].modality}
        found = {table.protocols[i].name: n for i, n in zip(*np.unique(row, return_counts=True))}  # noqa: B905
        assert set(found) == set(shares)
        for name, share in shares.items():
            assert found[name] / 4096 == pytest.approx(share / sum(shares.values()), abs=0.001)

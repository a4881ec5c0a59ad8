"""Hospitals differ, and a software update changes their devices."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.phantom.hospital import HOSPITALS, draw_age, draw_dose, find_hospital, read_exam


def test_there_are_five_and_one_is_for_children():
    held = HOSPITALS.value
    assert len({h.id for h in held}) == 5
    assert [h.id for h in held if h.children == 1] == ["hospital_beijing"]
    assert all(h.name.startswith("Pretend") for h in held)
    assert len({d.manufacturer for h in held for d in h.devices}) >= 6
    assert len({d.serial for h in held for d in h.devices}) == sum(len(h.devices) for h in held)
    for hospital in held:
        assert sum(share for _, share in hospital.slices) == pytest.approx(1)
        assert all(1 <= mm <= 5 for mm, _ in hospital.slices)


@pytest.mark.parametrize("hospital", HOSPITALS.value, ids=lambda h: h.id)
def test_the_update_changes_kernels_values_and_version(hospital):
    for number in range(len(hospital.devices)):
        before, offset = hospital.device(number, 6)
        after, shifted = hospital.device(number, 7)
        assert hospital.device(number, 1) == (before, offset)
        assert hospital.device(number, 12) == (after, shifted)
        assert shifted - offset == pytest.approx(hospital.update.hu_shift)
        assert before.software[0] != after.software[0]
        for old, new in ((before.smooth, after.smooth), (before.sharp, after.sharp)):
            assert new.name != old.name
            assert new.width_mm < old.width_mm
            assert new.noise > old.noise


def test_readers_err_as_often_as_is_said():
    hospital = find_hospital("hospital_osh")
    stream = np.random.default_rng(0)
    for truth in (0, 1):
        said = np.array([read_exam(truth, hospital, stream) for _ in range(8000)])
        right = (said == truth).mean(axis=0)
        assert right == pytest.approx([r[1 - truth] for r in hospital.readers], abs=0.015)
        # Some errors are of both.
        wrong = said != truth
        assert wrong.all(axis=1).mean() > 1.5 * wrong[:, 0].mean() * wrong[:, 1].mean()


def test_children_get_less():
    hospital = find_hospital("hospital_moscow")
    stream = np.random.default_rng(0)
    doses = {a: np.median([draw_dose(hospital, a, stream) for _ in range(500)]) for a in (0, 9, 50)}
    assert doses[0] < doses[9] < doses[50] == pytest.approx(5.5, rel=0.06)
    ages = [draw_age(find_hospital("hospital_beijing"), stream) for _ in range(300)]
    assert 0 <= min(ages) < 1
    assert 17 < max(ages) < 18


def test_an_unknown_hospital_is_refused():
    with pytest.raises(UsageError, match="no pretend hospital") as caught:
        find_hospital("hospital_mosco")
    assert "hospital_moscow" in caught.value.todo

"""The exams of a hospital are planned from a seed, over a year, with what is planted."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from workbench.errors import UsageError
from workbench.phantom.cases import PLANTED, plan_cases
from workbench.phantom.hospital import HOSPITALS, UPDATE_MONTH, find_hospital


@pytest.fixture(scope="module")
def cases():
    return {h.id: plan_cases(h, 60, 2025) for h in HOSPITALS.value}


def test_the_seed_decides(cases):
    again = plan_cases(find_hospital("hospital_osh"), 60, 2025)
    assert again == cases["hospital_osh"]
    assert plan_cases(find_hospital("hospital_osh"), 60, 2026) != again


def test_hospitals_share_no_patient_exam_or_shape(cases):
    for read in (lambda c: c.label.exam_uid, lambda c: c.label.series_uid(2)):
        uids = [read(case) for held in cases.values() for case in held]
        assert len(set(uids)) == len(uids) == 300
    shapes = [{case.subject.shape for case in held} for held in cases.values()]
    assert len(set.union(*shapes)) == sum(map(len, shapes))
    patients = [{case.label.patient_id for case in held} for held in cases.values()]
    assert len(set.union(*patients)) == sum(map(len, patients))


@pytest.mark.parametrize("hospital", [h.id for h in HOSPITALS.value])
def test_a_hospital_is_what_it_should_be(cases, hospital):
    held = cases[hospital]
    assert Counter(c.planted for c in held) == Counter({"": 55} | dict.fromkeys(PLANTED, 1))
    malignant = sum(c.truth for c in held)
    assert 15 <= malignant <= 40
    months = {c.label.time.month for c in held}
    assert months == set(range(1, 13))
    assert all(c.label.time.year == 2025 for c in held)
    if hospital == "hospital_beijing":
        assert max(c.subject.age_years for c in held) < 18.5
    else:
        assert sum(c.subject.age_years >= 18 for c in held) > 40
    kinds = {n.kind for c in held for n in c.nodules}
    assert kinds == {"solid", "part_solid", "calcified"}
    assert {c.scan.slice_mm for c in held} >= {
        mm for mm, share in find_hospital(hospital).slices if share > 0.05
    }


def test_the_update_shows_in_what_files_state(cases):
    for held in cases.values():
        for case in held:
            after = case.label.time.month >= UPDATE_MONTH.value
            assert case.label.attributes["ConvolutionKernel"].endswith("+") == after
            assert case.scan.kernel.name == case.label.attributes["ConvolutionKernel"]


def test_a_patient_who_comes_again_is_the_same_and_the_nodule_has_grown(cases):
    seen = 0
    for held in cases.values():
        for first, second in pairwise(held):
            if first.label.patient_id != second.label.patient_id:
                continue
            seen += 1
            assert second.label.time > first.label.time
            assert second.subject.shape == first.subject.shape
            assert second.subject.age_years > first.subject.age_years
            assert second.label.exam_uid != first.label.exam_uid
            for old, new in zip(first.nodules, second.nodules, strict=True):
                assert new.centre_mm == old.centre_mm
                assert (new.diameter_mm > old.diameter_mm) == old.malignant
    assert seen > 8


def test_what_is_planted_is_what_is_scanned(cases):
    for held in cases.values():
        planted = {c.planted: c for c in held}
        assert planted["thick_slices"].scan.slice_mm == 10
        assert planted["not_chest"].scan.abdomen
        assert sum(c.scan.abdomen for c in held) == 1
        assert max(c.scan.slice_mm for c in held if not c.planted) <= 5


@pytest.mark.parametrize(("exams", "seed"), [(9, 1), (60, -1)])
def test_too_few_are_refused(exams, seed):
    with pytest.raises(UsageError, match="cannot be made"):
        plan_cases(HOSPITALS.value[0], exams, seed)

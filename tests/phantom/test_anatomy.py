"""People are as large as the references say, and grow."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.phantom.anatomy import make_subject

# ICRP Publication 89 (2002): age, sex, height cm, mass kg.
REFERENCE = (
    (0, "M", 51, 3.5), (1, "F", 76, 10), (5, "M", 109, 19), (10, "F", 138, 32),
    (15, "M", 167, 56), (15, "F", 161, 53), (35, "M", 176, 73), (35, "F", 163, 60),
)  # fmt: skip


@pytest.mark.parametrize(("age", "sex", "height", "mass"), REFERENCE)
def test_the_reference_person_has_the_published_size(age, sex, height, mass):
    made = make_subject(age, sex)
    assert (made.height_cm, made.mass_kg) == pytest.approx((height, mass))


def test_a_chest_holds_the_mass_that_is_said():
    for age, sex, height, mass in REFERENCE:
        made = make_subject(age, sex)
        effective = np.sqrt(made.width_mm * made.depth_mm)
        assert effective == pytest.approx(428 * np.sqrt(mass / height))


def test_all_lengths_grow_with_age():
    ages = [make_subject(age, "M") for age in (0, 1, 3, 6, 10, 14, 18)]
    for name in ("width_mm", "depth_mm", "lung_mm", "fat_mm", "growth"):
        values = [getattr(s, name) for s in ages]
        assert values == sorted(values)
        assert len(set(values)) == len(values)
    lungs = [s.lung_hu for s in ages]
    assert lungs == sorted(lungs, reverse=True)


def test_people_differ_and_the_seed_decides():
    first = make_subject(60, "F", np.random.default_rng(1))
    assert first == make_subject(60, "F", np.random.default_rng(1))
    assert first != make_subject(60, "F", np.random.default_rng(2))
    masses = [make_subject(60, "F", np.random.default_rng(i)).mass_kg for i in range(400)]
    assert np.median(masses) == pytest.approx(60, rel=0.04)
    assert 0.12 < np.std(np.log(masses)) < 0.22


@pytest.mark.parametrize(("age", "sex"), [(-1, "F"), (101, "M"), (30, "O")])
def test_nobody_else_is_made(age, sex):
    with pytest.raises(UsageError):
        make_subject(age, sex)

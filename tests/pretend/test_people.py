"""The people of the pretend city: who they are follows from their number."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.pretend.people import Persons, Quarter, patient_number, weigh

DAY = (np.datetime64("2021-06-01") - np.datetime64("1970-01-01")).astype(int)


def draw(quarter, modality, n=40_000, seed=1, day=DAY):
    bits = np.random.default_rng(seed).integers(0, 65536, (3, n), np.uint16)
    return quarter.draw(np.full(n, modality), np.zeros(n, np.int64), int(day), bits)


@pytest.mark.parametrize("people", [40, 1_000, 100_000])
def test_a_person_has_one_sex_and_one_birth(people):
    quarter = Quarter(people)
    persons = draw(quarter, 0)
    assert persons.number.min() >= 0
    assert persons.number.max() < people
    order = np.argsort(persons.number, kind="stable")
    number, birth, female = (getattr(persons, k)[order] for k in ("number", "birth", "female"))
    same = number[1:] == number[:-1]
    assert same.any()
    assert (birth[1:] == birth[:-1])[same].all()
    assert (female[1:] == female[:-1])[same].all()


def test_nobody_comes_before_birth():
    for day in (DAY - 500, DAY, DAY + 900):
        assert (draw(Quarter(50_000), 3, day=day).birth <= day + 1).all()


def test_mammography_is_for_women_past_forty():
    persons = draw(Quarter(100_000), 2)
    assert persons.female.all()
    age = (DAY - persons.birth) / 365.25
    assert (age > 40).mean() > 0.9


def test_some_come_often_and_most_do_not():
    counts = np.unique(draw(Quarter(100_000), 0, n=100_000).number, return_counts=True)[1]
    assert (counts > 1).mean() > 0.2
    assert counts.max() < 30


def test_an_identifier_tells_nothing_and_is_unique():
    numbers = patient_number(np.arange(300_000))
    assert len(np.unique(numbers)) == 300_000
    assert numbers.min() >= 0
    assert numbers.max() < 10**8
    assert abs(np.corrcoef(np.arange(300_000), numbers)[0, 1]) < 0.01


def test_weight_belongs_to_the_person():
    persons = Persons(np.arange(4), np.zeros(4, np.float32), np.array([False, True, False, True]))
    same = np.zeros(4, np.int64)
    adult = weigh(persons, same, np.full(4, 40, np.float32))
    older = weigh(persons, same, np.full(4, 70, np.float32))
    child = weigh(persons, same, np.full(4, 5, np.float32))
    assert (adult == older).all()
    assert (child < 40).all()
    assert adult[0] > adult[1]

"""Facilities and devices: fewer of them in a smaller city, busy as in the large one."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import numpy as np
import pytest

from workbench.pretend.city import City


@pytest.fixture(scope="module", params=[0.01, 0.05, 0.3, 1.0])
def city(request):
    return City(3, request.param, start=dt.date(2023, 1, 1), months=12, plant=False)


def test_a_smaller_city_has_fewer_facilities_not_emptier_ones(city):
    assert len(city.facilities) == max(round(155 * city.scale), 15)
    held = {f.district for f in city.facilities}
    assert held == set(range(5))
    share = len(city.digital) / (city.scale * 1025)
    assert share <= (6 if city.scale < 0.06 else 1.2)
    # Use of the opening hours: exams take no more than most of them, and not next to nothing.
    for name in ("CT", "DX", "MR"):
        rows = [i for i, d in enumerate(city.digital) if d.modality == name]
        hours = {"CT": 0.19, "DX": 0.1, "MR": 0.45}[name]
        spent = city.rates[rows].sum() * hours
        opened = sum(
            (w[1] - w[0]) / 60 * n
            for i in rows
            for w, n in zip(city.digital[i].windows, (260, 52, 52), strict=True)
            if w is not None
        )
        assert 0.06 < spent / opened < 0.8


def test_every_district_can_answer(city):
    for name in ("CT", "DX", "MG"):
        assert len({d.facility.district for d in city.digital if d.modality == name}) >= 3
    assert {d.facility.district for d in city.digital if d.modality == "CT"} == set(range(5))


def test_names_are_unique_and_devices_in_order(city):
    for name in ("station", "serial"):
        assert max(Counter(getattr(d, name) for d in city.devices).values()) == 1
    numbers = [d.facility.number for d in city.digital]
    assert numbers == sorted(numbers)


def test_what_is_not_there_does_nothing(city):
    dates = city.demand.dates()
    for device, rates in zip(city.digital, city.rates, strict=True):
        late = sum(day < device.installed for day in dates)
        assert (rates[:late] == 0).all()
        closed = [i for i, d in enumerate(dates) if device.windows[max(0, d.weekday() - 4)] is None]
        assert (rates[closed] == 0).all()
    assert sum(d.installed > dates[0] for d in city.digital) > 0


def test_each_device_is_down_for_some_days_only(city):
    for device, rates in zip(city.digital, city.rates, strict=True):
        working = [
            rate
            for rate, day in zip(rates, city.demand.dates(), strict=True)
            if day.weekday() < 5 and day > device.installed
        ]
        runs = "".join("x" if rate == 0 else " " for rate in working).split()
        assert max(map(len, runs), default=0) <= 7
    assert (city.rates == 0).any()


def test_clocks_are_nearly_right(city):
    ahead = np.array([d.clock_s for d in city.digital])
    assert np.abs(ahead).max() <= 90
    assert ahead.std() > 5


def test_film_sends_nothing():
    city = City(3, 0.3, months=12, plant=False)
    film = [d for d in city.devices if not d.digital]
    assert len(city.devices) == len(city.digital) + len(film)
    assert 0.1 < len(film) / len(city.devices) < 0.2
    assert any(d.retired for d in film)
    assert not any(d.retired for d in city.digital)


def test_the_smallest_city_has_one_facility_a_district():
    city = City(3, 0.001, months=12, plant=False)
    assert len(city.facilities) == 5
    assert {f.district for f in city.facilities} == set(range(5))
    assert {"CT", "DX", "MG"} <= {d.modality for d in city.digital}
    # A modality with next to no exams is left out: bone scans are 30,000 a year in the whole city.
    assert "NM" not in {d.modality for d in city.digital}

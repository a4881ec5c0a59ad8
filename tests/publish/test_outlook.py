"""Outlook: years as told, the same forecast in every language, targets of all sites together."""

import math

import numpy as np
import pytest

from tests.publish.city import DISTRICTS, make_rows, write_city
from workbench.publish.content import read_content
from workbench.publish.outlook import LEVELS, _forecast
from workbench.publish.parts import section_html
from workbench.publish.readings import read
from workbench.statistics.forecasting import forecast, working_days


def reading(content, name="growth", site="", language="en"):
    section = content.study.section(name)
    return read(section, content.scope(section, site, language))


def test_years_are_told_with_their_ends(city):
    numbers = [(n, seed) for seed, (_, n) in enumerate(DISTRICTS.values())]
    rows = [make_rows(n, seed, len(DISTRICTS)) for n, seed in numbers]
    month = np.concatenate([r["month"] for r in rows])
    modality = np.concatenate([r["modality"] for r in rows])
    together, ct = reading(city).outlook
    for series, here in ((together, month), (ct, month[modality == 0])):
        for i, year in enumerate(series.years[:4]):
            exact = ((here >= 12 * i) & (here < 12 * i + 12)).sum()
            assert year.year == 2020 + i
            assert year.told.low <= exact <= year.told.high


def test_the_forecast_is_that_of_the_library(city):
    series = reading(city, "months").outlook[0]
    counts = [cell.value for cell in series.cells]
    ahead = forecast(counts, "2020-01", 12, exposure=working_days("2020-01", 60))
    bands = ahead.interval(LEVELS)
    assert series.middle == tuple(bands.middle.values.tolist())
    for i, (level, low, high) in enumerate(series.bands):
        assert level == LEVELS[i]
        assert low == tuple(bands.low.values[i].tolist())
        assert high == tuple(bands.high.values[i].tolist())
    expected = series.years[-1].expected
    assert expected.how == "forecast"
    assert expected.value == pytest.approx(np.median(ahead.year(2024)), rel=0.005)


def test_it_is_made_once_for_all_languages(city):
    reading(city)
    before = _forecast.cache_info().misses
    for language in ("ru", "zh", "en"):
        reading(city, language=language)
    assert _forecast.cache_info().misses == before


def test_targets_have_a_chance_and_a_source(city):
    together, ct = reading(city).outlook
    years = {year.year: year for year in together.years}
    assert years[2024].target == 44000
    assert 0 < years[2024].chance < 0.01
    assert {year.year: year.target for year in ct.years}[2025] == 30000
    found = reading(city)
    assert "the target of 44,000 is reached with a chance of 0.1%" in found.answer
    assert found.head[-3:] == ("Target", "Chance of reaching it", "Source of the target")
    assert {len(row) for row in found.body} == {len(found.head)}
    assert reading(city, language="ru").body[4][-1].text == "План города"


def test_one_site_is_not_held_against_the_targets_of_all(city):
    found = reading(city, site="North district")
    assert all(math.isnan(year.target) for one in found.outlook for year in one.years)
    assert "target" not in found.finding
    assert "Over all sites together: 2024: " in found.finding


def test_a_target_of_a_year_that_is_told_is_met_or_missed(city):
    section = city.study.section("growth")
    targets = [t.model_copy(update={"year": 2023, "value": v, "label": "all"})
               for t, v in zip(section.target, (10.0, 1e9), strict=True)]  # fmt: skip
    for target, words in zip(targets, ("is met", "is missed"), strict=True):
        asked = section.model_copy(update={"target": [target]})
        assert words in read(asked, city.scope(asked)).answer


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tmp_path_factory.mktemp("short") / "study"
    return read_content(write_city(folder, {"one": ("One district", 9000)}, months=18))


def test_under_two_years_the_months_stand_alone_and_it_is_said(short):
    found = reading(short)
    assert all(series.middle == () for series in found.outlook)
    assert found.answer.startswith("All: 18 months are told; under 24")
    html = section_html(short, short.study.section("growth"))
    assert "wb-figure" in html
    assert "what may come" not in html
    assert "target beyond the axis" in html


def test_what_nobody_tells_is_not_drawn(tmp_path):
    sites = {"a": ("Tiny", 60), "b": ("Tiny two", 40)}
    content = read_content(write_city(tmp_path / "study", sites))
    assert "wb-figure" not in section_html(content, content.study.section("months"))

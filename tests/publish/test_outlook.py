"""Outlook: years as told, the same forecast in every language, targets of all sites together."""

import numpy as np
import pytest

from tests.publish.city import DISTRICTS, make_rows, write_city
from workbench.definition.study_file import Target
from workbench.publish.content import read_content
from workbench.publish.language import speak
from workbench.publish.marks import Cell
from workbench.publish.outlook import LEVELS
from workbench.publish.parts import section_html
from workbench.publish.readings import read
from workbench.publish.years import forecast_of
from workbench.statistics.forecasting import backtest, forecast, working_days


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
    assert series.ahead.start == 48
    assert series.ahead.middle == tuple(bands.middle.values.tolist())
    for i, (level, low, high) in enumerate(series.ahead.bands):
        assert level == LEVELS[i]
        assert low == tuple(bands.low.values[i].tolist())
        assert high == tuple(bands.high.values[i].tolist())
    expected = series.years[-1].expected
    assert expected.how == "forecast"
    assert expected.value == pytest.approx(np.median(ahead.year(2024)), rel=0.005)


def test_it_is_made_once_for_all_languages(city):
    reading(city)
    before = forecast_of.cache_info().misses
    for language in ("ru", "zh", "en"):
        reading(city, language=language)
    assert forecast_of.cache_info().misses == before


def test_targets_have_a_chance_and_a_source(city):
    together, ct = reading(city).outlook
    years = {year.year: year for year in together.years}
    assert years[2024].target == Cell(44000, 44000, 44000)
    assert 0 < years[2024].chance.value < 0.01
    assert {year.year: year.target for year in ct.years}[2025].value == 30000
    found = reading(city)
    assert "the target of 44,000 is reached with a chance of 0.1%" in found.answer
    assert found.head[-3:] == ("Target", "Chance of reaching it", "Source of the target")
    assert {len(row) for row in found.body} == {len(found.head)}
    assert reading(city, language="ru").body[4][-1].text == "План города"


def test_one_site_is_not_held_against_the_targets_of_all(city):
    found = reading(city, site="North district")
    assert not any(year.target.shown for one in found.outlook for year in one.years)
    assert "target" not in found.finding
    assert "Over all sites together: 2024: " in found.finding


def test_a_target_of_a_year_that_is_told_is_met_or_missed(city):
    section = city.study.section("growth")
    targets = [t.model_copy(update={"year": 2023, "value": v, "label": "all"})
               for t, v in zip(section.target, (10.0, 1e9), strict=True)]  # fmt: skip
    for target, words in zip(targets, ("is met", "is missed"), strict=True):
        asked = section.model_copy(update={"target": [target]})
        assert words in read(asked, city.scope(asked)).answer


def asked(city, **given):
    section = city.study.section("growth")
    target = {"label": "all", "year": 2023, "source": {"en": "Plan"}} | given.pop("target", {})
    section = section.model_copy(update={"target": [Target(**target)], **given})
    return read(section, city.scope(section))


def test_a_ratio_is_of_what_a_year_is_told_to_have_had_within_its_ends(city):
    ratio = {"ratio": 1.2, "since": 2020, "year": 2024}
    found = asked(city, target=ratio)
    years = {year.year: year for year in found.outlook[0].years}
    base, target = years[2020].told, years[2024].target
    assert target.value == pytest.approx(1.2 * base.value, abs=0.5)
    assert target.low <= 1.2 * base.low < 1.2 * base.high <= target.high
    paths = forecast_of(tuple(c.value for c in found.outlook[0].cells), "2020-01", 12).year(2024)
    chance = years[2024].chance
    assert chance.low <= (paths >= 1.2 * base.high).mean() <= chance.value
    assert chance.value <= (paths >= 1.2 * base.low).mean() <= chance.high
    assert "(1.2 × 2020; " in found.answer


def test_a_ratio_to_a_year_that_is_not_told_whole_is_no_target(short):
    found = asked(short, target={"ratio": 1.2, "since": 2021})
    assert not any(year.target.shown for year in found.outlook[0].years)
    assert "the target is 1.2 × 2021, and that year is not told whole" in found.finding


def test_months_are_held_out_and_the_coverage_is_that_of_the_library(city):
    found = asked(city, target={"value": 1000}, hold_out=12)
    whole = found.outlook[0]
    counts = np.array([cell.value for cell in whole.cells])
    tested = backtest(
        counts, "2020-01", 12, exposure=working_days("2020-01", 48), origins=1, levels=[0.8]
    )
    year = next(year for year in whole.years if year.year == 2023)
    assert year.held_out == 12
    assert year.inside.value == pytest.approx(12 * tested.coverage.item())
    assert year.inside.low <= year.inside.value <= year.inside.high
    assert whole.tested.start == 36
    assert year.told.shown
    assert year.expected.shown
    # What was held out is not looked at: the forecast is that of the first three years.
    known = forecast_of(tuple(counts[:36].tolist()), "2020-01", 12)
    assert year.expected.value == pytest.approx(np.median(known.year(2023)), rel=0.005)
    assert year.chance.value == 1 - 0.5 / 2000
    assert year.outcome == "met"
    n = int(year.inside.value)
    assert f"All together {n}" in found.finding or f"All {n}" in found.finding
    assert "inside the 80% interval (about 10 of 12 expected): " in found.finding
    column = found.head.index("Held-out months inside the 80% interval")
    row = next(row for row in found.body if row[0].text.endswith("2023"))
    assert row[column].text.startswith(f"{n}")
    assert row[column].text.endswith(" of 12")


@pytest.mark.parametrize(("ratio", "outcome"), [(0.1, "met"), (9, "missed")])
def test_the_chance_is_of_the_forecast_and_the_outcome_stands_beside_it(city, ratio, outcome):
    found = asked(city, target={"ratio": ratio, "since": 2020}, hold_out=12)
    year = next(year for year in found.outlook[0].years if year.year == 2023)
    assert year.outcome == outcome
    assert found.answer.endswith(f": {outcome}.")
    assert found.head[-4:-1] == ("Target", "Chance of reaching it", "Outcome")


def test_within_the_ends_an_outcome_is_not_known(city):
    told = next(y for y in asked(city, target={"value": 1}).outlook[0].years if y.year == 2023).told
    found = asked(city, target={"value": told.value + 1})
    assert told.low < told.value + 1 < told.high
    assert "too close to tell" in found.answer


@pytest.mark.parametrize("language", ["en", "ru", "zh"])
def test_months_held_out_are_drawn_in_every_language(city, language):
    section = city.study.section("growth").model_copy(update={"hold_out": 12})
    html = section_html(city, section, language=language)
    assert speak(language).say("legend_tested") in html


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tmp_path_factory.mktemp("short") / "study"
    return read_content(write_city(folder, {"one": ("One district", 9000)}, months=18))


def test_under_two_years_the_months_stand_alone_and_it_is_said(short):
    found = reading(short)
    assert all(series.fans == () for series in found.outlook)
    assert found.answer.startswith("All: 18 months are told; under 24")
    html = section_html(short, short.study.section("growth"))
    assert "wb-figure" in html
    assert "what may come" not in html
    assert "target beyond the axis" in html


def test_what_nobody_tells_is_not_drawn(tmp_path):
    sites = {"a": ("Tiny", 60), "b": ("Tiny two", 40)}
    content = read_content(write_city(tmp_path / "study", sites))
    assert "wb-figure" not in section_html(content, content.study.section("months"))

"""Section rules: what a figure needs of its table, refused by name with the nearest good one."""

from __future__ import annotations

import shutil

import pytest

from tests.publish.city import CODELISTS, STUDY
from tests.released import write_codelists
from tests.toy import write_notebook
from workbench.definition.study_check import check_study
from workbench.errors import DefinitionError
from workbench.study import read_study

HOURS = 'id = "hours"\ntable = "exams_by_hour"\nfigure = "heatmap"\n'
CURVES = 'figure = "curves"\nmeasure = "median"\ndimension = "reader_group"'
DOTS = 'figure = "dots"\nmeasure = "median"\ndimensions = ["protocol", "facility"]'
FAN = 'table = "exams_by_month"\nfigure = "fan"\ndimensions = ["month", "modality"]'
WRONG = {
    "a heatmap of one dimension": (
        HOURS + 'dimensions = ["weekday", "hour"]',
        HOURS + 'dimension = "hour"',
        "hours.dimensions",
        "'heatmap' needs two dimensions",
    ),
    "a heatmap of a histogram": (
        HOURS + 'dimensions = ["weekday", "hour"]',
        HOURS.replace("exams_by_hour", "dlp") + 'dimensions = ["protocol", "facility"]',
        "hours.table",
        "'heatmap' shows no table of kind histogram",
    ),
    "curves of what was not broken off": (
        'table = "turnaround"\n' + CURVES,
        'table = "dlp"\n' + CURVES.replace("reader_group", "protocol"),
        "waiting.table",
        "does not say which times were broken off",
    ),
    "curves by outcome": (
        CURVES,
        CURVES.replace("reader_group", "outcome"),
        "waiting.dimension",
        "it is no group",
    ),
    "curves of a percentile": (
        CURVES,
        CURVES.replace('"median"', '"p90"'),
        "waiting.measure",
        "does not show the measure 'p90'",
    ),
    "a time that is no edge": (
        "within = [1, 24]",
        "within = [1, 20]",
        "waiting.within",
        "20 is no edge of 'turnaround'",
    ),
    "times of a heatmap": (
        HOURS,
        HOURS + "within = [1]\n",
        "section",
        "asks curves for the share of some times",
    ),
    "dots of one dimension": (
        DOTS,
        'figure = "dots"\nmeasure = "median"\ndimension = "facility"',
        "dose.dimensions",
        "'dots' needs two dimensions",
    ),
    "a fan without a calendar": (
        FAN,
        FAN.replace('["month", "modality"]', '["modality", "month"]'),
        "growth.dimensions",
        "'modality' is no calendar",
    ),
    "a fan of patients": (
        FAN,
        FAN + '\nmeasure = "patients"',
        "growth.measure",
        "does not show the measure 'patients'",
    ),
    "a target of no dimension": (
        FAN,
        FAN.replace('dimensions = ["month", "modality"]', 'dimension = "month"'),
        "growth.target",
        "The target of 'CT' has no dimension",
    ),
    "a target without a number": ("value = 44000\n", "", "target", "needs 'value' or 'ratio'"),
    "a target of two numbers": (
        "value = 44000",
        "value = 44000\nratio = 1.3\nsince = 2020",
        "target",
        "needs 'value' or 'ratio'",
    ),
    "a ratio to no year": (
        "value = 44000",
        "ratio = 1.3",
        "target",
        "'ratio' and 'since' go together",
    ),
    "a ratio to a later year": (
        "value = 44000",
        "ratio = 1.3\nsince = 2024",
        "target",
        "'since' is not before 2024",
    ),
    "a ratio to a year that the calendar lacks": (
        "value = 44000",
        "ratio = 1.3\nsince = 2019",
        "growth.target",
        "The year 2019 is not whole in 'month'",
    ),
    "months held out of bars": (
        DOTS,
        f"{DOTS}\nhold_out = 12",
        "dose",
        "holds back the last months of a fan",
    ),
    "patients where no row is one": (
        HOURS,
        f'{HOURS}measure = "patients"\ncounted = "device-days"\n',
        "hours",
        "says that no row is a patient",
    ),
    "a target of nothing": ("value = 44000", "value = 0", "target", "value"),
    "a target beyond all counting": ("value = 44000", "value = 1e308", "target.1.value", "1e+308"),
    "a target that is no number": ("value = 44000", "value = nan", "target.1.value", "finite"),
    "a ratio beyond all growth": (
        "value = 44000",
        "ratio = 1e308\nsince = 2020",
        "target.1.ratio",
        "up to 1,000",
    ),
    "two targets of one label and year": (
        'label = "CT"\nyear = 2025',
        'label = "all"\nyear = 2024',
        "growth.target",
        "Two targets of 'all' are for 2024",
    ),
    "a target of a year before the first month": (
        "year = 2024",
        "year = 2019",
        "growth.target",
        "The target of 2019 is before 'month' begins",
    ),
    "a target of a year that has begun before the first month": (
        'first = "2020-01"\nlast = "2023-12"',
        'first = "2024-02"\nlast = "2025-12"',
        "growth.target",
        "The target of 2024 is before 'month' begins",
    ),
    "more targets than fans": (
        '[[dashboard.section.target]]\nlabel = "CT"\n',
        "".join(
            f'[[dashboard.section.target]]\nlabel = "{label}"\nyear = 2025\nvalue = 1\n'
            'source = { en = "Plan", ru = "План", zh = "规划" }\n\n'
            for label in ("MR", "DX", "US")
        )
        + '[[dashboard.section.target]]\nlabel = "CT"\n',
        "growth.target",
        "Targets of 4 labels, and a figure draws 3",
    ),
    "one dimension twice": (
        HOURS + 'dimensions = ["weekday", "hour"]',
        HOURS + 'dimensions = ["hour", "hour"]',
        "hours.dimensions",
        "'hour' stands twice",
    ),
    "one time twice": ("within = [1, 24]", "within = [24, 24]", "waiting.within", "stands twice"),
    "one language twice": (
        'status = "open"',
        'status = "open"\nlanguages = ["en", "en"]',
        "study.languages",
        "'en' stands twice",
    ),
    "a target that cites nobody": (
        'value = 44000\nsource = { en = "Plan of the city", ru = "План города", zh = "城市规划" }',
        "value = 44000",
        "source",
        "missing",
    ),
    "a figure that is not known": ('figure = "dots"', 'figure = "dot"', "dose.figure", "'dots'"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules") / "city"
    folder.mkdir()
    (folder / "study.toml").write_text(STUDY)
    write_codelists(folder, CODELISTS)
    write_notebook(folder / "01_count.ipynb", "How many?")
    return folder


def changed(whole, tmp_path, *changes):
    folder = shutil.copytree(whole, tmp_path / "city")
    text = (folder / "study.toml").read_text()
    for old, new in changes:
        assert text.count(old) >= 1
        text = text.replace(old, new, 1)
    (folder / "study.toml").write_text(text)
    return folder


@pytest.mark.parametrize(("old", "new", "where", "what"), WRONG.values(), ids=list(WRONG))
def test_what_a_figure_cannot_show_is_refused_by_name(whole, tmp_path, old, new, where, what):
    with pytest.raises(DefinitionError) as refused:
        read_study(changed(whole, tmp_path, (old, new)))
    assert what in str(refused.value)
    assert where in str(refused.value)


def test_the_nearest_good_one_is_named(whole, tmp_path):
    for number, (old, new, what) in enumerate(
        (
            ("within = [1, 24]", "within = [20]", "such as 12 or 24"),
            (FAN, FAN.replace('"month", "modality"', '"modality", "month"'), "'month'"),
            (
                HOURS + 'dimensions = ["weekday", "hour"]',
                HOURS.replace("exams_by_hour", "dlp") + 'dimensions = ["protocol", "facility"]',
                "Known: exams_by_hour, exams_by_month, use_of_hours",
            ),
        )
    ):
        with pytest.raises(DefinitionError) as refused:
            read_study(changed(whole, tmp_path / str(number), (old, new)))
        assert what in refused.value.todo


def messages(study):
    return [f.message for f in check_study(study) if f.level == "fail" and f.rule == "labels"]


def test_labels_of_targets_and_of_outcomes_are_checked_against_the_codelists(whole, tmp_path):
    assert messages(read_study(whole)) == []
    study = read_study(changed(whole, tmp_path / "a", ('label = "CT"', 'label = "CTT"')))
    found = [f for f in check_study(study) if "CTT" in f.message]
    assert [f.level for f in found] == ["fail"]
    assert "Did you mean 'CT'?" in found[0].todo
    folder = changed(whole, tmp_path / "b")
    path = folder / "codelists/outcome.csv"
    path.write_text(path.read_text().replace("event,", "done,"))
    assert "does not say how a time ended" in " ".join(messages(read_study(folder)))


def test_a_source_that_lacks_a_language_is_said(whole, tmp_path):
    source = 'source = { en = "Plan of the city", ru = "План города", zh = "城市规划" }'
    study = read_study(changed(whole, tmp_path, (source, 'source = "Plan"')))
    assert len(messages(study)) == 2

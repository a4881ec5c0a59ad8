import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workbench.definition.dimensions import DimensionTable, make_dimension, month_labels
from workbench.errors import DefinitionError

LABEL = {"en": "Age", "ru": "Возраст", "zh": "年龄"}


def declare(tmp_path=None, **more):
    return make_dimension("age", DimensionTable(label=LABEL, **more), tmp_path)


@pytest.fixture
def age():
    return declare(edges=[0, 5, 85], maximum=130, unit="a")


def test_edges_become_half_open_labels(age):
    assert age.labels == ("[0,5)", "[5,85)", "[85,inf)", "other", "missing")
    assert (age.dimension.labels_from, age.dimension.unit) == ("intervals", "a")
    assert declare(edges=[0.5, 1, 2.5e10]).labels[:3] == (
        "[0.5,1)",
        "[1,25000000000)",
        "[25000000000,inf)",
    )


@pytest.mark.parametrize("language", ["en", "ru", "zh"])
def test_an_age_is_told_in_whole_years_and_nothing_else_is(language):
    def told(**more):
        found = declare(**more)
        return [found.label(label, language) for label in found.labels[:-2]]

    assert told(edges=[0, 1, 5, 60, 70], unit="a") == ["0", "1–4", "5–59", "60–69", "≥70"]
    assert told(edges=[0, 0.5, 5], unit="a") == ["0–<0.5", "0.5–<5", "≥5"]
    assert told(edges=[0, 10], unit="MB") == ["0–<10", "≥10"]


def test_names_are_those_of_a_codelist():
    with pytest.raises(ValidationError, match="goes with a codelist"):
        declare(edges=[0, 5], names=True)


def test_numbers_find_their_interval(age):
    values = [0, 4.999, 5, 84, 85, 130, 130.1, -0.1, np.inf, -np.inf, np.nan]
    expected = [
        "[0,5)",
        "[0,5)",
        "[5,85)",
        "[5,85)",
        "[85,inf)",
        "[85,inf)",
        *["other"] * 4,
        "missing",
    ]
    found = age.encode(np.array(values))
    assert found.dtype == np.int32
    assert [age.labels[i] for i in found] == expected


@pytest.mark.parametrize(
    "values",
    [
        [3, None, 200],
        np.array([3, None, 200], dtype=object),
        pd.Series([3, None, 200]),
        pd.Series([3, None, 200], dtype="Int64"),
        pl.Series([3, None, 200]),
        pl.Series([3.0, None, 200.0]),
        ["3", "", "many"],
        pl.Series(["3", None, "many"]),
    ],
    ids=lambda v: f"{type(v).__module__}-{getattr(v, 'dtype', '')}",
)
def test_every_kind_of_column_is_encoded_alike(age, values):
    assert age.encode(values).tolist() == [0, 4, 3]


def test_mixed_types_become_other(age):
    assert age.encode([True, [1], {}, "x", object(), 10**400, 7]).tolist() == [3, 3, 3, 3, 3, 3, 1]
    assert age.encode([]).tolist() == []


@given(st.lists(st.floats()))
def test_each_number_lies_in_its_interval(values):
    age = declare(edges=[0, 5, 85], maximum=130)
    for value, position in zip(values, age.encode(values), strict=True):
        if np.isnan(value):
            assert age.labels[position] == "missing"
        elif not 0 <= value <= 130:
            assert age.labels[position] == "other"
        else:
            low, high = (float(end) for end in age.labels[position][1:-1].split(","))
            assert low <= value < high


def test_labels_are_told_in_words(age):
    assert [age.label(x, "ru") for x in ("[0,5)", "[85,inf)", "other", "all")] == [
        "0–4",
        "≥85",
        "Другое",
        "Все",
    ]
    assert (age.title("zh"), age.title("fr")) == ("年龄", "Age")
    with pytest.raises(DefinitionError, match="Unknown label"):
        age.label("[0,6)")


@pytest.fixture
def month():
    return declare(calendar="month", first="2019-12", last="2020-02")


DAYS = ["2019-12-31", "2020-02-01", None, "2021-01-01"]


@pytest.mark.parametrize(
    "values",
    [
        DAYS,
        np.array(DAYS, dtype="datetime64[D]"),
        np.array(DAYS, dtype="datetime64[ns]"),
        pd.Series(pd.to_datetime(DAYS)),
        pl.Series(DAYS).str.to_date(),
        pl.Series(DAYS).str.to_datetime(),
        [None if d is None else datetime.date.fromisoformat(d) for d in DAYS],
    ],
)
def test_days_find_their_month(month, values):
    assert month.labels == ("2019-12", "2020-01", "2020-02", "other", "missing")
    assert month.encode(values).tolist() == [0, 2, 4, 3]


def test_what_is_no_day_becomes_other(month):
    values = ["2020-01", "2020-01-05T10:00", "2020-01-32", "2020-1-1", "20200101", "", "x", 5]
    assert month.encode(values).tolist() == [1, 1, 3, 3, 3, 4, 3, 3]
    assert month.label("2020-01", "zh") == "2020-01"
    assert len(month_labels("1900-01", "2099-12")) == 2400


def test_dimensions_travel_to_workers(age):
    back = pickle.loads(pickle.dumps(age))
    assert back == age
    assert back.encode([1]).tolist() == [0]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({}, "one source of labels"),
        ({"edges": [0, 1], "calendar": "month"}, "one source of labels"),
        ({"edges": [1, 1]}, "do not increase"),
        ({"edges": [0, float("inf")]}, "finite"),
        ({"edges": list(range(1002))}, "at most 1001"),
        ({"edges": [0, "1"]}, "valid number"),
        ({"edges": [0, 1], "maximum": 0}, "fits no edges"),
        ({"calendar": "month"}, "go with a calendar"),
        ({"calendar": "month", "first": "2020-13", "last": "2020-01"}, "match pattern"),
        ({"calendar": "month", "first": "2020-02", "last": "2020-01"}, "is after"),
        ({"edges": [0, 1], "first": "2020-01"}, "go with a calendar"),
        ({"edges": [0, 1], "zeros": "hidden"}, "'public' or 'protected'"),
        ({"edges": [0, 1], "colour": "red"}, "Extra"),
        ({"codelist": "a.txt"}, "no CSV"),
    ],
)
def test_wrong_declarations_are_refused(table, reason):
    with pytest.raises(ValidationError, match=reason):
        DimensionTable.model_validate({"label": LABEL, **table})

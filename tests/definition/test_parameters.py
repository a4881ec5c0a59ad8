import builtins
import datetime
import keyword
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workbench.definition.parameters import (
    TYPES,
    Parameter,
    check_parameter_name,
    parse_value,
    write_params,
)
from workbench.errors import DefinitionError

DEFAULTS = {"int": 1, "float": 1.5, "bool": True, "str": "a", "date": "2020-01-31", "choice": "x"}
TEXTS = {
    "int": "-7",
    "float": "1e3",
    "bool": "false",
    "str": "1e3",
    "date": "2024-02-29",
    "choice": "y",
}
VALUES = {
    "int": -7,
    "float": 1000.0,
    "bool": False,
    "str": "1e3",
    "date": "2024-02-29",
    "choice": "y",
}


def declare(type_, default=None, **more):
    scalar = type_.removeprefix("list[").removesuffix("]")
    if scalar == "choice":
        more.setdefault("choices", ["x", "y"])
    if default is None:
        default = DEFAULTS[scalar] if scalar == type_ else [DEFAULTS[scalar]]
    return Parameter(type=type_, default=default, **more)


@pytest.mark.parametrize("type_", TYPES)
def test_every_type_is_parsed_from_text(type_):
    scalar = type_.removeprefix("list[").removesuffix("]")
    value, text = VALUES[scalar], TEXTS[scalar]
    if scalar != type_:
        value, text = [value, value], f"{text}, {text}"
    found = parse_value(declare(type_), text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize(
    "text", ["", "x y", "nan", "inf", "1_0", "１", "0x10", "None", "[", "[[1]]", "{}", "1;2"]
)
def test_a_text_of_another_type_is_refused_or_stays_text(type_, text):
    parameter = declare(type_)
    try:
        found = parse_value(parameter, text)
    except DefinitionError as refused:
        assert refused.todo  # noqa: PT017
    else:
        assert parameter.scalar == "str" or found == []


def test_lists_of_text_with_commas_are_written_as_json():
    assert parse_value(declare("list[str]"), '["a,b", "c"]') == ["a,b", "c"]
    assert parse_value(declare("list[int]"), "") == []


def test_numbers_of_a_choice_keep_their_type():
    parameter = Parameter(type="choice", default=1, choices=[1, 2])
    assert parse_value(parameter, "2") == 2
    with pytest.raises(DefinitionError):
        parameter.accept("2")
    with pytest.raises(DefinitionError):
        parameter.accept(True)


@pytest.mark.parametrize(
    ("parameter", "value", "reason"),
    [
        (declare("int", minimum=0, maximum=5, unit="a"), 6, "out of range: allowed 0 to 5 a"),
        (declare("int", minimum=0), -1, "allowed 0 to …"),
        (declare("int"), True, "not a whole number"),
        (declare("int"), 1.0, "not a whole number"),
        (declare("int"), 2**63, "not a whole number"),
        (declare("float"), float("nan"), "not a finite number"),
        (declare("float"), float("inf"), "not a finite number"),
        (declare("float"), 10**400, "not a finite number"),
        (declare("float"), "1", "not a finite number"),
        (declare("bool"), 1, "not true or false"),
        (declare("date"), "2023-02-29", "not a date"),
        (declare("date"), "20230228", "not a date"),
        (declare("date", minimum="2020-01-01"), "2019-12-31", "out of range"),
        (declare("date"), datetime.datetime(2020, 1, 1), "not a date"),  # noqa: DTZ001
        (declare("choice"), "z", "is no choice"),
        (declare("str"), "a\nb", "control characters"),
        (declare("str"), "a\u202eb", "control characters"),
        (declare("str"), "a\ud800", "control characters"),
        (declare("str"), 5, "not text"),
        (declare("str", max_length=3), "abcd", "at most 3"),
        (declare("str", pattern="[a-z]+"), "ab1", "text that matches"),
        (declare("str", pattern="[a-z]+"), "ab\n", "control characters"),
        (declare("list[int]"), 5, r"not a list\[int\]"),
        (declare("list[int]"), list(range(1001)), "at most 1,000"),
        (declare("list[int]", maximum=9), [1, 10], r"\[1\]"),
    ],
)
def test_wrong_values_are_refused(parameter, value, reason):
    with pytest.raises(DefinitionError, match=reason):
        parameter.accept(value, "dose")


def test_dates_are_text_for_the_notebook():
    assert declare("date").accept(datetime.date(2020, 1, 1)) == "2020-01-01"
    assert (
        Parameter(
            type="date", default=datetime.date(2020, 1, 1), maximum=datetime.date(2021, 1, 1)
        ).maximum
        == "2021-01-01"
    )


def test_a_whole_number_becomes_a_float():
    parameter = Parameter(type="float", default=1)
    assert type(parameter.default) is float
    assert type(parameter.accept(2)) is float


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"type": "integer", "default": 1}, "'int'"),
        ({"type": "int", "default": "1"}, "not a whole number"),
        ({"type": "int", "default": 9, "maximum": 5}, "out of range"),
        ({"type": "int", "default": 1, "minimum": 2, "maximum": 1}, "above"),
        ({"type": "str", "default": "", "minimum": 1}, "has no 'minimum'"),
        ({"type": "int", "default": 1, "pattern": "1"}, "has no 'pattern'"),
        ({"type": "choice", "default": "a"}, "no 'choices'"),
        ({"type": "choice", "default": "a", "choices": ["b"]}, "is no choice"),
        ({"type": "choice", "default": "a", "choices": ["a", "a"]}, "stands twice"),
        ({"type": "str", "default": "", "pattern": "("}, "no usable pattern"),
        ({"type": "str", "default": "", "pattern": "(?=a)"}, "no usable pattern"),
        ({"type": "str", "default": "", "pattern": "(a{1000}){1000}"}, "no usable pattern"),
        ({"type": "float", "default": float("nan")}, "not a finite number"),
        ({"type": "int"}, "required"),
        ({"type": "int", "default": 1, "maximun": 2}, "Extra"),
    ],
)
def test_wrong_declarations_are_refused(table, reason):
    with pytest.raises(ValidationError, match=reason):
        Parameter.model_validate(table)


def test_no_pattern_can_hang():
    start = time.monotonic()
    with pytest.raises(DefinitionError):
        declare("str", default="a", pattern="(a+)+").accept("a" * 900 + "!")
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(
    "name",
    [
        *(
            [
                "site",
                "run_dir",
                "output_dir",
                "if",
                "None",
                "lambda",
                "match",
                "print",
                "open",
                "exec",
                "eval",
                "list",
                "input",
            ]
        ),
        *(
            "",
            "A",
            "1a",
            "a-b",
            "a b",
            "__import__",
            "_a",
            "a.b",
            "é",
            "ｓite",
            "a\n",
            "a;b",
            "x=1",
            "a" * 65,
        ),
        "x\nimport os",
        "а",  # Cyrillic
    ],
)
def test_bad_names_are_refused(name):
    with pytest.raises(DefinitionError, match=r"reserved|cannot be the name"):
        check_parameter_name(name)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True))
def test_good_names_are_assignable(name):
    try:
        check_parameter_name(name)
    except DefinitionError:
        assert (
            keyword.iskeyword(name)
            or keyword.issoftkeyword(name)
            or hasattr(builtins, name)
            or name in ("site", "run_dir", "output_dir")
        )
    else:
        space = {}
        exec(f"{name} = 1", space)
        assert space[name] == 1


scalars = st.one_of(
    st.text(),
    st.sampled_from(
        [
            "no",
            "1e3",
            "2020-01-01",
            "",
            "~",
            "null",
            "0x1",
            "1_0",
            "=",
            "y",
            "on",
            "12:30:45",
            " a ",
            "a: b",
            "#",
            "\x85",
            "\ufeff",
        ]
    ),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.one_of(scalars, st.lists(scalars))
    )
)
def test_yaml_gives_back_what_was_written(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("p") / "params.yaml"
    write_params(path, values)
    with path.open(encoding="utf-8") as file:
        back = yaml.safe_load(file)
    assert back == values
    assert {k: repr(v) for k, v in back.items()} == {k: repr(v) for k, v in values.items()}
    assert list(back) == list(values)


def test_dates_are_written_as_quoted_text(tmp_path):
    write_params(tmp_path / "p.yaml", {"start": datetime.date(2020, 1, 1), "days": ["2020-01-02"]})
    assert "'2020-01-01'" in (tmp_path / "p.yaml").read_text()
    assert yaml.safe_load((tmp_path / "p.yaml").read_text()) == {
        "start": "2020-01-01",
        "days": ["2020-01-02"],
    }


@pytest.mark.parametrize("value", [float("nan"), object(), (1, 2), {"a": 1j}])
def test_what_yaml_cannot_keep_is_refused_and_not_written(tmp_path, value):
    with pytest.raises(DefinitionError):
        write_params(tmp_path / "p.yaml", {"a": value})
    assert not (tmp_path / "p.yaml").exists()

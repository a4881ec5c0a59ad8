import contextlib
import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.summaries.strategies import MODALITY, SEX, tables
from workbench.errors import DefinitionError, ReleaseError
from workbench.summaries import counts, moments
from workbench.summaries.dimension import Dimension
from workbench.summaries.kinds import KINDS, fields_of
from workbench.summaries.summary import Summary, labelled
from workbench.summaries.table import (
    LARGEST_FILE,
    parse_summary,
    read_summary,
    render_summary,
    write_summary,
)

COUNTS = counts.summarise([SEX], {"sex": [0, 0, 1]}, exam=[1, 2, 3], patient=[1, 1, 2])
MOMENTS = moments.summarise(
    [], {}, exam=[1, 2], patient=[1, 2], values=[1, 4], unit="mGy", resolution=0.5
)


def view(mean="", sd="", status="suppressed"):
    """Return the bytes of a released view of moments with one cell."""
    about = {**MOMENTS.attributes}
    arrays = {"exams": np.array(10), "patients": np.array(10)}
    arrays |= {"mean": np.array(1.5), "sd": np.array(0.5)}
    words = dict.fromkeys(arrays, np.array("rounded"))
    released = Summary("moments", labelled((), arrays), (), about, labelled((), words))
    text = render_summary(released).decode()
    return (
        text.replace("mean,1.5,rounded", f"mean,{mean or '1.5'},rounded")
        .replace("sd,0.5,rounded", f"sd,{sd},{status}")
        .encode()
    )


@st.composite
def views(draw):
    """Draw a released view with random statuses."""
    summary = draw(tables()).summarise(draw(st.sampled_from(sorted(KINDS))))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = tuple(summary.data.sizes.values())
    exams = summary.data.exams.values
    made = {"exams": exams + 1, "patients": exams, "mean": random.normal(size=shape)}
    made["sd"] = np.abs(made["mean"])
    names = [f.name for f in KINDS[summary.kind].released_fields]
    words = {
        n: random.choice(["ok", "rounded", "suppressed", "not_applicable"], size=shape)
        for n in names
    }
    return Summary(
        summary.kind,
        labelled(summary.dimensions, {n: made[n] for n in names}, margins=summary.margins),
        summary.dimensions,
        summary.attributes,
        labelled(summary.dimensions, words, margins=summary.margins),
    )


@given(
    st.one_of(
        views(), st.builds(lambda t, k: t.summarise(k), tables(), st.sampled_from(sorted(KINDS)))
    )
)
def test_a_summary_has_one_file_and_a_file_one_summary(summary):
    content = render_summary(summary)
    again = parse_summary(content, summary.kind)
    assert again.equals(summary)
    assert [again.data[f.name].dtype for f in fields_of(again)] == [
        summary.data[f.name].dtype for f in fields_of(summary)
    ]
    assert render_summary(again) == content


@given(views())
def test_a_hidden_value_is_never_written(summary):
    for row in render_summary(summary).decode().splitlines()[2:]:
        _, value, status = row.rsplit(",", 2)
        assert (value == "") == (status in {"suppressed", "not_applicable"})


def test_a_file_reads_as_a_person_expects(tmp_path):
    path = tmp_path / "t.csv"
    write_summary(COUNTS, path)
    assert path.read_text() == (
        '#workbench {"attributes":{"population":"exams"},"dimensions":[{"labels":["F","M"],'
        '"labels_from":"codelist","margin":true,"name":"sex","one_per":"patient","unit":"",'
        '"zeros":"public"}],"exact":true,"format":1,"kind":"counts"}\n'
        "sex,variable,value,status\n"
        "all,exams,3,ok\nall,patients,2,ok\n"
        "F,exams,2,ok\nF,patients,1,ok\n"
        "M,exams,1,ok\nM,patients,1,ok\n"
    )
    assert read_summary(path).equals(COUNTS)


def test_labels_of_any_script_and_with_commas_are_kept():
    dimension = Dimension("model", ('a,"b"', "КТ", "磁共振", "[0,5)"), one_per="none")
    s = counts.summarise([dimension], {"model": [0, 1, 2, 3]}, [1, 2, 3, 4], [1, 1, 2, 2])
    assert parse_summary(render_summary(s)).equals(s)


C, M = render_summary(COUNTS), render_summary(MOMENTS)


def header(**changes):
    first, rest = C.split(b"\n", 1)
    found = json.loads(first.removeprefix(b"#workbench "))
    found.update(changes)
    text = json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return b"#workbench " + text.encode() + b"\n" + rest


def dimension(**changes):
    entry = json.loads(C.split(b"\n", 1)[0].removeprefix(b"#workbench "))["dimensions"][0]
    return header(dimensions=[{**entry, **changes}])


MALFORMED = {
    "empty": (b"", "does not say what the table is"),
    "no first line": (C.split(b"\n", 1)[1], "does not say what the table is"),
    "byte order mark": (b"\xef\xbb\xbf" + C, "byte order mark"),
    "other line ends": (C.replace(b"\n", b"\r\n"), "do not end with LF"),
    "other encoding": (C.replace(b'"F"', '"Ж"'.encode("cp1251")), "is no UTF-8"),
    "a NUL byte": (C.replace(b"F,exams", b"F\0,exams"), "NUL byte"),
    "cut off": (C[:-1], "ends within a line"),
    "no JSON": (C.replace(b"{", b"", 1), "no plain JSON"),
    "a key twice": (C.replace(b'"exact":true', b'"exact":true,"exact":true'), "stands twice"),
    "NaN in JSON": (header(attributes={"population": float("nan")}), "NaN is no number"),
    "deep JSON": (b"#workbench " + b"[" * 100_000 + b"\n", "no plain JSON"),
    "JSON of another shape": (b"#workbench []\nvariable,value,status\n", "is no object"),
    "an unknown entry": (header(comment="hello"), "unknown entry 'comment'"),
    "a missing entry": (C.replace(b'"exact":true,', b""), "misses 'exact'"),
    "a later format": (header(format=2), "Format 2 is not known"),
    "a format of another type": (header(format=True), "Format True is not known"),
    "an unknown kind": (header(kind="scores"), "no kind of Summary 'scores'"),
    "a kind of another type": (header(kind=["counts"]), "`kind` must be text"),
    "attributes of another type": (header(attributes=[]), "`attributes` must be an object"),
    "another attribute": (
        header(attributes={"population": "a", "site": "b"}),
        "attributes are not",
    ),
    "an attribute with a line end": (
        header(attributes={"population": "a\nb"}),
        "cannot be printed",
    ),
    "half a character": (
        header(attributes={"population": "x"}).replace(b'"x"', b'"\\ud800"'),
        "printed",
    ),
    "a dimension of another shape": (header(dimensions=["sex"]), "dimension 1 is no object"),
    "labels of another type": (dimension(labels=[1, 2]), "must be a list of text"),
    "a margin of another type": (dimension(margin=1), "wrong type"),
    "a label twice": (dimension(labels=["F", "F"]), "must be distinct"),
    "a dimension named like a field": (dimension(name="exams"), "The columns are not"),
    "a declaration outside the words": (dimension(one_per="site"), "one_per cannot be 'site'"),
    "a formula": (dimension(labels=["=1+1", "M"]), "is no label"),
    "a table too large": (dimension(labels=[str(i) for i in range(10_000)]), "rows are missing"),
    "columns in another order": (
        C.replace(b"variable,value", b"value,variable"),
        "columns are not",
    ),
    "an undeclared label": (C.replace(b"M,exams", b"X,exams"), "'X' is no label"),
    "an undeclared variable": (C.replace(b"M,exams", b"M,sum"), "'sum' is no label or variable"),
    "a cell twice": (C.replace(b"M,exams,1,ok", b"F,exams,2,ok"), "twice or out of order"),
    "a missing cell": (C.replace(b"M,exams,1,ok\n", b""), "1 of 6 rows are missing"),
    "rows in another order": (
        C.replace(b"F,exams,2,ok\nF,patients,1,ok\n", b"F,patients,1,ok\nF,exams,2,ok\n"),
        "twice or out of order",
    ),
    "one row more": (C + b"M,exams,1,ok\n", "more rows than cells"),
    "one entry more": (C.replace(b"M,exams,1,ok", b"M,exams,1,ok,"), "has 5 entries and not 4"),
    "an empty row": (C.replace(b"M,exams", b"\nM,exams"), "has 0 entries and not 4"),
    "an open quote": (C.replace(b"M,exams", b'"M,exams'), "CSV is broken"),
    "needless quotes": (C.replace(b"M,exams", b'"M",exams'), "not written as it must be"),
    "a space in the first line": (C.replace(b'"format":1', b'"format": 1'), "not written as it"),
    "no number": (C.replace(b"F,exams,2", b"F,exams,two"), "no whole number"),
    "a fraction": (C.replace(b"F,exams,2", b"F,exams,2.0"), "no whole number"),
    "a leading zero": (C.replace(b"F,exams,2", b"F,exams,02"), "no whole number"),
    "digits of another script": (C.replace(b"F,exams,2", "F,exams,٢".encode()), "no whole number"),
    "too many bits": (C.replace(b"F,exams,2", b"F,exams,9223372036854775808"), "too large"),
    "too many digits": (M.replace(b"square,68", b"square," + b"9" * 99), "no whole number"),
    "a negative count": (C.replace(b"F,exams,2", b"F,exams,-2"), "negative"),
    "more patients than exams": (C.replace(b"F,exams,2", b"F,exams,0"), "more patients than exams"),
    "a margin that does not fit": (C.replace(b"all,exams,3", b"all,exams,4"), "does not fit"),
    "sums of no values": (M.replace(b"square,68", b"square,49"), "No values have these sums"),
    "an unknown status": (C.replace(b"2,ok", b"2,fine"), "status cannot be 'fine'"),
    "a status that no exact table has": (C.replace(b"2,ok", b"2,rounded"), "status cannot be"),
    "a value beside suppressed": (view(sd="0.5"), "value stands beside 'suppressed'"),
    "no value beside rounded": (view(sd="", status="rounded"), "'' is no number"),
    "NaN": (view(mean="nan"), "not a number as it must be written"),
    "infinity": (view(mean="1e999"), "not a number as it must be written"),
    "another notation": (view(mean="1.50"), "not a number as it must be written"),
    "a negative sd": (view(sd="-1.0", status="rounded"), "no such mean or sd"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused_with_its_reason(name):
    content, reason = MALFORMED[name]
    with pytest.raises(ReleaseError) as refusal:
        parse_summary(content, where="devices.csv")
    assert reason in refusal.value.what
    assert refusal.value.where.startswith("devices.csv")
    assert refusal.value.todo


def test_the_line_is_named():
    with pytest.raises(ReleaseError) as refusal:
        parse_summary(C.replace(b"F,exams,2", b"F,exams,x"), where="t.csv")
    assert refusal.value.where == "t.csv, line 5"
    with pytest.raises(ReleaseError) as refusal:
        parse_summary(C.replace(b"M,exams", b'"M",exams'), where="t.csv")
    assert refusal.value.where == "t.csv, line 7"


def test_a_view_without_a_hidden_sd_is_whole():
    assert not parse_summary(view(), "moments").exact


def test_another_kind_than_expected_is_refused():
    with pytest.raises(ReleaseError, match="'counts' and not 'moments'"):
        parse_summary(C, "moments")


def test_what_is_no_file_of_a_summary_is_refused(tmp_path):
    with pytest.raises(ReleaseError, match="no such file"):
        read_summary(tmp_path / "none.csv")
    with pytest.raises(ReleaseError, match="no such file"):
        read_summary(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ReleaseError, match="no such file"):
        read_summary(tmp_path / "pipe.csv")
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(LARGEST_FILE * 100)
    with pytest.raises(ReleaseError, match="larger than 50000000 bytes"):
        read_summary(large)


def test_a_summary_that_is_not_of_its_kind_is_not_written(tmp_path):
    wrong = Summary("counts", MOMENTS.data, (), MOMENTS.attributes)
    with pytest.raises(DefinitionError):
        write_summary(wrong, tmp_path / "t.csv")
    assert not list(tmp_path.iterdir())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_summary_or_refused(content):
    for text in (content, b"#workbench " + content, C[:-5] + content, C[:60] + content + C[60:]):
        with contextlib.suppress(ReleaseError):
            assert render_summary(parse_summary(text)) == text


def test_one_changed_byte_changes_the_summary_or_is_refused():
    random = np.random.default_rng(0)
    for at in range(len(C)):
        content = bytearray(C)
        content[at] ^= int(random.integers(1, 256))
        with contextlib.suppress(ReleaseError):
            assert not parse_summary(bytes(content)).equals(COUNTS)


def test_dimension_without_margin_is_read_back():
    s = counts.summarise([MODALITY], {"modality": [0]}, [1], [1], margins=False)
    assert parse_summary(render_summary(s)).margins == ()

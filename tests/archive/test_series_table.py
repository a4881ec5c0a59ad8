"""Series tables: what is broken or hostile is refused by name, soon, and without its values."""

import contextlib
import pickle
import re
import time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.archive.test_archive import GOOD
from workbench.archive import series_table
from workbench.archive.archive import KEYWORDS
from workbench.archive.series_table import open_series_table
from workbench.errors import SiteError
from workbench.unreadable import UnreadableError, read_told

SECRET = "Ivanova^Anna"


def table(folder, content, name="t.csv", **declared):
    """Open a table of given content, and read all of it."""
    path = folder / name
    if isinstance(content, pl.DataFrame):
        content.write_parquet(path) if name.endswith("parquet") else content.write_csv(path)
    elif content is not None:
        path.write_bytes(content)
    opened = open_series_table({"path": name} | declared, folder, KEYWORDS)
    opened.validate()
    return opened.scan().collect()


def with_column(**columns):
    return pl.DataFrame(GOOD | columns, strict=False)


HEAD = b"exam_uid,patient_id,modality,instances\n"
BROKEN = {
    "no such file": (None, "t.csv", "no such table"),
    "empty": (b"", "t.csv", "no column names"),
    "not Parquet": (b"exam_uid\n1\n", "t.parquet", "not a Parquet file"),
    "cut Parquet": (b"PAR1" + b"\0" * 100, "t.parquet", "damaged"),
    "binary": (b"\x7fELF\0\0\0\n" * 10, "t.csv", "neither Parquet nor UTF-8"),
    "UTF-16": ("exam_uid,patient_id,modality\n".encode("utf-16"), "t.csv", "neither Parquet"),
    "Windows encoding": (HEAD + f"1,{SECRET},КТ,2\n".encode("cp1251"), "t.csv", "not UTF-8"),
    "longer row": (
        HEAD + f"1,{SECRET},CT,2,3,4\n".encode() * 3,
        "t.csv",
        "Row 1 of archive.path: not as many cells",
    ),
    "shorter row": (HEAD + b"1,p,CT,2\n" * 9 + f"1,{SECRET},CT\n".encode(), "t.csv", "Row 10 of"),
    "last row cut": (HEAD + b"1,p,CT,2\n1,p", "t.csv", "Row 2 of archive.path: not as many"),
    "open quotation mark": (HEAD + b'1,p,"CT,2\n' + b"1,p,CT,2\n" * 9, "t.csv", "Row 1 of"),
    "wrong header": (b"1.2.3.0,P0068,M,M\n1.2.3.1,P0069,F,F\n", "t.csv", "have one name"),
    "no header": (b"1.2.3.0,P0068,M\n", "t.csv", "0 of 3 needed columns found"),
    "no rows": (HEAD, "t.csv", "no rows"),
    "decimal comma": (b"exam_uid;patient_id;modality;megabytes\n1;p;CT;2,5\n", "t.csv", "comma"),
    "Excel": (b"PK\x03\x04" + b"\0[Content_Types].xml" * 9, "t.csv", "Excel is not read"),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 9, "t.parquet", "Excel is not read"),
    "compressed": (b"\x1f\x8b\x08" * 99, "t.csv", "compressed"),
    "double column": (b"exam_uid,exam_uid,patient_id,modality\n", "t.csv", "stands twice"),
    "huge header": (b"a" * 2_000_000, "t.csv", "first line"),
    "no modality": (b"exam_uid,patient_id\n1,2\n", "t.csv", "no column for 'modality'"),
    "text as number": (HEAD + f"1,{SECRET},CT,many\n".encode(), "t.csv", "instances"),
    "half an image": (HEAD + b"1,p,CT,2.5\n", "t.csv", "instances"),
    "control character": (HEAD + b"1,p\x1b[31m,CT,2\n", "t.csv", "patient_id"),
    "long identifier": (HEAD + b"1," + b"p" * 300 + b",CT,2\n", "t.csv", "patient_id"),
    "huge text": (HEAD + b"1,p," + b"x" * 10_000_000 + b",2\n", "t.csv", "modality"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_tables_are_refused_by_name(tmp_path, case):
    content, name, words = BROKEN[case]
    start = time.monotonic()
    with pytest.raises(SiteError) as caught:
        table(tmp_path, content, name)
    assert time.monotonic() - start < 5
    assert words in str(caught.value)
    assert name in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("case", sorted(set(BROKEN) - {"huge text"}))
def test_a_wrong_format_is_met_when_the_table_is_opened(tmp_path, case):
    content, name, words = BROKEN[case]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SiteError, match=words):
        open_series_table({"path": name}, tmp_path, KEYWORDS)


def test_a_table_without_rows_asks_for_those_of_its_level(tmp_path):
    (tmp_path / "t.csv").write_bytes(HEAD)
    for level in ("series", "exam"):
        with pytest.raises(SiteError, match="no rows") as caught:
            open_series_table({"path": "t.csv", "level": level}, tmp_path, KEYWORDS)
        assert re.search(rf"one row an? {level}$", caught.value.todo)


def test_another_encoding_far_down_is_met_when_the_table_is_opened(tmp_path):
    good = HEAD + b"1,p,CT,2\n" * 1_000_000
    (tmp_path / "t.csv").write_bytes(good + "1,p,КТ,2\n".encode("cp1251"))
    start = time.monotonic()
    with pytest.raises(SiteError, match="not UTF-8"):
        open_series_table({"path": "t.csv"}, tmp_path, KEYWORDS)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "header",
    [
        "1.2.3.0,P0068,Ivanova^Anna",
        "exam_uid,P0068,1.2.3.0",
        "exam_uid,patient_id,1.2.3.0,P0068,45.5",
        "exam_uid,exam_uid,P0068,1.2.3.0",
    ],
)
def test_a_first_row_that_stands_for_names_is_not_told(tmp_path, header):
    (tmp_path / "t.csv").write_text(header + "\n" + header + "\n")
    for columns in ({}, {"modality": "Modality"}, {"sex": "P006"}):
        with pytest.raises(SiteError) as caught:
            open_series_table({"path": "t.csv", "columns": columns}, tmp_path, KEYWORDS)
        assert not any(value in str(caught.value) for value in ("P0068", "1.2.3", "Ivan", "45"))


def test_ignored_columns_that_look_like_values_are_counted_only(tmp_path):
    (tmp_path / "t.csv").write_text("exam_uid,patient_id,modality,P0068,Этаж\n1,p,CT,2,3\n")
    opened = open_series_table({"path": "t.csv"}, tmp_path, KEYWORDS)
    assert "Ignored columns: Этаж and 1 more" in opened.notes


def test_rows_repeated_exactly_are_refused_where_they_would_be_added_up(tmp_path, monkeypatch):
    row = {"exam_uid": "1", "patient_id": "p", "modality": "CT", "instances": 7}
    rows = pl.DataFrame([row, {**row, "exam_uid": "2"}] * 51)
    for size in (10**6, 10):
        monkeypatch.setattr(series_table, "ROWS_PER_PASS", size)
        for name in ("t.csv", "t.parquet"):
            with pytest.raises(SiteError, match="100 rows are repeated exactly") as caught:
                table(tmp_path, rows, name)
            assert "series_uid" in caught.value.todo
    # What another column tells apart is no repetition, and neither is a series that has a name.
    for more in ({"number": range(102)}, {"series_uid": [str(i % 2) for i in range(102)]}):
        held = table(tmp_path, rows.with_columns(pl.Series(k, v) for k, v in more.items()))
        assert len(held) == (102 if "number" in more else 2)


def test_rows_repeated_exactly_count_once_where_nothing_is_added_up(tmp_path):
    row = {"exam_uid": "1", "patient_id": "p", "modality": "CT", "floor": "3"}
    rows = pl.DataFrame([row] * 5 + [{**row, "floor": "4"}, {**row, "patient_id": None}])
    assert len(table(tmp_path, rows)) == 3
    opened = open_series_table({"path": "t.csv"}, tmp_path, KEYWORDS)
    assert opened.count_repeated() == 4


@pytest.mark.parametrize("blank", ["", "  "])
def test_rows_whose_series_is_blank_are_repeated_like_those_without_the_column(tmp_path, blank):
    named = "e2,p2,CT,s2"
    rows = [f"e1,p1,CT,{blank}"] * 3 + [f"e1,p1,MR,{blank}", f"e3,,CT,{blank}"] + [named] * 2
    lines = ["exam_uid,patient_id,modality,series_uid", *rows]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    opened = open_series_table({"path": "t.csv"}, tmp_path, KEYWORDS)
    opened.validate()
    assert opened.count_repeated() == 2
    held = opened.scan().collect().sort("exam_uid", "modality")
    assert held["exam_uid"].to_list() == ["e1", "e1", "e2", "e3"]
    # Where images would be added up, the same rows are refused.
    counted = [lines[0] + ",instances", *(f"{row},100" for row in rows)]
    (tmp_path / "t.csv").write_text("\n".join(counted) + "\n")
    with pytest.raises(SiteError, match="2 rows are repeated exactly"):
        open_series_table({"path": "t.csv"}, tmp_path, KEYWORDS).validate()


@pytest.mark.parametrize(
    "columns",
    [
        {"instances": [[1], [2], [3]]},
        {"patient_id": [b"\xff", b"b", b"c"]},
        {"exam_uid": [1.5, 2.5, 3.5]},
    ],
)
def test_columns_of_another_type_are_refused(tmp_path, columns):
    with pytest.raises(SiteError, match=next(iter(columns))):
        table(tmp_path, with_column(**columns), "t.parquet")


@pytest.mark.parametrize("value", ["-2", "-1e300", "1e300", "inf"])
def test_a_size_that_nothing_has_is_read_and_judged_later(tmp_path, value):
    rows = table(tmp_path, HEAD + f"1,p,CT,{value}\n".encode())
    assert rows["instances"].item() == (-1 if value.startswith("-") else 2**40)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("instances", "many", "column instances: no whole number of 0 or more"),
        ("megabytes", "half", "column megabytes: no number of 0 or more"),
        ("patient_id", f"{SECRET}\x07", "column patient_id: a control character"),
        ("body_part", SECRET * 1000, "column body_part: more than 10,000 characters"),
    ],
)
def test_the_first_value_that_cannot_be_read_is_named_by_row(
    tmp_path, ending, column, value, words
):
    size = 1_000_000
    rows = pl.DataFrame({"exam_uid": ["1"], "patient_id": ["p"], "modality": ["CT"]})
    rows = rows.select(pl.all().repeat_by(size).explode())
    place = pl.int_range(size) + 1
    good = "p" if column == "patient_id" else "1"
    bad = pl.when(place.is_in([999_998, size])).then(pl.lit(value)).otherwise(pl.lit(good))
    start = time.monotonic()
    with pytest.raises(UnreadableError) as caught:
        table(tmp_path, rows.with_columns(bad.alias(column)), f"t.{ending}")
    assert time.monotonic() - start < 20
    assert caught.value.what == f"Row 999,998 of archive.path, {words}; 2 rows in all"
    assert SECRET not in str(caught.value)
    assert read_told(str(caught.value)) == (caught.value.what, caught.value.todo)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_cells_between_quotation_marks_may_hold_lines_and_separators(tmp_path):
    content = HEAD + b'1,p,"C,\nT",2\r\n\n2,"p",MR,3\n\n'
    rows = table(tmp_path, content).drop_nulls("exam_uid").sort("exam_uid")
    assert rows["modality"].to_list() == ["C,\nT", "MR"]


def test_folders_and_devices_are_no_tables(tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(SiteError, match="folder"):
        table(tmp_path, None)
    with pytest.raises(SiteError, match="no such table"):
        open_series_table({"path": "/dev/zero"}, tmp_path, KEYWORDS)
    for path in ("a\0b", "x" * 100_000, None, 5, ""):
        with pytest.raises(SiteError):
            open_series_table({"path": path}, tmp_path, KEYWORDS)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"columns": {"modalty": "modality"}}, "Did you mean 'modality'"),
        ({"columns": {"modality": "modalty"}}, "Did you mean 'modality'"),
        ({"columns": {"modality": ["x"]}}, "no column"),
        ({"columns": "exam_uid"}, "no table"),
        ({"level": "image"}, "level"),
    ],
)
def test_a_wrong_declaration_names_the_nearest(tmp_path, declared, words):
    with pytest.raises(SiteError, match=words):
        table(tmp_path, pl.DataFrame(GOOD), **declared)


def test_whole_numbers_may_name_patients_and_nan_is_missing(tmp_path):
    frame = with_column(patient_id=[7, 7, 8], megabytes=[1.0, float("nan"), None])
    rows = table(tmp_path, frame, "t.parquet").sort("series_uid")
    assert rows["patient_id"].to_list() == ["7", "7", "8"]
    assert rows["megabytes"].to_list() == [1.0, None, None]


def test_a_series_that_stands_twice_counts_once(tmp_path):
    frame = pl.concat(
        [pl.DataFrame(GOOD), pl.DataFrame(GOOD).with_columns(instances=pl.lit(99, pl.Int64))]
    )
    assert table(tmp_path, frame)["instances"].sort().to_list() == [10, 20, 30]


def test_semicolons_blanks_and_byte_order_mark(tmp_path):
    text = "\ufeffexam_uid;patient_id;modality\r\n 1 ; p ;CT\r\n;p;CT\r\n"
    rows = table(tmp_path, text.encode())
    assert rows["exam_uid"].sort(nulls_last=True).to_list() == ["1", None]
    assert rows["patient_id"].to_list() == ["p", "p"]


def test_an_exam_of_several_modalities_becomes_a_row_for_each(tmp_path):
    frame = pl.DataFrame(
        {
            "exam_uid": ["1", "1", "2"],
            "patient_id": ["p"] * 3,
            "modality": ["PT/CT", "PT/CT", "MR"],
            "instances": [7, 7, 3],
        }
    )
    rows = table(tmp_path, frame, level="exam")
    assert sorted(rows.select("modality", "instances").rows()) == [
        ("CT", None),
        ("MR", 3),
        ("PT", 7),
    ]


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("table")
    for start in (b"", HEAD):
        with contextlib.suppress(SiteError):
            assert table(folder, start + content).columns == list(KEYWORDS)

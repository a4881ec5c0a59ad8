import time

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.codelists import ALL, MISSING, OTHER, Codelist, fold, read_codelist
from workbench.errors import DefinitionError
from workbench.summaries import dimension

HEADER = "code,system,label_en,label_ru,label_zh,version,matches\n"
REST = "other,,Other,Другое,其他,,\nmissing,,Not stated,Не указано,未说明,,n/a|unknown\n"
GOOD = (
    HEADER
    + "CT,DCM,Tomography,Томография,断层扫描,2026a,CAT| computed  tomography\n"
    + "MR,DCM,Resonance,Резонанс,共振,2026a,\n"
    + REST
)


def write(folder, text, name="modality.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_codelists_and_summaries_use_the_same_words():
    assert (ALL, OTHER, MISSING) == (dimension.ALL, dimension.OTHER, dimension.MISSING)


def test_a_file_becomes_a_codelist(tmp_path):
    codelist = read_codelist(write(tmp_path, GOOD))
    assert (codelist.name, codelist.system, codelist.version) == ("modality", "DCM", "2026a")
    assert codelist.codes == ("CT", "MR", "other", "missing")
    assert codelist.label("CT", "ru") == "Томография"
    assert codelist.label("all", "zh") == "全部"
    assert codelist.missing_labels() == []


def test_raw_values_match_without_case_and_blanks(tmp_path):
    codelist = read_codelist(write(tmp_path, GOOD))
    raw = [
        "ct",
        " CT ",
        "cat",
        "Computed Tomography",
        "ＣＴ",
        "MR",
        "N/A",
        "",
        None,
        "x",
        "C T",
        "CT\0",
    ]
    codes = [codelist.codes[i] for i in codelist.encode(raw)]
    assert codes == ["CT"] * 5 + ["MR"] + ["missing"] * 3 + ["other"] * 2 + ["CT"]


VALUES = ["ct", None, "MR", "nothing", ""]


@pytest.mark.parametrize(
    "values",
    [
        VALUES,
        np.array(VALUES, dtype=object),
        pd.Series(VALUES),
        pd.Series(VALUES, dtype="string"),
        pd.Series(VALUES, dtype="category"),
        pl.Series(VALUES),
        pl.Series(VALUES, dtype=pl.Categorical),
    ],
    ids=lambda v: f"{type(v).__module__}-{getattr(v, 'dtype', '')}",
)
def test_every_kind_of_column_is_encoded_alike(tmp_path, values):
    found = read_codelist(write(tmp_path, GOOD)).encode(values)
    assert found.dtype == np.int32
    assert found.tolist() == [0, 3, 1, 2, 3]


def test_mixed_types_do_not_depend_on_each_other(tmp_path):
    text = HEADER + "1,local,One,Один,一,,\n" + REST
    codelist = read_codelist(write(tmp_path, text))
    mixed = [
        1,
        1.0,
        True,
        "1",
        ["1"],
        float("nan"),
        pd.NA,
        pd.NaT,
        np.datetime64("NaT"),
        "1" * 10**7,
    ]
    expected = ["1", "other", "other", "1", "other", *["missing"] * 4, "other"]
    assert [codelist.codes[i] for i in codelist.encode(mixed)] == expected
    assert [codelist.codes[i] for i in codelist.encode(mixed[::-1])] == expected[::-1]


def test_empty_columns_are_encoded(tmp_path):
    assert read_codelist(write(tmp_path, GOOD)).encode(np.array([], dtype=object)).tolist() == []


@given(st.text())
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)


@given(st.lists(st.one_of(st.none(), st.text(), st.sampled_from(["ct", "MR ", "unknown"]))))
def test_encoding_works_value_by_value(values):
    codelist = Codelist(
        "m", "DCM", "", ("CT", "MR", "other", "missing"), {}, {"unknown": "missing"}
    )
    together = codelist.encode(values).tolist()
    assert together == [int(codelist.encode([v])[0]) for v in values]
    assert all(0 <= i < 4 for i in together)


def test_the_digest_changes_with_any_label_or_match(tmp_path):
    digests = {
        read_codelist(write(tmp_path, text)).digest
        for text in (
            GOOD,
            GOOD.replace("Томография", "КТ"),
            GOOD.replace("CAT|", ""),
            GOOD.replace("2026a", "2025"),
        )
    }
    assert len(digests) == 4


def test_missing_labels_are_listed(tmp_path):
    codelist = read_codelist(write(tmp_path, GOOD.replace("Резонанс", " ").replace("断层扫描", "")))
    assert codelist.missing_labels() == [("MR", "ru"), ("CT", "zh")]
    assert codelist.missing_labels(("en",)) == []
    assert codelist.label("MR", "ru") == "Resonance"


def row(code, matches="", system="DCM", label="A"):
    return f"{code},{system},{label},Б,三,,{matches}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0 codes"),
        (HEADER, "has 0 codes"),
        (GOOD.replace("label_ru", "label_rus"), "Unknown column 'label_rus'"),
        (GOOD.replace("label_ru", "label_en"), "column stands twice"),
        (GOOD.replace("label_zh,", "").replace("断层扫描,", ""), "'label_zh' is missing"),
        (HEADER + row("CT") + "missing,,a,b,c,,\n", "'other' is missing"),
        (HEADER + row("CT") + "other,,a,b,c,,\n", "'missing' is missing"),
        (HEADER + row("CT") + row("ct") + REST, "'CT' stands twice"),
        (HEADER + row("all") + REST, "'all' cannot be a code"),
        (HEADER + row("=1+1") + REST, "cannot be a code"),
        (HEADER + row("Х") + REST, "cannot be a code"),
        (HEADER + row("../x") + REST, "cannot be a code"),
        (HEADER + row("x" * 65) + REST, "cannot be a code"),
        (HEADER + row("") + REST, "cannot be a code"),
        (HEADER + row("CT", "a") + row("MR", "b|A ") + REST, "matches both 'CT' and 'MR'"),
        (HEADER + row("CT", "mr") + row("MR") + REST, "cannot match"),
        (HEADER + row("CT") + row("MR", system="SCT") + REST, "two systems"),
        (HEADER + row("CT", system="") + REST, "has no system"),
        (HEADER + row("CT", label="a\x1b[31m") + REST, "control character"),
        (HEADER + row("CT", label="a\u202eb") + REST, "control character"),
        (HEADER + row("CT", label="a" * 201) + REST, "201 characters"),
        (HEADER + "CT,DCM\n" + REST, "has 2 cells"),
        (HEADER + 'CT,"DCM\n' + REST, "cannot be read"),
        (GOOD.encode("cp1251", "replace"), "cannot be read"),
        (GOOD.encode("utf-16"), "cannot be read"),
        (GOOD.encode() + b"\0" * 10, "."),
        (b"a" * 6_000_000, "larger than 5,000,000 bytes"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, text, reason):
    with pytest.raises(DefinitionError, match=reason) as refused:
        read_codelist(write(tmp_path, text))
    assert "modality" in refused.value.where


def test_unknown_codes_get_the_nearest(tmp_path):
    with pytest.raises(DefinitionError, match="Did you mean 'CT'"):
        read_codelist(write(tmp_path, GOOD)).label("CTT")


def test_a_byte_order_mark_is_accepted(tmp_path):
    assert read_codelist(write(tmp_path, b"\xef\xbb\xbf" + GOOD.encode())).codes[0] == "CT"


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "".join(row(f"c{i}", f"r{i}|s{i}") for i in range(19_000)) + REST,
        HEADER + "".join(row(f"c{i}") for i in range(19_000)) + row("C18999") + REST,
        HEADER + row("CT", "|".join(f"r{i}" for i in range(14_000))) * 40 + REST,
        HEADER + row("CT", "|" * 90_000) * 50 + REST,
        HEADER + '"' + "\n" * 4_000_000,
    ],
    ids=["many codes", "late double", "many matches", "empty matches", "open quote"],
)
def test_large_files_are_read_or_refused_quickly(tmp_path, text):
    start = time.monotonic()
    try:
        assert read_codelist(write(tmp_path, text)).encode(["c5", "S18998"]).tolist() == [5, 18998]
    except DefinitionError as refused:
        assert len(str(refused)) < 500  # noqa: PT017
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("path", ["nothing.csv", "."])
def test_what_is_no_file_is_refused(tmp_path, path):
    with pytest.raises(DefinitionError, match="no such codelist"):
        read_codelist(tmp_path / path)

"""Unreadable: a closed list of lines may be told, and nothing that holds a value."""

import pytest

from workbench.archive.archive import KEYWORDS, open_archive
from workbench.errors import SiteError
from workbench.radiology.exams import write_exams
from workbench.site import read_site
from workbench.unreadable import COLUMNS, FAULTS, UnreadableError, read_told

HEAD = "exam_uid,patient_id,modality,instances\n"
TABLES = {
    "repeated": HEAD + "1,p,CT,2\n" * 4,
    "no exam": HEAD + "1,,CT,2\n",
    "not UTF-8": (HEAD + "1,p,КТ,2\n").encode("cp1251"),
    "no header": "1.2.3.0,P0068,45,M\n" * 3,
    "no rows": HEAD,
    "decimal comma": HEAD.replace(",", ";") + "1;p;CT;2,5\n",
    "CR alone": "exam_uid,patient_id,modality\r1,P0068,CT\r2,p,MR\r",
    "long name": HEAD.strip() + "," + "P0068" * 30_000 + "\n1,p,CT,2,3\n",
    "Excel": b"PK\x03\x04" + b"\0" * 30 + b"[Content_Types].xml" + b"\0" * 99,
}


@pytest.mark.parametrize("case", TABLES)
def test_what_the_library_says_of_a_table_may_be_told(tmp_path, case):
    content = TABLES[case]
    if isinstance(content, str):
        content = content.encode()
    (tmp_path / "t.csv").write_bytes(content)
    (tmp_path / "site.toml").write_text(
        '[site]\nid = "n"\nname = "N"\nkind = "pretend"\n'
        '[archive]\nkind = "table"\npath = "t.csv"\n'
    )
    with pytest.raises(SiteError) as caught:
        write_exams(open_archive(read_site(tmp_path)), tmp_path / "exams")
    told, todo = read_told(str(caught.value))
    assert told == caught.value.what
    assert todo
    assert "P0068" not in str(caught.value)


def test_the_columns_that_may_be_named_are_those_of_an_archive():
    assert tuple(KEYWORDS) == COLUMNS


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_may_be_told(fault):
    error = UnreadableError(fault, row=1_234, column="sex", rows=5, file="t.csv")
    assert read_told(str(error)) == (error.what, error.todo)
    error = UnreadableError(fault, row=999_999_999_999)
    assert read_told(str(error)) == (error.what, error.todo)


@pytest.mark.parametrize(
    "text",
    [
        "No exam is left: Ivanova",
        "Ivanova\nNo exam is left",
        "The table is not UTF-8 Ivanova",
        "Row 7 of archive.path, column patient_id: Ivanova",
        "Row 7 of archive.path, column Ivanova: a control character",
        "Row 7 of archive.path, column ivanova: a control character",
        "Row 7 of archive.ivanova, column sex: a control character",
        "Row 7 of tables.ivanova_maria, column sex: a control character",
        "Row 4509123456 of archive.path: a control character",
        "Row 1,234,567,890,123 of archive.path: a control character",
        "Row 7 of archive.path: a control character; 19840312 rows in all",
        "Row 7 of archive.path: a control character; 1,98,4 rows in all",
        "19840312 rows are repeated exactly",
        "12 rows are repeated exactly: Ivanova",
        "١٢ rows are repeated exactly",
        "",
    ],
)
def test_nothing_else_may_be_told(text):
    assert read_told(text) == ("", "")

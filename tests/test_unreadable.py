"""Unreadable: a closed list of lines may be told, and nothing that holds a value."""

import datetime as dt
import io

import polars as pl
import pytest

from tests.conftest import ROOT
from workbench.archive.archive import KEYWORDS, open_archive
from workbench.codelists import read_codelist
from workbench.errors import SiteError
from workbench.radiology.acquisitions import COLUMNS as ACQUISITIONS
from workbench.radiology.exams import write_exams
from workbench.radiology.fleet import add_device_age, open_fleet
from workbench.radiology.opening_hours import Calendar, read_register
from workbench.radiology.protocols import NAMES, map_protocols, open_protocols
from workbench.radiology.reports import describe_reports, measure_turnaround
from workbench.radiology.site_tables import REGISTER, REPORTS, open_register, open_reports
from workbench.radiology.table_check import SCHEMAS, read_contents
from workbench.site import read_site
from workbench.unreadable import (
    COLUMNS,
    FAULTS,
    STORED,
    TABLE_COLUMNS,
    UnreadableError,
    read_told,
)
from workbench.unreadable import (
    TABLES as KEYS,
)

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
PATIENT = "P0068"
DEVICE = {
    "station": "CT1", "time_zone": "Europe/Moscow", "weekday_open_min": 480,
    "weekday_close_min": 1200, "saturday_open_min": None, "saturday_close_min": None,
    "sunday_open_min": None, "sunday_close_min": None,
}  # fmt: skip
AT = dt.datetime.fromisoformat("2024-03-01T08:00:00")
REPORT = {"exam_uid": PATIENT, "patient_id": PATIENT, "modality": "CT", "acquired_time": AT,
          "preliminary_time": AT, "final_time": AT}  # fmt: skip
NAMED = {"name": PATIENT, "protocol": "CT_HEAD"}


def csv(*rows: dict) -> bytes:
    lines = [rows[0], *(row.values() for row in rows)]
    texts = [["" if cell is None else str(cell) for cell in line] for line in lines]
    return "".join(",".join(line) + "\n" for line in texts).encode()


def parquet(*rows: dict) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(rows).write_parquet(file)
    return file.getvalue()


def without(row: dict, *names: str) -> dict:
    return {name: value for name, value in row.items() if name not in names}


LONG = csv(*[REPORT] * 40_000)
BROKEN = {
    "no file": ("devices", None, "There is no such table"),
    "a folder": ("devices", "folder", "The path is a folder, not a table"),
    "not UTF-8": ("reports", csv(REPORT | {"modality": "КТ"}).decode().encode("cp1251"), "UTF-8"),
    "Excel": ("protocols", TABLES["Excel"], "Excel is not read"),
    "compressed": ("devices", b"\x1f\x8b" + b"0" * 99, "compressed"),
    "empty": ("reports", b"", "no column names"),
    "no header": ("reports", b"P0068,1.2.3,2024\n" * 2, "column names: 0 of "),
    "cut": ("devices", parquet(DEVICE)[:-9], "is damaged"),
    "two columns of a name": ("devices", b"station,P0068,station\nCT1,1,2\n", "1 and 3 have one"),
    "a short row": ("reports", csv(REPORT) + b"P0068\n", "Row 2 of [tables] reports: not as many"),
    "a short row far below": ("reports", LONG + b"P0068,1,2,3,4,5,6,7,8,9\n", ""),
    "no exam": ("reports", csv(without(REPORT, "exam_uid")), "no column 'exam_uid'"),
    "no patient": ("reports", csv(without(REPORT, "patient_id")), "no column 'patient_id'"),
    "no start": ("reports", csv(without(REPORT, "acquired_time")), "column 'acquired_time'"),
    "no report": ("reports", csv(without(REPORT, "final_time")), ""),
    "a date as text": ("reports", csv(REPORT, REPORT | {"final_time": PATIENT}), "in row 2"),
    "times with a zone": ("reports", csv(REPORT | {"final_time": "2024-03-01T08:00Z"}), "row 1"),
    "times of a zone": (
        "reports",
        parquet(REPORT | {"final_time": AT.replace(tzinfo=dt.UTC)}),
        "A column of Datetime cannot be 'final_time'",
    ),
    "times as numbers": (
        "reports",
        parquet(REPORT | {"final_time": 45_000.5}),
        "column of Float64",
    ),
    "a nested column": ("reports", parquet(REPORT | {"modality": [PATIENT]}), "column of List"),
    "a device twice": ("devices", csv(DEVICE, DEVICE), "stands twice in the register"),
    "no hours": ("devices", csv(without(DEVICE, "weekday_open_min")), "no column 'weekday_open_"),
    "no zones": ("devices", csv(without(DEVICE, "time_zone")), "no column 'time_zone'"),
    "hours of a day": ("devices", csv(DEVICE | {"weekday_close_min": 2400}), "weekday_close_min"),
    "hours as text": ("devices", csv(DEVICE | {"weekday_close_min": "20:00"}), "weekday_close_min"),
    "hours as floats": ("devices", parquet(DEVICE | {"weekday_close_min": 8.5}), "of Float64"),
    "no such zone": ("devices", csv(DEVICE | {"time_zone": PATIENT}), "no time zone of such"),
    "no zone": (
        "devices",
        csv(DEVICE, DEVICE | {"station": "2", "time_zone": None}),
        "no time zone",
    ),
    "no name": ("protocols", csv(without(NAMED, "name")), "no column 'name'"),
    "no code": ("protocols", csv(NAMED, NAMED | {"protocol": PATIENT}), "code in row 2"),
    "two codes": ("protocols", csv(NAMED, NAMED | {"protocol": "CT_CHEST"}), "in rows 1 and 2"),
}
"""Mistake -> table of [tables], what stands in its place, and what is told of it."""
BY_STUDY = ("no code", "two codes")
"""Mistakes that only a study's codelist shows."""


def use_tables(site) -> None:
    """Do with each table what the study of the imaging service does."""
    exams = pl.LazyFrame({"station": ["CT1"], "exam_time": [AT]})
    register = open_register(site)
    add_device_age(exams, register).collect()
    Calendar.make(read_register(register, "station", None), 0, 0, None)
    open_fleet(register, AT.date()).collect()
    reports = open_reports(site)
    measure_turnaround(reports, "final", AT).rows.collect()
    measure_turnaround(reports, "preliminary", AT).rows.collect()
    describe_reports(reports).collect()
    codes = read_codelist(ROOT / "studies" / "imaging_service" / "codelists" / "protocol.csv")
    map_protocols(pl.LazyFrame({"protocol": [PATIENT]}), codes, open_protocols(site)).collect()


def declare(folder, name, content):
    made = {"devices": csv(DEVICE), "reports": csv(REPORT), "protocols": csv(NAMED)}
    for table, good in (made | {name: content}).items():
        if content == "folder" and table == name:
            (folder / f"{table}.csv").mkdir()
        elif good is not None:
            (folder / f"{table}.csv").write_bytes(good)
    declared = "".join(f'{table} = "{table}.csv"\n' for table in made)
    (folder / "site.toml").write_text(
        '[site]\nid = "n"\nname = "N"\nkind = "pretend"\n'
        f'[archive]\nkind = "table"\npath = "t.csv"\n[tables]\n{declared}'
    )
    return read_site(folder)


def test_good_tables_can_be_used(tmp_path):
    use_tables(declare(tmp_path, "devices", csv(DEVICE)))


@pytest.mark.parametrize("case", BROKEN)
def test_a_mistake_in_a_table_may_be_told_by_the_name_of_the_table(tmp_path, case):
    name, content, words = BROKEN[case]
    with pytest.raises(SiteError) as caught:
        use_tables(declare(tmp_path, name, content))
    told, todo = read_told(str(caught.value))
    assert told == caught.value.what
    assert words in told
    assert todo
    assert PATIENT not in told + todo
    named = (f"[tables] {name}", "register of devices", "The reports")
    assert any(words in told + todo for words in named)


@pytest.mark.parametrize("case", [case for case in BROKEN if case not in BY_STUDY])
def test_a_mistake_in_a_table_is_told_before_a_study_meets_it(tmp_path, case):
    name, content, words = BROKEN[case]
    site = declare(tmp_path, name, content)
    with pytest.raises(SiteError) as caught:
        read_contents(site, name)
    assert caught.value.what.startswith((f"[tables] {name}: ", "Row "))
    # What a run says of the same mistake in a notebook is no other advice.
    assert read_told(str(caught.value)) == (caught.value.what, caught.value.todo)
    assert words in caught.value.what
    assert PATIENT not in caught.value.what + caught.value.todo


def test_the_names_that_may_be_told_are_those_of_the_tables():
    assert set(KEYS) == set(SCHEMAS)
    assert set(TABLE_COLUMNS) == {*REGISTER, *REPORTS, *NAMES, *ACQUISITIONS}
    assert len(TABLE_COLUMNS) == len(set(TABLE_COLUMNS))


def test_the_types_that_may_be_told_are_those_of_polars():
    def leaves(kind):
        below = kind.__subclasses__()
        return {kind} if not below else {leaf for one in below for leaf in leaves(one)}

    known = {kind.__name__ for kind in leaves(pl.DataType)} | {"Enum", "Categorical"}
    assert set(STORED) <= known
    assert known - set(STORED) <= {"Unknown", "BaseExtension", "Extension", "ObjectType"}


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
        "Row 7 of [tables] ivanova_maria: a control character",
        "[tables] ivanova_maria: The table is not UTF-8",
        "[tables] devices: [tables] devices: The table is not UTF-8",
        "[tables] devices: Ivanova",
        "Ivanova [tables] devices: The table is not UTF-8",
        "[tables] devices: The table is not UTF-8: Ivanova",
        "The table cannot be read: Ivanova",
        "The columns 19840312 and 2 have one name: it stands twice",
        "A column of Datetime cannot be 'ivanova'",
        "A column of Ivanova cannot be 'final_time'",
        "A column of Datetime(Ivanova) cannot be 'final_time'",
        "2 values of column ivanova cannot be read; the first is in row 1",
        "2 values of column sex cannot be read; the first is in row 1: Ivanova",
        "The table has no column 'Ivanova'",
        "The register of devices has no column 'Ivanova'",
        "An opening hour of the register is outside the day: column ivanova",
        "An opening hour of the register is outside the day: column sex, 19840312",
        "There is no time zone 'Ivanova'",
        "There is no time zone of such a name: Ivanova",
        "The study has no protocol of the code in row Ivanova",
        "One name is mapped to two protocols, in rows 1 and Ivanova",
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

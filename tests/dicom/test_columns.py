import polars as pl
from pydicom.datadict import keyword_for_tag

from workbench.dicom.attributes import ATTRIBUTES, STORED_SCHEMA
from workbench.dicom.columns import FILE_COLUMNS, INSTANCE_COLUMNS, KINDS, SCHEMA
from workbench.dicom.rows import to_rows


def test_keywords_and_tags_are_those_of_the_standard():
    for column in INSTANCE_COLUMNS:
        if column.tag is not None:
            assert column.keyword.split("+")[0] == keyword_for_tag(column.tag)
    for attribute in ATTRIBUTES:
        assert attribute.keyword == keyword_for_tag(attribute.tag)


def test_every_column_has_a_known_kind_and_a_name_of_its_own():
    assert all(c.kind in KINDS for c in (*INSTANCE_COLUMNS, *FILE_COLUMNS))
    assert len(SCHEMA) == len(INSTANCE_COLUMNS) + len(FILE_COLUMNS)


def test_units_stand_in_the_names():
    for column in INSTANCE_COLUMNS:
        if column.unit in ("mm", "deg", "kV", "mA", "ms", "mAs", "mGy", "min"):
            if column.kind == "numbers":
                continue
            assert column.name.endswith(f"_{column.unit.lower()}")


def test_rows_have_the_columns_in_order_even_of_nothing():
    rows = to_rows(pl.DataFrame(schema=STORED_SCHEMA))
    assert rows.schema == pl.Schema({c.name: c.dtype for c in INSTANCE_COLUMNS})
    assert rows.columns == SCHEMA.names()[: len(rows.columns)]


def test_attributes_are_in_the_order_of_a_file():
    tags = [a.tag for a in ATTRIBUTES]
    assert tags == sorted(set(tags))

"""A catalog that is damaged, edited or of another version is not believed, and never a crash."""

from __future__ import annotations

import copy
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.imaging.images import write_image
from workbench.catalog.catalog import open_catalog
from workbench.catalog.record import CATALOG, read_record
from workbench.catalog.scan import scan
from workbench.errors import SiteError

WRONG = (-1, True, None, 1.5, "../x", "/etc/passwd", "state/../x.parquet", [], {}, ["x"], 2**80)
KIND = {("format",): int, ("columns",): str}
FREE = {("root",), ("scanned",), ("generation",)}
"""Parts of a record that nothing contradicts if they are of the right kind."""
DAMAGED = "The catalog is damaged"
ANEW = ("The last catalog was damaged: everything was read anew",)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """An archive with refused files, and its catalog; both to be copied."""
    place = tmp_path_factory.mktemp("scanned")
    for number in range(1, 5):
        write_image(place / f"archive/p/{number}", number, patient="P", exam=1)
    shutil.copy(place / "archive/p/1", place / "archive/p/copy")
    (place / "archive/note.txt").write_text("hello")
    scan(place / "archive", place / "catalog")
    return place


@pytest.fixture
def folder(scanned, tmp_path):
    shutil.copytree(scanned / "catalog", tmp_path / "catalog")
    return tmp_path / "catalog"


def leaves(value, path=()):
    """Yield the path of every value of a document."""
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, below in items:
            yield from leaves(below, (*path, key))


def edited(record, path, value):
    made = copy.deepcopy(record)
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return made


def test_whatever_value_is_edited_the_catalog_is_refused(folder):
    place = folder / CATALOG
    record = json.loads(place.read_text())
    assert open_catalog(folder).counts["instances"] == 4
    tried = 0
    for path in leaves(record):
        if not path:
            continue
        for wrong in WRONG:
            if path == ("root",) and isinstance(wrong, str):
                continue
            if wrong == [] and edited(record, path, wrong) == record:
                continue  # there is no such table
            told = "another version" if type(wrong) is KIND.get(path) else DAMAGED
            place.write_text(json.dumps(edited(record, path, wrong)))
            with pytest.raises(SiteError, match=told) as caught:
                open_catalog(folder)
            assert "reads everything anew" in caught.value.todo
            tried += 1
    assert tried > 700


def test_a_number_that_contradicts_the_others_is_refused(folder):
    place = folder / CATALOG
    record = json.loads(place.read_text())
    for path in leaves(record):
        value = record
        for key in path:
            value = value[key]
        if type(value) is not int or path in FREE or path[0] == "format":
            continue
        if path[-1] == "aside_rows":
            continue  # how many rows a table holds that is not in the catalog
        place.write_text(json.dumps(edited(record, path, value + 1)))
        with pytest.raises(SiteError, match=DAMAGED):
            open_catalog(folder)


def test_a_key_more_or_less_is_refused(folder):
    place = folder / CATALOG
    record = json.loads(place.read_text())
    for path in leaves(record):
        holder = record
        for key in path:
            holder = holder[key]
        if not isinstance(holder, dict):
            continue
        for made in [{**holder, "more": 1}, *({k: holder[k] for k in holder if k != gone}
                                              for gone in holder)]:  # fmt: skip
            place.write_text(json.dumps(edited(record, path, made) if path else made))
            with pytest.raises(SiteError, match=DAMAGED):
                open_catalog(folder)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"3", b"null", b'{"format": 1}', b'{"format": "1", "columns": ""}', b"\xff",
     b"[" * 100_000, b'{"format": ' + b"9" * 5_000 + b"}", b'{"root": 1, "counts": 3}'],
)  # fmt: skip
def test_what_is_no_record_is_damaged_and_read_anew(scanned, folder, text):
    first = open_catalog(folder).instances().collect()
    (folder / CATALOG).write_bytes(text)
    with pytest.raises(SiteError, match=DAMAGED):
        open_catalog(folder)
    again = scan(scanned / "archive", folder)
    assert again.notes == ANEW
    assert_frame_equal(again.instances().collect(), first)
    assert open_catalog(folder).notes == ()
    assert scan(scanned / "archive", folder).notes == ()


def test_a_catalog_of_an_older_format_is_of_another_version(scanned, folder):
    record = json.loads((folder / CATALOG).read_text())
    old = {"format": 1, "columns": record["columns"], "root": record["root"], "generation": 7}
    for text in (old, {**record, "format": 4}, {**record, "columns": "0"}):
        (folder / CATALOG).write_text(json.dumps(text))
        with pytest.raises(SiteError, match="of another version"):
            open_catalog(folder)
    again = scan(scanned / "archive", folder)
    assert again.notes == ("The last catalog was of another version: everything was read anew",)
    assert again.counts["instances"] == 4


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def overwrite(path):
    path.write_bytes(b"PAR1" + b"x" * (path.stat().st_size - 8) + b"PAR1")


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def make_folder(path):
    path.unlink()
    path.mkdir()


def make_pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("harm", [cut, overwrite, Path.unlink, link, make_folder, make_pipe])
def test_whatever_table_is_harmed_the_catalog_is_refused(folder, tmp_path, harm):
    tables = json.loads((folder / CATALOG).read_text())["tables"]
    assert {name.split("/")[1].split("-")[0] for name in tables} == {
        "bucket", "aside", "listing", "refused", "digests", "left",
    }  # fmt: skip
    for number, name in enumerate(tables):
        broken = tmp_path / str(number)
        shutil.copytree(folder, broken)
        harm(broken / name)
        with pytest.raises(SiteError, match=DAMAGED):
            open_catalog(broken)


def test_a_folder_of_tables_that_is_a_link_is_refused(folder):
    (folder / "state").rename(folder.parent / "state")
    (folder / "state").symlink_to(folder.parent / "state")
    with pytest.raises(SiteError, match=DAMAGED):
        open_catalog(folder)


@pytest.mark.parametrize("table", ["instances", "refused", "left", "listing"])
def test_a_table_that_is_cut_off_is_made_anew(scanned, folder, table):
    whole = open_catalog(folder)
    instances, refused = whole.instances().collect(), whole.refused().collect()
    (name,) = [n for n in whole.record["tables"] if n.split("/")[table != "instances"]
               .startswith(table)]  # fmt: skip
    cut(folder / name)
    again = scan(scanned / "archive", folder)
    assert again.notes == ANEW
    assert_frame_equal(again.instances().collect(), instances)
    assert_frame_equal(again.refused().collect(), refused)


def test_a_bit_that_is_another_anywhere_in_any_table_is_noticed(folder):
    """Most of them are read without an error, as another value: in the pages, nothing tells."""
    read = 0
    for name in json.loads((folder / CATALOG).read_text())["tables"]:
        path = folder / name
        whole = path.read_bytes()
        rows = pl.read_parquet(path)
        for place in range(4, len(whole), max(1, len(whole) // 40)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(SiteError, match=DAMAGED):
                open_catalog(folder)
            with suppress(Exception, pl.exceptions.PanicException):
                read += not pl.read_parquet(path).equals(rows)
        path.write_bytes(whole)
        assert open_catalog(folder).counts["instances"] == 4
    assert read > 5


def test_a_table_of_which_a_bit_is_another_is_made_anew(scanned, folder):
    first = open_catalog(folder)
    rows = first.instances().collect()
    path = first.partitions[0]
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 3] ^= 1
    path.write_bytes(whole)
    again = scan(scanned / "archive", folder)
    assert again.notes == ANEW
    assert_frame_equal(again.instances().collect(), rows)


def test_a_record_that_the_system_does_not_give_is_said(folder):
    (folder / CATALOG).unlink()
    (folder / CATALOG).mkdir()
    with pytest.raises(SiteError, match=r"cannot be read: catalog\.json is no file"):
        open_catalog(folder)


def test_a_pipe_in_place_of_the_record_is_not_waited_for(scanned, folder):
    (folder / CATALOG).unlink()
    os.mkfifo(folder / CATALOG)
    with pytest.raises(SiteError, match=r"cannot be read: catalog\.json is no file"):
        open_catalog(folder)
    with pytest.raises(SiteError, match=r"cannot be read: catalog\.json is no file"):
        scan(scanned / "archive", folder)


def test_the_table_of_what_is_refused_has_a_name_for_people(scanned, folder):
    def read():
        return pl.read_parquet(folder / "refused.parquet")

    assert_frame_equal(read(), open_catalog(folder).refused().collect())
    assert set(read()["reason"]) == {"not_dicom", "duplicate"}
    (folder / "refused.parquet").write_bytes(b"edited")
    catalog = scan(scanned / "archive", folder)
    assert catalog.notes == ()
    assert_frame_equal(read(), catalog.refused().collect())


def test_a_folder_whose_name_is_no_text_has_a_catalog(scanned, tmp_path):
    root = Path(os.fsdecode(bytes(tmp_path) + b"/latin-\xe9"))
    shutil.copytree(scanned / "archive", root)
    scan(root, tmp_path / "catalog")
    assert read_record(tmp_path / "catalog").state == "whole"
    assert open_catalog(tmp_path / "catalog").root == root

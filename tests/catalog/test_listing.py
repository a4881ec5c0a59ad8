"""Sorting on disk and comparing give what doing it in memory gives."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import PosixPath

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from workbench.catalog.listing import compare, drop_gone, sort_on_disk
from workbench.catalog.table import scan_tables
from workbench.catalog.walk import LISTING


def table(entries):
    """Make a listing of path -> (size, mtime_ns, inode, reason)."""
    rows = [(path, *facts, None) for path, facts in entries.items()]
    return pl.DataFrame(rows, LISTING, orient="row")


def entries(count, seed=0):
    made = random.Random(seed)
    names = [f"{made.randrange(50)}/{made.randrange(50)}/{n}.dcm" for n in range(count)]
    made.shuffle(names)
    return {n: (made.randrange(9), made.randrange(9), made.randrange(9), None) for n in names}


def tables(entries, size):
    whole = table(entries)
    return [whole[i : i + size] for i in range(0, len(whole), size)]


@pytest.mark.parametrize("chunk", [10**6, 1_000, 9_000])
def test_sorted_on_disk_as_in_memory(tmp_path, chunk):
    held = entries(30_000)
    found = list(sort_on_disk(tables(held, 700), tmp_path / "sort", chunk=chunk))
    assert_frame_equal(pl.concat(found), table(held).sort("path"))
    if chunk < 30_000:
        assert max(map(len, found)) < 2 * chunk + 9_000 * 5
        assert len(found) > 2 or chunk == 9_000
    for first, second in pairwise(found):
        assert first["path"][-1] < second["path"][0]
    assert not (tmp_path / "sort").exists()


def test_nothing_sorted_is_one_empty_table(tmp_path):
    (found,) = sort_on_disk([], tmp_path / "sort")
    assert found.schema == LISTING
    assert found.is_empty()


def run(folder, new, old=(), chunk=2_000, again=()):
    folder.mkdir()
    changes = compare(
        sort_on_disk(tables(new, 500), folder / "sort", chunk=chunk), old, folder, again=again
    )
    paths = {
        kind: set(scan_tables(found).collect()["path"]) if found else set()
        for kind, found in (("fresh", changes.fresh), ("gone", changes.gone))
    }
    return changes, paths["fresh"], paths["gone"]


@pytest.mark.parametrize("chunk", [10**6, 2_000])
def test_new_changed_and_vanished_files_are_told_and_no_others(tmp_path, chunk):
    before = entries(9_000)
    first, fresh, gone = run(tmp_path / "1", before, chunk=chunk)
    assert (fresh, gone, first.same, first.files) == (set(before), set(), False, 9_000)

    same, fresh, gone = run(tmp_path / "2", before, first.listing, chunk)
    assert (fresh, gone, same.same, same.listing) == (set(), set(), True, first.listing)

    names = sorted(before)
    now = dict(before)
    vanished, changed = {names[0], names[-1], *names[100:150]}, set(names[4_000:4_050])
    for name in vanished:
        del now[name]
    for number, name in enumerate(changed):
        facts = list(now[name])
        facts[number % 3] += 1  # size, time and inode alone
        now[name] = tuple(facts)
    new = {f"{n}/new.dcm": (1, 1, 1, None) for n in range(60)} | {"0": (1, 1, 1, None)}
    now |= new
    third, fresh, gone = run(tmp_path / "3", now, first.listing, chunk)
    assert fresh == changed | set(new)
    assert gone == changed | vanished
    assert not third.same
    assert set(scan_tables(third.listing).collect()["path"]) == set(now)
    assert (third.entries, third.links, third.odd) == (len(now), 0, ())
    # One table is held, and several are written.
    kinds = {type(t) for c in (first, third) for t in (*c.listing, *c.fresh, *c.gone)}
    assert kinds == ({pl.DataFrame} if chunk == 10**6 else {PosixPath})


def test_what_could_not_be_read_is_read_again_though_nothing_changed(tmp_path):
    before = entries(100)
    first, *_ = run(tmp_path / "1", before)
    name = sorted(before)[50]
    again, fresh, gone = run(tmp_path / "2", before, first.listing, again=[name, "not there"])
    assert (fresh, gone, again.same) == ({name}, {name}, True)


def test_refused_entries_are_compared_and_never_read(tmp_path):
    before = {"a": (1, 1, 1, None), "pipe": (0, 1, 2, "special_file")}
    first, fresh, _ = run(tmp_path / "1", before)
    assert (fresh, first.files) == ({"a"}, 1)
    assert scan_tables(first.odd).collect()["path"].to_list() == ["pipe"]
    second, fresh, gone = run(tmp_path / "2", {"a": (1, 1, 1, None)}, first.listing)
    assert (fresh, gone, second.same) == (set(), set(), False)
    # A file became a link: its rows go; and back.
    third, fresh, gone = run(tmp_path / "3", {"a": (1, 1, 1, "link")}, second.listing)
    assert (fresh, gone) == (set(), {"a"})
    assert (third.files, third.entries, third.links, third.odd) == (0, 1, 1, ())
    _, fresh, gone = run(tmp_path / "4", {"a": (1, 1, 1, None)}, third.listing)
    assert (fresh, gone) == ({"a"}, set())


def test_members_go_with_their_zip_file(tmp_path):
    rows = pl.DataFrame({"path": ["a.zip!1", "a.zip!2", "a.zipped", "b"]})
    gone = tmp_path / "gone.parquet"
    pl.DataFrame({"path": ["a.zip", "b"]}).write_parquet(gone)
    assert drop_gone(rows, [gone])["path"].to_list() == ["a.zipped"]
    assert drop_gone(rows, []) is rows

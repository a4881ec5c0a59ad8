"""The spool holds what it may, and forgets the oldest."""

import os
import threading

import pytest

from workbench.catalog.spool import ABANDONED_S, Spool
from workbench.errors import SiteError


def writes(*sizes):
    """Return what a server would do: write files of these sizes."""

    def fetch(folder, limit):
        assert list(folder.iterdir()) == []
        if sum(sizes) > limit:
            raise OverflowError
        for number, size in enumerate(sizes):
            (folder / f"{number}.dcm").write_bytes(b"x" * size)

    return fetch


def refuse(folder, limit):
    raise AssertionError("nothing shall be fetched")


def test_a_series_is_fetched_once(tmp_path):
    spool = Spool(tmp_path / "spool", 100)
    first = spool.open_series("1.2.3", writes(10, 20))
    assert [p.stat().st_size for p in first] == [10, 20]
    assert spool.open_series("1.2.3", refuse) == first
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert all("1.2.3" not in str(p.relative_to(tmp_path)) for p in first)


def test_the_oldest_goes_first_and_what_was_opened_is_young(tmp_path):
    spool = Spool(tmp_path, 100)
    for age, name in enumerate("abc"):
        paths = spool.open_series(name, writes(30))
        os.utime(paths[0].parent, (1000 + age, 1000 + age))
    spool.open_series("a", refuse)
    spool.open_series("d", writes(30))
    spool.open_series("a", refuse)
    spool.open_series("c", refuse)
    assert len(spool.open_series("b", writes(30))) == 1


def test_room_is_made_before_a_series_comes(tmp_path):
    spool = Spool(tmp_path, 100)
    paths = spool.open_series("a", writes(60))

    def fetch(folder, limit):
        assert not paths[0].exists()
        writes(90)(folder, limit)

    spool.open_series("b", fetch, expected=90)


def test_what_is_too_large_or_breaks_leaves_nothing(tmp_path):
    spool = Spool(tmp_path, 100)
    with pytest.raises(SiteError, match="larger than the spool"):
        spool.open_series("a", writes(101))

    def breaks(folder, limit):
        (folder / "half").write_bytes(b"x")
        raise SiteError("The server stopped")

    with pytest.raises(SiteError, match="stopped"):
        spool.open_series("a", breaks)
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_what_was_left_by_a_killed_process_goes(tmp_path):
    left = tmp_path / "coming-x"
    left.mkdir()
    (left / "1.dcm").write_bytes(b"x")
    spool = Spool(tmp_path, 100)
    spool.open_series("a", writes(1))
    assert left.exists()
    old = left.stat().st_mtime - ABANDONED_S - 1
    os.utime(left, (old, old))
    spool.open_series("b", writes(1))
    assert not left.exists()


def test_two_threads_may_fetch_the_same(tmp_path):
    spool = Spool(tmp_path, 100)
    both = threading.Barrier(2)
    found = []

    def fetch(folder, limit):
        both.wait(10)
        writes(5, 6)(folder, limit)

    threads = [
        threading.Thread(target=lambda: found.append(spool.open_series("a", fetch)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert [p.stat().st_size for p in found[0]] == [5, 6]

"""Every entry below a folder is accounted for, and nothing strange is opened or followed."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.catalog import walk as module
from workbench.catalog.crew import Crew, Lost
from workbench.catalog.walk import LINK, LISTING, escape, file_of, locate, split_member, walk


def listed(root, **options):
    """Return reason by path; None for a file to be read."""
    rows = pl.concat([pl.DataFrame(schema=LISTING), *walk(root, **options)])
    assert rows["path"].n_unique() == len(rows)
    return dict(rows.select("path", "reason").iter_rows())


def test_files_of_all_folders_are_listed_with_what_the_system_says(tmp_path):
    for name in ("a", "b/c", "b/d/e", "ü/图像"):
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(name.encode())
    rows = pl.concat(list(walk(tmp_path)))
    assert rows.schema == LISTING
    for path, size, mtime_ns, inode in rows.select(LISTING.names()[:4]).iter_rows():
        status = (tmp_path / path).stat()
        assert (size, mtime_ns, inode) == (status.st_size, status.st_mtime_ns, status.st_ino)
    assert listed(tmp_path) == dict.fromkeys(("a", "b/c", "b/d/e", "ü/图像"))
    assert listed(tmp_path, chunk=1) == listed(tmp_path)
    assert listed(tmp_path / "b") == dict.fromkeys(("c", "d/e"))


def make_folders(root, number):
    for i in range(number):
        place = root / f"{i % 7}" / f"{i}"
        place.mkdir(parents=True)
        for name in "abc":
            (place / name).write_bytes(b"x" * i)
        (place / "link").symlink_to("a")
        os.mkfifo(place / "pipe")


def sorted_rows(tables):
    return pl.concat(list(tables)).sort("path")


def test_a_crew_lists_what_one_process_lists(tmp_path):
    make_folders(tmp_path, 200)
    (tmp_path / "1/1/closed").mkdir(mode=0)
    alone = sorted_rows(walk(tmp_path))
    with Crew(2) as crew:
        assert not crew.ready
        assert sorted_rows(walk(tmp_path, crew=crew)).equals(alone)
        crew.start()
        while not crew.ready:
            time.sleep(0.01)
        assert sorted_rows(walk(tmp_path, crew=crew)).equals(alone)
    with Crew(1) as crew:
        crew.start()
        assert not crew.ready


class Here:
    """Compute in this process; lose the first item, as if reading it had ended the process."""

    workers, ready, lost = 2, True, False

    def compute(self, function, items):
        for number, item in enumerate(items):
            yield Lost(item) if self.lost and number == 0 else function(item)


@pytest.mark.parametrize("lost", [False, True])
def test_what_a_process_leaves_is_walked_too(tmp_path, monkeypatch, lost):
    make_folders(tmp_path, 150)
    alone = sorted_rows(walk(tmp_path))
    monkeypatch.setattr(module, "SHARED", 2)
    monkeypatch.setattr(module, "SOME", 5)
    crew = Here()
    crew.lost = lost
    assert sorted_rows(walk(tmp_path, crew=crew)).equals(alone)


def test_links_are_not_followed_and_those_that_lead_out_are_refused(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (outside / "secret").write_bytes(b"x")
    (root / "in").mkdir(parents=True)
    (root / "in/file").write_bytes(b"x")
    for name, target in {
        "to_file": "in/file",
        "to_folder": "in",
        "to_root": ".",
        "loop": "loop",
        "nowhere": "absent",
        "up": "..",
        "out_file": "../outside/secret",
        "out_folder": str(outside),
        "by_a_link": "out_folder/secret",
    }.items():
        (root / name).symlink_to(target)
    # A folder beside the root whose name begins with the root's is not inside it.
    (tmp_path / "root2").mkdir()
    (root / "beside").symlink_to("../root2")
    assert listed(root) == {
        "in/file": None,
        "to_file": LINK,
        "to_folder": LINK,
        "to_root": LINK,
        "loop": "unreadable",
        "nowhere": "unreadable",
        "up": "link_out",
        "out_file": "link_out",
        "out_folder": "link_out",
        "by_a_link": "link_out",
        "beside": "link_out",
    }


def test_a_root_that_is_a_link_is_walked(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("root")
    assert listed(tmp_path / "link") == {"file": None}


def test_special_files_are_refused_without_opening(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    held = socket.socket(socket.AF_UNIX)
    held.bind(str(tmp_path / "socket"))
    rows = pl.concat(list(walk(tmp_path)))
    held.close()
    found = {path: (reason, detail) for path, *_, reason, detail in rows.iter_rows()}
    assert found == {
        "pipe": ("special_file", "pipe"),
        "socket": ("special_file", "socket"),
    }


def test_devices_are_refused():
    found = listed("/dev")
    assert found["null"] == "special_file"
    assert found["zero"] == "special_file"


def test_a_folder_that_cannot_be_opened_is_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open/file").write_bytes(b"x")
    really = os.open

    def refusing(path, *words, **more):
        if str(path).endswith("/closed/"):
            raise PermissionError(13, "Permission denied")
        return really(path, *words, **more)

    monkeypatch.setattr(os, "open", refusing)  # root may open anything
    assert listed(tmp_path) == {"open/file": None, "closed": "unreadable"}


def test_a_tree_deeper_than_a_path_can_name_ends_in_a_refusal(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (found,) = listed(tmp_path).items()
    assert found[1] == "unreadable"


def test_a_folder_that_vanishes_is_no_error_and_a_missing_root_is(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    really = os.open

    def removing(path, *words, **more):
        if str(path).endswith("/a/"):
            (tmp_path / "a").rmdir()
        return really(path, *words, **more)

    monkeypatch.setattr(os, "open", removing)
    assert listed(tmp_path) == {}
    with pytest.raises(FileNotFoundError):
        list(walk(tmp_path / "absent"))


NAMES = [b"plain", b"latin-\xe9", b"back\\slash", b"x.zip!y", b"A.ZIP!", b"\\xe9", b"new\nline"]


def test_names_of_any_bytes_survive(tmp_path):
    for name in NAMES:
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(b"x")
    found = list(listed(tmp_path))
    assert {os.fsencode(locate(path)) for path in found} == set(NAMES)
    assert all((tmp_path / locate(path)).is_file() for path in found)
    assert "latin-\\xe9" in found
    assert all(split_member(path)[1] == "" for path in found)


@given(st.binary(min_size=1, max_size=30).filter(lambda b: b"\0" not in b))
def test_every_name_is_written_as_text_and_found_again(name):
    text = escape(os.fsdecode(name))
    text.encode("utf-8")
    assert os.fsencode(locate(text)) == name
    member = f"a.zip!{text}"
    assert split_member(member) == ("a.zip", text)
    assert pl.select(file_of(pl.lit(member))).item() == "a.zip"
    assert pl.select(file_of(pl.lit(text))).item() == text

import os
import tempfile
from pathlib import Path

import pytest

from tests.imaging.made_series import ramp, stack, write_series
from workbench.archive.archive import SeriesFiles
from workbench.catalog.catalog import open_catalog
from workbench.catalog.scan import scan
from workbench.errors import ImageError, UsageError
from workbench.imaging.frames import read_frames
from workbench.imaging.series_folder import LOOKED_AT
from workbench.imaging.volume import load_volume, open_volume
from workbench.imaging.volume_error import VolumeError
from workbench.pixels.byte_source import PixelError
from workbench.pixels.decoding import decode_frames, read_pixel_info


@pytest.mark.parametrize("read", [open_volume, load_volume])
def test_a_path_that_does_not_exist_is_said_to_be_none(read, tmp_path):
    with pytest.raises(ImageError, match="no such file or folder") as caught:
        read(tmp_path / "absent")
    assert "absent" in caught.value.where
    assert "UID" not in caught.value.todo


def test_a_uid_is_told_from_a_path():
    with pytest.raises(ImageError, match="no such file or folder") as caught:
        open_volume("1.2.840.113619.2")
    assert "open_series" in caught.value.todo


@pytest.mark.parametrize("series", [None, 5, b"a", {"a": "b"}, [1, 2], (p for p in ["a"])])
def test_what_names_no_files_is_refused(series):
    with pytest.raises(UsageError, match="A series cannot be"):
        open_volume(series)


def test_a_folder_of_folders_says_how_many_hold_images(tmp_path):
    for name in ("one", "two/deep"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_series(tmp_path / name, stack(range(3)))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    for beside in (None, "readme.txt"):
        if beside:
            (tmp_path / beside).write_text("of no use")
        with pytest.raises(ImageError, match="itself holds no images") as caught:
            open_volume(tmp_path)
        assert ": 2 folders below it hold some" in caught.value.where
        assert "workbench scan" in caught.value.todo


def test_folders_below_are_not_looked_at_without_end(tmp_path):
    for number in range(LOOKED_AT + 20):
        (tmp_path / f"{number:05d}").mkdir()
        (tmp_path / f"{number:05d}" / "a").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(ImageError) as caught:
        open_volume(tmp_path)
    assert "1,000 folders" in caught.value.where


def test_files_that_are_no_dicom_are_no_corrupt_archive(tmp_path):
    (tmp_path / "a.txt").write_text("a" * 999)
    for series in (tmp_path, tmp_path / "a.txt", [tmp_path / "a.txt"]):
        with pytest.raises(VolumeError) as caught:
            open_volume(series)
        assert caught.value.reason == "no_images"
        assert caught.value.detail == "1 files, none is DICOM"


def test_files_of_a_list_that_are_gone_are_counted(tmp_path):
    files = write_series(tmp_path, stack(range(4)))
    files[1].unlink()
    files[2].write_bytes(b"")
    with pytest.raises(VolumeError) as caught:
        open_volume(files)
    assert caught.value.detail == "empty 1, unreadable 1, 1 of them not there; of 4 files"


def test_a_folder_without_the_right_to_read_it_is_named():
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0)
        try:
            if user == 0:  # root may read everything
                os.seteuid(65_534)
            with pytest.raises(ImageError, match="cannot be read"):
                open_volume(folder)
        finally:
            os.seteuid(user)
            folder.chmod(0o700)


def test_a_link_of_the_user_is_followed(tmp_path):
    write_series(tmp_path / "real", stack(range(3)))
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    listed = []
    for file in sorted((tmp_path / "real").iterdir()):
        listed.append(tmp_path / file.name)
        listed[-1].symlink_to(file)
    for series in (tmp_path / "linked", listed):
        assert load_volume(series).values.tolist() == [ramp(i).tolist() for i in range(3)]
    assert decode_frames(listed[0]).shape == (1, *ramp(0).shape)


def test_a_link_of_an_archive_is_not_followed(tmp_path):
    """A file that has become a link since the scan, to what the archive does not hold."""
    files = write_series(tmp_path / "archive", stack(range(3)))
    secret = tmp_path / "secret"
    files[1].rename(secret)
    files[1].symlink_to(secret)
    with pytest.raises(VolumeError) as caught:
        read_frames(SeriesFiles(tuple(files)))
    assert caught.value.reason == "unreadable_files"
    assert "unreadable 1" in caught.value.detail
    with pytest.raises(PixelError):
        read_pixel_info(files[1], follow_links=False)
    info = read_pixel_info(files[1])
    with pytest.raises(PixelError):
        decode_frames(files[1], info, follow_links=False)


@pytest.mark.parametrize("width", ["int32", None])
def test_a_file_that_becomes_a_link_after_it_was_opened_is_not_followed(width, tmp_path):
    files = write_series(tmp_path / "archive", stack(range(3)))
    volume = open_volume(SeriesFiles(tuple(files)), dtype=width)
    files[1].rename(Path(tmp_path, "secret"))
    files[1].symlink_to(tmp_path / "secret")
    with pytest.raises(PixelError):
        volume.load()


def test_a_catalog_is_no_series_and_says_what_opens_it(tmp_path):
    write_series(tmp_path / "archive", stack(range(3)))
    catalog = scan(tmp_path / "archive", tmp_path / "catalog")
    with pytest.raises(ImageError, match="This is a catalog") as caught:
        open_volume(tmp_path / "catalog")
    assert "open_catalog(folder).series_files(series_uid)" in caught.value.todo
    (uid,) = catalog.series().collect()["series_uid"]
    assert open_volume(open_catalog(tmp_path / "catalog").series_files(uid)).sizes["z"] == 3

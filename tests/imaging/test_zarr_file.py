"""Zarr folders: what is missing, damaged or not ours is refused by name."""

import json
import shutil

import numpy as np
import pytest
import xarray as xr
import zarr

from workbench.errors import ImageError
from workbench.imaging import zarr_file
from workbench.imaging.volume_file import read_volume, write_volume
from workbench.imaging.volume_grid import coordinates

AFFINE = np.diag([0.7, 0.7, 2.5, 1.0])
SHAPE = (20, 256, 256)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write a volume of five chunks, three of which hold zeros alone."""
    monkeypatch.setattr(zarr_file, "CHUNK", 4 * 256 * 256 * 2)
    values = np.zeros(SHAPE, np.int16)
    values[:8] = np.arange(8)[:, None, None]
    volume = xr.DataArray(
        values, coordinates(AFFINE, SHAPE), ("z", "y", "x"), attrs={"affine": AFFINE.tolist()}
    )
    write_volume(volume, tmp_path / "volume.zarr")
    return tmp_path / "volume.zarr"


def change(path, *keys, value):
    stored = json.loads(path.read_text())
    inner = stored
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(stored))


def test_chunks_of_zeros_are_written_too_so_that_a_missing_one_is_met(folder):
    chunks = sorted((folder / "volume/c").glob("*/0/0"))
    assert len(chunks) == 5
    assert read_volume(folder).data.chunksize == (4, 256, 256)
    chunks[3].unlink()
    with pytest.raises(ImageError, match="Chunks of the volume are missing") as refused:
        read_volume(folder)
    assert "1 of 5" in str(refused.value)
    (folder / "volume/c/9/0").mkdir(parents=True)
    (folder / "volume/c/9/0/0").write_bytes(b"instead")
    with pytest.raises(ImageError, match="missing"):
        read_volume(folder)


def test_only_the_slices_that_are_wanted_are_read(folder):
    (folder / "volume/c/4/0/0").write_bytes(b"broken")
    volume = read_volume(folder)
    assert (volume[:16].compute()[7] == 7).all()
    with pytest.raises(ImageError, match="A chunk of the volume is damaged"):
        volume.compute()


def test_one_flipped_bit_is_met(folder):
    chunk = folder / "volume/c/1/0/0"
    content = chunk.read_bytes()
    random = np.random.default_rng(0)
    for at in random.integers(0, len(content), 20):
        damaged = bytearray(content)
        damaged[at] ^= 1 << random.integers(8)
        chunk.write_bytes(damaged)
        with pytest.raises(ImageError, match="damaged"):
            read_volume(folder)[4:8].compute()


@pytest.mark.parametrize(
    ("part", "keys", "value", "told"),
    [
        ("volume", ("shape",), [20, 256, 2**40], "contradicts itself"),
        ("volume", ("data_type",), "float64", "contradicts itself"),
        ("volume", ("chunk_grid", "configuration", "chunk_shape"), [0, 1, 1], "contradicts itself"),
        ("volume", ("chunk_grid", "configuration", "chunk_shape"), [4, 256], "contradicts itself"),
        ("volume", ("chunk_grid", "configuration", "chunk_shape"), [2**20] * 3, "too large"),
        ("volume", ("chunk_grid", "configuration", "chunk_shape"), [1, 1, 1], "missing"),
        ("volume", ("codecs",), [{"name": "numcodecs.pickle"}], "contradicts itself"),
        ("volume", ("data_type",), "object", "contradicts itself|no volume"),
        ("", ("attributes",), {}, "no volume"),
        ("", ("attributes", "description", "shape"), [20, 256, 255], "cannot be read"),
        ("", ("attributes", "description", "attrs", "affine"), [[1]], "where it lies"),
        ("", ("attributes", "description", "attrs", "patient"), "one", "cannot be read"),
    ],
)
def test_what_contradicts_itself_is_refused(folder, part, keys, value, told):
    change(folder / part / "zarr.json", *keys, value=value)
    with pytest.raises(ImageError, match=told):
        read_volume(folder)


def test_other_folders_and_links_are_refused(folder, tmp_path):
    with pytest.raises(ImageError, match="no such folder"):
        read_volume(tmp_path / "nothing.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(ImageError, match="no volume"):
        read_volume(tmp_path / "empty.zarr")
    zarr.create_array(tmp_path / "other.zarr", data=np.zeros(3))
    with pytest.raises(ImageError, match="no volume"):
        read_volume(tmp_path / "other.zarr")
    chunk = folder / "volume/c/1/0/0"
    shutil.copy(chunk, tmp_path / "outside")
    chunk.unlink()
    chunk.symlink_to(tmp_path / "outside")
    with pytest.raises(ImageError, match="A link stands"):
        read_volume(folder)


def test_metadata_that_is_no_json_is_refused(folder):
    for content in (b"", b"[" * 100_000, b"\xff\xfe", b"{}", b"[1]"):
        (folder / "volume/zarr.json").write_bytes(content)
        with pytest.raises(ImageError, match="no volume"):
            read_volume(folder)

"""Volume files: back without loss, whole or not at all, and read by others."""

import gzip
import os
import resource
import warnings

import dask.array as da
import nibabel
import numpy as np
import pytest
import SimpleITK
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.imaging.volumes import affines, volumes
from workbench.errors import ImageError, UsageError
from workbench.imaging import volume_file
from workbench.imaging.volume import open_volume
from workbench.imaging.volume_file import read_volume, write_volume
from workbench.imaging.volume_grid import affine_of, coordinates

SUFFIXES = [".zarr", ".nii", ".nii.gz"]


def make_volume(shape=(4, 5, 6), dtype="int16", **attrs):
    affine = np.diag([0.7, 0.7, 2.5, 1.0])
    affine[:3, 3] = [-200.123456789, -100, 30.5]
    random = np.random.default_rng(0)
    return xr.DataArray(
        random.integers(0, 100, shape).astype(dtype),
        coordinates(affine, shape[-3:]),
        ("a", "b", "c", "d", "z", "y", "x")[-len(shape) :],
        attrs={"affine": affine.tolist(), "units": "HU", "modality": "CT"} | attrs,
    )


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def assert_same(found, wanted):
    found = found.compute()
    xr.testing.assert_identical(found, wanted)
    assert found.dtype == wanted.dtype
    assert found.values.tobytes() == wanted.values.tobytes()
    for name, coordinate in wanted.coords.items():
        assert found[name].dtype == coordinate.dtype
        assert found[name].attrs == coordinate.attrs


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(volume=volumes(), chunked=st.booleans())
@settings(max_examples=40)
def test_every_volume_comes_back(tmp_path_factory, suffix, volume, chunked):
    path = tmp_path_factory.mktemp("volume") / f"volume{suffix}"
    write_volume(volume.chunk(z=2) if chunked else volume, path, names=True)
    assert_same(read_volume(path), volume)


@pytest.mark.parametrize(
    "series",
    [
        "ibsi/ibsi_validation/dicom/STS_001/CT/image",
        "ibsi/ibsi_validation/dicom/STS_001/PET/image",
        "dcmqi/segmentations/ct-3slice",
        "dcm_qa_enh/In/Philips",
    ],
)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_series_comes_back(shared_data, tmp_path, series, suffix):
    volume = open_volume(shared_data / series)
    write_volume(volume, tmp_path / f"volume{suffix}")
    assert_same(read_volume(tmp_path / f"volume{suffix}"), volume.compute())


@given(affine=affines(shear=False), flips=st.tuples(*[st.booleans()] * 3))
@settings(max_examples=40)
def test_simpleitk_and_nibabel_read_voxels_where_they_lie(tmp_path_factory, affine, flips):
    # SimpleITK believes the quaternion, which nibabel writes in 32 bits.
    shape = (3, 4, 5)
    steps = [slice(None, None, -1 if flip else 1) for flip in flips]
    volume = xr.DataArray(
        np.arange(60, dtype=np.int16).reshape(shape),
        coordinates(affine, shape),
        ("z", "y", "x"),
        attrs={"affine": affine.tolist()},
    )[tuple(steps)]
    path = tmp_path_factory.mktemp("volume") / "volume.nii.gz"
    write_volume(volume, path)
    image = SimpleITK.ReadImage(str(path))
    assert image.GetPixelID() == SimpleITK.sitkInt16
    assert (SimpleITK.GetArrayFromImage(image) == volume.values).all()
    other = nibabel.load(path)
    assert (volume.values == np.asarray(other.dataobj).T).all()
    assert (other.header["qform_code"], other.header["sform_code"]) == (1, 1)
    moved = affine_of(volume)
    for index in ((0, 0, 0), (4, 3, 2)):
        place = (moved @ [*index, 1])[:3]
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), place, atol=2e-3)
        ras = (other.affine @ [*index, 1])[:3]
        np.testing.assert_allclose(ras * [-1, -1, 1], place, atol=2e-3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_part_of_a_volume_keeps_its_place(tmp_path, suffix):
    volume = make_volume((8, 9, 10))
    part = volume.isel(z=slice(2, None, 2), x=slice(None, None, -1), y=slice(3, 7))
    write_volume(part, tmp_path / f"part{suffix}")
    found = read_volume(tmp_path / f"part{suffix}")
    xr.testing.assert_equal(found.compute(), part)
    affine = np.array(volume.attrs["affine"])
    assert np.array(found.attrs["affine"])[:3, 3] == pytest.approx((affine @ [9, 3, 2, 1])[:3])
    np.testing.assert_allclose(affine_of(found), affine_of(part), atol=1e-9)


def test_zarr_is_read_as_it_is_wanted_and_by_others(tmp_path):
    volume = make_volume((64, 200, 300)).assign_attrs(padding=[-5, -5])
    write_volume(volume, tmp_path / "volume.zarr")
    found = read_volume(tmp_path / "volume.zarr")
    assert isinstance(found.data, da.Array)
    assert all(np.prod(chunk) >= 200 * 300 for chunk in [found.data.chunksize])
    assert (found[3].compute() == volume[3]).all()
    other = xr.open_zarr(tmp_path / "volume.zarr", consolidated=False)["volume"]
    assert other.dims == ("z", "y", "x")
    xr.testing.assert_equal(other.compute(), volume.rename("volume"))


def test_dask_volume_is_written_a_few_chunks_at_a_time(tmp_path):
    made = []

    def make(block_info=None):
        at = block_info[None]["array-location"][0]
        made.append(at)
        return np.full((4, 16, 16), at[0], np.int16)

    data = da.map_blocks(make, chunks=((4,) * 6, (16,), (16,)), dtype=np.int16)
    like = make_volume((24, 16, 16))
    for suffix in SUFFIXES:
        write_volume(like.copy(data=data), tmp_path / f"volume{suffix}")
        assert len(made) == 6  # each chunk once
        made.clear()
        found = read_volume(tmp_path / f"volume{suffix}")
        assert (found.values[:, 0, 0] == np.arange(24) // 4 * 4).all()
        made.clear()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_replaced_unless_it_is_wanted(tmp_path, suffix):
    path = tmp_path / f"volume{suffix}"
    first, second = make_volume(), make_volume() + 1
    second.attrs = first.attrs
    write_volume(first, path)
    with pytest.raises(ImageError, match="stands there already") as refused:
        write_volume(second, path)
    assert refused.value.where == path.name
    assert_same(read_volume(path), first)
    write_volume(second, path, overwrite=True)
    assert_same(read_volume(path), second)
    write_volume(read_volume(path), path, overwrite=True)  # from itself, lazily
    assert_same(read_volume(path), second)
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failed_write_leaves_what_was_there(tmp_path, suffix, overwrite):
    path = tmp_path / f"volume{suffix}"
    if overwrite:
        write_volume(make_volume(), path)

    def fail(block):
        if block.size:
            raise RuntimeError("broken on purpose")
        return block

    broken = make_volume((4, 5, 6)).chunk(z=2)
    broken = broken.copy(data=broken.data.map_blocks(fail, dtype=np.int16))
    with pytest.raises(RuntimeError, match="on purpose"):
        write_volume(broken, path, overwrite=overwrite)
    assert names_in(tmp_path) == ([path.name] if overwrite else [])
    if overwrite:
        assert_same(read_volume(path), make_volume())


def test_two_writers_of_one_name_do_not_replace_each_other(tmp_path, monkeypatch):
    for suffix in SUFFIXES:
        path = tmp_path / f"volume{suffix}"
        before = volume_file._sync

        def other_was_faster(made, path=path, before=before):
            before(made)
            if not path.exists():
                monkeypatch.setattr(volume_file, "_sync", before)
                write_volume(make_volume(), path)

        monkeypatch.setattr(volume_file, "_sync", other_was_faster)
        with pytest.raises(ImageError, match="stands there already"):
            write_volume(make_volume() + 1, path)
        monkeypatch.setattr(volume_file, "_sync", before)
        assert_same(read_volume(path), make_volume())


@pytest.fixture
def small_disk():
    """Let no file grow beyond 20 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_told_in_words_and_leaves_nothing(tmp_path, suffix):
    volume = make_volume((20, 40, 50))
    volume.values[:] = np.random.default_rng(0).integers(-30_000, 30_000, volume.shape)
    with pytest.raises(ImageError, match="cannot be written: File too large"):
        write_volume(volume, tmp_path / f"volume{suffix}")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_that_is_not_there_is_not_made(tmp_path, suffix):
    with pytest.raises(ImageError, match="does not exist") as refused:
        write_volume(make_volume(), tmp_path / "Secret^Patient" / f"volume{suffix}")
    assert "Secret" not in str(refused.value)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: v.assign_attrs(patient_id="one"), "attribute 'patient_id'"),
        (lambda v: v.assign_attrs(PatientName="one"), "attribute 'PatientName'"),
        (lambda v: v.assign_coords(day=np.datetime64("2020-01-01")), "coordinate 'day'"),
        (lambda v: v.astype(complex), "complex128"),
        (lambda v: v.assign_attrs(units=object()), "'units'"),
        (lambda v: v.assign_attrs(labels=["Doe"]), "not called by number"),
        (lambda v: v.assign_attrs(labels={"Doe": 1}), "not called by number"),
        (lambda v: v.assign_attrs(affine=None), "does not say where it lies"),
        (lambda v: v.assign_attrs(affine=np.zeros((4, 4))), "does not say where it lies"),
        (lambda v: v.isel(z=[0, 1, 3]), "not evenly spaced"),
        (lambda v: v.transpose("x", "y", "z"), "no volume"),
        (lambda v: v[:0], "no volume"),
    ],
)
def test_what_a_file_may_not_hold_is_refused_by_name(tmp_path, suffix, change, told):
    with pytest.raises(ImageError, match=told):
        write_volume(change(make_volume()), tmp_path / f"volume{suffix}")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_of_segments_stay_behind_unless_they_are_wanted(tmp_path, suffix):
    told = {
        "labels": {1: "Doe^Jane GTV", 7: "Doe liver"},
        "codes": {7: ["10200004", "SCT", "Liver"]},
        "not_drawn": {9: "Doe marker"},
    }
    write_volume(make_volume(**told), tmp_path / f"without{suffix}")
    found = read_volume(tmp_path / f"without{suffix}")
    called = {"labels": {1: "roi 1", 7: "Liver"}, "not_drawn": {9: "roi 9"}}
    assert found.attrs == make_volume(**told | called).attrs
    for path in [tmp_path / f"without{suffix}", *(tmp_path / f"without{suffix}").rglob("*")]:
        content = path.read_bytes() if path.is_file() else b""
        assert b"Doe" not in (gzip.decompress(content) if suffix == ".nii.gz" else content)
    write_volume(make_volume(**told), tmp_path / f"with{suffix}", names=True)
    assert read_volume(tmp_path / f"with{suffix}").attrs == make_volume(**told).attrs


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_hold_no_name_and_no_time(tmp_path, suffix):
    folders = tmp_path / "Secret^Patient", tmp_path / "b"
    held = []
    for folder in folders:
        folder.mkdir()
        path = folder / f"Doe{suffix}"
        write_volume(make_volume(), path)
        files = sorted(p for p in [path, *path.rglob("*")] if p.is_file())
        held.append([p.read_bytes() for p in files])
    assert held[0] == held[1]
    assert not any(b"Secret" in content or b"Doe" in content for content in held[0])


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"ends in '\.nrrd'"):
        write_volume(make_volume(), tmp_path / "volume.nrrd")
    with pytest.raises(UsageError, match=r"Did you mean '\.nii\.gz'"):
        read_volume(tmp_path / "volume.ni.gz")
    with pytest.raises(ImageError, match="no such file"):
        read_volume(tmp_path / "volume.nii")
    os.mkfifo(tmp_path / "pipe.nii")
    with pytest.raises(ImageError, match="no such file"):
        read_volume(tmp_path / "pipe.nii")


def test_reading_and_writing_warns_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix in SUFFIXES:
            write_volume(make_volume(), tmp_path / f"volume{suffix}")
            read_volume(tmp_path / f"volume{suffix}").compute()

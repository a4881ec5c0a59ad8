"""NIfTI files of others: what they say is believed, or refused by name."""

import gzip
import json
import tracemalloc

import nibabel
import numpy as np
import pytest
import SimpleITK
import xarray as xr

from workbench.errors import ImageError
from workbench.imaging.nifti_file import read_nifti
from workbench.imaging.volume_file import read_volume, write_volume
from workbench.imaging.volume_grid import affine_of, coordinates

RAS = np.array([[-0.7, 0, 0, 90], [0, 0.8, 0, -120], [0, 0, 2.5, 30], [0, 0, 0, 1]])
LPS = np.diag([-1, -1, 1, 1]) @ RAS


def write(path, shape=(4, 3, 2), dtype=np.int16, affine=RAS, change=None, kind=nibabel.Nifti1Image):
    """Write a file with nibabel, and return its voxels as z, y, x."""
    values = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    image = kind(values, affine)
    if change:
        change(image)
    nibabel.save(image, path)
    return values.T


def test_every_file_of_others_has_the_place_and_the_values_that_nibabel_reads(shared_data):
    found = sorted(shared_data.rglob("*.nii")) + sorted(shared_data.rglob("*.nii.gz"))
    assert len(found) >= 15
    for path in found:
        other = nibabel.load(path)
        volume = read_volume(path)
        ras = np.diag([-1, -1, 1, 1]) @ affine_of(volume)
        np.testing.assert_allclose(ras, other.affine, atol=1e-5, err_msg=path.name)
        values = np.asanyarray(other.dataobj).T
        np.testing.assert_array_equal(volume.values, values.reshape(volume.shape), path.name)
        assert volume.attrs["units"] == "arb"


def test_files_of_others_come_back_from_ours(shared_data, tmp_path):
    volume = read_volume(shared_data / "totalseg/example_seg.nii.gz")
    assert volume.dtype == np.uint8
    assert volume.attrs["space"] == "aligned"
    for suffix in (".nii", ".zarr"):
        write_volume(volume, tmp_path / f"volume{suffix}")
        xr.testing.assert_identical(read_volume(tmp_path / f"volume{suffix}").compute(), volume)
    header = nibabel.load(tmp_path / "volume.nii").header
    assert (header["sform_code"], header["qform_code"]) == (2, 2)


def test_organs_lie_where_expected(shared_data):
    entries = json.loads((shared_data / "expected.json").read_text())
    entry = next(e for e in entries if e.get("path") == "totalseg/example_seg.nii.gz")
    volume = read_volume(shared_data / entry["path"])
    numbers, counts = np.unique(volume, return_counts=True)
    found = dict(zip(map(str, numbers.tolist()), counts.tolist(), strict=True))
    assert found == entry["expected"]["labels"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_byte_orders_and_versions(tmp_path, order, kind):
    values = np.arange(24, dtype=f"{order}i4").reshape(4, 3, 2)
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.int32)
    nibabel.save(kind(values, RAS, header), tmp_path / "a.nii")
    found = read_nifti(tmp_path / "a.nii")
    assert found.dtype == np.dtype("i4")
    assert (found.values == values.T).all()
    np.testing.assert_allclose(affine_of(found), LPS, atol=1e-5)


@pytest.mark.parametrize(
    ("codes", "wins", "space"),
    [
        ((1, 1), "sform", None),
        ((2, 1), "sform", "aligned"),
        ((4, 1), "qform", None),
        ((0, 1), "qform", None),
        ((4, 3), "sform", "mni"),
        ((3, 0), "sform", "talairach"),
        ((5, 0), "sform", "template"),
    ],
)
def test_affine_is_that_of_the_scanner_if_it_is_stated(tmp_path, codes, wins, space):
    other = RAS.copy()
    other[:3, 3] = [1, 2, 3]

    def change(image):
        image.set_sform(RAS, codes[0])
        image.set_qform(other, codes[1])

    write(tmp_path / "a.nii", change=change)
    found = read_nifti(tmp_path / "a.nii")
    wanted = RAS if wins == "sform" else other
    np.testing.assert_allclose(affine_of(found)[:3, 3], wanted[:3, 3] * [-1, -1, 1], atol=1e-5)
    assert found.attrs.get("space") == space


def test_a_file_without_place_is_refused(tmp_path):
    def change(image):
        image.header.set_sform(None)
        image.header.set_qform(None)
        image.header["sform_code"] = image.header["qform_code"] = 0

    values = np.zeros((4, 3, 2), np.int16)
    image = nibabel.Nifti1Image(values, None)
    change(image)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(ImageError, match="does not say where it lies"):
        read_nifti(tmp_path / "a.nii")


def test_units_slope_and_further_dimensions(tmp_path):
    def change(image):
        image.header.set_xyzt_units("micron", "msec")
        image.header["pixdim"][4] = 500
        image.header["toffset"] = 250

    write(tmp_path / "a.nii", (4, 3, 2, 5), change=change)
    found = read_nifti(tmp_path / "a.nii")
    assert found.dims == ("time", "z", "y", "x")
    np.testing.assert_allclose(found.time, [0.25, 0.75, 1.25, 1.75, 2.25])
    assert found.time.attrs == {"units": "s"}
    np.testing.assert_allclose(found.x.diff("x"), 0.7e-3, rtol=1e-5)

    write(tmp_path / "b.nii", (4, 3, 2, 1, 3))
    found = read_nifti(tmp_path / "b.nii")
    assert found.dims == ("channel", "z", "y", "x")

    write(tmp_path / "c.nii", (4, 3, 2, 5))
    assert read_nifti(tmp_path / "c.nii").time.attrs == {"units": "1"}

    write(tmp_path / "d.nii", (4, 3, 2, 2, 2, 2))
    with pytest.raises(ImageError, match="more dimensions"):
        read_nifti(tmp_path / "d.nii")

    content = bytearray(write_bytes(tmp_path / "e.nii"))
    content[112:120] = np.array([0.5, -10], "<f4").tobytes()
    (tmp_path / "e.nii").write_bytes(content)
    found = read_nifti(tmp_path / "e.nii")
    assert found.dtype == np.float64
    assert sorted(found.values.ravel())[:3] == [-10, -9.5, -9]


def write_bytes(path, **more):
    write(path, **more)
    return path.read_bytes()


def ours(tmp_path):
    shape = (2, 3, 4)
    volume = xr.DataArray(
        np.arange(24, dtype=np.int16).reshape(shape),
        coordinates(LPS, shape),
        ("z", "y", "x"),
        attrs={"affine": LPS.tolist(), "units": "HU", "modality": "CT"},
    )
    write_volume(volume, tmp_path / "ours.nii")
    return volume


def test_another_program_that_moves_the_volume_is_believed(tmp_path):
    """Programs carry our extension along when they write a header that they changed."""
    volume = ours(tmp_path)
    image = nibabel.load(tmp_path / "ours.nii")
    assert len(image.header.extensions) == 1
    moved = image.affine.copy()
    moved[0, 3] += 50
    nibabel.save(nibabel.Nifti1Image(image.dataobj, moved, image.header), tmp_path / "moved.nii")
    found = read_volume(tmp_path / "moved.nii")
    assert found.attrs["affine"][0][3] == pytest.approx(volume.attrs["affine"][0][3] - 50)
    assert float(found.x[0]) == pytest.approx(float(volume.x[0]) - 50)
    mask = nibabel.Nifti1Image(
        (np.asarray(image.dataobj) > 3).astype(np.uint8), image.affine, image.header
    )
    mask.set_data_dtype(np.uint8)
    nibabel.save(mask, tmp_path / "mask.nii")
    assert read_volume(tmp_path / "mask.nii").attrs["units"] == "arb"
    same = nibabel.Nifti1Image(image.dataobj, image.affine, image.header)
    nibabel.save(same, tmp_path / "same.nii")
    xr.testing.assert_identical(read_volume(tmp_path / "same.nii"), volume)


def test_simpleitk_rewrites_it_without_harm(tmp_path):
    volume = ours(tmp_path)
    SimpleITK.WriteImage(
        SimpleITK.ReadImage(str(tmp_path / "ours.nii")), str(tmp_path / "b.nii.gz")
    )
    found = read_volume(tmp_path / "b.nii.gz")
    assert (found.values == volume.values).all()
    np.testing.assert_allclose(affine_of(found), affine_of(volume), atol=1e-5)


# ------------------------------------------------------------------ hostile files


def patched(content, at, dtype, *values):
    stored = np.array(values, dtype).tobytes()
    return content[:at] + stored + content[at + len(stored) :]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("at", "dtype", "values", "told"),
    [
        (40, "<i2", (3, 32767, 32767, 32767), "cannot hold what it declares"),
        (40, "<i2", (7, *[32767] * 7), "cannot hold what it declares"),
        (40, "<i2", (3, -1, 3, 2), "dimensions"),
        (40, "<i2", (3, 0, 3, 2), "dimensions"),
        (40, "<i2", (-3, 4, 3, 2), "dimensions"),
        (40, "<i2", (8, 4, 3, 2), "dimensions"),
        (70, "<i2", (128,), "datatype 128"),
        (70, "<i2", (32,), "datatype 32"),
        (70, "<i2", (-7,), "datatype"),
        (108, "<f4", (1e30,), "where its voxels lie"),
        (108, "<f4", (np.nan,), "where its voxels lie"),
        (108, "<f4", (-5,), "where its voxels lie"),
        (0, "<i4", (12345,), "not NIfTI"),
        (280, "<f4", (np.nan,) * 12, "where it lies"),
        (280, "<f4", (0,) * 12, "where it lies"),
        (344, "S4", (b"ni1",), "two files"),
    ],
)
def test_absurd_headers_are_refused(tmp_path, suffix, at, dtype, values, told):
    content = patched(write_bytes(tmp_path / "good.nii"), at, dtype, *values)
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    with pytest.raises(ImageError, match=told):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated_and_damaged_files_are_refused(tmp_path, suffix):
    content = write_bytes(tmp_path / f"good{suffix}", shape=(40, 30, 20))
    path = tmp_path / f"bad{suffix}"
    for end in (0, 1, 3, 10, 200, 347, 360, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(ImageError):
            read_volume(path)
    if suffix == ".nii.gz":
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 0xFF
        path.write_bytes(flipped)
        with pytest.raises(ImageError, match="damaged"):
            read_volume(path)
        path.write_bytes(b"no gzip at all" * 100)
        with pytest.raises(ImageError, match="damaged"):
            read_volume(path)


def test_bombs_are_not_inflated(tmp_path):
    zeros = gzip.compress(bytes(2**28), 9)
    head = write_bytes(tmp_path / "good.nii")[:352]
    # More behind than the header declares: never inflated.
    path = tmp_path / "more.nii.gz"
    path.write_bytes(gzip.compress(head + bytes(48)) + zeros)
    tracemalloc.start()
    read_volume(path)
    # The header declares more than so few bytes can hold: refused before anything is allocated.
    path.write_bytes(gzip.compress(patched(head, 40, "<i2", 3, 30_000, 30_000, 30)))
    with pytest.raises(ImageError, match="cannot hold what it declares"):
        read_volume(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'"dims":["z"', b'"dims":["z","z"'),
        lambda text: text.replace(b'"affine":[[', b'"affine":["no",['),
        lambda text: text.replace(b'"imaging_workbench_volume":1', b'"imaging_workbench_volume":9'),
        lambda text: text.replace(b'"units":"HU"', b'"Names":"HU"'),
        lambda text: text.replace(b'"dtype":"i2"', b'"dtype":"O4"'),
        lambda text: text[:200].ljust(len(text)),
        lambda text: (b'{"imaging_workbench_volume"' + b"[" * len(text))[: len(text)],
    ],
)
def test_a_description_that_contradicts_itself_is_refused(tmp_path, change):
    ours(tmp_path)
    content = (tmp_path / "ours.nii").read_bytes()
    size = int(np.frombuffer(content, "<i4", 1, 352)[0])
    text = content[360 : 352 + size].rstrip()
    changed = change(text)
    assert changed != text
    head = patched(content[:360], 352, "<i4", len(changed) + 8)
    head = patched(head, 108, "<f4", 352 + len(changed) + 8)
    (tmp_path / "bad.nii").write_bytes(head + changed + content[352 + size :])
    with pytest.raises(ImageError, match=r"description of the volume|version 9|where it lies"):
        read_volume(tmp_path / "bad.nii")


def test_flipped_bits_never_break_more_than_the_volume(tmp_path):
    ours(tmp_path)
    content = (tmp_path / "ours.nii").read_bytes()
    random = np.random.default_rng(3)
    path = tmp_path / "bad.nii"
    outcomes = set()
    for _ in range(400):
        damaged = bytearray(content)
        for at in random.integers(0, len(content), random.integers(1, 4)):
            damaged[at] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            read_volume(path)
            outcomes.add("read")
        except ImageError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}

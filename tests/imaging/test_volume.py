"""Volumes: real series are where SimpleITK, their NIfTI and their makers say they are."""

import json
from pathlib import Path

import dask.array as da
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.imaging.made_series import (
    enhanced,
    group,
    make_image,
    ramp,
    stack,
    write_series,
)
from workbench.errors import ImageError, UsageError
from workbench.imaging.volume import load_volume, open_volume
from workbench.imaging.volume_error import VolumeError
from workbench.pixels.byte_source import PixelError
from workbench.segments.segmentation import open_segmentation

REFUSED = {
    "dicom2nifti/failing/sliceincrement/001": ("missing_slices", {}),
    "dicom2nifti/failing/slicecount/001": ("too_few_slices", {"slices": 2}),
    # No ImagePositionPatient: several slices in one image, in a way of its maker's own.
    "dcm_qa_uih/In/DTI_132225/dti_tra_dir16_PA_rot_SaveBySlc__134057": ("no_position", {}),
    # Two slices have one gap: whether they are evenly spaced cannot be told.
    "lungmask/testdata": ("too_few_slices", {"slices": 2}),
}
"""Series that are refused, with the reason, and how they open if the user insists."""
NOT_SERIES = ("openrem", "synthea_fhir_r4", "eunomia", "tables", "pyradiomics_sdist")
IN_LPS = np.diag([-1, -1, 1, 1])


def entries(shared_data):
    """Return path -> (files, entry) of all that is a DICOM series or file with pixels."""
    found = {}
    for entry in json.loads((shared_data / "expected.json").read_text()):
        if entry["path"].startswith(NOT_SERIES) or "expected" not in entry:
            continue
        expected = entry["expected"]
        if "files" in entry and "rows" in expected:
            found[entry["path"]] = [shared_data / f for f in entry["files"]], entry
    return found


@pytest.fixture(scope="module")
def series(shared_data):
    found = entries(shared_data)
    assert len(found) >= 19
    return found


def affine_of(volume):
    return np.array(volume.attrs["affine"])


def check_expected(volume, expected):
    """Hold a volume to what other tools measured."""
    told = expected.get("rescaled")
    if told:
        assert list(volume.shape) == told["shape_zyx"]
        assert volume.min() == pytest.approx(told["min"], abs=1e-5)
        assert volume.max() == pytest.approx(told["max"], abs=1e-5)
        assert float(volume.astype(np.float64).mean()) == pytest.approx(told["mean"], abs=1e-4)
    for pixel in expected.get("pixel", []) if isinstance(expected.get("pixel"), list) else []:
        assert list(volume.shape[-2:]) == pixel["shape"][-2:]
    if "iop" not in expected:
        return
    affine = affine_of(volume)
    np.testing.assert_allclose(volume.attrs["orientation"], expected["iop"], atol=1e-3)
    down, across = expected["pixel_spacing"]
    np.testing.assert_allclose(
        np.linalg.norm(affine[:3, :3], axis=0)[:2], [across, down], atol=1e-5
    )
    ends = affine[:3, 3], (affine @ (0, 0, volume.sizes["z"] - 1, 1))[:3]
    np.testing.assert_allclose(ends[0], expected["first_ipp"], atol=1e-3)
    np.testing.assert_allclose(ends[1], expected["last_ipp"], atol=1e-3)
    assert volume.sizes["z"] == expected["distinct_positions"]
    gaps = np.diff(volume.z)
    assert gaps.min() >= expected["slice_gap_min"] - 1e-3
    assert gaps.max() <= expected["slice_gap_max"] + 1e-3


def check_simpleitk(volume, files):
    """Hold a volume to SimpleITK, voxel by voxel."""
    folder = str(files[0].parent)
    uid = SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(folder)[0]
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(folder, uid)
    image = SimpleITK.ReadImage(names)
    theirs = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    theirs[:3, :3] = direction * np.array(image.GetSpacing())
    theirs[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(affine_of(volume), theirs, atol=1e-3)
    np.testing.assert_allclose(
        volume.values, SimpleITK.GetArrayFromImage(image), rtol=1e-6, atol=1e-6
    )


def canonical(volume):
    """Return a volume as a NIfTI image whose voxels run to the right, the front and the head."""
    image = nibabel.Nifti1Image(volume.values.transpose(), IN_LPS @ affine_of(volume))
    return nibabel.as_closest_canonical(image)


def check_nifti(volume, path, atol=1e-4):
    """Hold a volume to a NIfTI image: the same voxels at the same places in the patient."""
    image = nibabel.load(path)
    data = np.squeeze(np.asanyarray(image.dataobj))
    theirs = nibabel.as_closest_canonical(nibabel.Nifti1Image(data, image.affine))
    ours = canonical(volume)
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-3)
    assert ours.shape == theirs.shape
    if data.dtype.kind == "f" or "seg" not in path.name:
        np.testing.assert_allclose(
            np.asanyarray(ours.dataobj), np.asanyarray(theirs.dataobj), rtol=1e-5, atol=atol
        )


def test_every_series_opens_as_measured_or_is_refused_by_name(series, shared_data):
    opened, by_simpleitk, by_nifti = [], [], []
    for path, (files, entry) in series.items():
        options = {}
        if path in REFUSED:
            reason, options = REFUSED[path]
            with pytest.raises(VolumeError) as caught:
                open_volume(files)
            assert caught.value.reason == reason, path
            if not options:
                continue
        volume = load_volume(files, **options)
        opened.append(path)
        check_expected(volume, entry["expected"])
        if "simpleitk" in entry["expected"]:
            check_simpleitk(volume, files)
            by_simpleitk.append(path)
        for reference in entry.get("reference", []):
            name = shared_data / reference["path"]
            if name.name.endswith(".nii.gz"):
                check_nifti(volume, name)
                by_nifti.append(path)
    assert set(series) - set(opened) == {p for p, (_, options) in REFUSED.items() if not options}
    assert len(by_simpleitk) == 13
    assert len(by_nifti) == 9


def test_lazy_and_loaded_are_the_same(series):
    for path, (files, _) in series.items():
        if path in REFUSED:
            continue
        lazy = open_volume(files)
        assert isinstance(lazy.data, da.Array)
        assert lazy.load().identical(load_volume(files)), path


def test_part_of_a_lazy_volume_is_that_part(series):
    files, _ = series["ibsi/ibsi_validation/dicom/STS_001/CT/image"]
    whole, lazy = load_volume(files), open_volume(files)
    np.testing.assert_array_equal(lazy[7, 3:9:2, ::-1], whole[7, 3:9:2, ::-1])
    np.testing.assert_array_equal(
        lazy.sel(z=-850, method="nearest"), whole.sel(z=-850, method="nearest")
    )


def test_single_files_are_no_volume(shared_data):
    single = 0
    for entry in json.loads((shared_data / "expected.json").read_text()):
        expected = entry.get("expected", {})
        is_dicom = not entry["path"].startswith(NOT_SERIES) and "files" not in entry
        if not is_dicom or not isinstance(expected.get("pixel"), dict):
            continue
        single += 1
        with pytest.raises(ImageError) as caught:
            load_volume(shared_data / entry["path"])
        assert caught.value.reason in {
            "single_image", "no_position", "mosaic", "unreadable_files", "segmentation",
        }, entry["path"]  # fmt: skip
    assert single == 38


def test_mosaics_split_alike_in_nine_transfer_syntaxes(shared_data):
    from nibabel.nicom.dicomwrappers import wrapper_from_file

    files = sorted((shared_data / "dcm_qa_ts/In").glob("*.dcm"))
    with pytest.raises(VolumeError) as caught:
        open_volume([files[0]])
    assert caught.value.reason == "mosaic"
    volumes = [load_volume([file], mosaic="split") for file in files]
    theirs = wrapper_from_file(files[0])
    assert volumes[0].shape == (35, 64, 64)
    # nibabel has rows first, and its affine is in LPS.
    np.testing.assert_allclose(
        affine_of(volumes[0]), theirs.affine @ np.eye(4)[:, [1, 0, 2, 3]], atol=1e-3
    )
    np.testing.assert_array_equal(
        volumes[0].values, np.asarray(theirs.get_unscaled_data()).transpose(2, 0, 1)
    )
    for volume in volumes[1:]:
        assert volume.identical(volumes[0])


def test_components_of_an_enhanced_file_are_those_of_dcm2niix(shared_data):
    volume = load_volume(shared_data / "dcm_qa_enh/In/Philips")
    assert volume.dims == ("component", "z", "y", "x")
    assert volume.component.values.tolist() == ["magnitude", "real"]
    reference = shared_data / "dcm_qa_enh/Ref"
    # Its field map has been scaled in single precision: 0.01 Hz of 500.
    check_nifti(
        volume.sel(component="real"), reference / "Philips_WIP_B0_NS_801_e2_fieldmaphz.nii", 0.01
    )
    # Its magnitude is in Philips' own units: in proportion, at the same places.
    theirs = nibabel.as_closest_canonical(nibabel.load(reference / "Philips_WIP_B0_NS_801_e1.nii"))
    ours = canonical(volume.sel(component="magnitude"))
    assert np.corrcoef(ours.get_fdata().ravel(), theirs.get_fdata().ravel())[0, 1] > 1 - 1e-6


def shuffled(draw_order, images):
    return [images[i] for i in draw_order]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    step=st.floats(0.5, 8),
    order=st.permutations(range(6)),
)
def test_any_order_and_orientation_gives_the_same_volume(tmp_path_factory, angles, step, order):
    axes = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    cosines = [f"{v:.9f}" for v in (*axes[:, 0], *axes[:, 1])]
    images = [
        make_image(
            ramp(i), axes[:, 2] * step * i, ImageOrientationPatient=cosines,
            InstanceNumber=int(order[i]), SliceThickness=99, SpacingBetweenSlices=77,
        )
        for i in range(6)
    ]  # fmt: skip
    names = [f"{n}.dcm" for n in order]
    folder = tmp_path_factory.mktemp("series")
    files = write_series(folder, images, names)
    volume = load_volume(folder)
    np.testing.assert_array_equal(volume, [ramp(i) for i in range(6)])
    assert np.diff(volume.z) == pytest.approx([step] * 5, abs=1e-6)
    assert load_volume(files[::-1]).identical(volume)


@pytest.mark.parametrize(
    ("pixels", "attributes", "dtype", "values"),
    [
        (np.int16, {"RescaleSlope": 1, "RescaleIntercept": -1024}, np.int16, lambda p: p - 1024.0),
        (np.uint16, {"RescaleSlope": 1, "RescaleIntercept": -1024}, np.int16, lambda p: p - 1024.0),
        (np.uint16, {"RescaleSlope": 2, "RescaleIntercept": 5, "Modality": "MR"}, np.int32,
         lambda p: 2.0 * p + 5),
        (np.uint8, {}, np.uint8, lambda p: p),
        (np.uint16, {}, np.uint16, lambda p: p),
        (np.int16, {"RescaleSlope": "0.1", "Modality": "PT"}, np.float32,
         lambda p: (p * 0.1).astype(np.float32)),
    ],
)  # fmt: skip
def test_rescaled_in_the_smallest_exact_type(tmp_path, pixels, attributes, dtype, values):
    images = [make_image(ramp(i, dtype=pixels), (0, 0, i), **attributes) for i in range(3)]
    for number, image in enumerate(images):
        if "RescaleSlope" not in image:
            continue
        image.RescaleIntercept = image.get("RescaleIntercept", 0)
        # A series may be scaled slice by slice.
        if image.Modality == "PT":
            image.RescaleSlope = f"{0.1 * (number + 1):.4g}"
    write_series(tmp_path, images)
    volume = load_volume(tmp_path)
    assert volume.dtype == dtype
    if images[0].Modality == "PT":
        expected = [(ramp(i) * float(images[i].RescaleSlope)).astype(np.float32) for i in range(3)]
        np.testing.assert_array_equal(volume, expected)
    else:
        np.testing.assert_array_equal(volume, [values(ramp(i, dtype=pixels)) for i in range(3)])
    assert open_volume(tmp_path).load().identical(volume)


def test_unused_bits_mean_nothing(tmp_path):
    """An overlay in the bits above HighBit, and a sign that is not extended."""
    for pixel, signed, expected in ((0xF123, 0, 0x123), (0x0800, 1, -2048)):
        pixels = np.full((4, 4), pixel, dtype=np.uint16)
        images = [
            make_image(
                pixels, (0, 0, i), BitsStored=12, HighBit=11, PixelRepresentation=signed,
                RescaleSlope=1, RescaleIntercept=-24,
            )
            for i in range(3)
        ]  # fmt: skip
        write_series(tmp_path / str(signed), images)
        volume = load_volume(tmp_path / str(signed))
        assert np.unique(volume).tolist() == [expected - 24]


def test_a_value_that_does_not_fit_is_refused_not_wrapped(tmp_path):
    images = stack(range(3), RescaleSlope=1, RescaleIntercept=-1024)
    images[1].PixelData = np.full((6, 5), -32768, np.int16).tobytes()
    write_series(tmp_path, images)
    with pytest.raises(VolumeError) as caught:
        load_volume(tmp_path)
    assert caught.value.reason == "overflow"
    assert load_volume(tmp_path, dtype="int32").min() == -32768 - 1024


def test_padding_stays_and_is_named(tmp_path):
    images = stack(range(3), RescaleSlope=1, RescaleIntercept=-1000)
    for image in images:
        image.add_new("PixelPaddingValue", "SS", -2000)
        image.PixelData = np.where(ramp(0) < 5, -2000, ramp(0)).astype(np.int16).tobytes()
    write_series(tmp_path, images)
    volume = load_volume(tmp_path)
    assert volume.attrs["padding"] == [-3000.0, -3000.0]
    assert int(volume.where(volume > volume.attrs["padding"][1]).isnull().sum()) == 15


def test_a_modality_lookup_table(tmp_path):
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [4, 10, 16])
    item.add_new("LUTData", "US", [100, 200, 300, 400])
    item.ModalityLUTType = "US"
    pixels = np.arange(8, 18, dtype=np.uint16).reshape(2, 5)
    images = [make_image(pixels, (0, 0, i), ModalityLUTSequence=[item]) for i in range(3)]
    write_series(tmp_path, images)
    volume = load_volume(tmp_path)
    expected = [100, 100, 100, 200, 300, 400, 400, 400, 400, 400]
    assert volume[0].values.ravel().tolist() == expected
    reader = pydicom.dcmread(tmp_path / "0000.dcm")
    np.testing.assert_array_equal(
        volume[0], pydicom.pixels.apply_modality_lut(reader.pixel_array, reader)
    )


@pytest.mark.parametrize("planar", [0, 1])
def test_colour_is_a_dimension(tmp_path, planar):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (3, 4, 6, 3), dtype=np.uint8)
    images = []
    for i, picture in enumerate(colours):
        image = make_image(picture[..., 0].copy(), (0, 0, i))
        image.SamplesPerPixel, image.PhotometricInterpretation = 3, "RGB"
        image.PlanarConfiguration = planar
        image.PixelData = (picture.transpose(2, 0, 1) if planar else picture).tobytes()
        images.append(image)
    write_series(tmp_path, images)
    volume = open_volume(tmp_path)
    assert volume.dims == ("channel", "z", "y", "x")
    np.testing.assert_array_equal(volume, colours.transpose(3, 0, 1, 2))


def test_monochrome1_keeps_its_values(tmp_path):
    write_series(tmp_path, stack(range(3), PhotometricInterpretation="MONOCHROME1"))
    volume = load_volume(tmp_path)
    assert volume.attrs["photometric"] == "MONOCHROME1"
    np.testing.assert_array_equal(volume[0], ramp(0))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
@pytest.mark.parametrize("rows", [3, 4])
def test_odd_lengths_trailing_bytes_and_implicit_vr(tmp_path, syntax, rows):
    images = [make_image(ramp(i, rows, 5, np.uint8), (0, 0, i), syntax=syntax) for i in range(3)]
    for number, image in enumerate(images):
        image.add_new(0xFFFCFFFC, "OB", b"\0" * 10 * (number + 1))
    write_series(tmp_path, images)
    np.testing.assert_array_equal(
        load_volume(tmp_path), [ramp(i, rows, 5, np.uint8) for i in range(3)]
    )


def test_a_dynamic_series_has_times(tmp_path):
    images = []
    for t in range(4):
        for z in range(3):
            image = make_image(ramp(10 * t + z), (0, 0, z), TemporalPositionIdentifier=str(4 - t))
            image.AcquisitionDate = "20200101"
            # Slices are acquired one after another; the last time point has the earliest times.
            image.AcquisitionTime = f"1000{30 - 10 * t + 0.5 * z:05.2f}"
            images.append(image)
    write_series(tmp_path, images)
    volume = load_volume(tmp_path)
    assert volume.dims == ("time", "z", "y", "x")
    assert volume.time.values.tolist() == [0, 10, 20, 30]
    assert volume.time.attrs["units"] == "s"
    np.testing.assert_array_equal(volume[3, 1], ramp(1))
    assert open_volume(tmp_path)[2].load().identical(volume[2])


@pytest.mark.parametrize(
    ("zones", "seconds"), [(("+0100", "+0000"), [0, 3600.5]), (("", "+0000"), None)]
)
def test_times_of_several_zones_are_counted_in_utc_or_not_at_all(tmp_path, zones, seconds):
    images = []
    for t, zone in enumerate(zones):
        for z in range(3):
            image = make_image(ramp(10 * t + z), (0, 0, z), AcquisitionNumber=t)
            image.AcquisitionDateTime = f"20200101100000{zone}" if t else f"20200101095959.5{zone}"
            images.append(image)
    images = images[3:] + images[:3]
    write_series(tmp_path, images)
    volume = load_volume(tmp_path)
    np.testing.assert_array_equal(volume[1, 1], ramp(11))
    assert volume.time.values.tolist() == (seconds or [0, 1])
    assert volume.time.attrs["units"] == ("s" if seconds else "1")


def test_diffusion_has_b_values_and_directions(tmp_path):
    images, shells = [], [(0, (0, 0, 0)), (800, (1, 0, 0)), (800, (0, 1, 0))]
    for n, (b, direction) in enumerate(shells[::-1]):
        for z in range(3):
            image = make_image(ramp(10 * n + z), (0, 0, z), Modality="MR")
            if n % 2:
                image.DiffusionBValue = b
                image.DiffusionGradientOrientation = list(direction)
            else:  # as Siemens stores them
                block = image.private_block(0x0019, "SIEMENS MR HEADER", create=True)
                block.add_new(0x0C, "IS", str(b))
                block.add_new(0x0E, "FD", list(direction))
            images.append(image)
    write_series(tmp_path, images)
    volume = load_volume(tmp_path)
    assert volume.dims == ("b_value", "z", "y", "x")
    assert volume.b_value.values.tolist() == [0, 800, 800]
    assert volume.direction_x.values.tolist() == [0, 0, 1]
    assert volume.direction_y.values.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(volume[0, 1], ramp(21))


def test_echoes_and_components_are_dimensions(tmp_path):
    images = []
    for e, echo in enumerate((4.6, 2.3)):
        for c, kind in enumerate(("P", "M")):
            for z in range(3):
                image = make_image(
                    ramp(100 * e + 10 * c + z), (0, 0, z), Modality="MR", EchoTime=echo
                )
                image.ImageType = ["ORIGINAL", "PRIMARY", kind, "ND"]
                images.append(image)
    write_series(tmp_path, images)
    volume = load_volume(tmp_path)
    assert volume.sizes == {"component": 2, "echo": 2, "z": 3, "y": 6, "x": 5}
    np.testing.assert_array_equal(volume.sel(component="magnitude", echo=2.3)[1], ramp(111))


def test_images_that_nothing_tells_apart_are_refused(tmp_path):
    write_series(tmp_path / "twice", stack([0, 1, 2, 2, 1, 0]))
    write_series(tmp_path / "once", stack([0, 1, 2, 2]))
    for name, reason in (("twice", "duplicate_positions"), ("once", "unequal_stacks")):
        with pytest.raises(VolumeError) as caught:
            open_volume(tmp_path / name)
        assert caught.value.reason == reason


def test_a_tilted_stack_is_made_straight_when_asked(tmp_path):
    """A bar that is upright in the patient is upright in the resampled volume."""
    shear, images = 0.15, []
    for z in range(8):
        pixels = np.zeros((24, 4), dtype=np.int16)
        # The slice is moved up by `shear` mm a mm, so the bar moves down in it.
        centre = 12 - shear * z / 0.5
        rows = np.arange(24)
        pixels[:] = np.round(1000 * np.clip(1.5 - np.abs(rows - centre), 0, 1))[:, None]
        images.append(make_image(pixels, (0, shear * z, z)))
    write_series(tmp_path, images)
    with pytest.raises(VolumeError) as caught:
        open_volume(tmp_path)
    assert caught.value.reason == "gantry_tilt"
    volume = open_volume(tmp_path, tilt="resample")
    assert volume.attrs["tilt_resampled"] is True
    assert volume.attrs["gantry_tilt_deg"] == pytest.approx(np.degrees(np.arctan(shear)))
    affine = affine_of(volume)
    np.testing.assert_allclose(affine[:3, 2], [0, 0, 1], atol=1e-9)
    filled = volume.fillna(0).load()
    centres = (filled * filled.y).sum(["y", "x"]) / filled.sum(["y", "x"])
    np.testing.assert_allclose(centres, 6.0, atol=1e-3)
    assert np.isnan(volume[7, 0].values).all()
    np.testing.assert_array_equal(
        volume[2:4, 3:9], load_volume(tmp_path, tilt="resample")[2:4, 3:9]
    )


def test_an_upright_stack_is_not_resampled(tmp_path):
    write_series(tmp_path, stack(range(3)))
    volume = load_volume(tmp_path, tilt="resample")
    assert volume.attrs["tilt_resampled"] is False
    assert volume.identical(load_volume(tmp_path))


def test_what_a_folder_holds_besides_images_is_counted(tmp_path):
    write_series(tmp_path, stack(range(3)))
    (tmp_path / "README.txt").write_text("x" * 500)
    assert load_volume(tmp_path).attrs["files_left_out"] == 1
    with pytest.raises(VolumeError) as caught:
        open_volume(sorted(tmp_path.iterdir()))
    assert caught.value.reason == "unreadable_files"
    assert caught.value.detail == "not_dicom 1; of 4 files"


def test_a_truncated_file_is_refused(tmp_path):
    files = write_series(tmp_path, stack(range(4)))
    files[2].write_bytes(files[2].read_bytes()[:-20])
    with pytest.raises(ImageError) as caught:
        load_volume(tmp_path)
    assert caught.value.reason == "unreadable_files"


def test_a_file_that_changed_since_it_was_opened_is_refused(tmp_path):
    files = write_series(tmp_path, stack(range(4)))
    volume = open_volume(tmp_path)
    files[1].write_bytes(files[1].read_bytes()[:-20])
    with pytest.raises(ImageError):
        volume.load()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"SeriesInstanceUID": "1.2.9"}, "several_series"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localiser"),
        ({"PixelRepresentation": 0}, "mixed_pixels"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "mixed_pixels"),
        ({"RescaleSlope": "1e400", "RescaleIntercept": 0}, "bad_geometry"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "mixed_orientation"),
        ({"PixelSpacing": [1, 1]}, "mixed_spacing"),
        ({"ImagePositionPatient": None}, "no_position"),
    ],
)
def test_a_series_with_one_odd_image_is_refused(tmp_path, change, reason):
    images = stack(range(4))
    for keyword, value in change.items():
        if value is None:
            delattr(images[2], keyword)
        else:
            setattr(images[2], keyword, value)
    write_series(tmp_path, images)
    with pytest.raises(VolumeError) as caught:
        open_volume(tmp_path)
    assert caught.value.reason == reason
    assert "Doe" not in str(caught.value)


RESCALED = {"RescaleSlope": 1, "RescaleIntercept": -1024}


@pytest.mark.parametrize(
    ("attributes", "units"),
    [
        (RESCALED, "HU"),
        (RESCALED | {"RescaleType": "HU"}, "HU"),
        (RESCALED | {"RescaleType": "US"}, "arb"),
        ({"RescaleSlope": 1}, "arb"),
        ({}, "arb"),
    ],
)
def test_only_what_is_rescaled_to_hounsfield_units_is_called_so(tmp_path, attributes, units):
    images = stack(range(3), RescaleSlope=1, RescaleIntercept=0)
    # One slice that is not decides.
    for keyword in RESCALED:
        delattr(images[1], keyword)
    for keyword, value in attributes.items():
        setattr(images[1], keyword, value)
    write_series(tmp_path, images)
    assert open_volume(tmp_path).attrs["units"] == units


@pytest.mark.parametrize(("kind", "units"), [("HU", "HU"), ("US", "arb")])
def test_a_table_says_whether_it_gives_hounsfield_units(tmp_path, kind, units):
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [4, 10, 16])
    item.add_new("LUTData", "US", [100, 200, 300, 400])
    item.ModalityLUTType = kind
    write_series(tmp_path, stack(range(3), ModalityLUTSequence=[item]))
    assert open_volume(tmp_path).attrs["units"] == units


@pytest.mark.parametrize(("kind", "units"), [("HU", "HU"), ("US", "arb")])
def test_an_enhanced_ct_says_its_units_in_its_groups(tmp_path, kind, units):
    shared = group(
        PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        PixelMeasuresSequence={"PixelSpacing": [0.5, 0.25]},
        PixelValueTransformationSequence=RESCALED | {"RescaleType": kind},
    )
    frames = [group(PlanePositionSequence={"ImagePositionPatient": [0, 0, z]}) for z in range(3)]
    write_series(tmp_path, [enhanced(frames, shared, Modality="CT")])
    assert open_volume(tmp_path).attrs["units"] == units


def test_padding_is_read_as_pixels_are(tmp_path):
    images = stack(range(3), **RESCALED)
    for image in images:
        # The bits of -2000 and -1990, as scanners store them beside signed pixels.
        image.add_new("PixelPaddingValue", "US", 63536)
        image.add_new("PixelPaddingRangeLimit", "US", 63546)
    write_series(tmp_path, images)
    assert open_volume(tmp_path).attrs["padding"] == [-3024, -3014]
    # No one value is padding in all slices.
    images[2].RescaleSlope = 2
    write_series(tmp_path, images)
    assert "padding" not in open_volume(tmp_path).attrs


@pytest.mark.parametrize("slopes", [(1, 1, 1, 1), (1, 2, 1, 2)])
def test_padding_does_not_mix_with_tissue_in_a_tilted_stack(tmp_path, slopes):
    images = []
    for z, slope in enumerate(slopes):
        pixels = np.full((8, 4), 1000 // slope, np.int16)
        pixels[:3] = -2000
        image = make_image(pixels, (0, 0.15 * z, z), RescaleSlope=slope, RescaleIntercept=0)
        image.add_new("PixelPaddingValue", "US", 63536)
        images.append(image)
    write_series(tmp_path, images)
    volume = load_volume(tmp_path, tilt="resample")
    known = volume.values[~np.isnan(volume.values)]
    assert len(known) > 4 * 4 * 4
    assert set(known.tolist()) == {1000.0}
    assert "padding" not in volume.attrs


@pytest.mark.parametrize(
    ("keyword", "name", "unit"),
    [("FlipAngle", "flip_angle", "deg"), ("InversionTime", "inversion_time", "ms")],
)
def test_what_a_sequence_steps_through_is_no_time(tmp_path, keyword, name, unit):
    images = []
    for n, step in enumerate((15, 2, 9)):
        for z in range(3):
            image = make_image(ramp(10 * n + z), (0, 0, z), Modality="MR", AcquisitionNumber=n)
            image.AcquisitionDate, image.AcquisitionTime = "20200101", f"1000{20 * n:02d}"
            setattr(image, keyword, step)
            images.append(image)
    write_series(tmp_path, images)
    volume = load_volume(tmp_path)
    assert volume.dims == (name, "z", "y", "x")
    assert volume[name].values.tolist() == [2, 9, 15]
    assert volume[name].attrs["units"] == unit
    np.testing.assert_array_equal(volume.sel({name: 15})[1], ramp(1))
    # One that differs between slices makes no grid, and is no time either.
    setattr(images[0], keyword, 16)
    write_series(tmp_path, images)
    with pytest.raises(VolumeError, match=keyword) as caught:
        open_volume(tmp_path)
    assert caught.value.reason == "unequal_stacks"


@pytest.mark.parametrize(
    ("sequence", "keyword", "name"),
    [
        ("MRTimingAndRelatedParametersSequence", "FlipAngle", "flip_angle"),
        ("MRModifierSequence", "InversionTimes", "inversion_time"),
    ],
)
def test_steps_of_an_enhanced_file(tmp_path, sequence, keyword, name):
    shared = group(
        PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        PixelMeasuresSequence={"PixelSpacing": [0.5, 0.25]},
    )
    frames = [
        group(
            PlanePositionSequence={"ImagePositionPatient": [0, 0, z]},
            FrameContentSequence={"TemporalPositionIndex": step},
            **{sequence: {keyword: step}},
        )
        for step in (20, 10)
        for z in range(3)
    ]
    write_series(tmp_path, [enhanced(frames, shared)])
    volume = load_volume(tmp_path)
    assert volume.dims == (name, "z", "y", "x")
    assert volume[name].values.tolist() == [10, 20]
    np.testing.assert_array_equal(volume[0, 2], ramp(5))


@pytest.mark.parametrize("b_value", [1000, None])
def test_directions_are_no_time(tmp_path, b_value):
    images = []
    for n, direction in enumerate(np.eye(3).tolist()):
        for z in range(3):
            image = make_image(ramp(10 * n + z), (0, 0, z), Modality="MR", AcquisitionNumber=n)
            image.DiffusionGradientOrientation = direction
            if b_value:
                image.DiffusionBValue = b_value
            images.append(image)
    write_series(tmp_path, images)
    if b_value is None:
        with pytest.raises(VolumeError, match="DiffusionGradientOrientation"):
            open_volume(tmp_path)
        return
    volume = load_volume(tmp_path)
    assert volume.dims == ("b_value", "z", "y", "x")
    assert volume.b_value.values.tolist() == [1000] * 3
    assert volume.direction_x.values.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(volume[2, 1], ramp(1))


def test_a_type_that_cannot_hold_the_values_is_refused(tmp_path):
    write_series(tmp_path, stack(range(3), RescaleSlope="0.5", RescaleIntercept=0))
    with pytest.raises(VolumeError) as caught:
        load_volume(tmp_path, dtype="int32")
    assert caught.value.reason == "overflow"
    assert load_volume(tmp_path, dtype="float64").dtype == np.float64


def test_a_palette_becomes_colours(tmp_path):
    images = stack(range(3), PhotometricInterpretation="PALETTE COLOR")
    for image in images:
        image.BitsAllocated = image.BitsStored = 8
        image.HighBit, image.PixelRepresentation = 7, 0
        image.PixelData = (np.arange(30) % 4).astype(np.uint8).tobytes()
        for n, colour in enumerate(("Red", "Green", "Blue")):
            setattr(image, f"{colour}PaletteColorLookupTableDescriptor", [4, 0, 16])
            entries = np.array([0, 60, 120, 180], np.uint16) + n << 8
            setattr(image, f"{colour}PaletteColorLookupTableData", entries.tobytes())
    write_series(tmp_path, images)
    volume = load_volume(tmp_path)
    assert volume.dims == ("channel", "z", "y", "x")
    assert volume.dtype == np.uint8
    assert volume.attrs["photometric"] == "RGB"
    assert volume[:, 0, 0, :4].values.tolist() == [
        [0, 60, 120, 180], [1, 61, 121, 181], [2, 62, 122, 182],
    ]  # fmt: skip


def test_times_of_which_only_the_order_is_known(tmp_path):
    images = [
        make_image(ramp(10 * t + z), (0, 0, z), TemporalPositionIdentifier=str(t))
        for t in (2, 1)
        for z in range(3)
    ]
    write_series(tmp_path, images)
    volume = load_volume(tmp_path)
    assert volume.time.values.tolist() == [0, 1]
    assert volume.time.attrs["units"] == "1"
    np.testing.assert_array_equal(volume[0, 2], ramp(12))


def test_an_unknown_option_is_named(tmp_path):
    with pytest.raises(UsageError, match="tilt"):
        open_volume(tmp_path, tilt="resampl")


def test_no_identity_stands_in_the_attributes(series):
    files, _ = series["ibsi/ibsi_validation/dicom/STS_001/CT/image"]
    attrs = open_volume(files).attrs
    assert set(attrs) - {"padding"} == {
        *("affine", "frame_of_reference", "modality", "orientation", "photometric"),
        *("tilt_resampled", "units"),
    }
    assert "." not in attrs["frame_of_reference"]  # a digest, not the UID


def test_files_of_two_frames_of_reference_are_refused(series, tmp_path):
    files, _ = series["ibsi/ibsi_validation/dicom/STS_001/CT/image"]
    moved = pydicom.dcmread(files[3])
    moved.FrameOfReferenceUID = "1.2.3"
    moved.save_as(tmp_path / "moved.dcm")
    with pytest.raises(VolumeError, match="several frames of reference"):
        open_volume([*files[:3], tmp_path / "moved.dcm", *files[4:]])


def test_a_structure_set_is_drawn_on_the_volume_of_its_series(series):
    files, _ = series["ibsi/ibsi_validation/dicom/STS_001/CT/image"]
    mask = Path(files[0]).parents[1] / "mask" / "RS.dcm"
    drawn = open_segmentation(mask, like=open_volume(files))
    assert drawn.attrs["labels"] == {1: "GTV_Mass_CT"}
    volume_mm3 = int((drawn == 1).sum()) * 0.976562**2 * 3.27
    assert volume_mm3 == pytest.approx(111674.13 * 3.27, rel=0.002)


def test_a_claimed_number_of_frames_costs_no_memory(series, shared_data, tmp_path):
    path = next((shared_data / "dcm_qa_enh").rglob("*.dcm"))
    claims = pydicom.dcmread(path)
    claims.NumberOfFrames = 99_999_999
    claims.save_as(tmp_path / "claims.dcm")
    with pytest.raises((VolumeError, PixelError)):
        open_volume([tmp_path / "claims.dcm"])

"""Segmentation: SEG and RTSTRUCT of others on the grid of their volume, and made ones."""

import json
import time
import warnings

import dask.array
import numpy as np
import pydicom
import pytest
import xarray as xr
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from skimage.draw import polygon2mask

from tests.dicom.test_careful import slow_file
from workbench.dicom import careful
from workbench.errors import ImageError, UsageError
from workbench.imaging.volume import open_volume
from workbench.imaging.volume_grid import affine_of, coordinates, frame_name
from workbench.segments.segmentation import open_segmentation

UID = "1.2.826.0.1.3680043.8.498.1"
SHAPE = (8, 24, 20)
AFFINE = np.array([[0.7, 0, 0, -10], [0, 0.5, 0, -20], [0, 0, 2, 100], [0, 0, 0, 1.0]])
NAMES = {1: "Liver", 2: "Левое лёгкое", 3: "GTV"}


def make_like(affine=AFFINE, shape=SHAPE, uid=UID):
    return xr.DataArray(
        np.zeros(shape, np.int16),
        coordinates(affine, shape),
        ("z", "y", "x"),
        attrs={
            "affine": affine.tolist(),
            "orientation": (affine[:3, :2] / np.linalg.norm(affine[:3, :2], axis=0)).T.ravel(),
            "frame_of_reference": frame_name(uid),
        },
    )


def like_of(folder):
    """Return the volume of a series."""
    first = pydicom.dcmread(next(folder.iterdir()), stop_before_pixels=True)
    volume = open_volume(folder)
    volume.attrs.setdefault("frame_of_reference", frame_name(first.FrameOfReferenceUID))
    return volume


@pytest.fixture(scope="module")
def expected(shared_data):
    listed = json.loads((shared_data / "expected.json").read_text())
    return {entry["path"]: entry["expected"] for entry in listed if entry.get("path")}


def images(affine=AFFINE, shape=SHAPE):
    """Return the headers of a CT series on a grid, as highdicom wants them."""
    made = []
    for k in range(shape[0]):
        image = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        image.Rows, image.Columns = shape[1:]
        image.FrameOfReferenceUID = UID
        image.SOPInstanceUID = f"{UID}.{k + 1}"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.ImagePositionPatient = (affine @ [0, 0, k, 1])[:3].tolist()
        sizes = np.linalg.norm(affine[:3, :3], axis=0)
        image.ImageOrientationPatient = (affine[:3, :2] / sizes[:2]).T.ravel().tolist()
        image.PixelSpacing = [sizes[1], sizes[0]]
        image.SliceThickness = sizes[2]
        image.PixelData = bytes(2 * shape[1] * shape[2])
        image.add_new(0x00200052, "UI", UID)
        made.append(image)
    return made


def write_seg(path, pixels, kind="BINARY", numbers=(1, 2, 3), source=None, **more):
    """Write a SEG with highdicom: labels (slices, rows, columns) or masks (…, segments)."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    segments = [
        hd.seg.SegmentDescription(
            n, NAMES[n], codes.SCT.Organ, codes.SCT.Liver, hd.seg.SegmentAlgorithmTypeValues.MANUAL
        )
        for n in numbers
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seg = hd.seg.Segmentation(
            source or images(), pixels, kind, segments, f"{UID}.98", 1, f"{UID}.99", 1,
            "maker", "model", "1", "serial", **more,
        )  # fmt: skip
        seg.SpecificCharacterSet = "ISO_IR 192"
        seg.save_as(path)
    return seg


def some_labels():
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 3:9, 2:7] = 1
    labels[2:6, 12:20, 10:18] = 2
    labels[6, 1, 1] = 3
    return labels


# ------------------------------------------------------------------ files of others


@pytest.mark.parametrize(("series", "rel"), [("CT", 2e-3), ("MR_T1", 2e-3), ("PET", 5e-3)])
def test_tumour_has_the_volume_of_its_contours(shared_data, expected, series, rel):
    folder = shared_data / f"ibsi/ibsi_validation/dicom/STS_001/{series}"
    like = like_of(folder / "image")
    found = open_segmentation(folder / "mask/RS.dcm", like=like)
    (name, stated), *none = expected[f"ibsi/ibsi_validation/dicom/STS_001/{series}/mask/RS.dcm"][
        "rois"
    ].items()
    assert (found.attrs["labels"], none) == ({1: name}, [])
    assert found.attrs["outside"] == {1: 0}
    affine = affine_of(like)
    volume = float((found == 1).sum()) * abs(np.linalg.det(affine[:3, :3]))
    assert volume == pytest.approx(stated["sum_contour_area_mm2"] * affine[2, 2], rel=rel)


@pytest.mark.parametrize("series", ["CT", "MR_T1", "PET"])
def test_tumour_is_that_of_another_rasteriser(shared_data, series):
    folder = shared_data / f"ibsi/ibsi_validation/dicom/STS_001/{series}"
    like = like_of(folder / "image")
    inverse = np.linalg.inv(affine_of(like))
    theirs = np.zeros(like.shape, bool)
    contours = pydicom.dcmread(folder / "mask/RS.dcm").ROIContourSequence[0].ContourSequence
    for contour in contours:
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        points = points @ inverse[:3, :3].T + inverse[:3, 3]
        theirs[round(points[0, 2])] ^= polygon2mask(like.shape[1:], points[:, 1::-1])
    ours = open_segmentation(folder / "mask/RS.dcm", like=like).values == 1
    assert len(contours) == 32
    assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) >= 0.999


def test_liver_of_dcmqi_lies_where_it_was_drawn(shared_data, expected):
    folder = shared_data / "dcmqi/segmentations"
    found = open_segmentation(folder / "liver.dcm", like=like_of(folder / "ct-3slice"))
    assert found.attrs["labels"] == {1: "Liver"}
    assert found.attrs["codes"] == {1: ["T-62000", "SRT", "Liver"]}
    stated = expected["dcmqi/segmentations/liver.dcm"]["voxels_per_segment"]
    assert {"1": int((found == 1).sum())} == stated
    frames = pydicom.dcmread(folder / "liver.dcm").pixel_array
    assert (found.values == frames).all()


HIGHDICOM = np.array(
    [[0.488281, 0, 0, -125], [0, 0.488281, 0, -128.100006], [0, 0, 1.25, 103.019997], [0, 0, 0, 1]]
)
HIGHDICOM_UID = "1.3.6.1.4.1.5962.1.1.0.0.0.1196530851.28319.0.4"


@pytest.mark.parametrize(
    ("name", "threshold"), [("seg_image_ct_binary", 0.5), ("seg_image_ct_true_fractional", 1e-9)]
)
def test_segments_of_highdicom_have_their_voxels(shared_data, expected, name, threshold):
    like = make_like(HIGHDICOM, (3, 16, 16), HIGHDICOM_UID)
    path = shared_data / f"highdicom/{name}.dcm"
    found = open_segmentation(path, like=like, threshold=threshold)
    stated = expected[f"highdicom/{name}.dcm"]["voxels_per_segment"]
    assert {"1": int((found == 1).sum())} == stated
    assert found.attrs["codes"] == {1: ["272673000", "SCT", "Bone"]}


def test_threshold_cuts_a_fractional_segmentation(shared_data):
    like = make_like(HIGHDICOM, (3, 16, 16), HIGHDICOM_UID)
    path = shared_data / "highdicom/seg_image_ct_true_fractional.dcm"
    dataset = pydicom.dcmread(path)
    for threshold in (0.25, 0.5, 1.0):
        found = open_segmentation(path, like=like, threshold=threshold)
        part = dataset.pixel_array / dataset.MaximumFractionalValue
        assert (found.values == (part >= threshold)).all()


def test_segments_that_overlap_are_refused_or_stand_side_by_side(shared_data, expected):
    like = make_like(HIGHDICOM, (3, 16, 16), HIGHDICOM_UID)
    path = shared_data / "highdicom/seg_image_ct_binary_overlap.dcm"
    with pytest.raises(ImageError, match="Segments 1 and 2 overlap"):
        open_segmentation(path, like=like)
    found = open_segmentation(path, like=like, overlap="channel")
    assert found.dims == ("segment", "z", "y", "x")
    assert isinstance(found.data, dask.array.Array)
    frames = pydicom.dcmread(path).pixel_array.reshape(2, 4, 16, 16)
    # One frame of each segment lies 200 mm away from the others.
    assert (found.values == frames[:, 1:]).all()
    assert found.attrs["outside"] == {1: 1, 2: 1}
    whole = HIGHDICOM.copy()
    whole[2, 3] = -99.480003
    found = open_segmentation(
        path, make_like(whole, (166, 16, 16), HIGHDICOM_UID), overlap="channel"
    )
    stated = expected["highdicom/seg_image_ct_binary_overlap.dcm"]["voxels_per_segment"]
    assert {str(n): int(found.sel(segment=n).sum()) for n in (1, 2)} == stated
    like = make_like(HIGHDICOM, (3, 16, 16), HIGHDICOM_UID)
    only = open_segmentation(path, like=like, names=["second segment"])
    assert only.attrs["labels"] == {2: "second segment"}
    assert (only.values == 2 * frames[1, 1:]).all()


# ------------------------------------------------------------------ made segmentations


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_made_segmentation_comes_back(tmp_path, kind):
    labels = some_labels()
    pixels = np.stack([labels == n for n in (1, 2, 3)], axis=-1)
    write_seg(
        tmp_path / "seg.dcm",
        labels if kind == "LABELMAP" else pixels.astype(float if kind == "FRACTIONAL" else "u1"),
        kind,
    )
    found = open_segmentation(tmp_path / "seg.dcm", like=make_like())
    assert (found.values == labels).all()
    assert found.dtype == np.uint8
    assert found.attrs["labels"] == NAMES
    assert found.attrs["modality"] == "SEG"
    np.testing.assert_array_equal(found.z, make_like().z)


@pytest.mark.parametrize("turn", ["mirrored", "upside down", "turned", "reversed", "all"])
def test_frames_are_put_by_position_and_orientation(tmp_path, turn):
    """The segmentation is made on a series that shows the same voxels the other way round."""
    labels = some_labels()
    affine, seen = AFFINE.copy(), labels
    i, j, k = (SHAPE[2] - 1, SHAPE[1] - 1, SHAPE[0] - 1)
    steps = np.eye(4)
    if turn in {"mirrored", "all"}:
        steps = steps @ [[-1, 0, 0, i], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
        seen = seen[:, :, ::-1]
    if turn in {"upside down", "all"}:
        steps = steps @ [[1, 0, 0, 0], [0, -1, 0, j], [0, 0, 1, 0], [0, 0, 0, 1]]
        seen = seen[:, ::-1]
    if turn in {"reversed", "all"}:
        steps = steps @ [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, k], [0, 0, 0, 1]]
        seen = seen[::-1]
    if turn in {"turned", "all"}:
        steps = steps @ [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
        seen = seen.transpose(0, 2, 1)
    source = images(affine @ steps, seen.shape)
    write_seg(tmp_path / "seg.dcm", np.ascontiguousarray(seen), source=source)
    found = open_segmentation(tmp_path / "seg.dcm", like=make_like())
    assert (found.values == labels).all()


def test_order_of_frames_does_not_matter(tmp_path):
    labels = some_labels()
    write_seg(tmp_path / "seg.dcm", labels, "FRACTIONAL", max_fractional_value=1)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    order = np.random.default_rng(0).permutation(len(seg.PerFrameFunctionalGroupsSequence))
    assert len(order) < 3 * SHAPE[0]  # empty frames are left out
    seg.PixelData = seg.pixel_array[order].tobytes()
    groups = list(seg.PerFrameFunctionalGroupsSequence)
    seg.PerFrameFunctionalGroupsSequence = [groups[i] for i in order]
    seg.save_as(tmp_path / "shuffled.dcm")
    found = open_segmentation(tmp_path / "shuffled.dcm", like=make_like())
    assert (found.values == labels).all()


def test_part_of_the_volume_is_met_by_position(tmp_path):
    labels = some_labels()
    write_seg(tmp_path / "seg.dcm", labels)
    part = make_like().isel(z=slice(2, 7), y=slice(5, 18), x=slice(4, 12))
    found = open_segmentation(tmp_path / "seg.dcm", like=part)
    assert (found.values == labels[2:7, 5:18, 4:12]).all()
    assert found.attrs["outside"] == {1: 3, 2: 4, 3: 1}
    thin = make_like().isel(z=slice(0, None, 2))
    with pytest.raises(ImageError, match="another grid"):
        open_segmentation(tmp_path / "seg.dcm", like=thin)
    found = open_segmentation(tmp_path / "seg.dcm", like=thin, resample=True)
    assert (found.values == labels[::2]).all()


def test_another_grid_is_refused_or_resampled_as_simpleitk_does(tmp_path):
    import SimpleITK as sitk  # noqa: N813 - its usual name

    labels = some_labels()
    write_seg(tmp_path / "seg.dcm", labels)
    turn = np.deg2rad(12.3)
    tilt = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    tilt = tilt @ np.array([[1, 0, 0], [0, 0.96, -0.28], [0, 0.28, 0.96]])
    affine = np.eye(4)
    affine[:3, :3] = tilt @ np.diag([0.61, 0.53, 1.37])
    affine[:3, 3] = [-9.7, -21.3, 98.9]
    like = make_like(affine, (15, 30, 26))
    with pytest.raises(ImageError, match="another grid"):
        open_segmentation(tmp_path / "seg.dcm", like=like)
    found = open_segmentation(tmp_path / "seg.dcm", like=like, resample=True)
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((0.7, 0.5, 2))
    image.SetOrigin(AFFINE[:3, 3].tolist())
    grid = sitk.Image(26, 30, 15, sitk.sitkUInt8)
    grid.SetSpacing((0.61, 0.53, 1.37))
    grid.SetOrigin(affine[:3, 3].tolist())
    grid.SetDirection(tilt.ravel().tolist())
    theirs = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor)
    assert (found.values > 0).sum() > 300
    # SimpleITK leaves out the outer half of the first and last voxels; no label lies there.
    assert (found.values == sitk.GetArrayFromImage(theirs)).all()


def test_frame_of_reference_must_be_the_same(tmp_path):
    write_seg(tmp_path / "seg.dcm", some_labels())
    with pytest.raises(ImageError, match="another frame of reference") as other:
        open_segmentation(tmp_path / "seg.dcm", like=make_like(uid="1.2.3"))
    assert UID not in str(other.value)
    # What is counted from elsewhere is not brought to another grid: no resampling is advised.
    moved = make_like(uid="1.2.3")
    moved.attrs["affine"] = (np.array(moved.attrs["affine"]) @ np.diag([1.5, 1.5, 1, 1])).tolist()
    with pytest.raises(ImageError, match="another frame of reference"):
        open_segmentation(tmp_path / "seg.dcm", like=moved)
    unknown = make_like()
    del unknown.attrs["frame_of_reference"]
    with pytest.raises(ImageError, match="does not state its frame"):
        open_segmentation(tmp_path / "seg.dcm", like=unknown)
    found = open_segmentation(tmp_path / "seg.dcm", like=unknown, check_frame=False)
    assert (found.values == some_labels()).all()


def test_two_frames_in_one_place_are_refused(tmp_path):
    write_seg(tmp_path / "seg.dcm", some_labels())
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    first, second, *_ = seg.PerFrameFunctionalGroupsSequence
    second.PlanePositionSequence = first.PlanePositionSequence
    seg.save_as(tmp_path / "twice.dcm")
    with pytest.raises(ImageError, match="same place") as refused:
        open_segmentation(tmp_path / "twice.dcm", like=make_like())
    assert refused.value.where == "the SEG"


# ------------------------------------------------------------------ made structure sets


def write_rtstruct(path, regions, uid=UID):
    """Write an RTSTRUCT: (number, name, [(type, points in mm), …])."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    meta.MediaStorageSOPInstanceUID = f"{UID}.77"
    meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, f"{UID}.77"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Secret^Patient"
    dataset.Modality, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "RTSTRUCT", UID, UID
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    dataset.RTROIObservationsSequence = []
    for number, name, contours in regions:
        declared, drawn, observed = Dataset(), Dataset(), Dataset()
        declared.ROINumber, declared.ROIName = number, name
        declared.ReferencedFrameOfReferenceUID = uid
        drawn.ReferencedROINumber = observed.ReferencedROINumber = number
        drawn.ContourSequence = []
        for kind, points in contours:
            contour = Dataset()
            contour.ContourGeometricType = kind
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{v:.4f}" for v in np.ravel(points)]
            drawn.ContourSequence.append(contour)
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "10200004", "SCT", "Liver"
        observed.RTROIIdentificationCodeSequence = [code]
        dataset.StructureSetROISequence.append(declared)
        dataset.ROIContourSequence.append(drawn)
        dataset.RTROIObservationsSequence.append(observed)
    dataset.save_as(path, enforce_file_format=True)


def box(k, rows, columns, affine=AFFINE):
    """Return the corners, in mm, of the outline of some voxels of a slice."""
    (top, bottom), (left, right) = rows, columns
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return [(affine @ [c - 0.5, r - 0.5, k, 1])[:3] for c, r in corners]


def test_regions_become_labels_with_names_and_codes(tmp_path):
    write_rtstruct(
        tmp_path / "rs.dcm",
        [
            (7, "Leber ^1", [("CLOSED_PLANAR", box(k, (2, 8), (3, 9))) for k in (5, 3, 4)]),
            (2, "isocentre", [("POINT", [[0, 0, 104]])]),
            (300, "心", [
                ("CLOSED_PLANAR", box(2, (10, 20), (5, 15))),
                ("CLOSED_PLANAR", box(2, (12, 18), (7, 13))),
                ("OPEN_PLANAR", box(2, (12, 18), (7, 13))),
            ]),
            (9, "empty", []),
        ],
    )  # fmt: skip
    found = open_segmentation(tmp_path / "rs.dcm", like=make_like())
    wanted = np.zeros(SHAPE, np.uint16)
    wanted[3:6, 2:8, 3:9] = 7
    wanted[2, 10:20, 5:15] = 300
    wanted[2, 12:18, 7:13] = 0
    assert found.dtype == np.uint16
    assert (found.values == wanted).all()
    assert found.attrs["labels"] == {7: "Leber ^1", 300: "心"}
    assert found.attrs["codes"] == {n: ["10200004", "SCT", "Liver"] for n in (7, 300)}
    assert found.attrs["not_drawn"] == {2: "isocentre", 9: "empty"}
    assert found.attrs["skipped"] == {7: 0, 300: 1}
    assert found.attrs["modality"] == "RTSTRUCT"


def test_numbers_that_cannot_be_labels_are_counted_anew(tmp_path):
    drawn = [("CLOSED_PLANAR", box(3, (2, 8), (3, 9)))]
    write_rtstruct(tmp_path / "rs.dcm", [(0, "a", drawn), (70_000, "b", [])])
    found = open_segmentation(tmp_path / "rs.dcm", like=make_like())
    assert found.attrs["labels"] == {1: "a"}
    assert found.attrs["not_drawn"] == {2: "b"}


def test_regions_that_overlap_are_told_by_number(tmp_path):
    drawn = [("CLOSED_PLANAR", box(3, (2, 8), (3, 9)))]
    write_rtstruct(tmp_path / "rs.dcm", [(1, "PTV\x1b[31m", drawn), (2, "GTV", drawn)])
    with pytest.raises(ImageError, match="overlap") as refused:
        open_segmentation(tmp_path / "rs.dcm", like=make_like())
    assert str(refused.value).startswith("Segments 1 and 2 overlap")
    assert refused.value.where == "the RTSTRUCT, slice 3, 36 voxels"
    found = open_segmentation(tmp_path / "rs.dcm", like=make_like(), overlap="channel")
    assert found.sum(("z", "y", "x")).values.tolist() == [36, 36]
    assert found.segment.values.tolist() == [1, 2]


def test_contours_of_another_grid_tell_their_region(tmp_path):
    shifted = AFFINE.copy()
    shifted[2, 3] += 0.8
    write_rtstruct(
        tmp_path / "rs.dcm",
        [(1, "GTV", [("CLOSED_PLANAR", box(3, (2, 8), (3, 9), shifted))])],
    )
    with pytest.raises(ImageError, match="between two slices") as refused:
        open_segmentation(tmp_path / "rs.dcm", like=make_like())
    assert refused.value.where == "the RTSTRUCT, region 1"
    found = open_segmentation(tmp_path / "rs.dcm", like=make_like(), resample=True)
    assert np.unique(np.argwhere(found.values)[:, 0]).tolist() == [3]


def test_names_choose_and_an_unknown_one_is_told_the_nearest(tmp_path):
    drawn = [("CLOSED_PLANAR", box(3, (2, 8), (3, 9)))]
    write_rtstruct(tmp_path / "rs.dcm", [(1, "PTV", drawn), (2, "GTV_primary", drawn)])
    found = open_segmentation(tmp_path / "rs.dcm", like=make_like(), names=["GTV_primary"])
    assert found.attrs["labels"] == {2: "GTV_primary"}
    with pytest.raises(UsageError, match="Did you mean 'GTV_primary'") as refused:
        open_segmentation(tmp_path / "rs.dcm", like=make_like(), names=["GTV_primry"])
    assert "PTV" not in str(refused.value)  # free text that nobody asked for


# ------------------------------------------------------------------ what is refused


def test_what_is_no_segmentation_is_refused(tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ImageError, match="cannot be read"):
        open_segmentation(tmp_path / "text", like=make_like())
    with pytest.raises(ImageError, match="cannot be read"):
        open_segmentation(tmp_path / "nothing", like=make_like())
    with pytest.raises(ImageError, match="neither a segmentation nor a structure set") as refused:
        open_segmentation(get_testdata_file("CT_small.dcm"), like=make_like())
    assert refused.value.where == "it is of the class CT Image Storage"
    with pytest.raises(ImageError, match="2 files"):
        open_segmentation(["a", "b"], like=make_like())
    with pytest.raises(UsageError, match="Unknown overlap"):
        open_segmentation(tmp_path / "text", like=make_like(), overlap="union")
    with pytest.raises(UsageError, match="threshold"):
        open_segmentation(tmp_path / "text", like=make_like(), threshold=0)


@pytest.mark.parametrize("kind", ["SEG", "RTSTRUCT"])
def test_damaged_files_are_refused_or_read_and_nothing_else(tmp_path, kind):
    whole = tmp_path / "whole.dcm"
    if kind == "SEG":
        write_seg(whole, some_labels())
    else:
        drawn = [("CLOSED_PLANAR", box(k, (2, 8), (3, 9))) for k in range(4)]
        write_rtstruct(whole, [(1, "GTV", drawn)])
    content = whole.read_bytes()
    random = np.random.default_rng(1)
    path = tmp_path / "damaged.dcm"
    told = []
    for _ in range(120):
        damaged = bytearray(content)
        for at in random.integers(132, len(content), random.integers(1, 6)):
            damaged[at] = random.integers(256)
        if random.random() < 0.3:
            del damaged[random.integers(132, len(content)) :]
        path.write_bytes(damaged)
        try:
            open_segmentation(path, like=make_like())
        except ImageError as error:
            told.append(str(error))
    assert len(told) > 20
    assert all("\n  where: " in text for text in told)
    assert not any(UID in text or "Secret" in text for text in told)


def test_a_file_whose_header_takes_too_long_is_refused_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(careful, "TIME_S", 1.5)
    (tmp_path / "slow.dcm").write_bytes(slow_file())
    start = time.monotonic()
    with pytest.raises(ImageError, match="The segmentation cannot be read: ") as caught:
        open_segmentation(tmp_path / "slow.dcm", like=make_like())
    assert caught.value.where == "more than 1.5 s"
    assert time.monotonic() - start < 15
